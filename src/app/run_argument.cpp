#include "app/run_argument.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <vector>

#include "app/comparison_config.h"
#include "base/error.h"
#include "base/text_format.h"
#include "compare/comparison_file.h"
#include "config/config.h"
#include "store/checkpoint_store.h"
#include "store/run_directory.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExpected =
    "a run directory, e.g. runs/quickstart, or one of its checkpoints";

struct Mismatch {
  std::string received, expected;
};

// Sorted. Empty if the directory cannot be listed.
std::vector<fs::path> entries_of(const fs::path& directory,
                                 const std::function<bool(const fs::path&)>& wanted) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error))
    if (wanted(it->path())) found.push_back(it->path());
  std::sort(found.begin(), found.end());
  return found;
}

// "a, b, c (3 more)"
std::string few_of(const std::vector<fs::path>& paths) {
  constexpr std::size_t kMost = 3;
  std::string text;
  for (std::size_t i = 0; i < std::min(kMost, paths.size()); ++i)
    text += cat(i > 0 ? ", " : "", printable(paths[i].string(), 400));
  return paths.size() > kMost ? cat(text, " (", paths.size() - kMost, " more)") : text;
}

bool path_exists(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

Mismatch comparison(const fs::path& path) {
  std::vector<fs::path> runs;
  try {
    for (const report::CellResult& cell : compare::read_comparison(path).comparison.cells)
      if (!cell.directory.empty() && store::is_run_directory(path / cell.directory / "run"))
        runs.push_back(path / cell.directory / "run");
  } catch (const UserError&) {  // damaged, but still a comparison
    runs.clear();
  }
  const std::string report =
      cat("for its report, use `sluice compare --report ", path.string(), "`");
  if (runs.empty()) return {"a comparison without runs", cat(kExpected, "; ", report)};
  return {cat("a comparison of ", count_of(static_cast<std::int64_t>(runs.size()), "run")),
          cat("one of its runs, ", few_of(runs), "; ", report)};
}

Mismatch file(const fs::path& path) {
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (run::is_checkpoint(parent))
    return {"a file of a checkpoint", cat("the checkpoint ", parent.string())};
  if (store::is_run_directory(parent)) return {"a file of a run", cat("the run ", parent.string())};
  if (path_exists(parent / "prepared.json"))
    return {"a file of prepared data", std::string(kExpected)};
  if (path.extension() != ".yaml" && path.extension() != ".yml")
    return {"a file", std::string(kExpected)};
  try {
    const ComparisonConfig config = load_comparison({.file = path, .overrides = {}});
    if (config.compare && path_exists(fs::path(config.run.run.dir) / "comparison.json"))
      return {"a configuration of a comparison", comparison(config.run.run.dir).expected};
    return {"a configuration",
            cat("its run directory ", printable(config.run.run.dir, 400), " (run.dir)")};
  } catch (const UserError&) {
    return {"a configuration", "its run directory (run.dir)"};
  }
}

Mismatch directory(const fs::path& path) {
  if (path_exists(path / "comparison.json")) return comparison(path);
  if (store::is_run_directory(path / "run"))
    return {"a cell of a comparison", cat("its run ", (path / "run").string())};
  if (path_exists(path / "prepared.json")) return {"prepared data", std::string(kExpected)};
  const auto is_run = [](const fs::path& entry) { return store::is_run_directory(entry); };
  const auto steps =
      entries_of(path, [](const fs::path& entry) { return run::is_checkpoint(entry); });
  if (!steps.empty()) {
    std::error_code ignored;
    const fs::path parent = fs::weakly_canonical(path, ignored).parent_path();
    if (store::is_run_directory(parent))
      return {"the checkpoint directory of a run",
              cat("the run ", parent.string(), " or one of ", few_of(steps))};
    return {"a directory of checkpoints", cat("one of ", few_of(steps))};
  }
  if (!entries_of(path, [](const fs::path& entry) {
         return path_exists(entry / "prepared.json");
       }).empty())
    return {"a directory of prepared data", std::string(kExpected)};
  if (const auto runs = entries_of(path, is_run); !runs.empty())
    return {"a directory of runs", cat("one of ", few_of(runs))};
  return {"a directory without a run or checkpoint", std::string(kExpected)};
}

// Suggests RUN.old-1 etc., the runs renamed by --fresh.
std::string not_found(const fs::path& path) {
  const std::string prefix = path.filename().string() + ".old-";
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const auto old = entries_of(parent, [&](const fs::path& entry) {
    return entry.filename().string().starts_with(prefix) && store::is_run_directory(entry);
  });
  return old.empty() ? cat("not found; expected ", kExpected)
                     : cat("not found; runs renamed by --fresh: ", few_of(old));
}

}  // namespace

RunArgument check_run_argument(const std::string& given) {
  const fs::path path =
      given.size() > 1 && given.ends_with('/') ? fs::path(given).parent_path() : fs::path(given);
  std::error_code ignored;
  if (run::is_checkpoint(path)) return RunArgument::kCheckpoint;
  if (store::is_run_directory(path)) return RunArgument::kRun;
  if (!path_exists(path)) fail(ExitCode::kMissingInput, given, not_found(path));
  const Mismatch mismatch = fs::is_directory(path, ignored) ? directory(path) : file(path);
  fail(ExitCode::kMissingInput, given, mismatch.received, mismatch.expected);
}

run::OpenedCheckpoint open_run_argument(const std::string& path, bool allow_older) {
  return run::open_checkpoint(
      path, allow_older ? run::OlderCheckpoint::kAccept : run::OlderCheckpoint::kRefuse);
}

}  // namespace sluice::app
