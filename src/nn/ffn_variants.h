// The feed-forward variants. `gelu` and `geglu` use the tanh approximation, as in the paper's code;
// the exact variants end in _erf. Sources of the functions: ops/activation_functions.h.
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
    {.name = "drelu",
     .activation = ops::kDoubleRelu,
     .gated = true,
     .summary = "(relu(xW) * relu(xV)) W2"},
    {.name = "swiglu_clamped",
     .activation = ops::kClampedSwish,
     .gated = true,
     .summary =
         "(g * sigmoid(1.702 g) * (clamp(xV, -7, 7) + 1)) W2, g = min(xW, 7), as in gpt-oss"},
    {.name = "swish_beta",
     .activation = ops::kSwishBeta,
     .gated = false,
     .summary = "(xW * sigmoid(beta xW)) W2, beta learned per layer, initially 1"},
    {.name = "swiglu_beta",
     .activation = ops::kSwishBeta,
     .gated = true,
     .summary = "(xW * sigmoid(beta xW) * xV) W2, beta learned per layer, initially 1"},
    {.name = "xielu",
     .activation = ops::kXielu,
     .gated = false,
     .summary = "h W2, with a = xW: h = alpha_p a^2 + a/2 if a > 0, else alpha_n (e^a - 1 - a) + "
                "a/2; alpha_p, alpha_n learned per layer, initially 0.8"},
    {.name = "polynorm",
     .activation = ops::kPolyNorm,
     .gated = false,
     .summary = "(w0 n(a^3) + w1 n(a^2) + w2 n(a) + b) W2, a = xW, n(z) = z / rms(z) over d_ff; "
                "w0, w1, w2, b learned per layer, initially 1/3 and 0"},
};

using FfnName = config::RowOf<kFfnVariants>;

}  // namespace sluice::nn
