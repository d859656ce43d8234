#include "app/figures.h"

#include <cmath>

#include "base/text_format.h"

namespace sluice::app {

std::optional<std::string> perplexity_text(double perplexity, int digits) {
  if (!std::isfinite(perplexity)) return std::nullopt;
  return perplexity <= kLargestShownPerplexity ? fixed(perplexity, digits)
                                               : cat("e^", fixed(std::log(perplexity), 1));
}

}  // namespace sluice::app
