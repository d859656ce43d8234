// Pieces of the report's sentences.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "report/analysis.h"
#include "report/comparison.h"

namespace sluice::report {

// "a, b and c"; "a, 1; b, 2 and c, 3" where names have commas; "20 variants" where the list would be a table of its own.
std::string listed(const std::vector<std::string>& names, std::string_view many = "variants");
std::string seeds_text(const std::vector<std::uint64_t>& seeds);  // "seed 1", "seeds 1, 2 and 3"

// Seeds of a variant whose run is not finished, diverged or failed.
std::vector<std::uint64_t> waiting_seeds(const Comparison& comparison, const Analysis& analysis, std::size_t variant);
// Seeds of a variant whose run ended with a model that has learned nothing.
std::vector<std::uint64_t> seeds_without_learning(const Comparison& comparison, const Analysis& analysis, std::size_t variant);

// Whether what was tuned names the learning rate; and whether a key varies.
bool is_rate_tuned(const Comparison& comparison);
bool varies(const Comparison& comparison, std::string_view key);

inline constexpr std::string_view kRate = "optimizer.lr";
inline constexpr std::string_view kMark = "†";  // behind a figure that includes a run that has learned nothing

}  // namespace sluice::report
