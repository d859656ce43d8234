#include "compare/progress.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace sluice::compare {
namespace {

constexpr std::streamoff kTailBytes = 8192;  // tens of lines

// nullopt for evaluations and incomplete lines.
std::optional<Progress> parse_training_line(std::string_view line) {
  const nlohmann::json json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  const auto step = json.find("step"), loss = json.find("loss");
  if (step == json.end() || loss == json.end() || !step->is_number_integer() || !loss->is_number())
    return std::nullopt;
  return Progress{step->get<std::int64_t>(), loss->get<double>()};
}

}  // namespace

std::optional<Progress> last_progress(const std::filesystem::path& metrics) {
  std::ifstream file(metrics, std::ios::binary | std::ios::ate);
  if (!file) return std::nullopt;
  const std::streamoff size = file.tellg(), begin = std::max<std::streamoff>(0, size - kTailBytes);
  std::string tail(static_cast<std::size_t>(size - begin), '\0');
  file.seekg(begin);
  file.read(tail.data(), static_cast<std::streamsize>(tail.size()));
  tail.resize(static_cast<std::size_t>(file.gcount()));
  std::string_view text = tail;
  while (!text.empty()) {
    const std::size_t end = text.rfind('\n');
    if (end == std::string_view::npos) return std::nullopt;
    text = text.substr(0, end);
    const std::size_t start = text.rfind('\n') == std::string_view::npos ? 0 : text.rfind('\n') + 1;
    if (const auto progress = parse_training_line(text.substr(start))) return progress;
  }
  return std::nullopt;
}

}  // namespace sluice::compare
