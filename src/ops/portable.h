// Portable arithmetic (`train.reproducible: portable`): training on a CPU has the same bits on
// every processor with AVX2 and FMA and with any number of threads.
//
// What otherwise depends on them, and what takes its place:
// - Kernels of Sluice are compiled for several instruction sets, which group sums differently: all
//   use AVX2 (base/machine.h).
// - LibTorch's elementwise kernels too: ATEN_CPU_CAPABILITY=avx2.
// - Products of MKL and oneDNN, whose order of summation depends on processor, threads and shapes:
//   ops/ordered_product.h.
// - LibTorch's sums and gradients of softmax, in which the order depends on the number of threads:
//   the functions below.
#pragma once

#include <ATen/core/Tensor.h>

namespace sluice::ops {

// Turns portable arithmetic on or off for the process. It must be on before the first computation
// of LibTorch, which chooses its kernels then. kUsage on a processor without AVX2 and FMA.
void use_portable_arithmetic(bool on);
// Whether computations on x follow its rules: it is on, and x is in host memory and not float64,
// which only gradient checks use.
bool is_portable(const at::Tensor& x);

// The sum of all elements of float64 x as a scalar: x.sum(), in order in portable arithmetic.
at::Tensor ordered_sum(const at::Tensor& x);

// The sums of the columns of x [N, O], fp32 or bf16, as fp32: x.sum(0), in the order of the rows in
// portable arithmetic.
at::Tensor ordered_column_sums(const at::Tensor& x_NO);

// The softmax of each row (last dimension) of fp32 x: at::softmax(x, -1), with its gradient; the
// sums of a row are in order in portable arithmetic.
at::Tensor portable_softmax(const at::Tensor& x);

// a · b for batches of matrices, [..., M, K] and [..., K, N] with batch dimensions that broadcast:
// at::matmul(a, b), with its gradients, by ordered products in portable arithmetic.
at::Tensor portable_matmul(const at::Tensor& a, const at::Tensor& b);

}  // namespace sluice::ops
