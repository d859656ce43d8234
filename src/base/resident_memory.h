// How much memory this process holds now.
#pragma once

#include <cstdint>

namespace sluice {

// Resident memory of this process, from the kernel: before anything is computed, that of the
// program and its libraries. 0 where it cannot be read.
std::uint64_t resident_memory_bytes();

}  // namespace sluice
