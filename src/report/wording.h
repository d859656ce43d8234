// Building blocks of the report's sentences.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "report/analysis.h"
#include "report/comparison.h"

namespace sluice::report {

// "a, b and c"; "a, 1; b, 2 and c, 3" if names contain commas; "20 variants" if the list is long.
std::string listed(const std::vector<std::string>& names, std::string_view many = "variants");
std::string seeds_text(const std::vector<std::uint64_t>& seeds);  // "seed 1", "seeds 1, 2 and 3"

// Seeds of a variant whose run has neither finished, diverged nor failed.
std::vector<std::uint64_t> waiting_seeds(const Comparison& comparison, const Analysis& analysis,
                                         std::size_t variant);
// Seeds of a variant whose run finished with a model that did not learn.
std::vector<std::uint64_t> seeds_without_learning(const Comparison& comparison,
                                                  const Analysis& analysis, std::size_t variant);

// Why these seeds cannot give a significant result: "with 5 seeds: the smallest p of the sign-flip
// test is 0.063, so at least 6 seeds are needed".
std::string powerless_text(const Analysis& analysis);
// "95"; with looks, of this look
std::string interval_percent(const Analysis& analysis);
// "seeds", or "groups" if groups of seeds are compared
std::string units(const Analysis& analysis);
// "7 of 8 (47–100 %)", or "7 of 8 seeds (47–100 %)": how often the variant is better than the
// baseline, and the 95 % interval of that probability. The difference is tested.
std::string better_text(const Analysis& analysis, const stats::Difference& difference,
                        std::string_view unit = "");
// "about 14 seeds would decide with 80 % probability"; empty if decided or unknown
std::string seeds_to_decide_text(const Analysis& analysis, const stats::Difference& difference);
// The same number in seeds, also if groups are compared.
std::optional<std::int64_t> seeds_to_decide(const Analysis& analysis,
                                            const stats::Difference& difference);

// "decided at look 1, on 7 seeds; the figures are those of 12 seeds"; empty if decided at this look
std::string early_text(const Comparison& comparison, const Analysis& analysis, std::size_t variant);

bool is_rate_tuned(const Comparison& comparison);  // whether the learning rate was tuned
bool varies(const Comparison& comparison, std::string_view key);  // whether `key` is varied

inline constexpr std::string_view kRate = "optimizer.lr";
// marks results that include a run that did not learn
inline constexpr std::string_view kMark = "†";

}  // namespace sluice::report
