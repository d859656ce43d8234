// RUN/metrics.jsonl as docs/metrics.md describes it: what is known of each step and of each evaluation.
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

// What mfu is made of.
struct Utilisation {
  double flops_per_token = 0;             // model::ModelSizes
  std::optional<double> peak_flop_per_s;  // of the machine, in the precision of the run; nothing where it is not known
};

// Keeps device values and reads them a few steps late. Not for several threads.
class Metrics {
 public:
  explicit Metrics(std::filesystem::path path, Utilisation utilisation = {})
      : path_(std::move(path)), log_(path_), utilisation_(utilisation) {}
  const std::filesystem::path& path() const { return path_; }
  // Drops the lines after `step`: the steps after it come again.
  void return_to(std::int64_t step);

  void add(const Event& event);  // a second event of a step changes nothing
  void add_evaluation(std::int64_t step, const eval::Perplexity& result);
  void write_out();  // every line is in the file; waits for the device
  void flush();      // and on the disk

  // What the last line written out said; for progress lines.
  struct Latest {
    std::int64_t step = 0;
    double loss = 0, log_perplexity = 0, tokens_per_s = 0;
  };
  const std::optional<Latest>& latest() const { return latest_; }
  void start_clock();                                       // training starts or goes on now: what came before is nobody's step
  double seconds() const;                                   // since the first start_clock()
  std::uint64_t num_tokens() const { return num_tokens_; }  // of this process
  double training_seconds() const { return training_s_; }   // spent in steps, evaluations and saves left out

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
  Utilisation utilisation_;
  std::vector<Line> pending_;
  std::int64_t last_step_ = -1;
  std::optional<Latest> latest_;
  std::optional<double> started_s_;
  double step_started_s_ = 0, training_s_ = 0, written_s_ = 0;
  std::uint64_t num_tokens_ = 0;
};

// By step.
std::vector<EvaluationLine> read_evaluations(const std::filesystem::path& path);

// Seconds spent in the steps that a metrics file has, whichever process did them; evaluations and saves left out.
double read_training_seconds(const std::filesystem::path& path);

}  // namespace sluice::train
