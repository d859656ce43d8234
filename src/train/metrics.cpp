#include "train/metrics.h"

#include <ATen/ATen.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/clock.h"
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
  pending_.clear();
  last_step_ = step;
  latest_.reset();
  log_.truncate_after(step);
}

void Metrics::start_clock() {
  step_started_s_ = monotonic_s();
  if (!started_s_) started_s_ = step_started_s_;
}

double Metrics::seconds() const { return started_s_ ? monotonic_s() - *started_s_ : 0; }

void Metrics::add(const Event& event) {
  if (event.progress.step > last_step_) {
    last_step_ = event.progress.step;
    const double step_s = monotonic_s() - step_started_s_;
    pending_.push_back(
        {event.progress.step, event.progress.tokens, event.stats, event.lr, seconds(), step_s});
    num_tokens_ += static_cast<std::uint64_t>(event.stats.num_targets);
    training_s_ += step_s;
  }
  if (pending_.size() >= kMaxPending || monotonic_s() - written_s_ > kMaxPending_s || event.last)
    write_out();
  start_clock();
}

void Metrics::write(const Line& line) {
  const StepValues values = read_values({&line.stats, 1}).front();
  const auto log_perplexity = line.stats.log_perplexity.item<double>();
  const double tokens_per_s =
      line.step_s > 0 ? static_cast<double>(line.stats.num_targets) / line.step_s : 0;
  const std::optional<double>& peak = utilization_.peak_flop_per_s;
  log_.append(line_of(StepLine{
      .step = line.step,
      .tokens = line.tokens,
      .loss = values.loss,
      .log_perplexity = log_perplexity,
      .perplexity = std::exp(log_perplexity),
      .grad_norm = values.grad_norm,
      .lr = line.lr,
      .time = {.seconds = line.seconds,
               .step_seconds = line.step_s,
               .tokens_per_s = tokens_per_s,
               .mfu = peak ? std::optional(utilization_.flops_per_token * tokens_per_s / *peak)
                           : std::nullopt,
               .mfu_denominator = peak}}));
  latest_ = {line.step, values.loss, log_perplexity,
             training_s_ > 0 ? static_cast<double>(num_tokens_) / training_s_ : 0};
}

void Metrics::write_out() {
  for (const Line& line : std::exchange(pending_, {})) write(line);
  written_s_ = monotonic_s();
}

void Metrics::flush() {
  write_out();
  log_.flush();
}

void Metrics::add_evaluation(std::int64_t step, const eval::Perplexity& result) {
  write_out();
  log_.append(line_of(EvaluationLine{.step = step,
                                     .eval = {.figures = result.figures,
                                              .num_tokens = result.num_tokens,
                                              .num_dropped_tokens = result.num_dropped_tokens}}));
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
