// RUN/result.json (store/run_result.h): what a finished run has to show.
#pragma once

#include <filesystem>

#include "train/trainer.h"

namespace sluice::train {

// Leaves the result of the finished run at `path`. One that is there already and speaks of this step and this configuration stays; else the
// evaluation of the last step is done again where this process has not done it. Warns of a model that has learned nothing. kInterrupted when a stop is requested meanwhile.
void write_result(const TrainerParts& parts, const Evaluator& evaluator, const Metrics& metrics, const Progress& progress,
                  const std::filesystem::path& path);

}  // namespace sluice::train
