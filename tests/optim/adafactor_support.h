// Parameters and configurations shared by the Adafactor tests.
#pragma once

#include <memory>
#include <vector>

#include "ops/parameters.h"
#include "optim/optimizer_config.h"
#include "tests/optim/optim_support.h"

namespace sluice::optim::test {

// Vectors, matrices on both sides of the limit of 128, tall and wide ones of several pieces, zero
// weights, and a slot of three matrices of very different magnitude with padded rows.
std::unique_ptr<ops::Parameters> some_parameters(at::ScalarType compute = at::kFloat,
                                                 at::Device device = at::kCPU);

struct AdafactorCase {
  const char* name;
  FormUnderTest form;
  AdafactorConfig config;
};
std::vector<AdafactorCase> adafactor_cases();

}  // namespace sluice::optim::test
