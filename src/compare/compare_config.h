// Section `compare` of a configuration: varied keys, seeds, tuning. See docs/comparison.md.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compare/slurm_config.h"
#include "config/field.h"
#include "data/splits.h"
#include "report/comparison.h"
#include "stats/looks.h"

namespace sluice::compare {

using report::Equalize;
using report::Metric;

// The split used for tuning. The only value; a key so that the configuration names the split.
enum class TuningSplit { kTune };
constexpr auto names_of(TuningSplit) {
  return std::array{std::pair{TuningSplit::kTune, data::split_name(data::Split::kTune)}};
}

// Dotted keys, each with its values as written in the file; several keys form a grid.
using ValueLists = config::Entries<std::vector<config::Word>>;

struct TuneConfig {
  ValueLists grid;
  std::vector<std::uint64_t> seeds;
  TuningSplit split = TuningSplit::kTune;
  std::int64_t repeat = 1;
  static constexpr auto fields() {
    using config::field;
    using C = TuneConfig;
    return std::tuple{
        field<&C::grid>("Candidate values of a dotted key, chosen separately for each variant: "
                        "`optimizer.lr: [1e-3, 3e-3]`. Several keys form a grid.",
                        config::Rest{}, config::NonEmpty{}),
        field<&C::seeds>("Seeds of the tuning runs, disjoint from `compare.seeds`.",
                         config::NonEmpty{}),
        field<&C::split>("Split for choosing: `tune`, the text reserved by `corpus.tune_holdout` "
                         "and not used for any reported metric."),
        field<&C::repeat>("Number of groups into which `compare.seeds` and these seeds are "
                          "divided, in order. Each group is tuned by its own seeds and the means "
                          "of the groups are compared, so that intervals contain the uncertainty "
                          "of the choice.",
                          config::AtLeast{1})};
  }
};

struct CompareConfig {
  ValueLists vary;
  std::vector<std::uint64_t> seeds{1};
  config::Entries<config::Word> baseline;
  Metric metric = Metric::kLogPerplexity;
  std::optional<std::int64_t> average_last;
  Equalize equalize = Equalize::kSteps;
  std::vector<std::uint64_t> looks{};
  stats::Spending spending = stats::Spending::kObrienFleming;
  std::optional<double> margin;
  std::optional<std::string> assumed_std;
  std::optional<TuneConfig> tune;
  std::optional<SlurmConfig> slurm;

  static constexpr auto fields() {
    using config::field;
    using C = CompareConfig;
    return std::tuple{
        field<&C::vary>("Dotted keys of the run configuration, each with the values to compare: "
                        "`model.ffn: [relu, geglu]`. Several keys form a grid.",
                        config::NonEmpty{}),
        field<&C::seeds>("Seeds. Each variant runs once per seed.", config::NonEmpty{}),
        field<&C::baseline>("The variant to compare the others with: a value for each key of "
                            "`vary`. Empty: the first variant."),
        field<&C::metric>("Held-out metric after the last step. Use `bits_per_byte` if tokenizers "
                          "differ. With an average: `{log_perplexity, average_last: 4}`.",
                          config::AlsoSets{"average_last"}),
        field<&C::average_last>("Compare the mean of the metric over this number of evaluations, "
                                "the last one included, instead of the last one alone. All must "
                                "score the same held-out tokens. May also be written in `metric`.",
                                config::AtLeast{1}),
        field<&C::equalize>("`steps`: the same number of steps for all variants; at matched widths "
                            "also the same arithmetic. `time`: each variant gets as many steps as "
                            "fit into the training time of the baseline."),
        field<&C::looks>("Numbers of seeds at which one may judge, in ascending order; the last is "
                         "the number of all seeds: `[4, 8, 12]`. Fixed before the first run. "
                         "Empty: judged once, when all seeds are finished."),
        field<&C::spending>("How the level of 5 % is divided among the looks: `obrien_fleming` "
                            "spends almost nothing early, `pocock` about the same at each look."),
        field<&C::margin>("Differences below it, in units of the metric, are practically 0: the "
                          "verdict then also tells equivalent variants from undecided ones. "
                          "Fixed before the first run.",
                          config::Positive{}),
        field<&C::assumed_std>("For the detectable difference in `--dry-run`: the standard "
                               "deviation of a run within its seed, or the directory of a "
                               "finished comparison to estimate it from.",
                               config::NonEmpty{}),
        field<&C::tune>("Values to choose for each variant before the comparison."),
        field<&C::slurm>("What `sluice compare --submit slurm` asks of Slurm. Does not affect the "
                         "results.")};
  }
  static void check(const CompareConfig& c, config::Problems& problems);
};

// Groups of seeds: compare.tune.repeat, or 1.
std::size_t num_groups(const CompareConfig& config);
// Seeds whose mean is one value of the tests: 1 without groups.
std::size_t group_size(const CompareConfig& config);
// The group of a seed of compare.seeds; of any list that is divided into groups, in order.
std::size_t group_of(const CompareConfig& config, std::uint64_t seed);
std::size_t group_of(const std::vector<std::uint64_t>& seeds, std::size_t num_groups,
                     std::uint64_t seed);
// The seeds of compare.tune that tune a group.
std::vector<std::uint64_t> tuning_seeds(const TuneConfig& config, std::size_t group);

// compare.looks, as stats::Plan has them.
std::vector<std::int64_t> looks_of(const CompareConfig& config);

// The value of an assumed_std that is a number; nullopt if it is a directory.
std::optional<double> assumed_number(std::string_view text);

}  // namespace sluice::compare
