#include "train/tensorboard.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/text_format.h"
#include "config/config.h"
#include "store/metrics_log.h"

namespace sluice::train {
namespace {

using Json = nlohmann::ordered_json;
using store::EventTime, store::Scalar;

constexpr std::string_view kTrain = "train/", kHeldOut = "held_out/";

void add_known(std::vector<Scalar>& scalars, std::string_view tag, std::optional<double> value) {
  if (value) scalars.push_back({tag, *value});
}

// The first tag must start with kTrain.
std::string event_of(const StepLine& line, double wall_s) {
  std::vector<Scalar> scalars = {{"train/loss", line.loss},
                                 {"train/log_perplexity", line.log_perplexity},
                                 {"train/perplexity", line.perplexity},
                                 {"train/grad_norm", line.grad_norm},
                                 {"train/lr", line.lr},
                                 {"speed/tokens_per_s", line.time.tokens_per_s},
                                 {"speed/step_seconds", line.time.step_seconds}};
  add_known(scalars, "speed/mfu", line.time.mfu);
  add_known(scalars, "memory/resident_bytes", line.time.resident_bytes);
  return store::scalar_event({wall_s, line.step}, scalars);
}

// The first tag must start with kHeldOut.
std::string event_of(const EvaluationLine& line, double wall_s) {
  const store::HeldOutFigures& figures = line.eval.figures;
  std::vector<Scalar> scalars = {
      {"held_out/num_tokens", static_cast<double>(line.eval.num_tokens)}};
  add_known(scalars, "held_out/log_perplexity", figures.log_perplexity);
  add_known(scalars, "held_out/perplexity", figures.perplexity);
  add_known(scalars, "held_out/bits_per_byte", figures.bits_per_byte);
  add_known(scalars, "held_out/word_perplexity", figures.word_perplexity);
  return store::scalar_event({wall_s, line.step}, scalars);
}

std::string samples_event(const EvaluationLine& line, double wall_s) {
  std::string markdown;
  for (const SampleText& sample : *line.samples)
    markdown += cat("**", sample.prompt, "**\n\n", sample.text, "\n\n");
  return store::text_event({wall_s, line.step}, store::kSamplesTag, markdown);
}

// A line of metrics.jsonl; exactly one is set.
struct Line {
  std::optional<StepLine> step;
  std::optional<EvaluationLine> evaluation;
  std::int64_t number() const { return step ? step->step : evaluation->step; }
  double seconds() const { return step ? step->time.step_seconds : 0; }
  // With what the first tags of its events begin.
  std::vector<std::string_view> prefixes() const {
    if (step) return {kTrain};
    if (!evaluation->samples) return {kHeldOut};
    return {kHeldOut, store::kSamplesTag};
  }
  std::string event(std::string_view prefix, double wall_s) const {
    if (step) return event_of(*step, wall_s);
    return prefix == kHeldOut ? event_of(*evaluation, wall_s) : samples_event(*evaluation, wall_s);
  }
};

std::vector<Line> read_lines(const fs::path& metrics, std::int64_t last_step) {
  std::vector<Line> lines;
  std::error_code ignored;
  if (!fs::exists(metrics, ignored)) return lines;
  store::read_metrics(metrics, [&](std::int64_t step, const Json& json) {
    if (step > last_step) return;
    if (json.contains("eval"))
      lines.push_back({{}, config::from_json_object<EvaluationLine>(json, metrics.string())});
    else
      lines.push_back({config::from_json_object<StepLine>(json, metrics.string()), {}});
  });
  return lines;
}

// An event of a curve or a histogram, framed.
struct Entry {
  EventTime time;
  std::string frame;
};

using Key = std::pair<std::int64_t, std::string_view>;  // step and prefix of the first tag

// The entries to keep, then those that only `lines` have, by step.
std::vector<Entry> merged(std::span<const store::EventFrame> kept, const std::vector<Line>& lines,
                          double begin_s) {
  std::vector<Entry> entries;
  std::vector<std::pair<Key, double>> known;  // sorted below: wall time of each scalar event
  for (const store::EventFrame& frame : kept) {
    entries.push_back({frame.time, std::string(frame.frame)});
    for (const std::string_view prefix : {kTrain, kHeldOut, store::kSamplesTag})
      if (frame.tag.starts_with(prefix))
        known.push_back({{frame.time.step, prefix}, frame.time.wall_s});
  }
  std::sort(known.begin(), known.end());
  double wall_s = begin_s;
  for (const Line& line : lines) {
    for (const std::string_view prefix : line.prefixes()) {
      const std::pair<Key, double> wanted{{line.number(), prefix},
                                          -std::numeric_limits<double>::infinity()};
      const auto found = std::lower_bound(known.begin(), known.end(), wanted);
      if (found != known.end() && found->first == wanted.first) {
        wall_s = found->second;
        continue;
      }
      wall_s += line.seconds();
      entries.push_back({{wall_s, line.number()}, store::framed(line.event(prefix, wall_s))});
    }
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.time.step < b.time.step; });
  return entries;
}

std::string header(const ShownSettings& settings, double wall_s) {
  return store::framed(store::version_event(wall_s)) +
         store::framed(store::text_event({wall_s, 0}, "config/text_summary",
                                         cat("```yaml\n", settings.yaml, "\n```\n"))) +
         store::framed(store::hparams_event(wall_s, settings.flat));
}

}  // namespace

ShownSettings shown_settings(const RunConfig& config) {
  return {config::to_yaml(config, config::Comments::kNone), config::flat_settings(config)};
}

double wall_clock_s() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

store::Histogram histogram_of(const at::Tensor& values) {
  constexpr std::size_t kNumBuckets = 64;
  const at::NoGradGuard no_grad;
  const at::Tensor host = values.to(at::kCPU, at::kFloat).contiguous();
  const std::span<const float> all(host.const_data_ptr<float>(),
                                   static_cast<std::size_t>(host.numel()));
  store::Histogram histogram;
  double low = INFINITY, high = -INFINITY;
  for (const float value : all) {
    if (!std::isfinite(value)) continue;
    const double x = value;
    low = std::min(low, x);
    high = std::max(high, x);
    histogram.sum += x;
    histogram.sum_squares += x * x;
    ++histogram.num_values;
  }
  if (histogram.num_values == 0) return histogram;
  histogram.min = low;
  histogram.max = high;
  const std::size_t num_buckets = low < high ? kNumBuckets : 1;
  const double width = (high - low) / static_cast<double>(num_buckets);
  histogram.counts.assign(num_buckets, 0);
  for (std::size_t i = 1; i < num_buckets; ++i)
    histogram.limits.push_back(low + static_cast<double>(i) * width);
  histogram.limits.push_back(high);
  for (const float value : all) {
    if (!std::isfinite(value)) continue;
    // Bucket i ends at its limit, inclusive.
    const double position = width > 0 ? std::ceil((value - low) / width) - 1 : 0;
    ++histogram.counts[static_cast<std::size_t>(
        std::clamp(position, 0.0, static_cast<double>(num_buckets - 1)))];
  }
  return histogram;
}

void TensorBoardLog::return_to(std::int64_t step, double end_s) {
  std::error_code ignored;
  const bool exists = fs::exists(files_.events, ignored);
  if (!exists && !files_.is_written) return;
  const std::string old = exists ? read_file(files_.events) : std::string();
  store::EventFrames read = store::read_event_frames(old);
  if (read.num_valid_bytes < old.size())
    log::warn(cat(files_.events.string(), ": damaged at byte ", read.num_valid_bytes,
                  "; dropping the rest and restoring its curves from ",
                  files_.metrics.filename().string()));
  const std::vector<Line> lines = read_lines(files_.metrics, step);
  double begin_s = end_s;
  for (const Line& line : lines) begin_s -= line.seconds();
  const double header_s = read.frames.empty() ? begin_s : read.frames.front().time.wall_s;
  std::erase_if(read.frames, [&](const store::EventFrame& frame) {
    return frame.is_header || frame.time.step > step;
  });
  std::string content = header(settings_, header_s);
  for (const Entry& entry : merged(read.frames, lines, begin_s)) content += entry.frame;
  if (content != old) file_system_.write_atomically(files_.events, content);
  if (files_.is_written) file_ = file_system_.open(files_.events, FileSystem::Mode::kAppend);
}

void TensorBoardLog::append(const std::string& event) {
  if (!files_.is_written) return;
  invariant(file_ != nullptr, "return_to() opens the event file");
  file_->write(std::string_view(store::framed(event)));
}

void TensorBoardLog::add(const StepLine& line) { append(event_of(line, wall_clock_s())); }

void TensorBoardLog::add(const EvaluationLine& line) {
  append(event_of(line, wall_clock_s()));
  if (line.samples) append(samples_event(line, wall_clock_s()));
}

void TensorBoardLog::add_weights(std::int64_t step, const ops::Parameters& parameters,
                                 const ValueOf& value_of) {
  if (!files_.is_written) return;
  std::vector<std::pair<std::string, store::Histogram>> histograms;
  for (const ops::Parameters::Named& one : parameters.named())
    histograms.emplace_back(cat("weights/", one.spec->name), histogram_of(value_of(one)));
  append(store::histogram_event({wall_clock_s(), step}, histograms));
}

void TensorBoardLog::flush() {
  if (file_ != nullptr) file_->sync();
}

}  // namespace sluice::train
