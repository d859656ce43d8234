// Writes RUN/metrics.jsonl (docs/metrics.md): one line per step and per evaluation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "eval/perplexity.h"
#include "store/metrics_log.h"
#include "train/event.h"
#include "train/metrics_lines.h"

namespace sluice::train {

// Inputs of mfu.
struct Utilization {
  double flops_per_token = 0;  // model::ModelSizes
  // of the machine, in the precision of the run; none if unknown
  std::optional<double> peak_flop_per_s;
};

// Keeps device values and reads them a few steps later. Not thread-safe.
class Metrics {
 public:
  explicit Metrics(std::filesystem::path path, Utilization utilization = {})
      : path_(std::move(path)), log_(path_), utilization_(utilization) {}
  const std::filesystem::path& path() const { return path_; }
  // Drops the lines after `step`, because these steps are repeated.
  void return_to(std::int64_t step);

  void add(const Event& event);  // ignores a second event of a step
  void add_evaluation(std::int64_t step, const eval::Perplexity& result);
  void write_out();  // writes every pending line; synchronizes with the device
  void flush();      // write_out() and sync to disk

  // Values of the last line written, for the progress line.
  struct Latest {
    std::int64_t step = 0;
    double loss = 0, log_perplexity = 0, tokens_per_s = 0;
  };
  const std::optional<Latest>& latest() const { return latest_; }
  // Call when training starts or continues: time before this call is not attributed to a step.
  void start_clock();
  double seconds() const;                                   // since the first start_clock()
  std::uint64_t num_tokens() const { return num_tokens_; }  // of this process
  // spent in steps, without evaluations and saves
  double training_seconds() const { return training_s_; }

 private:
  struct Line {
    std::int64_t step = 0;
    std::uint64_t tokens = 0;
    StepStats stats;
    double lr = 0, seconds = 0, step_s = 0;
  };
  void write(const Line& line);

  std::filesystem::path path_;
  store::MetricsLog log_;
  Utilization utilization_;
  std::vector<Line> pending_;
  std::int64_t last_step_ = -1;
  std::optional<Latest> latest_;
  std::optional<double> started_s_;
  double step_started_s_ = 0, training_s_ = 0, written_s_ = 0;
  std::uint64_t num_tokens_ = 0;
};

// By step.
std::vector<EvaluationLine> read_evaluations(const std::filesystem::path& path);

// Seconds spent in all steps of a metrics file, by any process, without evaluations and saves.
double read_training_seconds(const std::filesystem::path& path);

}  // namespace sluice::train
