// A seed is a block of the statistics: its runs are compared with each other, so all of them are made in one way.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "compare/cell.h"

namespace sluice::compare {

// "AMD EPYC, 1 thread, cpu, bf16"
std::string describe(const ExecutionEnv& maker);

// `cells`: the whole grid of the seeds of this session. kUsage, with one line for each seed that has cells made with another processor, number of
// threads, device or precision than this session would use for the rest of that seed, and what to do about it.
// `folder`: where the cells of all sessions lie. Reads their records.
// `more_to_come`: every seed gets runs beside these, whose values are not chosen yet.
void refuse_mixed_seeds(std::span<const Cell> cells, const std::filesystem::path& folder, bool more_to_come = false);

}  // namespace sluice::compare
