#include "store/checkpoint_space.h"

#include <algorithm>
#include <limits>

namespace sluice::store {

std::uint64_t checkpoints_at_once(const CheckpointConfig& config,
                                  std::optional<std::int64_t> num_steps) {
  const std::uint64_t kept =
      static_cast<std::uint64_t>(config.keep_last) + (config.keep_best ? 1 : 0) + 1;
  if (!num_steps) return kept;
  const std::int64_t every = config.every_steps;
  const std::int64_t saved = 1 + *num_steps / every + (*num_steps % every != 0 ? 1 : 0);
  return std::min(kept, static_cast<std::uint64_t>(saved));
}

std::uint64_t saturating_product(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? std::numeric_limits<std::uint64_t>::max()
                                                : product;
}

}  // namespace sluice::store
