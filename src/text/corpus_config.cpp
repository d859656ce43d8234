#include "text/corpus_config.h"

#include <cmath>

#include "base/text_format.h"

namespace sluice::text {

namespace {
constexpr std::int64_t kMinLineLimit = 64;
constexpr std::int64_t kMaxLineLimit = std::int64_t{1} << 30;  // a line is held in memory
}  // namespace

void CorpusConfig::check(const CorpusConfig& c, config::Problems& problems) {
  if (c.train.empty()) problems.add("train", "[]", "at least one file, directory or glob");
  if (c.holdout >= 1 && c.holdout != std::floor(c.holdout)) {
    problems.add("holdout", shortest(c.holdout),
                 "a fraction below 1, or a whole number of documents");
  }
  const bool whole_holdout = c.valid.empty() && c.holdout >= 1;
  if (whole_holdout && c.tune_holdout > 0) {
    problems.add("tune_holdout", shortest(c.tune_holdout), "0, or a fraction as `holdout`");
  } else if (c.tune_holdout + (c.valid.empty() ? c.holdout : 0) >= 1 && c.tune_holdout > 0) {
    problems.add("tune_holdout", shortest(c.tune_holdout),
                 "a fraction small enough to leave training text");
  }
  if (c.max_line.count < kMinLineLimit || c.max_line.count > kMaxLineLimit) {
    problems.add("max_line", cat(c.max_line.count),
                 cat("between ", kMinLineLimit, " bytes and ", human_bytes(kMaxLineLimit)));
  }
}

}  // namespace sluice::text
