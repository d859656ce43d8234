// The --json output of `compare`, `verdict` and `audit`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "app/outputs.h"
#include "report/outcome.h"

namespace sluice::app {

// One comparison of a variant with the baseline. Not nested: see PaperRecord (results_record.h).
struct VerdictRecord {
  report::Settings settings;
  report::Outcome verdict = report::Outcome::kUndecided;
  std::optional<std::string> reason;
  std::optional<double> difference, difference_low, difference_high, p;
  std::uint64_t seeds = 0;
  std::optional<std::uint64_t> seeds_better;
  std::optional<double> better_rate_low, better_rate_high;
  std::optional<std::int64_t> seeds_to_decide;
  std::vector<std::string> grid_doubts;

  static constexpr auto fields() {
    using config::field;
    using V = VerdictRecord;
    return std::tuple{
        field<&V::settings>("Values of the varied keys."),
        field<&V::verdict>("better, worse, equivalent, undecided or broken."),
        field<&V::reason>("Why it is undecided or broken, or that an earlier look decided it."),
        field<&V::difference>("Mean difference from the baseline; null if unknown."),
        field<&V::difference_low>("Lower bound of its simultaneous confidence interval; null if "
                                  "untested or unbounded."),
        field<&V::difference_high>("Upper bound."),
        field<&V::p>("Adjusted p-value of the sign-flip test; null if untested."),
        field<&V::seeds>("Number of seeds compared."),
        field<&V::seeds_better>("Seeds, or groups of seeds (compare.tune.repeat), in which the "
                                "variant is better."),
        field<&V::better_rate_low>("Lower bound of the 95 % interval (Clopper-Pearson) for the "
                                   "probability that the variant is better in a seed."),
        field<&V::better_rate_high>("Upper bound."),
        field<&V::seeds_to_decide>("Seeds that would decide with 80 % probability, if difference "
                                   "and spread are the true ones."),
        field<&V::grid_doubts>("How the grid of compare.tune limits the verdict, as text.")};
  }
};

struct VerdictOutput {
  static constexpr auto record =
      output("verdict", "`sluice verdict --json`", "The outcome of a comparison, for programs.");
  std::string directory;
  report::Overall outcome = report::Overall::kUndecided;
  std::int64_t exit_code = 0;
  std::vector<VerdictRecord> comparisons;
  std::string conditions;

  static constexpr auto fields() {
    using config::field;
    using O = VerdictOutput;
    return std::tuple{
        field<&O::directory>("Directory of the comparison."),
        field<&O::outcome>("The first that applies: broken if any comparison is; undecided if any "
                           "is; differs; equivalent."),
        field<&O::exit_code>("Exit code of the command: docs/exit-codes.md."),
        field<&O::comparisons>("One object per variant other than the baseline."),
        field<&O::conditions>("Conditions of the verdict, as text.")};
  }
};

struct AuditOutput {
  static constexpr auto record =
      output("audit", "`sluice audit --json`", "Checks of a comparison and its repeated runs.");
  struct Checked {
    std::string subject;
    std::optional<std::string> fault, note;
    static constexpr auto fields() {
      using config::field;
      return std::tuple{field<&Checked::subject>("The checked file, directory or property."),
                        field<&Checked::fault>("What is wrong; null if nothing."),
                        field<&Checked::note>("Worth knowing, but no fault; null if nothing.")};
    }
  };
  struct Repeated {
    std::string cell, directory;
    std::vector<std::string> kind_differences, faults;
    static constexpr auto fields() {
      using config::field;
      using R = Repeated;
      return std::tuple{
          field<&R::cell>("Variant and seed."), field<&R::directory>("Directory of the cell."),
          field<&R::kind_differences>("How machine and program differ from those of the run; if "
                                      "empty, the bits had to be equal."),
          field<&R::faults>("What differs from the run; empty if it is reproduced.")};
    }
  };
  bool ok = true;
  std::optional<std::string> seal;
  std::uint64_t unsealed_cells = 0, seed = 0;
  std::vector<Checked> checked;
  std::vector<Repeated> repeated;

  static constexpr auto fields() {
    using config::field;
    using O = AuditOutput;
    return std::tuple{field<&O::ok>("Whether nothing is wrong."),
                      field<&O::seal>("SHA-256 of DIR/seal.txt; null if no cell is sealed."),
                      field<&O::unsealed_cells>("Ended cells without a seal."),
                      field<&O::seed>("Seed of the choice of cells."),
                      field<&O::checked>("One entry per check."),
                      field<&O::repeated>("Cells that were trained again.")};
  }
};

struct CompareOutput {
  static constexpr auto record =
      output("compare", "`sluice compare --json`",
             "Numbers of cells by state; the metrics are in DIR/results.json.");
  std::string directory;
  std::uint64_t finished = 0, diverged = 0, failed = 0, waiting = 0;
  std::string results, report;
  report::Overall outcome = report::Overall::kUndecided;
  std::vector<VerdictRecord> comparisons;

  static constexpr auto fields() {
    using config::field;
    using O = CompareOutput;
    return std::tuple{field<&O::directory>("Directory of the report."),
                      field<&O::finished>("Cells with a result."),
                      field<&O::diverged>("Cells with a diverged run."),
                      field<&O::failed>("Cells with a failed run."),
                      field<&O::waiting>("Cells not finished yet."),
                      field<&O::results>("DIR/results.json."),
                      field<&O::report>("DIR/report.html."),
                      field<&O::outcome>("differs, equivalent, undecided or broken, as `sluice "
                                         "verdict`."),
                      field<&O::comparisons>("One object per variant other than the baseline.")};
  }
};

struct ForecastOutput {
  static constexpr auto record = output("compare-dry-run", "`sluice compare --dry-run --json`",
                                        "Estimated cost and power of a comparison.");
  struct Variant {
    report::Settings settings;
    report::VariantSizes sizes;
    std::optional<std::int64_t> steps;
    std::optional<double> seconds_per_step, other_seconds;

    static constexpr auto fields() {
      using config::field;
      using V = Variant;
      return std::tuple{
          field<&V::settings>("Values of the varied keys."), config::rows_of<&V::sizes>(),
          field<&V::steps>("Steps per run; null if they depend on data that is not prepared."),
          field<&V::seconds_per_step>("Measured, or taken from finished cells; else null."),
          field<&V::other_seconds>(
              "Time per run for start, evaluations and checkpoints; null if unknown.")};
    }
  };
  std::vector<Variant> variants;
  std::uint64_t baseline = 0, cells = 0, tuning_cells = 0;
  std::optional<std::uint64_t> cells_done;
  std::optional<double> flops, seconds, assumed_std, detectable_difference;
  std::optional<std::int64_t> seeds_for_a_hundredth;
  double smallest_p = 1;
  std::int64_t min_seeds = 0;

  static constexpr auto fields() {
    using config::field;
    using O = ForecastOutput;
    return std::tuple{
        field<&O::variants>("Variants in the order of the configuration."),
        field<&O::baseline>("Index of the baseline in `variants`."),
        field<&O::cells>("Runs of this session."),
        field<&O::tuning_cells>("Tuning runs."),
        field<&O::cells_done>("Finished runs of both kinds; null if the data is not prepared."),
        field<&O::flops>("Total of all runs; null if unknown."),
        field<&O::seconds>("Sequential time of the remaining runs; null if unknown."),
        field<&O::assumed_std>(
            "Standard deviation over seeds, assumed by the next two keys; null if not given."),
        field<&O::detectable_difference>(
            "Smallest difference from the baseline detected with 80 % power."),
        field<&O::seeds_for_a_hundredth>("Seeds required to detect a difference of 0.01.",
                                         config::Key{"seeds_for_0.01"}),
        field<&O::smallest_p>("Smallest p that the seeds can give; above 0.05 no difference can "
                              "be significant."),
        field<&O::min_seeds>("Number of seeds needed for any significant difference.")};
  }
};

}  // namespace sluice::app
