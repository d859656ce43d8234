// A small program for tests of this module.
#pragma once

#include <array>
#include <vector>

#include "gpu/device.h"

namespace sluice::gpu::test {

std::span<const Text> language_texts();  // generated

inline std::span<const Text> test_texts() {
  static const std::vector<Text> texts = [] {
    std::vector<Text> all(language_texts().begin(), language_texts().end());
    all.push_back({"test/main.cu", R"(
#include "gpu/kernel.h"
#include "settings.h"
using namespace sluice::gpu;
// y = factor x + shift
KERNEL(scale, 128, const float* x, float* y, i64 n, float factor) {
  const i64 i = i64(block_x()) * 128 + thread();
  if (i < n) y[i] = factor * x[i] + shift;
}
// One sum per block.
KERNEL(sums, 64, const float* x, float* y, i64 n) {
  const i64 i = i64(block_x()) * 64 + thread();
  const float sum = block_sum<64>(i < n ? x[i] : 0.0f), twice = block_sum<64>(2 * sum / 64);
  if (thread() == 0) y[block_x()] = sum + twice;
}
KERNEL(roundings, 32, const float* x, bf16* y, float* z) {
  store(y + thread(), x[thread()]);
  z[thread()] = load(y + thread());
}
// Wrong: reads what another thread may not have written yet.
KERNEL(race, 64, float* y) {
  SHARED float shared[64];
  shared[thread()] = -1;
  sync();
  shared[thread()] = float(thread());
  y[thread()] = shared[63 - thread()];
}
// Wrong: half of the block does not arrive.
KERNEL(divergent, 64, float* y) {
  if (thread() < 32) sync();
  else y[thread()] = warp_sum(1.0f);
  if (thread() >= 40) y[0] = shuffle_xor(1.0f, 1);
}
// c [16, 8] = a [16, 16] b [8, 16] transposed, by way of shared memory, where rows of a and b have
// 32 bytes. The last `missing` rows of b count as zeros.
KERNEL(matrices, 32, const bf16* a, const bf16* b, float* c, i64 missing) {
  const SharedAddress at = shared_address(dynamic_shared());
  const int lane = thread();
  copy_16(at + lane * 16, a + lane * 8, true);
  end_group_of_copies();
  if (lane < 16) copy_16(at + 512 + lane * 16, b + lane * 8, lane / 2 < 8 - missing);
  end_group_of_copies();
  wait_for_copies<1>();
  sync();
  u32 x[4], y[4];
  load_matrices(x, at + lane % 16 * 32 + lane / 16 * 16);
  wait_for_copies<0>();
  sync();
  load_matrices(y, at + 512 + lane % 8 * 32 + lane / 8 % 2 * 16);
  float sum[4] = {1, 1, 1, 1};
  multiply_add(sum, x, y[0], y[1]);
  for (int e = 0; e < 4; ++e) c[(lane / 4 + e / 2 * 8) * 8 + lane % 4 * 2 + e % 2] = sum[e];
}
KERNEL(positions, 32, float* y, double offset) {
  const int at = (block_z() * 2 + block_y()) * blocks_x() + block_x();
  if (thread() == 0) y[at] = float(offset) + 100 * block_z() + 10 * block_y() + block_x();
}
)"});
    return all;
  }();
  return texts;
}
inline constexpr Program kTestProgram{"test/main.cu", &test_texts};

inline Kernel test_kernel(const char* entry, const char* settings = "constexpr float shift = 1;") {
  return {&kTestProgram, settings, entry};
}

}  // namespace sluice::gpu::test
