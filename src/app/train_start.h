// Turns the argument of `sluice train`, CONFIG or with --resume also RUN, into session options.
#pragma once

#include "app/commands.h"
#include "run/session.h"

namespace sluice::app {

// Reads the configuration. With --resume, applies the --set of earlier starts
// (run/start_settings.h). Throws kUsage or kMissingInput for an invalid CONFIG or RUN.
run::SessionOptions read_start(const TrainOptions& options);

}  // namespace sluice::app
