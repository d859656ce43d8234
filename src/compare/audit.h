// Checks a finished comparison: `sluice audit`. First the files on disk, then runs that are trained
// again.
//
// A run that is repeated on the same kind of machine, with the same program, LibTorch, threads and
// precision, has the same bits: every number of metrics.jsonl and result.json except clock readings
// must be equal. Otherwise sums are rounded in another order and the difference grows during
// training; then the limits below apply (docs/comparison.md, "Audit", states how they were
// measured).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "compare/cell.h"
#include "report/comparison.h"

namespace sluice::compare {

struct AuditFinding {
  std::string subject;   // a file or a cell
  std::string fault;     // empty: ok
  bool is_note = false;  // worth knowing, but no fault
};

struct AuditedFiles {
  std::vector<AuditFinding> findings;
  report::Comparison comparison;  // collect() of the directories
  bool has_faults() const;
};

// Checks every cell (record, seal, metrics against result), one program per seed, seal.txt, and all
// files of the report, which are computed again from the cells. `directories`: as for collect(),
// whose errors are thrown.
AuditedFiles audit_files(std::span<const std::filesystem::path> directories);

// The positions in comparison.cells of `count` finished cells: those with the lowest SHA-256 of
// "SEED HASH", the hash being the cell's. All of them if there are fewer.
std::vector<std::size_t> choose_cells(const report::Comparison& comparison, std::size_t count,
                                      std::uint64_t seed);

// Limits for a run that is repeated on another kind of machine, in nats: the losses of the first
// kEarlySteps steps, before rounding errors have grown, and the held-out log-perplexity. If the
// variant's standard deviation over seeds is larger than the latter, it takes its place: in a run
// with loss spikes, rounding errors grow until they act like another seed.
inline constexpr std::int64_t kEarlySteps = 10;
struct AuditLimits {
  double early_loss = 0, held_out = 0;
};
AuditLimits audit_limits(const std::string& precision, double seed_std);

struct RunPair {
  const CellRecord& original;
  std::filesystem::path original_run;
  const CellRecord& repeated;
  std::filesystem::path repeated_run;
  double seed_std = 0;  // of the variant's log-perplexity; 0: unknown
};
// How the machines and programs differ: "2 threads instead of 1"; empty if bits must be equal.
std::vector<std::string> kind_differences(const RunPair& pair);
// What differs between the results, with step and key; empty if the run is reproduced.
std::vector<std::string> reproduction_faults(const RunPair& pair);

}  // namespace sluice::compare
