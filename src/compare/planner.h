// Derives the cells of a comparison from its configuration, for sessions and forecasts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "compare/cell.h"
#include "compare/gpu_jobs.h"
#include "compare/grid.h"
#include "compare/session.h"
#include "compare/step_times.h"

namespace sluice::compare {

struct PlannedVariant {
  report::Settings settings;
  RunFacts facts;                     // with the placeholder seed 0
  std::string hash;                   // family_hash(facts)
  std::optional<std::int64_t> steps;  // set by equal time
};

// A run of the comparison: index of the variant, and seed.
using Place = std::pair<std::size_t, std::uint64_t>;
// A choice of compare.tune: index of the variant, and group of seeds.
using ChoicePlace = std::pair<std::size_t, std::size_t>;

class Planner {
 public:
  // kUsage for an unknown variant in --only or an unknown seed in --seeds.
  Planner(const SessionOptions& options, RunFactory& factory);

  // The runs of this session, seed by seed: those of --only and --seeds, or a part of them. A part
  // thus has few seeds, whose runs must all be made on the same kind of machine.
  const std::vector<Place>& places() const { return places_; }
  std::size_t num_of_all_parts() const { return all_places_.size(); }
  const std::vector<std::size_t>& chosen() const { return chosen_; }  // their variants
  const std::vector<std::uint64_t>& seeds() const { return seeds_; }  // their seeds
  // The choices of compare.tune that these runs need; of all parts together.
  std::vector<ChoicePlace> choices() const { return choices_of(places_); }
  std::vector<ChoicePlace> choices_of_all_parts() const { return choices_of(all_places_); }
  // Candidates of compare.tune.
  const std::vector<report::Settings>& candidates() const { return candidates_; }
  std::size_t baseline() const { return baseline_; }

  // Checks all configurations of a session, tuning included, without writing anything. kUsage for
  // invalid configurations and if the directory is that of a single run. Warns of variants with
  // identical settings in different spellings.
  void check() const;
  void prepare() const;  // prepares the data of all variants
  // All variants, with `threads` threads each. kUsage for invalid settings and for variants with
  // incomparable metrics.
  std::vector<PlannedVariant> variants(int threads) const;

  // One run of the comparison; `candidate` empty without tuning.
  Cell cell(const PlannedVariant& variant, const report::Settings& candidate, std::uint64_t seed,
            int threads) const;
  // The groups of compare.tune.repeat with seeds of this session, in order.
  std::vector<std::size_t> groups() const;
  // The tuning runs of a variant for a group of seeds, candidate by candidate.
  std::vector<Cell> tuning_cells(const PlannedVariant& variant, std::size_t group,
                                 int threads) const;

  // The command that times the steps of a variant; writes its configuration to `folder`.
  TimingTask timing_task(const PlannedVariant& variant, int threads,
                         const std::filesystem::path& folder) const;
  // The GPU of the baseline, if this session may run several cells at once on one.
  std::optional<SharedGpu> shared_gpu() const;
  // Number of parallel runs: as requested, otherwise measured in `folder`, as they will run. `gpu`:
  // shared_gpu().
  int jobs(const std::filesystem::path& folder, const std::optional<SharedGpu>& gpu,
           const std::optional<WorkerCommand>& worker) const;

 private:
  std::vector<ChoicePlace> choices_of(const std::vector<Place>& places) const;
  // The most runs of a session that may run at once; the same for all parts, because it determines
  // the number of threads.
  std::size_t max_jobs() const;
  RunRequest request(const PlannedVariant& variant, std::uint64_t seed, int threads) const;
  int gpu_jobs(const std::filesystem::path& folder, const SharedGpu& gpu) const;
  Cell complete(Cell cell, RunRequest request, const char* folder) const;

  const SessionOptions& options_;
  RunFactory& factory_;
  std::vector<report::Settings> grid_, candidates_;
  std::vector<Place> all_places_, places_;
  std::vector<std::size_t> chosen_;
  std::vector<std::uint64_t> seeds_;
  std::size_t baseline_ = 0;
};

}  // namespace sluice::compare
