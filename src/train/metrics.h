// Writes RUN/metrics.jsonl (docs/metrics.md): one line per step and per evaluation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "eval/perplexity.h"
#include "store/metrics_log.h"
#include "train/event.h"
#include "train/metrics_lines.h"
#include "train/tensorboard.h"

namespace sluice::train {

// Inputs of mfu.
struct Utilization {
  double flops_per_token = 0;  // model::ModelSizes
  // of the device, in the precision of the run; none if unknown
  std::optional<double> peak_flop_per_s;
  std::string product{};  // whose rate that is (ops/product_rate.h)
};

// How the duration of steps is measured.
struct StepClock {
  // Waits until the device has finished all steps. Empty: a step has finished when it returns, as
  // on a CPU. On other devices the host runs ahead, so a single step cannot be timed: the time
  // between two calls is shared equally among the steps in between.
  std::function<void()> synchronize{};
  std::function<double()> now = monotonic_s;
};

// Keeps device values and reads them a few steps later. Not thread-safe.
class Metrics {
 public:
  // `events`: receives the same figures; may be nullptr. With `is_written` false, the file is not
  // touched: another process of the run writes it.
  explicit Metrics(std::filesystem::path path, Utilization utilization = {}, StepClock clock = {},
                   std::unique_ptr<TensorBoardLog> events = nullptr, bool is_written = true)
      : path_(std::move(path)),
        log_(is_written ? std::optional<store::MetricsLog>(path_) : std::nullopt),
        utilization_(std::move(utilization)),
        clock_(std::move(clock)),
        events_(std::move(events)) {}
  const std::filesystem::path& path() const { return path_; }
  bool is_written() const { return log_.has_value(); }
  // Drops the lines after `step`, because these steps are repeated, and the time since the last
  // line.
  void return_to(std::int64_t step);

  void add(const Event& event);  // ignores a second event of a step
  void add_evaluation(std::int64_t step, const eval::Perplexity& result,
                      const std::vector<SampleText>& samples = {});
  // Histograms for TensorBoard, if it is on.
  void add_weights(std::int64_t step, const ops::Parameters& parameters, const ValueOf& value_of);
  // Writes every pending line; synchronizes with the device. Call before work that is not part of
  // a step, so that its time is not counted as the steps'.
  void write_out();
  void flush();  // write_out() and sync to disk

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
  const Utilization& utilization() const { return utilization_; }
  std::optional<double> mfu() const;  // of all steps of this process; none if unknown

 private:
  struct Line {
    std::int64_t step = 0;
    std::uint64_t tokens = 0;
    StepStats stats;
    double lr = 0, seconds = 0, step_s = 0;
  };
  void set_time(Line& line, double begin_s, double end_s) const;
  void write(const Line& line, const StepValues& values, double log_perplexity);
  std::optional<double> mfu_at(double tokens_per_s) const;

  std::filesystem::path path_;
  std::optional<store::MetricsLog> log_;
  Utilization utilization_;
  StepClock clock_;
  std::unique_ptr<TensorBoardLog> events_;
  std::vector<Line> pending_;
  std::int64_t last_step_ = -1;
  std::optional<Latest> latest_;
  std::optional<double> started_s_;
  double begin_s_ = 0;  // of the first step whose time is not known yet
  double training_s_ = 0, written_s_ = 0;
  std::uint64_t num_tokens_ = 0;
  std::optional<std::uint64_t> resident_bytes_;  // when lines are written
};

// By step.
std::vector<EvaluationLine> read_evaluations(const std::filesystem::path& path);

// Seconds spent in all steps of a metrics file, by any process, without evaluations and saves.
double read_training_seconds(const std::filesystem::path& path);

}  // namespace sluice::train
