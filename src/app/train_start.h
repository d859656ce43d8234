// What `sluice train` is given, CONFIG or with --resume also RUN, as the configuration of a session.
#pragma once

#include "app/commands.h"
#include "train/session.h"

namespace sluice::app {

// Reads the configuration. With --resume, the --set of the run's earlier starts hold as train/start_settings.h says.
// kUsage and kMissingInput name what is wrong with CONFIG or RUN.
train::SessionOptions read_start(const TrainOptions& options);

}  // namespace sluice::app
