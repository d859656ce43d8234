// The argument RUN of `eval`, `generate` and `verify`.
#pragma once

#include <string>

namespace sluice::app {

enum class RunArgument { kRun, kCheckpoint };

// What `path` is. kMissingInput where it is neither, with what lies there and what to give instead: a comparison, prepared data, a folder of
// runs or of checkpoints, a configuration, a file of a checkpoint, a run that --fresh renamed.
RunArgument check_run_argument(const std::string& path);

}  // namespace sluice::app
