// The argument RUN of `eval`, `generate`, `score`, `export`, `report` and `verify`.
#pragma once

#include <string>

#include "run/open_checkpoint.h"

namespace sluice::app {

enum class RunArgument { kRun, kCheckpoint };

// Throws kMissingInput if `path` is neither a run nor a checkpoint. The message identifies the path
// (a comparison, prepared data, a directory of runs or checkpoints, a configuration, a file of a
// checkpoint, a run renamed by --fresh) and suggests the expected argument.
RunArgument check_run_argument(const std::string& path);

// Opens a checked argument. `allow_older`: --allow-older-checkpoint.
run::OpenedCheckpoint open_run_argument(const std::string& path, bool allow_older);

}  // namespace sluice::app
