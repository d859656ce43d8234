#include "nn/t5_relative.h"

#include "base/text_format.h"

namespace sluice::nn {

void T5RelativeConfig::check(const T5RelativeConfig& c, config::Problems& problems) {
  if (c.max_distance <= c.num_buckets / 2)
    problems.add("max_distance", cat(c.max_distance),
                 cat("more than num_buckets / 2 = ", c.num_buckets / 2));
}

RelativeBias::RelativeBias(ops::Parameters& parameters, const std::string& prefix,
                           const T5RelativeConfig& config, std::int64_t num_heads,
                           bool bidirectional, const InitRule& init)
    : rule_{.num_buckets = config.num_buckets,
            .max_distance = config.max_distance,
            .bidirectional = bidirectional},
      table_(parameters.add({.name = prefix + ".weight",
                             .shape = {num_heads, config.num_buckets},
                             .init = init.relative_bias(num_heads, config.num_buckets)})) {}

at::Tensor RelativeBias::forward(std::int64_t length) const {
  return ops::relative_bias(*table_, membership(length));
}

at::Tensor RelativeBias::membership(std::int64_t length) const {
  constexpr std::size_t kMostKept = 4;
  const auto kept = memberships_.find(length);
  const bool is_kept = kept != memberships_.end();
  if (is_kept && kept->second.device() == table_->value.device()) return kept->second;
  at::Tensor made = ops::bucket_membership(*table_, rule_, length, length);
  if (is_kept || memberships_.size() < kMostKept) memberships_[length] = made;
  return made;
}

}  // namespace sluice::nn
