#include "ops/ordered_product.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "ops/choose.h"
#include "ops/tile_kernels.h"

namespace sluice::ops {
namespace {

// A block of A, 256 KiB, stays in the L2 cache while the columns of B pass, kPanel at a time.
constexpr std::int64_t kBlockK = 256, kLargestBlock = 256, kSmallestBlock = 64, kPanel = 16;

struct Operand {
  const float* data;
  std::int64_t row_stride, column_stride;
  const float* at(std::int64_t row, std::int64_t column) const {
    return data + row * row_stride + column * column_stride;
  }
};
Operand operand(const at::Tensor& x) { return {read<float>(x), x.stride(0), x.stride(1)}; }

std::int64_t blocks(std::int64_t n, std::int64_t size) { return (n + size - 1) / size; }

// to [rows, columns], rows `stride` apart. A transposed `from` is read along its columns, sixteen
// at a time, whose cache lines stay in L1.
void copy_block(const Operand& from, std::int64_t rows, std::int64_t columns, float* to,
                std::int64_t stride) {
  if (from.column_stride == 1) {
    for (std::int64_t r = 0; r < rows; ++r) std::copy_n(from.at(r, 0), columns, to + r * stride);
    return;
  }
  constexpr std::int64_t kTogether = 16;
  for (std::int64_t c0 = 0; c0 < columns; c0 += kTogether)
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = c0; c < std::min(c0 + kTogether, columns); ++c)
        to[r * stride + c] = *from.at(r, c);
}

// Computes blocks of C on one thread.
class Worker {
 public:
  Worker(const Operand& a, const Operand& b, std::int64_t K, bool add)
      : a_(a), b_(b), K_(K), add_(add) {}

  // c [M, N] at row m and column n of the product.
  void block(std::int64_t m, std::int64_t n, std::int64_t M, std::int64_t N, float* c,
             std::int64_t stride_c) {
    const TileKernel multiply = tile_kernel();
    for (std::int64_t k = 0; k < K_; k += kBlockK) {
      const std::int64_t K = std::min(kBlockK, K_ - k);
      const auto [a, stride_a] = rows_of_a(m, k, M, K);
      for (std::int64_t first = 0; first < N; first += kPanel) {
        const std::int64_t columns = std::min(kPanel, N - first);
        packed_b_.resize(static_cast<std::size_t>(K * columns));
        copy_block({b_.at(k, n + first), b_.row_stride, b_.column_stride}, K, columns,
                   packed_b_.data(), columns);
        multiply({M, columns, K, stride_a, columns, stride_c}, a, packed_b_.data(), c + first,
                 add_ || k > 0);
      }
    }
  }

 private:
  struct Rows {
    const float* data;
    std::int64_t stride;
  };
  Rows rows_of_a(std::int64_t m, std::int64_t k, std::int64_t M, std::int64_t K) {
    if (a_.column_stride == 1) return {a_.at(m, k), a_.row_stride};
    packed_a_.resize(static_cast<std::size_t>(M * K));
    copy_block({a_.at(m, k), a_.row_stride, a_.column_stride}, M, K, packed_a_.data(), K);
    return {packed_a_.data(), K};
  }

  Operand a_, b_;
  std::int64_t K_;
  bool add_;
  std::vector<float> packed_a_, packed_b_;
};

}  // namespace

void ordered_product(const at::Tensor& c_MN, const at::Tensor& a_MK, const at::Tensor& b_KN,
                     bool add) {
  invariant(c_MN.stride(1) == 1 || c_MN.size(1) <= 1, "the elements of a row of c are adjacent");
  for (const at::Tensor& x : {c_MN, a_MK, b_KN})
    invariant(x.is_cpu() && x.scalar_type() == at::kFloat && x.dim() == 2,
              "operands are fp32 matrices of a CPU");
  invariant(
      a_MK.size(1) == b_KN.size(0) && c_MN.size(0) == a_MK.size(0) && c_MN.size(1) == b_KN.size(1),
      "a product of [M, K] and [K, N] is [M, N]");

  const std::int64_t M = c_MN.size(0), N = c_MN.size(1), K = a_MK.size(1),
                     stride_c = c_MN.stride(0);
  std::int64_t rows = kLargestBlock, columns = kLargestBlock;
  while (blocks(M, rows) * blocks(N, columns) < 2 * at::get_num_threads() &&
         std::max(rows, columns) > kSmallestBlock) {
    const bool is_wide = columns > kSmallestBlock && std::min(columns, N) > std::min(rows, M);
    (is_wide || rows == kSmallestBlock ? columns : rows) /= 2;
  }
  const std::int64_t across = blocks(N, columns);
  auto* c = write<float>(c_MN);
  at::parallel_for(0, blocks(M, rows) * across, 1, [&](std::int64_t begin, std::int64_t end) {
    Worker worker(operand(a_MK), operand(b_KN), K, add);
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t m = i / across * rows, n = i % across * columns;
      worker.block(m, n, std::min(rows, M - m), std::min(columns, N - n), c + m * stride_c + n,
                   stride_c);
    }
  });
}

}  // namespace sluice::ops
