// What a resumed run may change.
#pragma once

#include "train/run_config.h"

namespace sluice::train {

// Compares two resolved configurations, paths apart. Shows every accepted change, with a note where bit-equality with an unbroken run
// ends; throws kUsage with a line for each that is refused.
void check_changes(const RunConfig& stored, const RunConfig& requested);

}  // namespace sluice::train
