// Shapes: n hidden width, any leading dimensions.
#include "ops/glu.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/error.h"
#include "ops/activation_kernels.h"
#include "ops/choose.h"
#include "ops/gpu_activation.h"

namespace sluice::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr std::int64_t kElementsPerTask = 16384;

// bf16 is computed in fp32 and rounded once.
at::Tensor widened(const at::Tensor& x) {
  return x.scalar_type() == at::kBFloat16 ? x.to(at::kFloat) : x;
}

at::Tensor value_of(const Weight* scalars) {
  return scalars != nullptr ? scalars->value : at::Tensor();
}

at::Tensor reference_glu(const at::Tensor& ab, const Activation& f, const at::Tensor& scalars) {
  const std::int64_t n = ab.size(-1) / 2;
  const at::Tensor wide = widened(ab), b = wide.narrow(-1, n, n);
  return (f.reference(wide.narrow(-1, 0, n), scalars) * (f.factor != nullptr ? f.factor(b) : b))
      .to(ab.scalar_type());
}

const ActivationKernelsOf<float>& kernels_for(const ActivationKernels& kernels, float) {
  return kernels.f32;
}
const ActivationKernelsOf<Bf16>& kernels_for(const ActivationKernels& kernels, Bf16) {
  return kernels.bf16;
}

// `width`: elements per row of x; `n`: elements per row of the result (width / 2 if gated).
struct GluRows {
  std::int64_t rows, width, n;
  bool gated() const { return width != n; }
};

GluRows glu_rows_of(const at::Tensor& x, bool gated) {
  const std::int64_t width = x.size(-1);
  return {width == 0 ? 0 : x.numel() / width, width, gated ? width / 2 : width};
}

// Chunks depend on the shape only, so sums over a chunk do not depend on the number of threads.
std::int64_t rows_per_chunk(const GluRows& size) {
  return std::max<std::int64_t>(1, kElementsPerTask / std::max<std::int64_t>(1, size.width));
}

std::int64_t num_chunks(const GluRows& size) {
  return (size.rows + rows_per_chunk(size) - 1) / rows_per_chunk(size);
}

// body(chunk, first row, number of rows)
template <typename Body>
void for_chunks_of_rows(const GluRows& size, const Body& body) {
  const std::int64_t each = rows_per_chunk(size);
  at::parallel_for(0, num_chunks(size), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t chunk = begin; chunk < end; ++chunk)
      body(chunk, chunk * each, std::min(each, size.rows - chunk * each));
  });
}

std::vector<std::int64_t> result_shape(const at::Tensor& x, const GluRows& size) {
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.back() = size.n;
  return shape;
}

const float* values_or_null(const at::Tensor& scalars) {
  return scalars.defined() ? read<float>(scalars) : nullptr;
}

at::Tensor forward_pass(const at::Tensor& x, const Activation& f, const at::Tensor& scalars,
                        const GluRows& size) {
  const at::Tensor y = at::empty(result_shape(x, size), x.options());
  const ActivationScalars values{.values = values_or_null(scalars)};
  with_stored_type(x.scalar_type(), [&](auto type) {
    using T = decltype(type);
    const auto& kernels = kernels_for(*f.kernels, type);
    const auto kernel = size.gated() ? kernels.gated : kernels.plain;
    for_chunks_of_rows(size, [&](std::int64_t, std::int64_t first, std::int64_t rows) {
      kernel(read<T>(x) + first * size.width, write<T>(y) + first * size.n, rows, size.n, values);
    });
  });
  return y;
}

void add_scalar_gradients(const at::Tensor& scalars, const std::vector<double>& sums) {
  float* to = write<float>(gradient_of(scalars));
  const auto count = static_cast<std::size_t>(scalars.numel());
  std::vector<double> total(count, 0.0);
  for (std::size_t i = 0; i < sums.size(); ++i) total[i % count] += sums[i];
  for (std::size_t k = 0; k < count; ++k) to[k] += static_cast<float>(total[k]);
}

at::Tensor backward_pass(const at::Tensor& x, const at::Tensor& dy, const Activation& f,
                         const at::Tensor& scalars, const GluRows& size) {
  const at::Tensor dx = at::empty_like(x);
  const std::int64_t count = f.num_scalars();
  std::vector<double> sums(static_cast<std::size_t>(num_chunks(size) * count), 0.0);
  with_stored_type(x.scalar_type(), [&](auto type) {
    using T = decltype(type);
    const auto& kernels = kernels_for(*f.kernels, type);
    const auto kernel = size.gated() ? kernels.gated_backward : kernels.plain_backward;
    for_chunks_of_rows(size, [&](std::int64_t chunk, std::int64_t first, std::int64_t rows) {
      kernel(read<T>(x) + first * size.width, read<T>(dy) + first * size.n,
             write<T>(dx) + first * size.width, rows, size.n,
             {values_or_null(scalars), sums.data() + chunk * count});
    });
  });
  if (scalars.defined() && scalars.requires_grad()) add_scalar_gradients(scalars, sums);
  return dx;
}

// Backward recomputes the result from the input, so only the input is saved. `f` and `device`
// outlive the graph. The scalars are an input so that autograd reaches them; their gradients are
// written directly to the arena.
struct FusedActivation : torch::autograd::Function<FusedActivation> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& input,
                            const std::optional<at::Tensor>& maybe_scalars, const Activation& f,
                            bool gated, gpu::Device* device) {
    const at::Tensor x = input.contiguous(), scalars = maybe_scalars.value_or(at::Tensor());
    ctx->save_for_backward({x, scalars});
    ctx->saved_data["activation"] = reinterpret_cast<std::int64_t>(&f);
    ctx->saved_data["gated"] = gated;
    ctx->saved_data["device"] = reinterpret_cast<std::int64_t>(device);
    const GluRows size = glu_rows_of(x, gated);
    return device != nullptr ? GpuActivation{*device, f, gated, scalars}.forward(x)
                             : forward_pass(x, f, scalars, size);
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &scalars = saved[1], dy = gradients[0].contiguous();
    const auto& f = *reinterpret_cast<const Activation*>(ctx->saved_data["activation"].toInt());
    const bool gated = ctx->saved_data["gated"].toBool();
    auto* device = reinterpret_cast<gpu::Device*>(ctx->saved_data["device"].toInt());
    const at::Tensor dx =
        device != nullptr ? GpuActivation{*device, f, gated, scalars}.backward(x, dy, at::Tensor())
                          : backward_pass(x, dy, f, scalars, glu_rows_of(x, gated));
    return {dx, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

bool has_kernels(const at::Tensor& x, const Context& context) {
  return use_cpu_kernels(x, context) || gpu_for(x, context) != nullptr;
}

void check_scalars(const Activation& f, const at::Tensor& scalars) {
  invariant(f.scalars.empty() ? !scalars.defined()
                              : scalars.defined() && scalars.numel() == f.num_scalars(),
            "an activation receives its learned scalars");
}

}  // namespace

at::Tensor glu(const at::Tensor& ab, const Activation& f, const Context& context,
               const Weight* scalars) {
  invariant(ab.dim() > 0 && ab.size(-1) % 2 == 0 && !f.is_rowwise,
            "the input of a gated activation has an even last dimension");
  const at::Tensor values = value_of(scalars);
  check_scalars(f, values);
  return has_kernels(ab, context)
             ? FusedActivation::apply(ab, if_defined(values), f, true, context.gpu)
             : reference_glu(ab, f, values);
}

at::Tensor activate(const at::Tensor& a, const Activation& f, const Context& context,
                    const Weight* scalars) {
  invariant(a.dim() > 0, "the input of an activation has at least one dimension");
  const at::Tensor values = value_of(scalars);
  check_scalars(f, values);
  return has_kernels(a, context)
             ? FusedActivation::apply(a, if_defined(values), f, false, context.gpu)
             : f.reference(widened(a), values).to(a.scalar_type());
}

}  // namespace sluice::ops
