// A graph of tensor operations that cuDNN compiles to one plan: descriptors of its backend API.
//
// Usage: declare tensors and operations, build(), then execute() any number of times. Errors while
// declaring are kept; build() returns the first.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ops/cudnn_library.h"

namespace sluice::ops {

// Actual sizes per batch entry for a product of padded matrices: tensors int32 [B, 1, 1, 1], or 0.
struct CudnnActualSizes {
  std::int64_t rows = 0, columns = 0, depth = 0;
};

struct CudnnOperands {
  std::int64_t x, b = 0, t = 0;  // tensors; 0: not used by the mode
};

class CudnnGraph {
 public:
  using Sizes = std::array<std::int64_t, 4>;
  // A tensor of this graph: its ID, also in execute().
  using Tensor = std::int64_t;
  using Actual = CudnnActualSizes;
  using Operands = CudnnOperands;

  explicit CudnnGraph(const CudnnLibrary& library) : library_(library) {}
  CudnnGraph(const CudnnGraph&) = delete;
  ~CudnnGraph();

  // In memory that execute() passes, 16-byte aligned. `id` is below kFirstVirtual.
  void tensor(Tensor id, CudnnData type, const Sizes& sizes, const Sizes& strides);
  void scalar(Tensor id);  // one fp32 in host memory
  // An intermediate result.
  Tensor intermediate(CudnnData type, const Sizes& sizes, const Sizes& strides);
  Tensor intermediate(CudnnData type, const Sizes& sizes);  // row-major
  static constexpr Tensor kFirstVirtual = 100;

  void multiply(Tensor a, Tensor b, Tensor c, const Actual& actual = {});
  void pointwise(CudnnPointwise mode, const Operands& in, Tensor y,
                 CudnnData precision = CudnnData::kFloat);
  void position(int axis, Tensor like, Tensor y, CudnnData precision);
  void reduce(CudnnReduction mode, Tensor x, Tensor y);  // over the sizes that are 1 in y
  void reshape(Tensor x, Tensor y);                      // other strides, or transposed

  // Plans on the current device. Empty if it works, otherwise why not.
  std::string build(void* handle);
  std::int64_t workspace_bytes() const { return workspace_bytes_; }
  using Binding = std::pair<Tensor, const void*>;
  // Starts the plan on the stream of the handle. InvariantError with cuDNN's explanation.
  void execute(void* handle, std::span<const Binding> tensors, void* workspace) const;

 private:
  void* make(CudnnObject kind);
  void set(void* descriptor, CudnnName name, CudnnType type, std::span<const std::int64_t> values);
  void set(void* descriptor, CudnnName name, CudnnType type, int value);
  void set_flag(void* descriptor, CudnnName name);
  void set_object(void* descriptor, CudnnName name, void* value);
  void finalize(void* descriptor);
  void declare(Tensor id, CudnnData type, const Sizes& sizes, const Sizes& strides,
               const CudnnName* flag);
  void add_pointwise(void* kind, const Operands& in, Tensor y);
  void* descriptor_of(Tensor id) const;
  void check(int error, const char* what);
  std::vector<void*> configurations(void* handle);

  const CudnnLibrary& library_;
  std::string refusal_;
  std::vector<void*> all_, operations_;
  std::vector<std::pair<Tensor, void*>> tensors_;
  Tensor next_ = kFirstVirtual;
  void* plan_ = nullptr;
  std::int64_t workspace_bytes_ = 0;
};

}  // namespace sluice::ops
