#include "store/run_result.h"

#include <cmath>

#include "base/file.h"
#include "base/text_format.h"

namespace sluice::store {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 32;

constexpr double kTolerance = 1e-4;      // nats; the precision of printed figures
constexpr std::int64_t kManySteps = 50;  // enough for a run that learns to beat a uniform guess

bool is_same(double a, double b) { return std::abs(a - b) < kTolerance; }
bool is_unchanged(const RunResult& r) {
  return r.initial_log_perplexity && is_same(*r.figures.log_perplexity, *r.initial_log_perplexity);
}

}  // namespace

std::optional<bool> learned_nothing(const RunResult& r) {
  if (!r.figures.log_perplexity || !r.uniform_log_perplexity) return std::nullopt;
  const double figure = *r.figures.log_perplexity, guess = *r.uniform_log_perplexity;
  if (is_unchanged(r) || is_same(figure, guess)) return true;
  if (figure < guess) return false;
  return r.step >= kManySteps || (r.initial_log_perplexity && figure > *r.initial_log_perplexity);
}

std::string learned_nothing_warning(const RunResult& r) {
  if (!learned_nothing(r).value_or(false)) return "";
  const std::string figure = cat("held-out log-perplexity ", fixed(*r.figures.log_perplexity, 4));
  if (is_unchanged(r))
    return cat(figure,
               ", the same as before training: the model did not learn; raise optimizer.lr ",
               "or train longer");
  const bool is_improving = r.initial_log_perplexity &&
                            *r.figures.log_perplexity < *r.initial_log_perplexity &&
                            !is_same(*r.figures.log_perplexity, *r.uniform_log_perplexity);
  return cat(figure, ", no better than a uniform guess over the vocabulary (",
             fixed(*r.uniform_log_perplexity, 4), "): the model did not learn; ",
             is_improving ? "raise optimizer.lr or train longer" : "lower optimizer.lr");
}

void write_run_result(const RunResult& result, const std::filesystem::path& path) {
  real_files().write_atomically(path, config::to_json(result));
}

RunResult read_run_result(const std::filesystem::path& path) {
  return config::from_json<RunResult>(read_file(path, kMaxBytes), path.string());
}

}  // namespace sluice::store
