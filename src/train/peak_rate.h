// Whether the schedule of a run reaches its peak.
#pragma once

#include <string>

#include "train/resolve.h"

namespace sluice::train {

// One line for the person who starts the run where warm-up, decay and length leave the learning
// rate below its peak; else empty.
std::string unreached_peak(const ResolvedRun& run);

}  // namespace sluice::train
