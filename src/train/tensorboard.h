// RUN/events.out.tfevents.0.sluice: the metrics of a run for TensorBoard and for programs that read
// its files. Scalars are those of metrics.jsonl (docs/metrics.md lists the tags); TEXT and HPARAMS
// show the configuration; histograms show the weights after each evaluation.
//
// Scalars are derived from metrics.jsonl: a file that is missing, damaged or behind after a crash
// is completed from it. Only the histograms of steps that are not repeated cannot be restored.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/file.h"
#include "config/flat_settings.h"
#include "ops/parameters.h"
#include "store/event_file.h"
#include "train/metrics_lines.h"
#include "train/run_config.h"

namespace sluice::train {

// The whole fp32 value of a parameter, wherever it is.
using ValueOf = std::function<at::Tensor(const ops::Parameters::Named& parameter)>;

struct TensorBoardFiles {
  std::filesystem::path events, metrics;  // `metrics`: metrics.jsonl, read only
  // false: no new events, but a file that an earlier start wrote still loses repeated steps
  bool is_written = true;
};

// What TEXT and HPARAMS show.
struct ShownSettings {
  std::string yaml;
  config::FlatSettings flat;
};
ShownSettings shown_settings(const RunConfig& config);

class TensorBoardLog {
 public:
  TensorBoardLog(TensorBoardFiles files, ShownSettings settings,
                 FileSystem& file_system = real_files())
      : files_(std::move(files)), settings_(std::move(settings)), file_system_(file_system) {}

  // Drops the events after `step` and adds those that metrics.jsonl has and the file lacks; creates
  // the file if needed. Replaces it atomically, and only if that changes it, so that a running
  // TensorBoard can follow. `end_s`: when the last line of metrics.jsonl was written; the times of
  // added events are estimated from it. Call before add(). kIo if the file cannot be written,
  // kBadData if metrics.jsonl is damaged.
  void return_to(std::int64_t step, double end_s);

  // Written to the kernel immediately, as one write. kIo on failure. No effect if !is_written.
  void add(const StepLine& line);
  void add(const EvaluationLine& line);
  // One histogram of 64 equal buckets per parameter. Reads the weights; changes nothing.
  void add_weights(std::int64_t step, const ops::Parameters& parameters, const ValueOf& value_of);
  void flush();  // fsync

 private:
  void append(const std::string& event);

  TensorBoardFiles files_;
  ShownSettings settings_;
  FileSystem& file_system_;
  std::unique_ptr<OutputFile> file_;
};

// Of the finite values; one bucket if they are equal.
store::Histogram histogram_of(const at::Tensor& values);

double wall_clock_s();  // since 1970

}  // namespace sluice::train
