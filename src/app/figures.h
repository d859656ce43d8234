// Formats metrics for the console.
#pragma once

#include <optional>
#include <string>

namespace sluice::app {

// Larger perplexities are shown by their logarithm, as "e^16.8".
constexpr double kLargestShownPerplexity = 1e6;

// With `digits` decimal places. Empty for a non-finite value, which is null in JSON.
std::optional<std::string> perplexity_text(double perplexity, int digits);

}  // namespace sluice::app
