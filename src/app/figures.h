// Figures as the console shows them.
#pragma once

#include <optional>
#include <string>

namespace sluice::app {

// Perplexities up to this are shown as numbers; larger ones, which say no more than their logarithm, as "e^16.8".
constexpr double kLargestShownPerplexity = 1e6;

// `digits` behind the point. Nothing for what is not finite: JSON has null there.
std::optional<std::string> perplexity_text(double perplexity, int digits);

}  // namespace sluice::app
