#include "train/progress_line.h"

#include <cmath>

#include "base/clock.h"
#include "base/log.h"
#include "base/text_format.h"

namespace sluice::train {
namespace {

constexpr double kRedraw_s = 0.1;  // interval on a terminal

}  // namespace

ProgressLine::ProgressLine(const ResolvedRun& run, const Metrics& metrics,
                           const Evaluator& evaluator)
    : run_(&run), metrics_(&metrics), evaluator_(&evaluator), shown_s_(monotonic_s()) {}

std::string ProgressLine::text(const Metrics::Latest& latest) const {
  const std::int64_t total = run_->steps;
  const double tokens_left =
      static_cast<double>(total - latest.step) * static_cast<double>(run_->tokens_per_step());
  std::string line = cat("step ", latest.step, "/", total, "  loss ", fixed(latest.loss, 3),
                         "  perplexity ", fixed(std::exp(latest.log_perplexity), 1), "  ",
                         with_commas(std::llround(latest.tokens_per_s)), " tokens/s");
  if (latest.step < total && latest.tokens_per_s > 0)
    line += "  ETA " + human_duration(tokens_left / latest.tokens_per_s +
                                      evaluator_->seconds_left(latest.step));
  return line;
}

void ProgressLine::operator()(const Event& event) {
  const double now_s = monotonic_s(),
               wait_s = log::is_terminal() ? kRedraw_s : run_->config.train.log_interval.count;
  const auto& latest = metrics_->latest();
  if (!latest || latest->step == shown_step_ || (now_s - shown_s_ < wait_s && !event.last)) return;
  shown_s_ = now_s;
  shown_step_ = latest->step;
  const std::string line = text(*latest);
  if (!log::is_terminal()) return log::info(line);
  log::progress(line);
  if (event.last) log::end_progress();
}

}  // namespace sluice::train
