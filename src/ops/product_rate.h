// Matrix product throughput of this machine, the denominator of mfu (docs/metrics.md; also reported
// by `sluice doctor`).
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace sluice::ops {

// The product [rows, inner] x [inner, columns].
struct ProductSize {
  std::int64_t rows = 0, inner = 0, columns = 0;
  double flops() const {  // a multiply-add counts as two
    return 2.0 * static_cast<double>(rows) * static_cast<double>(inner) *
           static_cast<double>(columns);
  }
};
// What is measured: on a CPU [2048, 512] x [512, 1024], a typical shape of small models; on a GPU
// the product of two matrices of 4096 x 4096, which keeps all its multiprocessors busy.
ProductSize product_size(c10::Device device);
// "bf16 product [4096, 4096] x [4096, 4096]".
std::string describe_product(c10::ScalarType dtype, c10::Device device);

// FLOP/s of that product in `dtype`, with the current number of threads of a CPU. The best
// repetition within `seconds`; at least one after a warm-up. Draws no random numbers and leaves no
// memory reserved. A GPU runs products alone at a higher clock than within a step. nullopt if its
// free memory does not suffice.
std::optional<double> measure_product_rate(c10::ScalarType dtype, double seconds,
                                           c10::Device device = c10::kCPU);

// The measurement for any size and device. `synchronize` waits for the device; empty: products have
// finished when the call returns. With it, a repetition starts several products of at most 10 ms in
// total before it waits, so that the start of a product costs nothing.
struct ProductMeasurement {
  c10::ScalarType dtype;
  ProductSize size;
  double seconds = 0;
  c10::Device device = c10::kCPU;
  std::function<void()> synchronize{};
};
double measure_product_rate(const ProductMeasurement& measurement);

}  // namespace sluice::ops
