#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "app/commands.h"
#include "base/error.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/stop_notice.h"
#include "base/text_format.h"
#include "store/checkpoint_store.h"
#include "store/manifest.h"
#include "store/run_directory.h"
#include "train/open_checkpoint.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

struct Finding {
  std::string subject;
  std::string fault;  // empty: sound
};

template <class Check>
Finding examine(const std::string& subject, Check check) {
  throw_if_stopped("verify");
  try {
    check();
    return {subject, ""};
  } catch (const UserError& error) {
    return {subject, error.what()};
  }
}

// Every checkpoint of a run, and the token shards of its data.
std::vector<Finding> examine_run(const fs::path& run) {
  const store::CheckpointStore checkpoints(store::RunPaths{run}.checkpoints());
  std::vector<Finding> findings;
  std::optional<store::Checkpoint> sound;
  for (const std::int64_t step : checkpoints.steps()) {
    const fs::path directory = checkpoints.directory() / store::checkpoint_name(step);
    findings.push_back(examine(directory.string(), [&] { sound = store::Checkpoint{directory, store::verify_checkpoint(directory)}; }));
  }
  require(sound.has_value(), ExitCode::kNoCheckpoint, run.string(), cat(findings.size(), " checkpoints, none of which verifies"),
          "a run with a sound checkpoint");
  findings.push_back(examine("prepared data", [&] {
    train::open_data(*sound).verify();
  }));
  return findings;
}

// A checkpoint, however damaged, lies in a directory of its name or has a manifest. Anything else is a mistake in the command.
void require_checkpoint(const fs::path& path) {
  std::error_code ignored;
  require(fs::exists(path, ignored), ExitCode::kMissingInput, path.string(), "nothing there", "a run directory or a checkpoint");
  const std::string name = fs::weakly_canonical(path, ignored).filename().string();
  require(fs::is_directory(path, ignored) && (name.starts_with("step-") || fs::exists(path / store::kManifestName, ignored)),
          ExitCode::kMissingInput, path.string(), "neither a run nor a checkpoint", "a run directory or a checkpoint");
}

}  // namespace

void verify_command(const VerifyOptions& options) {
  const StopNotice notice("ending after what is being checked");
  const fs::path path = options.run;
  const bool is_run = store::is_run_directory(path);
  if (!is_run) require_checkpoint(path);
  const std::vector<Finding> findings =
      is_run ? examine_run(path) : std::vector{examine(options.run, [&] { store::verify_checkpoint(path); })};
  std::size_t num_faults = 0;
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Finding& finding : findings) {
    num_faults += !finding.fault.empty();
    list.push_back({{"subject", finding.subject},
                    {"fault", finding.fault.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(finding.fault)}});
    if (!options.json && finding.fault.empty()) std::cout << "sound    " << finding.subject << "\n";
    if (!finding.fault.empty()) log::error(finding.fault);
  }
  if (options.json) std::cout << nlohmann::ordered_json{{"sound", num_faults == 0}, {"checked", list}}.dump() << "\n";
  if (num_faults > 0) fail(ExitCode::kBadData, options.run, cat(num_faults, " of ", findings.size(), " damaged"), "every hash to agree");
}

}  // namespace sluice::app
