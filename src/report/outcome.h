// What a program can branch on: one outcome per comparison with the baseline, and one for all.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/analysis.h"

namespace sluice::report {

// kBroken: a run of the variant or of the baseline diverged, failed or did not learn, or the plan
// was changed after results were known. kUndecided: not tested yet, or neither different nor
// equivalent.
enum class Outcome { kBetter, kWorse, kEquivalent, kUndecided, kBroken };
constexpr auto names_of(Outcome) {
  using enum Outcome;
  using Name = std::pair<Outcome, std::string_view>;
  return std::array{Name{kBetter, "better"}, Name{kWorse, "worse"}, Name{kEquivalent, "equivalent"},
                    Name{kUndecided, "undecided"}, Name{kBroken, "broken"}};
}

enum class Overall { kDiffers, kEquivalent, kUndecided, kBroken };
constexpr auto names_of(Overall) {
  using enum Overall;
  using Name = std::pair<Overall, std::string_view>;
  return std::array{Name{kDiffers, "differs"}, Name{kEquivalent, "equivalent"},
                    Name{kUndecided, "undecided"}, Name{kBroken, "broken"}};
}

struct VariantOutcome {
  std::size_t variant = 0;
  Outcome outcome = Outcome::kUndecided;
  // Of kUndecided and kBroken, and of a decision at an earlier look; in a few words, else empty.
  std::string reason;
  std::vector<std::string> grid_doubts;  // tuned_values.h
};

// One per variant other than the baseline, in the order of the configuration.
std::vector<VariantOutcome> outcomes(const Comparison& comparison, const Analysis& analysis);

// The first that applies: broken if any is broken; undecided if any is; differs if any is better or
// worse; equivalent if all are. Undecided without any comparison.
Overall overall(const std::vector<VariantOutcome>& outcomes);

// "geglu: better than relu, −0.0400 [−0.0435, −0.0365], p 0.008, better in 8 of 8 seeds (63–100 %)"
std::string outcome_line(const Comparison& comparison, const Analysis& analysis,
                         const VariantOutcome& outcome);

}  // namespace sluice::report
