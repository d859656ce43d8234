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
#include "train/open_checkpoint.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExpected = "a run directory, such as runs/quickstart, or one of its checkpoints";

struct Guess {
  std::string is, give;
};

// Sorted. Empty where the directory cannot be listed.
std::vector<fs::path> entries_of(const fs::path& directory, const std::function<bool(const fs::path&)>& wanted) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error))
    if (wanted(it->path())) found.push_back(it->path());
  std::sort(found.begin(), found.end());
  return found;
}

// "a, b, c (3 more)": the first few.
std::string few_of(const std::vector<fs::path>& paths) {
  constexpr std::size_t kMost = 3;
  std::string text;
  for (std::size_t i = 0; i < std::min(kMost, paths.size()); ++i) text += cat(i > 0 ? ", " : "", printable(paths[i].string(), 400));
  return paths.size() > kMost ? cat(text, " (", paths.size() - kMost, " more)") : text;
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

Guess comparison(const fs::path& path) {
  std::vector<fs::path> runs;
  try {
    for (const report::Cell& cell : compare::read_comparison(path).comparison.cells)
      if (!cell.directory.empty() && store::is_run_directory(path / cell.directory / "run")) runs.push_back(path / cell.directory / "run");
  } catch (const UserError&) {  // a damaged one is still a comparison
    runs.clear();
  }
  const std::string report = cat("`sluice compare --report ", path.string(), "` for its report");
  if (runs.empty()) return {"a comparison without runs yet", report};
  return {cat("a comparison of ", count_of(static_cast<std::int64_t>(runs.size()), "run")),
          cat("one of its runs: ", few_of(runs), "; ", report)};
}

Guess file(const fs::path& path) {
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (train::is_checkpoint(parent)) return {"a file of a checkpoint", parent.string()};
  if (store::is_run_directory(parent)) return {"a file of a run", parent.string()};
  if (is_there(parent / "prepared.json")) return {"a file of prepared data", std::string(kExpected)};
  if (path.extension() != ".yaml" && path.extension() != ".yml") return {"a file", std::string(kExpected)};
  try {
    const ComparisonConfig config = load_comparison({.file = path, .overrides = {}});
    if (config.compare && is_there(fs::path(config.run.run.dir) / "comparison.json"))
      return {"a configuration of a comparison", comparison(config.run.run.dir).give};
    return {"a configuration", cat("the run directory that it trains, ", printable(config.run.run.dir, 400), " (run.dir)")};
  } catch (const UserError&) {
    return {"a configuration", "the run directory that it trains (run.dir)"};
  }
}

Guess directory(const fs::path& path) {
  if (is_there(path / "comparison.json")) return comparison(path);
  if (store::is_run_directory(path / "run")) return {"the folder of one run", (path / "run").string()};
  if (is_there(path / "prepared.json")) return {"prepared data", std::string(kExpected)};
  const auto is_run = [](const fs::path& entry) { return store::is_run_directory(entry); };
  const auto steps = entries_of(path, [](const fs::path& entry) { return train::is_checkpoint(entry); });
  if (!steps.empty()) {
    std::error_code ignored;
    const fs::path parent = fs::weakly_canonical(path, ignored).parent_path();
    if (store::is_run_directory(parent))
      return {"the checkpoints of a run", cat("the run ", parent.string(), " or one of ", few_of(steps))};
    return {"a folder of checkpoints", cat("one of ", few_of(steps))};
  }
  if (!entries_of(path, [](const fs::path& entry) { return is_there(entry / "prepared.json"); }).empty())
    return {"a folder of prepared data", std::string(kExpected)};
  if (const auto runs = entries_of(path, is_run); !runs.empty()) return {"a folder of runs", cat("one of ", few_of(runs))};
  return {"neither a run nor a checkpoint", std::string(kExpected)};
}

// RUN.old-1 and so on: what --fresh renamed.
Guess nothing_there(const fs::path& path) {
  const std::string prefix = path.filename().string() + ".old-";
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const auto old = entries_of(
      parent, [&](const fs::path& entry) { return entry.filename().string().starts_with(prefix) && store::is_run_directory(entry); });
  if (old.empty()) return {"no such file or directory", std::string(kExpected)};
  return {"no such file or directory", cat("one of the runs that --fresh renamed: ", few_of(old))};
}

}  // namespace

RunArgument check_run_argument(const std::string& given) {
  const fs::path path = given.size() > 1 && given.ends_with('/') ? fs::path(given).parent_path() : fs::path(given);
  std::error_code ignored;
  if (train::is_checkpoint(path)) return RunArgument::kCheckpoint;
  if (store::is_run_directory(path)) return RunArgument::kRun;
  const Guess guess = !is_there(path) ? nothing_there(path) : fs::is_directory(path, ignored) ? directory(path) : file(path);
  fail(ExitCode::kMissingInput, given, guess.is, guess.give);
}

}  // namespace sluice::app
