// The only source file that depends on the LibTorch version. Tested with 2.11 to 2.15; newer
// versions are accepted.
#pragma once

#include <string>

namespace sluice::ops {

std::string torch_version();  // "2.13.0"
// Global settings for reproducible and fast CPU code: thread count, determinism, allocator
// thresholds. Call once, before the first tensor is created.
void prepare_torch(int num_threads);

}  // namespace sluice::ops
