// Writes RUN/result.json (store/run_result.h), the result of a finished run.
#pragma once

#include <filesystem>

#include "train/trainer.h"

namespace sluice::run {

// Whether write_result() needs an evaluation of the last step that this process has not done.
bool needs_evaluation(const train::TrainerParts& parts, const train::Evaluator& evaluator,
                      const train::Metrics& metrics, const train::Progress& progress,
                      const std::filesystem::path& path);

// Writes the result of the finished run to `path`. Keeps an existing result of the same step and
// configuration; otherwise, if needs_evaluation(), evaluates the last step by itself. Warns if the
// model is no better than chance or than before training. kInterrupted if a stop is requested
// meanwhile.
void write_result(const train::TrainerParts& parts, const train::Evaluator& evaluator,
                  const train::Metrics& metrics, const train::Progress& progress,
                  const std::filesystem::path& path);

}  // namespace sluice::run
