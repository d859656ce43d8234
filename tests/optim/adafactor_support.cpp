#include "tests/optim/adafactor_support.h"

#include <ATen/ATen.h>

namespace sluice::optim::test {

std::unique_ptr<ops::Parameters> some_parameters(at::ScalarType compute, at::Device device) {
  auto parameters = std::make_unique<ops::Parameters>();
  const auto normal = [](double std) {
    return ops::Init{.kind = ops::Init::Kind::kNormal, .std = std};
  };
  parameters->add({.name = "one", .shape = {1}, .init = normal(1)});
  parameters->add({.name = "vector", .shape = {7}, .init = normal(0.3)});
  parameters->add({.name = "scale", .shape = {300}, .init = {.kind = ops::Init::Kind::kOnes}});
  parameters->add({.name = "zeros", .shape = {3, 4}});
  parameters->add({.name = "small", .shape = {5, 7}, .init = normal(0.5)});
  parameters->add({.name = "almost", .shape = {127, 200}, .init = normal(0.02)});
  parameters->add({.name = "square", .shape = {128, 128}, .init = normal(0.1)});
  parameters->add({.name = "tall", .shape = {300, 128}, .init = normal(1)});
  parameters->add({.name = "wide", .shape = {130, 261}, .init = normal(0.05)});
  parameters->add({{.name = "q", .shape = {128, 128}, .init = normal(0.01)},
                   {.name = "k", .shape = {128, 128}, .init = normal(3)},
                   {.name = "v", .shape = {128, 128}, .init = normal(0.3)}},
                  100);
  parameters->allocate(device, compute, true);
  parameters->initialize(3);
  return parameters;
}

std::vector<AdafactorCase> adafactor_cases() {
  const AdafactorConfig clipped{.decay_rate = 0.6, .clip_update = 0.5, .clip_norm = 2},
      free{.clip_update = 0, .eps = 1e-7, .min_scale = 0.2};
  return {{"Fused", cpu_form(), {}},
          {"Reference", reference_form(), {}},
          {"HostGpu", gpu_form(), {}},
          {"FusedClipped", cpu_form(), clipped},
          {"ReferenceClipped", reference_form(), clipped},
          {"HostGpuClipped", gpu_form(), clipped},
          {"FusedFree", cpu_form(), free},
          {"ReferenceFree", reference_form(), free},
          {"HostGpuFree", gpu_form(), free}};
}

}  // namespace sluice::optim::test
