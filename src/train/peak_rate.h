// Whether the schedule of a run reaches its peak.
#pragma once

#include <string>

#include "train/run_config.h"

namespace sluice::train {

// One line for the person who starts the run where warm-up, decay and length leave the learning
// rate below its peak; else empty. `resolved`: with its length in steps.
std::string unreached_peak(const RunConfig& resolved);

}  // namespace sluice::train
