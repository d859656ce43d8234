// Shapes: B rows of the micro-batch, E elements per row.
#include "ops/dropout.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "base/error.h"
#include "base/random.h"
#include "ops/choose.h"
#include "ops/dropout_kernel.h"
#include "ops/gpu_dropout.h"

namespace sluice::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr std::int64_t kLow32 = 0xFFFFFFFF;
constexpr std::int64_t kGroupsPerTask = 64;

// One key per row of the batch, as [B, 1] int64.
at::Tensor row_keys(std::int64_t rows, std::uint64_t site, const Context& context) {
  const at::Tensor keys = at::empty({rows, 1}, at::kLong);
  for (std::int64_t b = 0; b < rows; ++b) {
    const auto sample = static_cast<std::uint64_t>(context.first_sample + b);
    keys.data_ptr<std::int64_t>()[b] = static_cast<std::int64_t>(
        random_key(context.seed, "dropout", {context.step, sample, site}));
  }
  return keys;
}

struct Words {
  at::Tensor high, low;
};

// 32 × 32 → 64 bits; int64 wraparound keeps the correct bits.
Words multiply(const at::Tensor& a, std::int64_t b) {
  const at::Tensor wide = a * b;
  return {at::bitwise_and(at::bitwise_right_shift(wide, 32), kLow32),
          at::bitwise_and(wide, kLow32)};
}

// Philox4x32-10 in tensor operations, [B, blocks, 4] words in int64; bit-identical to base/random.h
// on every device.
at::Tensor philox_words(const at::Tensor& keys_B1, std::int64_t blocks) {
  at::Tensor key0 = at::bitwise_and(keys_B1, kLow32),
             key1 = at::bitwise_and(at::bitwise_right_shift(keys_B1, 32), kLow32);
  const at::Tensor index = at::arange(blocks, keys_B1.options()).expand({keys_B1.size(0), blocks});
  at::Tensor c0 = at::bitwise_and(index, kLow32), c1 = at::bitwise_right_shift(index, 32),
             c2 = at::zeros_like(index), c3 = c2;
  for (int round = 0; round < 10; ++round) {
    const Words first = multiply(c0, 0xD2511F53), second = multiply(c2, 0xCD9E8D57);
    c0 = at::bitwise_xor(at::bitwise_xor(second.high, c1), key0);
    c2 = at::bitwise_xor(at::bitwise_xor(first.high, c3), key1);
    c1 = second.low;
    c3 = first.low;
    key0 = at::bitwise_and(key0 + 0x9E3779B9, kLow32);
    key1 = at::bitwise_and(key1 + 0xBB67AE85, kLow32);
  }
  return at::stack({c0, c1, c2, c3}, -1);
}

// Element e uses word (e mod 64) / 16 of block 16·(e / 64) + e mod 16.
at::Tensor reference_dropout(const at::Tensor& x, const at::Tensor& keys_B1,
                             const DropoutMask& mask) {
  const std::int64_t rows = x.size(0), elements = x.numel() / rows;
  const std::int64_t groups = (elements + DropoutGroup::kElements - 1) / DropoutGroup::kElements;
  const at::Tensor words = philox_words(keys_B1.to(x.device()), groups * DropoutGroup::kLanes);
  const at::Tensor in_order = words.view({rows, groups, DropoutGroup::kLanes, DropoutGroup::kWords})
                                  .transpose(2, 3)
                                  .reshape({rows, -1});
  const at::Tensor kept =
      in_order.narrow(1, 0, elements).ge(static_cast<std::int64_t>(mask.threshold)).view(x.sizes());
  return at::where(kept, x * mask.keep_scale, at::zeros({}, x.options()));
}

at::Tensor masked(const at::Tensor& x, const at::Tensor& keys_B1, const DropoutMask& mask) {
  const at::Tensor y = at::empty_like(x);
  const std::int64_t rows = x.size(0), elements = x.numel() / rows;
  const std::int64_t groups = (elements + DropoutGroup::kElements - 1) / DropoutGroup::kElements;
  const auto* keys = read<std::uint64_t>(keys_B1);
  with_stored_type(x.scalar_type(), [&](auto type) {
    using T = decltype(type);
    at::parallel_for(0, rows * groups, kGroupsPerTask, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t at = begin; at < end;) {
        const std::int64_t row = at / groups, group = at % groups,
                           stop = std::min(end, (row + 1) * groups) - row * groups;
        const std::int64_t first = group * DropoutGroup::kElements,
                           n = std::min(elements, stop * DropoutGroup::kElements) - first;
        run_kernel<DropoutKernel>(
            read<T>(x) + row * elements + first, write<T>(y) + row * elements + first,
            DropoutRow{keys[row], mask.threshold, static_cast<float>(mask.keep_scale), group, n});
        at += stop - group;
      }
    });
  });
  return y;
}

// Backward recomputes the mask from the keys, so no tensor of the size of x is saved.
struct FusedDropout : torch::autograd::Function<FusedDropout> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& keys_B1,
                            const DropoutMask& mask) {
    ctx->saved_data["keys"] = keys_B1;
    ctx->saved_data["threshold"] = static_cast<std::int64_t>(mask.threshold);
    ctx->saved_data["keep_scale"] = mask.keep_scale;
    return masked(x.contiguous(), keys_B1, mask);
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const DropoutMask mask{static_cast<std::uint32_t>(ctx->saved_data["threshold"].toInt()),
                           ctx->saved_data["keep_scale"].toDouble()};
    return {masked(gradients[0].contiguous(), ctx->saved_data["keys"].toTensor(), mask),
            at::Tensor(), at::Tensor()};
  }
};

}  // namespace

std::uint64_t dropout_site(std::string_view logical_name) { return random_key(0, logical_name); }

at::Tensor dropout(const at::Tensor& x, double probability, std::uint64_t site,
                   const Context& context) {
  invariant(probability >= 0 && probability < 1, "a dropout probability is in [0, 1)");
  if (!context.training || probability == 0 || x.numel() == 0) return x;
  const DropoutMask mask = dropout_mask(probability);
  if (gpu_for(x, context) != nullptr) return gpu_dropout(x, mask, site, context);
  const at::Tensor keys_B1 = row_keys(x.size(0), site, context);
  return use_cpu_kernels(x, context) ? FusedDropout::apply(x, keys_B1, mask)
                                     : reference_dropout(x, keys_B1, mask);
}

}  // namespace sluice::ops
