// Whether training had come to rest: how much the loss still fell at the end.
#pragma once

#include <optional>

#include "report/analysis.h"
#include "report/comparison.h"

namespace sluice::report {

inline constexpr double kFalls = 0.01;  // nats over the last quarter of the steps; less is level

// Nats per target token by which a variant's loss fell over the last quarter of its steps, mean over its finished runs: of the held-out curve, where
// it has readings of the same tokens in the second half; else of the training curve, third quarter to last, where that is more than noise (else 0).
// Nothing where the curves are too coarse for either.
std::optional<double> fall_at_the_end(const Analysis& analysis, std::size_t variant);

}  // namespace sluice::report
