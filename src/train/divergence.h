// Divergence (NaN, Inf and spikes) and the policy for it.
//
// The device decides immediately, by the limits of optim::Update, whether a step is applied. The
// host checks later but at fixed steps, so its decisions do not depend on timing: after every
// kDivergenceInterval-th step, after steps with a scheduled checkpoint, and after the last step.
// The limits change only at multiples of kDivergenceInterval, so they do not depend on the
// checkpoint interval. Progress::pending holds the steps since the last multiple.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "train/progress.h"
#include "train/train_config.h"
#include "train/train_step.h"

namespace sluice::train {

inline constexpr std::int64_t kDivergenceInterval = 8;
// The running means are the mean of the first kMeanSteps applied steps, then exponential averages.
// Spikes are not detected before kMinMeanSteps steps.
inline constexpr std::int64_t kMeanSteps = 64, kMinMeanSteps = 16;

enum class DivergenceAction { kContinue, kHalt, kRollback };

// Reads the device values of several steps in one copy. Synchronizes with the device.
std::vector<StepValues> read_values(std::span<const StepStats> steps);

// Moves `recent` to progress.pending, then applies the policy to the pending steps.
DivergenceAction check_divergence(Progress& progress, std::vector<StepStats>& recent,
                                  const DivergenceConfig& config);
// At multiples of kDivergenceInterval: counts and reports skipped steps, updates the running means,
// and clears progress.pending.
void update_means(Progress& progress, const DivergenceConfig& config);
// One line describing the first pending step that was not applied.
std::string describe_divergence(const Progress& progress, const DivergenceConfig& config);

struct Limits {
  double loss = 0, norm = 0;  // +inf: no limit
};
Limits limits_of(const Progress& progress, const DivergenceConfig& config);

}  // namespace sluice::train
