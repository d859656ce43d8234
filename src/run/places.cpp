#include "run/places.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "config/config.h"
#include "data/prepared.h"
#include "run/run_record.h"
#include "text/documents.h"

namespace sluice::run {
namespace {

namespace fs = std::filesystem;
using train::RunConfig;

// The working directory in RUN/run.json. None if the record is damaged or from an earlier version.
std::optional<fs::path> recorded_base(const store::RunPaths& run) {
  try {
    const std::optional<RunRecord> record = read_run_record(run);
    const fs::path path = record ? record->working_directory.value_or("") : "";
    return path.is_absolute() ? std::optional(path) : std::nullopt;
  } catch (const UserError&) {
    return std::nullopt;
  }
}

// /home/a/work for the run /home/a/work/runs/x with run.dir `runs/x`.
std::optional<fs::path> implied_base(const store::RunPaths& run, const std::string& run_dir) {
  std::error_code error;
  fs::path root = fs::weakly_canonical(run.root, error), dir = fs::path(run_dir).lexically_normal();
  if (error || dir.empty() || dir.is_absolute()) return std::nullopt;
  if (dir.filename().empty()) dir = dir.parent_path();
  for (; !dir.empty(); dir = dir.parent_path(), root = root.parent_path())
    if (dir.filename() == ".." || dir.filename() == "." || dir.filename() != root.filename())
      return std::nullopt;
  return root;
}

bool has_matches(const std::string& pattern) {
  try {
    return !text::expand_paths({pattern}, "path", text::Notes::kNone).empty();
  } catch (const UserError&) {
    return false;
  }
}

bool is_current_directory(const fs::path& base) {
  std::error_code error;
  return base.empty() || (fs::equivalent(base, fs::current_path(error), error) && !error);
}

// A path from the run's own configuration is relative to the run's base directories; a path that is
// new in this command is relative to the current directory first.
void resolve_path(std::string& path, const BaseDirectories& bases, bool is_own) {
  if (fs::path(path).is_absolute() || (!is_own && has_matches(path))) return;
  for (const fs::path& base : bases) {
    const std::string candidate = is_current_directory(base) ? path : (base / path).string();
    if (!has_matches(candidate)) continue;
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

std::string tokenizer_model_path(const RunConfig& config) {
  const std::string* path = text::model_path(config.tokenizer);
  return path != nullptr ? *path : "";
}

BaseDirectories base_directories(const store::RunPaths& run, const std::string& run_dir) {
  BaseDirectories bases;
  for (const auto& base : {recorded_base(run), implied_base(run, run_dir)})
    if (base && std::find(bases.begin(), bases.end(), *base) == bases.end()) bases.push_back(*base);
  bases.emplace_back();  // the current directory
  return bases;
}

std::string find_prepared_dir(const std::string& prepared_dir, const std::string& fingerprint,
                              const BaseDirectories& bases) {
  if (fs::path(prepared_dir).is_absolute() || bases.empty()) return prepared_dir;
  for (const fs::path& base : bases)
    if (data::has_prepared(base / prepared_dir, fingerprint)) return (base / prepared_dir).string();
  return (bases.front() / prepared_dir).string();
}

RunConfig with_resolved_paths(RunConfig config, const store::RunPaths& run,
                              const std::string& fingerprint) {
  const std::optional<RunConfig> own = own_config(run);
  const BaseDirectories bases = base_directories(run, own ? own->run.dir : "");
  std::string& prepared_dir = config.corpus.prepared_dir;
  if (!data::has_prepared(prepared_dir, fingerprint)) {
    const std::string found = find_prepared_dir(prepared_dir, fingerprint, bases);
    if (data::has_prepared(found, fingerprint)) prepared_dir = found;
  }
  for (std::string& pattern : config.corpus.train)
    resolve_path(pattern, bases, own && has(own->corpus.train, pattern));
  for (std::string& pattern : config.corpus.valid)
    resolve_path(pattern, bases, own && has(own->corpus.valid, pattern));
  if (std::string* path = text::model_path(config.tokenizer))
    resolve_path(*path, bases, own && tokenizer_model_path(*own) == *path);
  return config;
}

}  // namespace sluice::run
