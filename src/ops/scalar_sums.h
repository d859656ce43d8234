// Sums of the gradients of learned scalars over blocks of 256 threads, for kernel texts: in a fixed
// order, so that they repeat.
#pragma once

#include "gpu/kernel.h"

namespace sluice::gpu {

// partial[k][block] = the sum over the block of own[k]. Called by all threads of the block.
template <int count>
inline void store_block_sums(const float (&own)[count], float* partial) {
  for (int k = 0; k < count; ++k) {
    const float sum = block_sum<256>(own[k]);
    if (thread() == 0) partial[i64(k) * blocks_x() + block_x()] = sum;
  }
}

// gradient[k] += the sum of partial[k][...], for k = block.
inline void add_block_sums(const float* partial, float* gradient, i64 num_partials) {
  double own = 0;
  for (i64 i = thread(); i < num_partials; i += 256) own += partial[block_x() * num_partials + i];
  const double sum = block_sum<256>(own);
  if (thread() == 0) gradient[block_x()] += float(sum);
}

}  // namespace sluice::gpu
