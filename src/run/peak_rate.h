// Checks whether the schedule of a run reaches its peak.
#pragma once

#include <string>

#include "train/resolve.h"

namespace sluice::run {

// A one-line warning if warm-up, decay and length keep the learning rate below its peak; otherwise
// empty.
std::string unreached_peak_warning(const train::ResolvedRun& run);

}  // namespace sluice::run
