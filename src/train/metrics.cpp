#include "train/metrics.h"

#include <ATen/ATen.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/resident_memory.h"
#include "train/divergence.h"

namespace sluice::train {
namespace {

using Json = nlohmann::ordered_json;

// Lines are written at the latest after this many steps or this much time.
constexpr std::size_t kMaxPending = 8;
constexpr double kMaxPending_s = 1;

// Without the final newline, which the log adds.
template <class T>
std::string line_of(const T& value) {
  std::string line = config::to_json(value);
  line.pop_back();
  return line;
}

}  // namespace

void Metrics::return_to(std::int64_t step) {
  // Tokens whose time is not known.
  if (clock_.synchronize)
    for (const Line& line : pending_)
      num_tokens_ -= static_cast<std::uint64_t>(line.stats.num_targets);
  pending_.clear();
  last_step_ = step;
  latest_.reset();
  if (log_) log_->truncate_after(step);
  if (events_) events_->return_to(step, wall_clock_s());
  if (started_s_) begin_s_ = clock_.now();
}

void Metrics::start_clock() {
  const double now_s = clock_.now();
  if (!started_s_) started_s_ = now_s;
  // Pending steps may still be running on the device.
  if (!clock_.synchronize || pending_.empty()) begin_s_ = now_s;
}

double Metrics::seconds() const { return started_s_ ? clock_.now() - *started_s_ : 0; }

void Metrics::set_time(Line& line, double begin_s, double end_s) const {
  line.step_s = end_s - begin_s;
  line.seconds = started_s_ ? end_s - *started_s_ : 0;
}

void Metrics::add(const Event& event) {
  if (event.progress.step > last_step_) {
    last_step_ = event.progress.step;
    Line& line = pending_.emplace_back(
        Line{event.progress.step, event.progress.tokens, event.stats, event.lr});
    num_tokens_ += static_cast<std::uint64_t>(event.stats.num_targets);
    if (!clock_.synchronize) {
      set_time(line, begin_s_, clock_.now());
      training_s_ += line.step_s;
    }
  }
  if (pending_.size() >= kMaxPending || clock_.now() - written_s_ > kMaxPending_s || event.last)
    write_out();
  start_clock();
}

std::optional<double> Metrics::mfu_at(double tokens_per_s) const {
  const std::optional<double>& peak = utilization_.peak_flop_per_s;
  return peak ? std::optional(utilization_.flops_per_token * tokens_per_s / *peak) : std::nullopt;
}

std::optional<double> Metrics::mfu() const {
  if (training_s_ <= 0) return std::nullopt;
  return mfu_at(static_cast<double>(num_tokens_) / training_s_);
}

void Metrics::write(const Line& line, const StepValues& values, double log_perplexity) {
  const double tokens_per_s =
      line.step_s > 0 ? static_cast<double>(line.stats.num_targets) / line.step_s : 0;
  const StepLine written{.step = line.step,
                         .tokens = line.tokens,
                         .loss = values.loss,
                         .log_perplexity = log_perplexity,
                         .perplexity = std::exp(log_perplexity),
                         .grad_norm = values.grad_norm,
                         .lr = line.lr,
                         .time = {.seconds = line.seconds,
                                  .step_seconds = line.step_s,
                                  .tokens_per_s = tokens_per_s,
                                  .mfu = mfu_at(tokens_per_s),
                                  .mfu_denominator = utilization_.peak_flop_per_s,
                                  .resident_bytes = resident_bytes_}};
  if (log_) log_->append(line_of(written));
  if (events_) events_->add(written);
  latest_ = {line.step, values.loss, log_perplexity,
             training_s_ > 0 ? static_cast<double>(num_tokens_) / training_s_ : 0};
}

void Metrics::write_out() {
  std::vector<Line> lines = std::exchange(pending_, {});
  if (clock_.synchronize && !lines.empty()) {
    clock_.synchronize();
    const double end_s = clock_.now(),
                 each_s = (end_s - begin_s_) / static_cast<double>(lines.size());
    training_s_ += end_s - begin_s_;
    for (Line& line : lines) {
      set_time(line, begin_s_, begin_s_ + each_s);
      begin_s_ += each_s;
    }
    begin_s_ = end_s;
  }
  std::vector<StepStats> stats;
  std::vector<at::Tensor> log_perplexities;
  for (const Line& line : lines) {
    stats.push_back(line.stats);
    log_perplexities.push_back(line.stats.log_perplexity);
  }
  const std::vector<StepValues> values = read_values(stats);
  const at::Tensor host = lines.empty() ? at::Tensor() : at::stack(log_perplexities).to(at::kCPU);
  // Once, because reading it is a noticeable part of a tiny step.
  const std::uint64_t resident_bytes = lines.empty() ? 0 : resident_memory_bytes();
  resident_bytes_ = resident_bytes > 0 ? std::optional(resident_bytes) : std::nullopt;
  for (std::size_t i = 0; i < lines.size(); ++i)
    write(lines[i], values[i], static_cast<const double*>(host.const_data_ptr())[i]);
  written_s_ = clock_.now();
}

void Metrics::flush() {
  write_out();
  if (log_) log_->flush();
  if (events_) events_->flush();
}

void Metrics::add_evaluation(std::int64_t step, const eval::Perplexity& result,
                             const std::vector<SampleText>& samples) {
  write_out();
  EvaluationLine line{.step = step,
                      .eval = {.figures = result.figures,
                               .num_tokens = result.num_tokens,
                               .num_dropped_tokens = result.num_dropped_tokens}};
  if (!samples.empty()) line.samples = samples;
  if (log_) log_->append(line_of(line));
  if (events_) events_->add(line);
}

void Metrics::add_weights(std::int64_t step, const ops::Parameters& parameters,
                          const ValueOf& value_of) {
  if (events_) events_->add_weights(step, parameters, value_of);
}

std::vector<EvaluationLine> read_evaluations(const std::filesystem::path& path) {
  std::vector<EvaluationLine> found;
  store::read_metrics(path, [&](std::int64_t, const Json& line) {
    if (line.contains("eval"))
      found.push_back(config::from_json_object<EvaluationLine>(line, path.string()));
  });
  return found;
}

double read_training_seconds(const std::filesystem::path& path) {
  double sum = 0;
  store::read_metrics(path, [&](std::int64_t, const Json& line) {
    if (const auto time = line.find("time"); time != line.end() && time->is_object())
      sum += time->value("step_seconds", 0.0);
  });
  return sum;
}

}  // namespace sluice::train
