// Current memory use of this process.
#pragma once

#include <cstdint>

namespace sluice {

// Resident set size, as reported by the kernel, including the program and its libraries. 0 if it
// cannot be read.
std::uint64_t resident_memory_bytes();

}  // namespace sluice
