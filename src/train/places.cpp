#include "train/places.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "config/config.h"
#include "data/prepared.h"
#include "text/documents.h"
#include "train/run_record.h"

namespace sluice::train {
namespace {

namespace fs = std::filesystem;

// Nothing where an earlier version wrote the record, or where it is damaged: then the other places are left.
std::optional<fs::path> recorded(const store::RunPaths& run) {
  try {
    const std::optional<RunRecord> record = read_run_record(run);
    const fs::path path = record ? record->working_directory.value_or("") : "";
    return path.is_absolute() ? std::optional(path) : std::nullopt;
  } catch (const UserError&) {
    return std::nullopt;
  }
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

bool leads_somewhere(const std::string& pattern) {
  try {
    return !text::expand_paths({pattern}, "path", text::Notes::kNone).empty();
  } catch (const UserError&) {
    return false;
  }
}

bool is_here(const fs::path& start) {
  std::error_code error;
  return start.empty() || (fs::equivalent(start, fs::current_path(error), error) && !error);
}

// A path of the run itself starts from where the run was started; one that is new in this command starts from here.
void anchor(std::string& path, const Starts& starts, bool is_own) {
  if (fs::path(path).is_absolute() || (!is_own && leads_somewhere(path))) return;
  for (const fs::path& start : starts) {
    const std::string candidate = is_here(start) ? path : (start / path).string();
    if (!leads_somewhere(candidate)) continue;
    path = candidate;
    return;
  }
}

bool has(const std::vector<std::string>& paths, const std::string& path) {
  return std::find(paths.begin(), paths.end(), path) != paths.end();
}

}  // namespace

std::optional<RunConfig> own_config(const store::RunPaths& run) {
  try {
    return config::load<RunConfig>({.file = run.config(), .overrides = {}});
  } catch (const UserError&) {
    return std::nullopt;
  }
}

std::string given_model(const RunConfig& config) {
  const auto* pieces = std::get_if<text::SentencePieceConfig>(&config.tokenizer);
  return pieces != nullptr && pieces->model ? *pieces->model : "";
}

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
  const std::optional<RunConfig> own = own_config(run);
  const Starts starts = starts_of(run, own ? own->run.dir : "");
  std::string& prepared_dir = config.corpus.prepared_dir;
  if (!data::has_prepared(prepared_dir, fingerprint)) {
    const std::string found = find_prepared_dir(prepared_dir, fingerprint, starts);
    if (data::has_prepared(found, fingerprint)) prepared_dir = found;
  }
  for (std::string& pattern : config.corpus.train) anchor(pattern, starts, own && has(own->corpus.train, pattern));
  for (std::string& pattern : config.corpus.valid) anchor(pattern, starts, own && has(own->corpus.valid, pattern));
  if (auto* pieces = std::get_if<text::SentencePieceConfig>(&config.tokenizer); pieces != nullptr && pieces->model)
    anchor(*pieces->model, starts, own && given_model(*own) == *pieces->model);
  return config;
}

}  // namespace sluice::train
