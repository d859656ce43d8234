#include "ops/product_rate.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "base/clock.h"
#include "base/text_format.h"
#include "ops/cuda.h"
#include "ops/device_memory.h"
#include "ops/matrix_product.h"

namespace sluice::ops {
namespace {

constexpr int kMostProducts = 16;       // per repetition
constexpr double kRepetition_s = 0.01;  // aimed at

}  // namespace

ProductSize product_size(c10::Device device) {
  if (device.is_cpu()) return {.rows = 2048, .inner = 512, .columns = 1024};
  return {.rows = 4096, .inner = 4096, .columns = 4096};
}

std::string describe_product(c10::ScalarType dtype, c10::Device device) {
  const ProductSize size = product_size(device);
  return cat(dtype == c10::kBFloat16 ? "bf16" : "fp32", " product [", size.rows, ", ", size.inner,
             "] x [", size.inner, ", ", size.columns, "]");
}

double measure_product_rate(const ProductMeasurement& m) {
  const at::NoGradGuard no_grad;
  // Incommensurate waves: zeros and other simple data run faster than real data.
  const auto waves = [&](std::int64_t rows, std::int64_t columns, double frequency) {
    return at::arange(rows * columns, at::TensorOptions().dtype(at::kFloat).device(m.device))
        .mul_(frequency)
        .sin_()
        .view({rows, columns})
        .to(m.dtype);
  };
  const at::Tensor a = waves(m.size.rows, m.size.inner, 0.7),
                   b = waves(m.size.inner, m.size.columns, 1.3);
  const at::Tensor c = at::empty({m.size.rows, m.size.columns}, a.options());
  // Seconds per product.
  const auto time_of = [&](int num_products) {
    if (m.synchronize) m.synchronize();
    const double begin_s = monotonic_s();
    for (int i = 0; i < num_products; ++i) data_gradient(c, a, b);
    if (m.synchronize) m.synchronize();
    return (monotonic_s() - begin_s) / num_products;
  };
  const double end_s = monotonic_s() + m.seconds;
  time_of(1);  // loads the library
  const int num_products =
      m.synchronize ? static_cast<int>(std::clamp(kRepetition_s / std::max(time_of(1), 1e-9), 1.0,
                                                  static_cast<double>(kMostProducts)))
                    : 1;
  double best_s = 1e9;
  do {
    best_s = std::min(best_s, time_of(num_products));
  } while (monotonic_s() < end_s);
  return m.size.flops() / best_s;
}

std::optional<double> measure_product_rate(c10::ScalarType dtype, double seconds,
                                           c10::Device device) {
  ProductMeasurement measurement{
      .dtype = dtype, .size = product_size(device), .seconds = seconds, .device = device};
  if (device.is_cuda()) measurement.synchronize = [device] { synchronize(device); };
  std::optional<double> rate;
  try {
    rate = measure_product_rate(measurement);
  } catch (const std::exception& error) {
    if (device.is_cpu() || !find_out_of_memory(error)) throw;
  }
  release_cached_memory(device);
  return rate;
}

}  // namespace sluice::ops
