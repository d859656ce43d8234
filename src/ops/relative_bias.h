// T5's buckets of relative positions, and the bias of the scores that they index.
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

// Raffel et al. 2020, section 2.1, as released. With n = query − key: bidirectional halves the buckets, gives keys to the right of the query
// (n < 0) the upper half and goes on with |n|; causal sends them to bucket 0. Of the buckets that remain, the lower half hold one distance
// each; distances n ≥ max_exact = half go to max_exact + ⌊ln(n/max_exact)/ln(max_distance/max_exact)·(buckets − max_exact)⌋, at most the last.
std::int64_t relative_bucket(std::int64_t query_minus_key, const BucketRule& rule);

// table [heads, buckets] -> one number per head and distance, [heads, num_queries + num_keys − 1]: column r is that of
// key − query = r − (num_queries − 1). In the dtype of the master weights. The table's gradient is summed in a fixed order.
at::Tensor relative_bias(const Weight& table, const BucketRule& rule, std::int64_t num_queries, std::int64_t num_keys);

}  // namespace sluice::ops
