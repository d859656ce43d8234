#include "tests/optim/optim_support.h"

#include <ATen/ATen.h>

#include <string_view>

#include "base/hash.h"
#include "base/random.h"

namespace sluice::optim::test {

at::Tensor scalar(double value) { return at::full({}, value, at::kDouble); }

gpu::test::HostDevice& host_gpu() {
  static gpu::test::HostDevice device;
  return device;
}

Update update_of(double lr, double loss) {
  return {.lr = lr, .loss = scalar(loss), .device_lr = scalar(lr)};
}

std::vector<double> numbers(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().to(at::kDouble).flatten().contiguous();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

void set_gradients(ops::Parameters& parameters, std::uint64_t step, double scale) {
  for (const auto& parameter : parameters.named()) {
    const std::uint64_t key =
        random_key(step, "gradient", {hash_of(std::string_view(parameter.spec->name)).low});
    const at::Tensor flat = at::empty({parameter.spec->num_elements()}, at::kFloat);
    for (std::int64_t i = 0; i < flat.numel(); ++i)
      flat.data_ptr<float>()[i] =
          static_cast<float>(scale * random_normal(key, static_cast<std::uint64_t>(i)));
    at::Tensor gradient = parameter.gradient;
    gradient.copy_(flat.view(parameter.spec->shape));
  }
}

bool padding_is_zero(const ops::Parameters& parameters) {
  const at::Tensor padding = parameters.master().clone();
  for (const auto& parameter : parameters.named())
    padding.narrow(0, parameter.offset, parameter.spec->num_elements()).zero_();
  return padding.abs().max().item<float>() == 0.0f;
}

}  // namespace sluice::optim::test
