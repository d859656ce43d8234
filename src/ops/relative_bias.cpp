// Shapes: H heads, b buckets, R distances.
#include "ops/relative_bias.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "ops/portable.h"

namespace sluice::ops {
std::int64_t relative_bucket(std::int64_t query_minus_key, const BucketRule& rule) {
  const std::int64_t buckets = rule.bidirectional ? rule.num_buckets / 2 : rule.num_buckets;
  const std::int64_t first = rule.bidirectional && query_minus_key < 0 ? buckets : 0;
  const std::int64_t n =
      rule.bidirectional ? std::abs(query_minus_key) : std::max<std::int64_t>(query_minus_key, 0);
  const std::int64_t max_exact = buckets / 2;
  if (n < max_exact) return first + n;
  // The order of operations matters: with a precomputed (buckets − max_exact)/ln(max_distance/
  // max_exact), n = 64 rounds down to the previous bucket.
  const double share =
      std::log(static_cast<double>(n) / static_cast<double>(max_exact)) /
      std::log(static_cast<double>(rule.max_distance) / static_cast<double>(max_exact));
  const auto beyond = static_cast<std::int64_t>(share * static_cast<double>(buckets - max_exact));
  return first + std::min(max_exact + beyond, buckets - 1);
}

at::Tensor bucket_membership(const Weight& table, const BucketRule& rule, std::int64_t num_queries,
                             std::int64_t num_keys) {
  invariant(num_queries > 0 && num_keys > 0,
            "a relative bias needs at least one query and one key");
  const std::int64_t R = num_queries + num_keys - 1;
  const at::Tensor host_bR = at::zeros({rule.num_buckets, R}, at::kFloat);
  float* member = host_bR.data_ptr<float>();
  for (std::int64_t r = 0; r < R; ++r)
    member[relative_bucket(num_queries - 1 - r, rule) * R + r] = 1;
  return host_bR.to(table.value.options().requires_grad(false));
}

// A product with a 0/1 matrix: exact, and backward sums each bucket in a fixed order on any device.
at::Tensor relative_bias(const Weight& table, const at::Tensor& membership_bR) {
  invariant(table.value.dim() == 2 && table.value.size(1) == membership_bR.size(0),
            "a relative position table has one column per bucket");
  return portable_matmul(table.value, membership_bR);
}

at::Tensor relative_bias(const Weight& table, const BucketRule& rule, std::int64_t num_queries,
                         std::int64_t num_keys) {
  return relative_bias(table, bucket_membership(table, rule, num_queries, num_keys));
}

}  // namespace sluice::ops
