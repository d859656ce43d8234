#include "store/metrics_log.h"

#include <optional>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text_format.h"

namespace sluice::store {
namespace {

using Json = nlohmann::ordered_json;

struct Line {
  std::string_view text;  // without the newline
  bool ended = false;     // followed by a newline
};

std::vector<Line> lines_of(std::string_view content) {
  std::vector<Line> lines;
  while (!content.empty()) {
    const std::size_t end = content.find('\n');
    const bool ended = end != std::string_view::npos;
    lines.push_back({content.substr(0, end), ended});
    content.remove_prefix(ended ? end + 1 : content.size());
  }
  return lines;
}

// nullopt if the line is damaged.
std::optional<Json> object_of(std::string_view text) {
  // The parser would stop at a NUL.
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto step = json.find("step");
  if (step == json.end() || !step->is_number_integer() || *step < 0) return std::nullopt;
  return json;
}

[[noreturn]] void fail_line(const fs::path& path, std::size_t number, std::string_view text) {
  fail(ExitCode::kBadData, cat(path.string(), ":", number), cat("`", printable(text), "`"),
       "a JSON object with an integer \"step\"");
}

// The lines of `content` to keep. Damage is accepted only after them: a crash may tear unsynced
// lines.
std::string kept_content(const fs::path& path, std::string_view content, std::int64_t last_step) {
  std::string kept;
  std::optional<std::size_t> first_damaged;
  const std::vector<Line> lines = lines_of(content);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::optional<Json> json = object_of(lines[i].text);
    if (!json) {
      if (!first_damaged) first_damaged = i;
      continue;
    }
    if (json->at("step") > last_step) continue;
    if (first_damaged) fail_line(path, *first_damaged + 1, lines[*first_damaged].text);
    kept += lines[i].text;
    kept += '\n';
  }
  return kept;
}

}  // namespace

MetricsLog::MetricsLog(fs::path path, FileSystem& file_system)
    : path_(std::move(path)), file_system_(file_system) {
  open();
}

void MetricsLog::open() {
  std::error_code ignored;
  const bool is_new = !fs::exists(path_, ignored);
  file_ = file_system_.open(path_, FileSystem::Mode::kAppend);
  if (is_new) file_system_.sync_directory(fs::absolute(path_).parent_path());
}

void MetricsLog::append(std::string_view line) {
  invariant(line.starts_with('{') && line.find('\n') == std::string_view::npos,
            "a metrics line must be one JSON object on one line");
  file_->write(std::string_view(cat(line, '\n')));
}

void MetricsLog::flush() { file_->sync(); }

void MetricsLog::truncate_after(std::int64_t step) {
  const std::string content = read_file(path_);
  const std::string kept = kept_content(path_, content, step);
  if (kept == content) return;
  file_system_.write_atomically(path_, kept);
  open();
}

void read_metrics(
    const fs::path& path,
    const std::function<void(std::int64_t step, const nlohmann::ordered_json& line)>& visit) {
  const std::string content = read_file(path);
  const std::vector<Line> lines = lines_of(content);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::optional<Json> json = object_of(lines[i].text);
    if (!json && (lines[i].ended || i + 1 < lines.size())) fail_line(path, i + 1, lines[i].text);
    if (json) visit(json->at("step").get<std::int64_t>(), *json);
  }
}

}  // namespace sluice::store
