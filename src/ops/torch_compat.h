// The only place that asks for the LibTorch version (tested with 2.11 to 2.15; newer ones are tried).
#pragma once

#include <string>

namespace sluice::ops {

std::string torch_version();  // "2.13.0"
// Settings that make LibTorch's CPU code repeatable and quick: fixed threads, allocator thresholds. Called once, before any tensor is made.
void prepare_torch(int num_threads);

}  // namespace sluice::ops
