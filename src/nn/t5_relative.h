// T5's relative positions (Raffel et al. 2020, section 2.1): a learned score bias per head and
// distance bucket.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "config/field.h"
#include "nn/init.h"
#include "ops/parameters.h"
#include "ops/relative_bias.h"

namespace sluice::nn {

struct T5RelativeConfig {
  static constexpr std::string_view kind = "t5_relative";
  std::int64_t num_buckets = 32;
  std::int64_t max_distance = 128;
  static constexpr auto fields() {
    using config::field;
    using C = T5RelativeConfig;
    return std::tuple{
        field<&C::num_buckets>(
            "Distance buckets. The encoder uses half of them for keys to the right "
            "of the query.",
            config::Between{4, 65536}, config::MultipleOf{2}),
        field<&C::max_distance>("Distances from this value on share the last bucket. Must exceed "
                                "num_buckets / 2, below which each distance has one bucket.",
                                config::Between{2, 16777216})};
  }
  static void check(const T5RelativeConfig& c, config::Problems& problems);
};

// One table per stack, shared by its layers. Logical name PREFIX.weight, [heads, buckets].
class RelativeBias {
 public:
  // `bidirectional`: true for the encoder.
  RelativeBias(ops::Parameters& parameters, const std::string& prefix,
               const T5RelativeConfig& config, std::int64_t num_heads, bool bidirectional,
               const InitRule& init);
  // The bias for `length` queries and keys, [heads, 2·length − 1], in the master weights' dtype.
  at::Tensor forward(std::int64_t length) const;

 private:
  // ops::bucket_membership for `length` queries and keys.
  at::Tensor membership(std::int64_t length) const;

  ops::BucketRule rule_;
  const ops::Weight* table_;
  // By length, for the table's device: copied at the first forward pass, never changed or freed
  // (a recorded CUDA graph may read them). Generation uses many lengths, so only a few are kept.
  mutable std::map<std::int64_t, at::Tensor> memberships_;
};

}  // namespace sluice::nn
