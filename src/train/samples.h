// Texts that a run writes after its evaluations (`evaluate.samples`).
#pragma once

#include <vector>

#include "data/prepared.h"
#include "model/language_model.h"
#include "train/metrics_lines.h"
#include "train/resolve.h"

namespace sluice::train {

// kUsage if a prompt cannot be read: an encoder-decoder needs blanks (eval/fill.h).
void check_samples(const ResolvedRun& run, const data::PreparedData& data);

// One text per prompt, in order: a function of the weights, the prompt and run.seed. With
// `may_stop`, kInterrupted if a stop is requested.
std::vector<SampleText> write_samples(const model::LanguageModel& model, const ResolvedRun& run,
                                      const data::PreparedData& data, bool may_stop = true);

}  // namespace sluice::train
