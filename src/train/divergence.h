// Divergence: NaN, Inf and spikes, and what the policy makes of them.
//
// The device decides at once, by optim::Update's limits, whether a step may move the weights. The host learns of it late, yet at fixed
// steps, so that its decisions depend on no clock: it judges after every kJudgeEvery-th step, at steps that are saved on
// schedule, and after the last. The limits change at multiples of kJudgeEvery only, so that the cadence of checkpoints does not touch
// them. What a checkpoint between two judgements has not judged yet lies in Progress::unjudged.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "train/progress.h"
#include "train/train_config.h"
#include "train/train_step.h"

namespace sluice::train {

inline constexpr std::int64_t kJudgeEvery = 8;
// The running means take the mean of the first kMeanSteps applied steps, then follow exponentially; before kMinMeanSteps steps nothing is a spike.
inline constexpr std::int64_t kMeanSteps = 64, kMinMeanSteps = 16;

enum class Verdict { kGoOn, kHalt, kRollback };

// Reads the device values of `stats`. Waits for the device.
StepValues read_values(const StepStats& stats);

// Moves `recent` to progress.unjudged, then judges.
Verdict judge(Progress& progress, std::vector<StepStats>& recent, const DivergenceConfig& config);
// At multiples of kJudgeEvery: counts and reports what the policy lets pass, moves the running means, and starts anew.
void update_means(Progress& progress, const DivergenceConfig& config);
// One line about the first step that was not applied.
std::string describe_divergence(const Progress& progress, const DivergenceConfig& config);

struct Limits {
  double loss = 0, norm = 0;  // +inf: none
};
Limits limits_of(const Progress& progress, const DivergenceConfig& config);

}  // namespace sluice::train
