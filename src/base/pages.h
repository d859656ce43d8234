// Memory that takes no space where it is zero.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace sluice {

// Zeros, in pages that take memory from when they are first written: more than the machine has, if
// less is written at a time (not with vm.overcommit_memory = 2). std::bad_alloc.
std::shared_ptr<std::byte> zero_pages(std::size_t size);

// Sets to zero. Whole pages return to the system until they are written again. `memory`: part of
// zero_pages().
void return_pages(std::span<std::byte> memory);

}  // namespace sluice
