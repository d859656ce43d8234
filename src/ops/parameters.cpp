#include "ops/parameters.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "base/hash.h"
#include "base/pages.h"
#include "base/random.h"

namespace sluice::ops {
namespace {

// Elements between slot boundaries: 64 bytes in bf16, 128 in fp32.
constexpr std::int64_t kAlignment = 32;

std::int64_t round_up(std::int64_t n, std::int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

std::int64_t product(const std::vector<std::int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

// A tensor over part of a flat buffer. It is not an autograd view: each slot is a leaf with a
// separate version counter.
at::Tensor slot_tensor(const at::Tensor& buffer, std::int64_t offset,
                       const std::vector<std::int64_t>& shape) {
  std::vector<std::int64_t> strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return at::empty({0}, buffer.options()).set_(buffer.storage(), offset, shape, strides);
}

at::Tensor zeros_on_demand(std::int64_t n, const at::TensorOptions& options) {
  const std::shared_ptr<std::byte> pages =
      zero_pages(static_cast<std::size_t>(n) * options.dtype().itemsize());
  return at::from_blob(
      pages.get(), {n}, [pages](void*) {}, options);
}

std::vector<std::int64_t> stacked_shape(const std::vector<ParameterSpec>& parts,
                                        std::int64_t row_multiple) {
  std::vector<std::int64_t> shape = parts.front().shape;
  invariant(!shape.empty(), "a parameter has at least one dimension");
  shape[0] = 0;
  for (const ParameterSpec& part : parts) {
    invariant(part.num_elements() > 0, "a parameter has elements");
    invariant(part.shape.size() == shape.size() &&
                  std::equal(shape.begin() + 1, shape.end(), part.shape.begin() + 1),
              "parameters in one slot differ only in their first dimension");
    shape[0] += part.shape[0];
  }
  shape[0] = round_up(shape[0], row_multiple);
  return shape;
}

// Element i of a parameter. Redraws of a truncated normal use stream positions above 2^40.
double draw(std::uint64_t key, std::uint64_t i, const Init& init) {
  if (init.kind == Init::Kind::kUniform) return init.limit * (2.0 * random_uniform(key, i) - 1.0);
  double value = random_normal(key, i);
  if (init.kind == Init::Kind::kTruncatedNormal) {
    for (std::uint64_t attempt = 1; std::abs(value) > init.limit; ++attempt)
      value = random_normal(key, attempt << 40 | i);
  }
  return init.std * value;
}

std::optional<double> constant_of(const Init& init) {
  switch (init.kind) {
    case Init::Kind::kZeros:
      return 0.0;
    case Init::Kind::kOnes:
      return 1.0;
    case Init::Kind::kConstant:
      return init.value;
    default:
      return std::nullopt;
  }
}

// Elements from `first` on.
void fill_random(const at::Tensor& host, std::uint64_t key, const Init& init, std::int64_t first) {
  invariant(init.kind != Init::Kind::kTruncatedNormal || init.limit > 0,
            "a truncated normal distribution has a limit");
  float* values = host.data_ptr<float>();
  at::parallel_for(0, host.numel(), 4096, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      values[i] = static_cast<float>(draw(key, static_cast<std::uint64_t>(first + i), init));
  });
}

}  // namespace

std::int64_t ParameterSpec::num_elements() const { return product(shape); }

ArenaRange intersection(const ArenaRange& a, const ArenaRange& b) {
  const std::int64_t begin = std::max(a.begin, b.begin);
  return {begin, std::max(begin, std::min(a.end, b.end))};
}

std::vector<ArenaRange> joined(std::vector<ArenaRange> ranges) {
  std::erase_if(ranges, [](const ArenaRange& range) { return range.size() == 0; });
  std::sort(ranges.begin(), ranges.end(),
            [](const ArenaRange& a, const ArenaRange& b) { return a.begin < b.begin; });
  std::vector<ArenaRange> all;
  for (const ArenaRange& range : ranges) {
    invariant(all.empty() || all.back().end <= range.begin, "the ranges are disjoint");
    if (!all.empty() && all.back().end == range.begin)
      all.back().end = range.end;
    else
      all.push_back(range);
  }
  return all;
}

std::vector<ArenaRange> common(const std::vector<ArenaRange>& a, const std::vector<ArenaRange>& b) {
  std::vector<ArenaRange> all;
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    const ArenaRange both = intersection(a[i], b[j]);
    if (both.size() > 0) all.push_back(both);
    a[i].end < b[j].end ? ++i : ++j;
  }
  return all;
}

std::int64_t num_elements(const std::vector<ArenaRange>& ranges) {
  std::int64_t sum = 0;
  for (const ArenaRange& range : ranges) sum += range.size();
  return sum;
}

bool contains(const std::vector<ArenaRange>& ranges, std::int64_t element) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const ArenaRange& range) { return range.contains(element); });
}

std::int64_t place_in(const std::vector<ArenaRange>& ranges, std::int64_t element) {
  std::int64_t place = 0;
  for (const ArenaRange& range : ranges) {
    if (range.contains(element)) return place + element - range.begin;
    place += range.size();
  }
  invariant(false, "place_in: an element of the ranges");
  return 0;
}

std::vector<ArenaRange> rest_of(std::int64_t arena_elements, std::vector<ArenaRange> ranges) {
  std::vector<ArenaRange> rest;
  std::int64_t begin = 0;
  for (const ArenaRange& range : joined(std::move(ranges))) {
    rest.push_back({begin, range.begin});
    begin = range.end;
  }
  rest.push_back({begin, arena_elements});
  return joined(std::move(rest));
}

const Weight* Parameters::add(std::vector<ParameterSpec> parts, std::int64_t row_multiple) {
  invariant(!master_.defined(), "parameters are declared before they are allocated");
  invariant(!parts.empty() && row_multiple > 0, "a slot holds at least one parameter");
  Slot slot;
  slot.shape = stacked_shape(parts, row_multiple);
  slot.parts = std::move(parts);
  slot.offset = arena_elements();
  return &slots_.emplace_back(std::move(slot)).weight;
}

std::int64_t Parameters::num_parameters() const {
  std::int64_t sum = 0;
  for (const ParameterSpec* spec : specs()) sum += spec->num_elements();
  return sum;
}

std::vector<const ParameterSpec*> Parameters::specs() const {
  std::vector<const ParameterSpec*> all;
  for (const Slot& slot : slots_)
    for (const ParameterSpec& part : slot.parts) all.push_back(&part);
  return all;
}

std::int64_t Parameters::arena_elements() const {
  if (slots_.empty()) return 0;
  return round_up(slots_.back().offset + product(slots_.back().shape), kAlignment);
}

void Parameters::allocate(at::Device device, at::ScalarType compute, bool with_gradients,
                          bool on_demand) {
  invariant(!master_.defined(), "parameters are allocated once");
  invariant(compute == at::kFloat || compute == at::kBFloat16, "the compute dtype is fp32 or bf16");
  invariant(!on_demand || device.is_cpu(), "memory on demand is host memory");
  const at::TensorOptions options = at::TensorOptions().device(device).dtype(at::kFloat);
  const auto zeros = [&](at::ScalarType type) {
    return on_demand ? zeros_on_demand(arena_elements(), options.dtype(type))
                     : at::zeros({arena_elements()}, options.dtype(type));
  };
  master_ = zeros(at::kFloat);
  compute_ = compute == at::kFloat ? master_ : zeros(compute);
  if (with_gradients) gradient_ = zeros(at::kFloat);
  for (Slot& slot : slots_) {
    slot.weight.value = slot_tensor(master_, slot.offset, slot.shape);
    slot.weight.compute =
        compute == at::kFloat ? slot.weight.value : slot_tensor(compute_, slot.offset, slot.shape);
    if (!with_gradients) continue;
    slot.weight.value.set_requires_grad(true);
    slot.weight.value.mutable_grad() = slot_tensor(gradient_, slot.offset, slot.shape);
  }
}

void Parameters::initialize(std::uint64_t seed, const std::vector<ArenaRange>& ranges) {
  const at::NoGradGuard no_grad;
  for (const auto& [spec, offset] : declared())
    for (const ArenaRange& range : ranges) {
      const ArenaRange part = intersection(range, {offset, offset + spec->num_elements()});
      if (part.size() == 0) continue;
      const at::Tensor values = master_.narrow(0, part.begin, part.size());
      if (const std::optional<double> value = constant_of(spec->init)) {
        values.fill_(*value);
        continue;
      }
      const Hash128 name = hash_of(std::string_view(spec->name));
      const at::Tensor host = at::empty({part.size()}, at::kFloat);
      fill_random(host, random_key(seed, "init", {name.high, name.low}), spec->init,
                  part.begin - offset);
      values.copy_(host);
    }
  refresh_compute(ranges);
}

void Parameters::refresh_compute(const std::vector<ArenaRange>& ranges) {
  const at::NoGradGuard no_grad;
  if (compute_.scalar_type() == master_.scalar_type()) return;
  for (const ArenaRange& range : ranges)
    compute_.narrow(0, range.begin, range.size())
        .copy_(master_.narrow(0, range.begin, range.size()));
}

std::vector<Parameters::Declared> Parameters::declared() const {
  std::vector<Declared> all;
  for (const Slot& slot : slots_) {
    std::int64_t offset = slot.offset;
    for (const ParameterSpec& part : slot.parts) {
      all.push_back({&part, offset});
      offset += part.num_elements();
    }
  }
  return all;
}

std::vector<Parameters::Named> Parameters::named() const {
  invariant(master_.defined(), "parameters are allocated before they are used");
  std::vector<Named> all;
  for (const auto& [spec, offset] : declared()) {
    const at::Tensor gradient =
        gradient_.defined() ? slot_tensor(gradient_, offset, spec->shape) : at::Tensor();
    all.push_back({spec, slot_tensor(master_, offset, spec->shape), gradient, offset});
  }
  return all;
}

}  // namespace sluice::ops
