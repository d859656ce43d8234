// Whether the loss was still falling at the end of training.
#pragma once

#include <optional>

#include "report/analysis.h"
#include "report/comparison.h"

namespace sluice::report {

// Nats over the last quarter of the steps; a curve with a smaller decrease is flat.
inline constexpr double kMinDecrease = 0.01;

// Decrease of a variant's loss over the last quarter of its steps, in nats per target token, mean
// over its finished runs. Measured on the held-out curve if it has evaluations of the same tokens
// in the second half; otherwise on the training curve, from the mean of the third quarter to that
// of the last (0 unless it exceeds twice its standard error). nullopt if both curves are too
// coarse.
std::optional<double> final_decrease(const Analysis& analysis, std::size_t variant);

}  // namespace sluice::report
