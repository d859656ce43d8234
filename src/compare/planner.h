// The cells of a comparison, from its configuration: what sessions and forecasts share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "compare/cell.h"
#include "compare/grid.h"
#include "compare/session.h"
#include "compare/step_times.h"

namespace sluice::compare {

struct PlannedVariant {
  report::Settings settings;
  RunFacts facts;                     // under a seed that stands for none
  std::string hash;                   // of these facts, the precision left out
  std::optional<std::int64_t> steps;  // where equal time sets them
};

class Planner {
 public:
  // kUsage for an --only or --seeds that the comparison does not have.
  Planner(const SessionOptions& options, RunFactory& factory);

  const std::vector<std::size_t>& chosen() const { return chosen_; }               // variants of this session
  const std::vector<std::uint64_t>& seeds() const { return seeds_; }               // likewise
  const std::vector<report::Settings>& candidates() const { return candidates_; }  // of compare.tune
  std::size_t baseline() const { return baseline_; }

  // Every configuration that a session would make, tuning included, before anything is written. kUsage with what is wrong, and where the directory
  // is that of a single run. Warns of variants that are the same settings in two spellings.
  void check() const;
  void prepare() const;  // the data of every variant
  // Every variant, with that many threads each. kUsage for settings that make no run and for figures that could not be compared.
  std::vector<PlannedVariant> variants(int threads) const;

  // One run of the comparison; `candidate` empty without tuning.
  Cell cell(const PlannedVariant& variant, const report::Settings& candidate, std::uint64_t seed, int threads) const;
  // The tuning runs of a variant, candidate by candidate.
  std::vector<Cell> tuning_cells(const PlannedVariant& variant, int threads) const;

  // What times the steps of a variant; writes its configuration to `folder`.
  Timed timed(const PlannedVariant& variant, int threads, const std::filesystem::path& folder) const;
  // Of this session: as asked for, or measured in `folder`.
  int jobs(const std::filesystem::path& folder) const;

 private:
  RunRequest request(const PlannedVariant& variant, std::uint64_t seed, int threads) const;
  Cell finish(Cell cell, RunRequest request, const char* folder) const;

  const SessionOptions& options_;
  RunFactory& factory_;
  std::vector<report::Settings> grid_, candidates_;
  std::vector<std::size_t> chosen_;
  std::vector<std::uint64_t> seeds_;
  std::size_t baseline_ = 0;
};

}  // namespace sluice::compare
