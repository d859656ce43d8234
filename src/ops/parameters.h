// Learned tensors, in two phases: modules declare what they need (shapes and names only, so that `plan` needs no memory), then
// allocate() puts everything into one arena: a flat fp32 master buffer, a flat fp32 gradient buffer and, in bf16, a flat
// compute copy. Slots start on 64-byte boundaries, the gaps are zero and stay zero, so one kernel can update, clip, save
// or average everything.
//
// A slot may hold several logical matrices stacked by rows (q, k, v; w, v of a gated layer), so that one product serves them all.
// Initial values, optimizer statistics and checkpoints go by the logical names.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace sluice::ops {

// A stored tensor as the ops see it.
struct Weight {
  at::Tensor value;    // fp32, a leaf that requires grad (when allocated with gradients); value.grad() is its view of the gradient buffer
  at::Tensor compute;  // what products read: `value` itself in fp32, its bf16 copy otherwise
  bool defined() const { return value.defined(); }
};

struct Init {
  enum class Kind { kZeros, kOnes, kNormal, kTruncatedNormal, kUniform } kind = Kind::kZeros;
  double std = 0;    // of the normal distributions, before truncation
  double limit = 0;  // kTruncatedNormal: values beyond limit · std are drawn again; kUniform: values lie in ± limit
};

struct ParameterSpec {
  std::string name;                 // logical name: "blocks.3.ffn.w.weight"
  std::vector<std::int64_t> shape;  // [out, in] of matrices, [n] of vectors
  Init init = {};
  bool decay = false;  // weight decay applies (matrices only)
  std::int64_t num_elements() const;
};

class Parameters {
 public:
  // Declares one slot that holds `parts`, stacked along their first dimension; the other dimensions agree. Rows are rounded up to
  // a multiple of `row_multiple` with rows that are zero and receive no gradient. The address stays valid; its tensors appear with allocate().
  const Weight* add(std::vector<ParameterSpec> parts, std::int64_t row_multiple = 1);
  const Weight* add(ParameterSpec part) { return add(std::vector{std::move(part)}); }

  std::int64_t num_parameters() const;              // logical elements: padding does not count
  std::vector<const ParameterSpec*> specs() const;  // logical parameters in declaration order

  // Allocates and binds, all zero. `compute`: at::kFloat or at::kBFloat16.
  void allocate(at::Device device, at::ScalarType compute, bool with_gradients);
  // Draws every logical parameter from the stream keyed by (seed, "init", name): independent of order, packing and other parameters.
  void initialize(std::uint64_t seed);
  void refresh_compute();  // compute := master (nothing to do in fp32)

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
  std::int64_t arena_elements() const;                    // with padding and gaps: what allocate() takes per buffer

 private:
  struct Slot {
    std::vector<ParameterSpec> parts;
    std::vector<std::int64_t> shape;  // of the whole slot, padded rows included
    std::int64_t offset = 0;
    Weight weight;
  };
  std::deque<Slot> slots_;
  at::Tensor master_, gradient_, compute_;
};

}  // namespace sluice::ops
