// Writes results.csv (report.h).
#include <optional>
#include <string>
#include <vector>

#include "base/text_format.h"
#include "config/names.h"
#include "report/report.h"
#include "report/tables.h"
#include "report/text.h"

namespace sluice::report {
namespace {

std::string line_of(const std::vector<std::string>& fields) {
  std::string line;
  for (std::size_t i = 0; i < fields.size(); ++i)
    line.append(i == 0 ? "" : ",").append(csv_field(fields[i]));
  return line + "\r\n";
}

std::string number(std::optional<double> value) { return value ? shortest(*value) : ""; }

std::string bool_text(std::optional<bool> value) {
  return value ? (*value ? "true" : "false") : "";
}

}  // namespace

std::string csv_report(const Comparison& comparison) {
  std::vector<std::string> titles;
  if (!comparison.variants.empty()) {
    for (const auto& setting : comparison.variants[0].settings) titles.push_back(setting.first);
  }
  for (const char* title : {"seed", "status", "log_perplexity", "bits_per_byte", "learned_nothing",
                            "steps", "tokens", "training_seconds", "hash", "build", "libtorch",
                            "cpu", "device", "precision", "threads", "directory", "remark"}) {
    titles.emplace_back(title);
  }
  std::string out = line_of(titles);
  for (const CellResult& cell : comparison.cells) {
    std::vector<std::string> fields;
    for (const auto& setting : cell.settings) fields.push_back(setting.second);
    const bool has_results = cell.steps > 0;
    fields.insert(fields.end(),
                  {std::to_string(cell.seed), std::string(config::name_of(cell.state)),
                   number(cell.log_perplexity), number(cell.bits_per_byte),
                   bool_text(cell.learned_nothing), has_results ? std::to_string(cell.steps) : "",
                   has_results ? std::to_string(cell.tokens) : "",
                   has_results ? shortest(cell.training_seconds) : "", cell.hash, cell.build,
                   cell.libtorch, cell.env.cpu, cell.env.device, cell.env.precision,
                   cell.env.threads > 0 ? std::to_string(cell.env.threads) : "", cell.directory,
                   cell.remark});
    out += line_of(fields);
  }
  return out;
}

}  // namespace sluice::report
