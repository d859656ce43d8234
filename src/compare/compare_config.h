// Section `compare` of a comparison's file: what varies, under which seeds, and what counts as equal. docs/comparison.md explains it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/field.h"
#include "data/splits.h"

namespace sluice::compare {

enum class Metric { kLogPerplexity, kBitsPerByte };
constexpr auto names_of(Metric) {
  return std::array{std::pair{Metric::kLogPerplexity, std::string_view("log_perplexity")},
                    std::pair{Metric::kBitsPerByte, std::string_view("bits_per_byte")}};
}

enum class Equalize { kSteps, kTime };
constexpr auto names_of(Equalize) {
  return std::array{std::pair{Equalize::kSteps, std::string_view("steps")}, std::pair{Equalize::kTime, std::string_view("time")}};
}

// The split that tuning reads; the word stands in the file so that nobody has to guess.
enum class TuningSplit { kTune };
constexpr auto names_of(TuningSplit) { return std::array{std::pair{TuningSplit::kTune, data::split_name(data::Split::kTune)}}; }

// Dotted keys with the values each takes, as the file has them; several keys make a grid.
using ValueLists = config::Entries<std::vector<config::Word>>;

struct TuneConfig {
  ValueLists grid;
  std::vector<std::uint64_t> seeds;
  TuningSplit split = TuningSplit::kTune;
  static constexpr auto fields() {
    using config::field;
    using C = TuneConfig;
    return std::tuple{
        field<&C::grid>(
            "A dotted key and the values to choose from, for each variant by itself: `optimizer.lr: [1e-3, 3e-3]`. Several make a "
            "grid.",
            config::Rest{}, config::NonEmpty{}),
        field<&C::seeds>("Seeds of the tuning runs; none of them may be among `compare.seeds`.", config::NonEmpty{}),
        field<&C::split>(
            "What the choice is made on: `tune`, the text that `corpus.tune_holdout` sets apart and reported figures never see.")};
  }
};

struct CompareConfig {
  ValueLists vary;
  std::vector<std::uint64_t> seeds{1};
  config::Entries<config::Word> baseline;
  Metric metric = Metric::kLogPerplexity;
  Equalize equalize = Equalize::kSteps;
  std::optional<std::string> assumed_std;
  std::optional<TuneConfig> tune;

  static constexpr auto fields() {
    using config::field;
    using C = CompareConfig;
    return std::tuple{
        field<&C::vary>(
            "Dotted keys of the run's configuration, each with the values to compare: `model.ffn: [relu, geglu]`. Several keys make "
            "a grid.",
            config::NonEmpty{}),
        field<&C::seeds>("Seeds; every variant runs once with each.", config::NonEmpty{}),
        field<&C::baseline>("The variant that the others are compared with, a value for each key of `vary`. Empty: the first."),
        field<&C::metric>("What is compared, held-out, after the last step. `bits_per_byte` where tokenizers differ."),
        field<&C::equalize>(
            "`steps`: the same number of steps for all, which at matched widths is the same arithmetic. `time`: each variant "
            "gets the steps that fit the baseline's time."),
        field<&C::assumed_std>(
            "For the detectable difference that `--dry-run` states: the standard deviation of one run within its seed, or the "
            "directory of a finished comparison to take it from.",
            config::NonEmpty{}),
        field<&C::tune>("Values chosen for each variant before the comparison.")};
  }
  static void check(const CompareConfig& c, config::Problems& problems);
};

// The number that assumed_std is, where it is one; else it is a directory.
std::optional<double> assumed_number(std::string_view text);

}  // namespace sluice::compare
