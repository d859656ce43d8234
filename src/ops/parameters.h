// Trainable parameters, created in two phases. Modules declare names and shapes (so `plan` needs no
// memory); allocate() then places everything in one arena: a flat fp32 master buffer, a flat fp32
// gradient buffer and, in bf16, a flat compute copy. Slots are aligned to 64 bytes and gaps stay
// zero, so one kernel can update, clip, save or average all parameters.
//
// A slot may hold several logical matrices stacked by rows (q, k, v; w and v of a gated layer), so
// that one matrix product computes them all. Initial values, optimizer statistics and checkpoints
// are keyed by logical name.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace sluice::ops {

// A stored tensor as used by the ops.
struct Weight {
  // fp32 leaf; with gradients, it requires grad and value.grad() is a view of the gradient buffer
  at::Tensor value;
  at::Tensor compute;  // operand of matrix products: `value` in fp32, otherwise its bf16 copy
  bool defined() const { return value.defined(); }
};

struct Init {
  enum class Kind {
    kZeros,
    kOnes,
    kNormal,
    kTruncatedNormal,
    kUniform,
    kConstant
  } kind = Kind::kZeros;
  double std = 0;  // of the normal distributions, before truncation
  // kTruncatedNormal: values beyond limit · std are redrawn; kUniform: values are in ± limit
  double limit = 0;
  double value = 0;  // kConstant
};

struct ParameterSpec {
  std::string name;                 // logical name: "blocks.3.ffn.w.weight"
  std::vector<std::int64_t> shape;  // [out, in] for matrices, [n] for vectors
  Init init = {};
  bool decay = false;  // weight decay applies (matrices only)
  // Fused passes read the compute copy only, as an operand of matrix products.
  bool is_operand = false;
  std::int64_t num_elements() const;
};

// Elements begin to end - 1 of the flat buffers.
struct ArenaRange {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
  bool contains(std::int64_t at) const { return begin <= at && at < end; }
  friend bool operator==(const ArenaRange&, const ArenaRange&) = default;
};
ArenaRange intersection(const ArenaRange& a, const ArenaRange& b);  // may be empty
// Disjoint ranges in the order of the arena, neighbors as one, without empty ones.
std::vector<ArenaRange> joined(std::vector<ArenaRange> ranges);
// What two lists of disjoint ranges in order have in common.
std::vector<ArenaRange> common(const std::vector<ArenaRange>& a, const std::vector<ArenaRange>& b);
std::int64_t num_elements(const std::vector<ArenaRange>& ranges);
bool contains(const std::vector<ArenaRange>& ranges, std::int64_t element);
// How many elements of the ranges, one of which has `element`, are before it.
std::int64_t place_in(const std::vector<ArenaRange>& ranges, std::int64_t element);
// What of the arena is in none of them.
std::vector<ArenaRange> rest_of(std::int64_t arena_elements, std::vector<ArenaRange> ranges);

class Parameters {
 public:
  // Declares one slot with `parts` stacked along their first dimension; the other dimensions must
  // be equal. Rows are padded to a multiple of `row_multiple` with zero rows that receive no
  // gradient. The returned pointer stays valid; allocate() sets its tensors.
  const Weight* add(std::vector<ParameterSpec> parts, std::int64_t row_multiple = 1);
  const Weight* add(ParameterSpec part) { return add(std::vector{std::move(part)}); }

  std::int64_t num_parameters() const;              // logical elements, without padding
  std::vector<const ParameterSpec*> specs() const;  // logical parameters in declaration order

  // Allocates all tensors, filled with zeros. `compute`: at::kFloat or at::kBFloat16. `on_demand`,
  // on a CPU: memory that is used when it is written, see base/pages.h.
  void allocate(at::Device device, at::ScalarType compute, bool with_gradients,
                bool on_demand = false);
  // Draws every logical parameter from the random stream with key (seed, "init", name),
  // independent of order, packing and other parameters; `ranges`: these elements only.
  void initialize(std::uint64_t seed) { initialize(seed, whole()); }
  void initialize(std::uint64_t seed, const std::vector<ArenaRange>& ranges);
  // Copies master to compute; no-op in fp32.
  void refresh_compute() { refresh_compute(whole()); }
  void refresh_compute(const std::vector<ArenaRange>& ranges);

  // One logical parameter, allocated or not.
  struct Declared {
    const ParameterSpec* spec;
    std::int64_t offset;  // elements from the start of the flat buffers
  };
  std::vector<Declared> declared() const;

  // One logical parameter: views into the arena.
  struct Named {
    const ParameterSpec* spec;
    at::Tensor value;     // fp32
    at::Tensor gradient;  // undefined without gradients
    std::int64_t offset;  // elements from the start of the flat buffers
  };
  std::vector<Named> named() const;

  const at::Tensor& master() const { return master_; }
  const at::Tensor& gradient() const { return gradient_; }
  const at::Tensor& compute() const { return compute_; }  // the same tensor as master() in fp32
  std::int64_t arena_elements() const;  // elements per buffer, with padding and gaps
  std::vector<ArenaRange> whole() const { return {{0, arena_elements()}}; }

 private:
  struct Slot {
    std::vector<ParameterSpec> parts;
    std::vector<std::int64_t> shape;  // of the whole slot, with padded rows
    std::int64_t offset = 0;
    Weight weight;
  };
  std::deque<Slot> slots_;
  at::Tensor master_, gradient_, compute_;
};

}  // namespace sluice::ops
