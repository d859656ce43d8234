// Progress line of training: redrawn on a terminal, otherwise logged at intervals.
#pragma once

#include <cstdint>

#include "train/evaluator.h"
#include "train/metrics.h"
#include "train/resolve.h"

namespace sluice::train {

// A callback; borrows the constructor's arguments.
class ProgressLine {
 public:
  ProgressLine(const ResolvedRun& run, const Metrics& metrics, const Evaluator& evaluator);
  void operator()(const Event& event);

 private:
  std::string text(const Metrics::Latest& latest) const;

  const ResolvedRun* run_;
  const Metrics* metrics_;
  const Evaluator* evaluator_;
  double shown_s_;
  std::int64_t shown_step_ = -1;
};

}  // namespace sluice::train
