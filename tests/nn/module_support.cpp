#include "tests/nn/module_support.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

namespace sluice::nn::test {

void fill(ops::Parameters& parameters, const ops::test::Setting& setting, double scale) {
  parameters.allocate(setting.device, setting.dtype, /*with_gradients=*/true);
  const at::NoGradGuard no_grad;
  std::uint64_t seed = 100;
  for (const ops::Parameters::Named& parameter : parameters.named()) {
    parameter.value.copy_(ops::test::numbers(parameter.value.sizes().vec(), seed++, scale));
  }
  parameters.refresh_compute();
}

Array array_of(const at::Tensor& tensor) {
  const at::Tensor host = tensor.detach().to(at::kCPU, at::kDouble).contiguous();
  return Array(host.const_data_ptr<double>(), host.const_data_ptr<double>() + host.numel());
}

Arrays values_of(const ops::Parameters& parameters) {
  Arrays all;
  for (const ops::Parameters::Named& parameter : parameters.named())
    all[parameter.spec->name] = array_of(parameter.value);
  return all;
}

Arrays gradients_of(const ops::Parameters& parameters) {
  Arrays all;
  for (const ops::Parameters::Named& parameter : parameters.named())
    all[parameter.spec->name] = array_of(parameter.gradient);
  return all;
}

Arrays finite_difference_gradients(const std::function<double(const Arrays&)>& f,
                                   const Arrays& at) {
  constexpr double kStep = 1e-5;
  Arrays moved = at, gradient = at;
  for (auto& [name, elements] : moved) {
    for (std::size_t i = 0; i < elements.size(); ++i) {
      const double here = elements[i];
      elements[i] = here + kStep;
      const double above = f(moved);
      elements[i] = here - kStep;
      gradient[name][i] = (above - f(moved)) / (2 * kStep);
      elements[i] = here;
    }
  }
  return gradient;
}

void expect_close(const Array& got, const Array& want, double allowed, const std::string& what) {
  const auto tensor = [](const Array& a) { return at::tensor(a, at::kDouble); };
  ops::test::expect_close(tensor(got), tensor(want), allowed, what);
}

void expect_close(const Arrays& got, const Arrays& want, double allowed) {
  ASSERT_EQ(got.size(), want.size());
  for (const auto& [name, elements] : want) expect_close(got.at(name), elements, allowed, name);
}

Array product(const Array& x, const Array& w, const Array& bias, std::int64_t in) {
  const std::size_t width = static_cast<std::size_t>(in), rows = x.size() / width,
                    out = w.size() / width;
  Array y(rows * out);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t o = 0; o < out; ++o) {
      double sum = bias.empty() ? 0 : bias[o];
      for (std::size_t i = 0; i < width; ++i) sum += x[r * width + i] * w[o * width + i];
      y[r * out + o] = sum;
    }
  }
  return y;
}

}  // namespace sluice::nn::test
