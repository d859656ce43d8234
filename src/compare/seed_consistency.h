// Seeds are the blocks of the statistics: runs of a seed are compared with each other and must
// therefore share an environment.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "compare/cell.h"

namespace sluice::compare {

// "AMD EPYC, 1 thread, cpu, bf16"
std::string describe(const ExecutionEnv& env);

// Equality, except that an unknown micro-batch size (0) matches any, and that a precision among the
// varied `settings` may differ.
bool same_env(ExecutionEnv a, const ExecutionEnv& b, const report::Settings& settings);

// kUsage, with one line per seed and a remedy, if this session would run cells of a seed in another
// environment (processor, threads, device, precision, micro-batch size) than its existing runs.
// `cells`: all cells of this session's seeds. `folder`: the directory with the cells of all
// sessions, whose records are read. `more_cells_follow`: each seed gets further runs, whose values
// are not chosen yet.
void require_consistent_seeds(std::span<const Cell> cells, const std::filesystem::path& folder,
                              bool more_cells_follow = false);

// The same for one cell that is about to start while other sessions run; empty if it may. `block`:
// the cells of its seed. A run counts from its start on, even before its first step.
std::string environment_conflict(const Cell& cell, std::span<const Cell> block);

}  // namespace sluice::compare
