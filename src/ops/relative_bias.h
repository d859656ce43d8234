// T5's relative position buckets, and the score bias indexed by them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "ops/parameters.h"

namespace sluice::ops {

struct BucketRule {
  std::int64_t num_buckets = 32;
  std::int64_t max_distance = 128;
  bool bidirectional = false;
};

// Raffel et al. 2020, section 2.1, as in the released code. With n = query − key: if bidirectional,
// keys to the right of the query (n < 0) use the upper half of the buckets, and n becomes |n|;
// otherwise they use bucket 0. Of the remaining buckets, the lower half (max_exact) hold one
// distance each. Distances n ≥ max_exact use bucket
//
//   max_exact + ⌊ln(n/max_exact) / ln(max_distance/max_exact) · (buckets − max_exact)⌋,
//
// clamped to the last bucket.
std::int64_t relative_bucket(std::int64_t query_minus_key, const BucketRule& rule);

// The buckets of all distances as one-hot columns, in the dtype and on the device of the table:
// entry [bucket, r] is 1 if distance r belongs to the bucket. Size [buckets,
// num_queries + num_keys − 1]. Computed on the host and copied to the device.
at::Tensor bucket_membership(const Weight& table, const BucketRule& rule, std::int64_t num_queries,
                             std::int64_t num_keys);

// table [heads, buckets] -> one value per head and distance, [heads, num_queries + num_keys − 1],
// in the dtype of the master weights. Column r is the distance key − query = r − (num_queries − 1).
// The table gradient is summed in a fixed order.
at::Tensor relative_bias(const Weight& table, const BucketRule& rule, std::int64_t num_queries,
                         std::int64_t num_keys);
// The same with membership_bR from bucket_membership; copies nothing to the device.
at::Tensor relative_bias(const Weight& table, const at::Tensor& membership_bR);

}  // namespace sluice::ops
