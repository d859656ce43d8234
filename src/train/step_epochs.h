// Detects steps that read the whole training text more than once.
#pragma once

#include <cstdint>
#include <string>

namespace sluice::train {

// A one-line warning; empty if a step fits into an epoch.
std::string step_epochs_warning(std::int64_t batch_sequences, std::uint64_t sequences_per_epoch);

}  // namespace sluice::train
