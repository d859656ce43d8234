#include "compare/comparison_file.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/text_format.h"
#include "compare/json_forms.h"
#include "data/objective.h"

namespace sluice::compare {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 28;
constexpr std::int64_t kFormat = 1;

Json variants_json(const ComparisonFile& file) {
  Json list = Json::array();
  for (std::size_t i = 0; i < file.comparison.variants.size(); ++i) {
    const report::Variant& v = file.comparison.variants[i];
    list.push_back({{"settings", to_json(v.settings)},
                    {"hash", file.variant_hashes.at(i)},
                    {"num_parameters", v.num_parameters},
                    {"d_ff", v.d_ff},
                    {"d_ff_mismatch", v.d_ff_mismatch},
                    {"multiply_adds_per_token", v.multiply_adds_per_token},
                    {"flops_per_token", v.flops_per_token},
                    {"steps", file.steps.at(i) ? Json(*file.steps.at(i)) : Json()},
                    {"tuned", to_json(v.tuned)}});
  }
  return list;
}

Json cells_json(const report::Comparison& comparison) {
  Json list = Json::array();
  for (const report::Cell& cell : comparison.cells)
    list.push_back({{"settings", to_json(cell.settings)}, {"seed", cell.seed}, {"hash", cell.hash}, {"directory", cell.directory}});
  return list;
}

Json tuning_json(const report::Comparison& comparison) {
  Json list = Json::array();
  for (const report::TuningPoint& point : comparison.tuning)
    list.push_back({{"settings", to_json(point.settings)},
                    {"candidate", to_json(point.candidate)},
                    {"log_perplexity", point.log_perplexity},
                    {"remark", point.remark},
                    {"diverged", point.diverged},
                    {"learned_nothing", point.learned_nothing},
                    {"chosen", point.chosen}});
  return list;
}

void read_lists(const Json& json, ComparisonFile& file) {
  report::Comparison& c = file.comparison;
  for (const Json& v : json.at("variants")) {
    c.variants.push_back({.settings = settings_from(v.at("settings")),
                          .num_parameters = v.at("num_parameters").get<std::int64_t>(),
                          .d_ff = v.at("d_ff").get<std::int64_t>(),
                          .d_ff_mismatch = v.at("d_ff_mismatch").get<double>(),
                          .multiply_adds_per_token = v.at("multiply_adds_per_token").get<double>(),
                          .flops_per_token = v.at("flops_per_token").get<double>(),
                          .tuned = settings_from(v.at("tuned"))});
    file.variant_hashes.push_back(v.at("hash").get<std::string>());
    const auto steps = v.find("steps");
    file.steps.push_back(steps == v.end() || steps->is_null() ? std::nullopt : std::optional(steps->get<std::int64_t>()));
  }
  for (const Json& cell : json.at("cells")) {
    report::Cell& made = c.cells.emplace_back();
    made.settings = settings_from(cell.at("settings"));
    made.seed = cell.at("seed").get<std::uint64_t>();
    made.hash = cell.at("hash").get<std::string>();
    made.directory = cell.at("directory").get<std::string>();
  }
  for (const Json& point : json.at("tuning")) {
    c.tuning.push_back({.settings = settings_from(point.at("settings")),
                        .candidate = settings_from(point.at("candidate")),
                        .log_perplexity = point.at("log_perplexity").get<std::vector<double>>(),
                        .remark = point.at("remark").get<std::string>(),
                        .diverged = point.value("diverged", false),
                        .learned_nothing = point.value("learned_nothing", false),
                        .chosen = point.at("chosen").get<bool>()});
  }
}

ComparisonFile from_json(const Json& json) {
  ComparisonFile file;
  report::Comparison& c = file.comparison;
  c.name = json.at("name").get<std::string>();
  c.metric = json.at("metric").get<std::string>();
  c.equalize = json.at("equalize").get<std::string>();
  describe_objective(c, json.at("objective").get<std::string>());
  c.seeds = json.at("seeds").get<std::vector<std::uint64_t>>();
  c.baseline = json.at("baseline").get<std::size_t>();
  c.tuning_note = json.at("tuning_note").get<std::string>();
  c.config = json.at("config").get<std::string>();
  c.commands = json.at("commands").get<std::vector<std::string>>();
  c.data_fingerprint = json.at("data_fingerprint").get<std::string>();
  c.tokenizer_hash = json.at("tokenizer_hash").get<std::string>();
  read_lists(json, file);
  return file;
}

// Each variant once under each seed, and tuning of these variants' values: what report/ takes for granted.
bool is_whole(const report::Comparison& c) {
  if (c.baseline >= c.variants.size()) return false;
  std::set<std::pair<report::Settings, std::uint64_t>> places;
  for (const report::Variant& variant : c.variants)
    for (const std::uint64_t seed : c.seeds) places.emplace(variant.settings, seed);
  for (const report::Cell& cell : c.cells)
    if (places.erase(std::pair(cell.settings, cell.seed)) == 0) return false;
  std::map<report::Settings, std::size_t> num_tuned;
  for (const report::Variant& variant : c.variants) num_tuned[variant.settings] = variant.tuned.size();
  return places.empty() && std::all_of(c.tuning.begin(), c.tuning.end(), [&](const report::TuningPoint& point) {
           const auto variant = num_tuned.find(point.settings);
           return variant != num_tuned.end() && (variant->second == 0 || variant->second == point.candidate.size());
         });
}

}  // namespace

void describe_objective(report::Comparison& comparison, const std::string& kind) {
  comparison.objective = comparison.objective_title = kind;
  const auto objective = data::default_objective(kind);
  if (objective == nullptr) return;  // of another version
  comparison.objective_title = objective->title();
  comparison.targets_are_text = objective->targets_are_text();
}

void write_comparison(const ComparisonFile& file, const std::filesystem::path& directory) {
  const report::Comparison& c = file.comparison;
  const Json json = {{"format", kFormat},
                     {"name", c.name},
                     {"metric", c.metric},
                     {"equalize", c.equalize},
                     {"objective", c.objective},
                     {"seeds", c.seeds},
                     {"baseline", c.baseline},
                     {"tuning_note", c.tuning_note},
                     {"config", c.config},
                     {"commands", c.commands},
                     {"data_fingerprint", c.data_fingerprint},
                     {"tokenizer_hash", c.tokenizer_hash},
                     {"variants", variants_json(file)},
                     {"tuning", tuning_json(c)},
                     {"cells", cells_json(c)}};
  real_files().write_atomically(directory / "comparison.json", json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

ComparisonFile read_comparison(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "comparison.json";
  require(std::filesystem::exists(path), ExitCode::kMissingInput, directory.string(), "no comparison.json there",
          "the directory of a comparison that was begun (run.dir of its configuration)");
  const Json tree = Json::parse(read_file(path, kMaxBytes), nullptr, /*allow_exceptions=*/false);
  try {
    if (tree.is_object() && tree.at("format").get<std::int64_t>() == kFormat) {
      ComparisonFile file = from_json(tree);
      if (is_whole(file.comparison)) return file;
    }
  } catch (const nlohmann::json::exception&) {  // falls through to the message
  }
  fail(ExitCode::kBadData, path.string(), "content that is no comparison", "what `sluice compare` wrote; run it again to rewrite it");
}

}  // namespace sluice::compare
