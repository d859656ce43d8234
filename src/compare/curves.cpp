// read_curves, has_evaluation and evaluations_of of collect.h.
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/text_format.h"
#include "compare/collect.h"
#include "store/metrics_log.h"

namespace sluice::compare {
namespace {

// The number after `key`. A thousand cells have millions of lines, too many for full JSON parsing.
// The lines are written by nlohmann's dump() without spaces, and each key used here occurs only
// once per line, nested objects included.
std::optional<double> number_after(std::string_view line, std::string_view key) {
  const std::size_t at = line.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  const char* begin = line.data() + at + key.size();
  double number = 0;
  const auto [end, error] = std::from_chars(begin, line.data() + line.size(), number);
  return error == std::errc() && end != begin ? std::optional(number) : std::nullopt;
}

struct Line {
  std::string_view text;
  double seconds = 0;  // training time up to its step
};

report::CurvePoint mean_of(std::span<const Line> lines) {
  double sum = 0;
  std::size_t count = 0;
  for (const Line& line : lines) {
    const auto value = number_after(line.text, "\"log_perplexity\":");
    if (!value) continue;  // null: not finite
    sum += *value;
    ++count;
  }
  const auto step = number_after(lines.back().text, "\"step\":").value_or(0);
  return {.step = count > 0 ? static_cast<std::int64_t>(step) : 0,
          .log_perplexity = count > 0 ? sum / static_cast<double>(count) : 0,
          .seconds = lines.back().seconds};
}

std::optional<report::CurvePoint> evaluation_in(const Line& line) {
  const nlohmann::json json = nlohmann::json::parse(line.text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("step") || !json["step"].is_number_integer())
    return std::nullopt;
  const auto eval = json.find("eval");
  if (eval == json.end() || !eval->is_object()) return std::nullopt;
  const auto figure = eval->find("log_perplexity");
  if (figure == eval->end() || !figure->is_number()) return std::nullopt;
  const auto tokens = eval->find("num_tokens");
  return report::CurvePoint{.step = json["step"].get<std::int64_t>(),
                            .log_perplexity = figure->get<double>(),
                            .seconds = line.seconds,
                            .num_tokens = tokens != eval->end() && tokens->is_number_unsigned()
                                              ? tokens->get<std::uint64_t>()
                                              : 0};
}

}  // namespace

Curves read_curves(const std::filesystem::path& metrics) {
  if (!std::filesystem::exists(metrics)) return {};
  const MappedFile file(metrics);
  std::string_view rest(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  std::vector<Line> training, evaluations;
  double seconds = 0;
  while (true) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) break;  // end of file or incomplete line
    const std::string_view text = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    const bool is_evaluation = text.find("\"eval\":") != std::string_view::npos;
    if (!is_evaluation) seconds += number_after(text, "\"step_seconds\":").value_or(0);
    (is_evaluation ? evaluations : training).push_back({text, seconds});
  }
  Curves curves;
  const std::size_t group = (training.size() + kMaxCurvePoints - 1) / kMaxCurvePoints;
  for (std::size_t i = 0; i < training.size(); i += group) {
    const report::CurvePoint point =
        mean_of(std::span(training).subspan(i, std::min(group, training.size() - i)));
    if (point.step > 0) curves.training.push_back(point);
  }
  const std::size_t stride = (evaluations.size() + kMaxCurvePoints - 1) / kMaxCurvePoints;
  for (std::size_t i = 0; i < evaluations.size(); ++i) {
    if ((evaluations.size() - 1 - i) % stride != 0) continue;  // keeps the last one
    if (const auto point = evaluation_in(evaluations[i])) curves.held_out.push_back(*point);
  }
  return curves;
}

bool has_evaluation(std::span<const report::CurvePoint> held_out) {
  return std::any_of(held_out.begin(), held_out.end(),
                     [](const report::CurvePoint& point) { return point.step > 0; });
}

std::vector<double> evaluations_of(const std::filesystem::path& metrics,
                                   std::uint64_t num_targets) {
  std::vector<double> figures;
  store::read_metrics(metrics, [&](std::int64_t step, const nlohmann::ordered_json& line) {
    const auto eval = line.find("eval");
    if (step == 0 || eval == line.end() || !eval->is_object()) return;
    const auto tokens = eval->find("num_tokens"), figure = eval->find("log_perplexity");
    if (tokens == eval->end() || *tokens != num_targets) return;
    require(figure != eval->end() && figure->is_number(), ExitCode::kBadData, metrics.string(),
            cat("no log_perplexity at step ", step), "a number for each evaluation");
    figures.push_back(figure->get<double>());
  });
  return figures;
}

}  // namespace sluice::compare
