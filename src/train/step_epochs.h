// A step that reads the whole training text more than once.
#pragma once

#include <cstdint>
#include <string>

namespace sluice::train {

// What to warn of, in one line; empty where a step fits into an epoch.
std::string step_epochs_warning(std::int64_t batch_sequences, std::uint64_t sequences_per_epoch);

}  // namespace sluice::train
