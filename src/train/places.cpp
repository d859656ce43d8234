#include "train/places.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "config/config.h"
#include "data/prepared.h"
#include "text/documents.h"

namespace sluice::train {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxRecordBytes = 16 << 20;

// Nothing where an earlier version wrote the record, or where it is damaged: then the other places are left.
std::optional<fs::path> recorded(const store::RunPaths& run) {
  std::error_code ignored;
  if (!fs::exists(run.run_json(), ignored)) return std::nullopt;
  const nlohmann::json record = nlohmann::json::parse(read_file(run.run_json(), kMaxRecordBytes), nullptr, /*allow_exceptions=*/false);
  if (!record.is_object()) return std::nullopt;
  const auto found = record.find("working_directory");
  if (found == record.end() || !found->is_string()) return std::nullopt;
  const fs::path path = found->get<std::string>();
  return path.is_absolute() ? std::optional(path) : std::nullopt;
}

// /home/a/work for the run /home/a/work/runs/x with run.dir `runs/x`.
std::optional<fs::path> implied(const store::RunPaths& run, const std::string& run_dir) {
  std::error_code error;
  fs::path root = fs::weakly_canonical(run.root, error), dir = fs::path(run_dir).lexically_normal();
  if (error || dir.empty() || dir.is_absolute()) return std::nullopt;
  if (dir.filename().empty()) dir = dir.parent_path();
  for (; !dir.empty(); dir = dir.parent_path(), root = root.parent_path())
    if (dir.filename() == ".." || dir.filename() == "." || dir.filename() != root.filename()) return std::nullopt;
  return root;
}

// Empty where the run's configuration is not there or is damaged: a resume does not need it.
std::string written_run_dir(const store::RunPaths& run) {
  try {
    return config::load<RunConfig>({.file = run.config(), .overrides = {}}).run.dir;
  } catch (const UserError&) {
    return {};
  }
}

bool leads_somewhere(const std::string& pattern) {
  try {
    return !text::expand_paths({pattern}, "path").empty();
  } catch (const UserError&) {
    return false;
  }
}

void anchor(std::string& path, const Starts& starts) {
  if (fs::path(path).is_absolute() || leads_somewhere(path)) return;
  for (const fs::path& start : starts) {
    const std::string candidate = (start / path).string();
    if (!leads_somewhere(candidate)) continue;
    path = candidate;
    return;
  }
}

}  // namespace

Starts starts_of(const store::RunPaths& run, const std::string& run_dir) {
  Starts starts;
  for (const auto& start : {recorded(run), implied(run, run_dir)})
    if (start && std::find(starts.begin(), starts.end(), *start) == starts.end()) starts.push_back(*start);
  starts.emplace_back();  // here
  return starts;
}

std::string find_prepared_dir(const std::string& prepared_dir, const std::string& fingerprint, const Starts& starts) {
  if (fs::path(prepared_dir).is_absolute() || starts.empty()) return prepared_dir;
  for (const fs::path& start : starts)
    if (data::has_prepared(start / prepared_dir, fingerprint)) return (start / prepared_dir).string();
  return (starts.front() / prepared_dir).string();
}

RunConfig anchored(RunConfig config, const store::RunPaths& run, const std::string& fingerprint) {
  const Starts starts = starts_of(run, written_run_dir(run));
  std::string& prepared_dir = config.corpus.prepared_dir;
  if (!data::has_prepared(prepared_dir, fingerprint)) {
    const std::string found = find_prepared_dir(prepared_dir, fingerprint, starts);
    if (data::has_prepared(found, fingerprint)) prepared_dir = found;
  }
  for (auto* patterns : {&config.corpus.train, &config.corpus.valid})
    for (std::string& pattern : *patterns) anchor(pattern, starts);
  if (auto* pieces = std::get_if<text::SentencePieceConfig>(&config.tokenizer); pieces != nullptr && pieces->model)
    anchor(*pieces->model, starts);
  return config;
}

}  // namespace sluice::train
