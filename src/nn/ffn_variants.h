// The feed-forward variants. `gelu` and `geglu` use the tanh approximation, as in the paper's code;
// the exact variants end in _erf.
#pragma once

#include <cstdint>
#include <string_view>

#include "config/field.h"
#include "ops/activations.h"

namespace sluice::nn {

struct FfnVariant {
  std::string_view name;
  ops::Activation activation;
  bool gated = false;
  std::string_view summary;  // the formula on the reference page
  constexpr std::int64_t num_matrices() const { return gated ? 3 : 2; }
};

inline constexpr FfnVariant kFfnVariants[] = {
    {.name = "relu", .activation = ops::kRelu, .gated = false, .summary = "relu(xW) W2"},
    {.name = "gelu", .activation = ops::kGeluTanh, .gated = false, .summary = "gelu_tanh(xW) W2"},
    {.name = "swish", .activation = ops::kSwish, .gated = false, .summary = "swish(xW) W2"},
    {.name = "glu", .activation = ops::kSigmoid, .gated = true, .summary = "(sigmoid(xW) * xV) W2"},
    {.name = "bilinear", .activation = ops::kIdentity, .gated = true, .summary = "(xW * xV) W2"},
    {.name = "reglu", .activation = ops::kRelu, .gated = true, .summary = "(relu(xW) * xV) W2"},
    {.name = "geglu",
     .activation = ops::kGeluTanh,
     .gated = true,
     .summary = "(gelu_tanh(xW) * xV) W2"},
    {.name = "swiglu", .activation = ops::kSwish, .gated = true, .summary = "(swish(xW) * xV) W2"},
    {.name = "squared_relu",
     .activation = ops::kSquaredRelu,
     .gated = false,
     .summary = "relu(xW)^2 W2"},
    {.name = "squared_reglu",
     .activation = ops::kSquaredRelu,
     .gated = true,
     .summary = "(relu(xW)^2 * xV) W2"},
    {.name = "gelu_erf", .activation = ops::kGeluErf, .gated = false, .summary = "gelu_erf(xW) W2"},
    {.name = "geglu_erf",
     .activation = ops::kGeluErf,
     .gated = true,
     .summary = "(gelu_erf(xW) * xV) W2"},
};

using FfnName = config::RowOf<kFfnVariants>;

}  // namespace sluice::nn
