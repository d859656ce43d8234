// The core of attention by cuDNN, asked directly: LibTorch's operator for it has no repeatable
// backward pass and does not write gradients into the packed projection.
#pragma once

#include <c10/core/Device.h>

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "ops/attention_core.h"
#include "ops/cudnn_attention_graph.h"

namespace sluice::ops {

// For training in bf16. Gradients of q, k and v are written to their places. Plans are made at the
// first use of a shape, which takes about a second, and kept. The repeatable backward pass holds
// the scores of all pairs in bf16. Calls may come from several threads.
class CudnnAttention final : public AttentionCore {
 public:
  // What it asks about a device.
  struct Host {
    void* (*current_stream)(c10::Device);
    int (*major)(c10::Device);  // of the compute capability
  };
  // `library` is borrowed.
  CudnnAttention(const CudnnLibrary& library, const Host& host);
  ~CudnnAttention() override;

  // Plans forward and backward. False if cuDNN cannot run them; the first time, logs why.
  bool accepts(const CoreInputs& inputs) const;
  // InvariantError if the inputs are not accepted.
  CoreResult forward(const CoreInputs& inputs) const override;
  Heads backward(const CoreInputs& inputs, const CoreResult& result, const at::Tensor& dy_BTHD,
                 const Heads& packed) const override;

  std::size_t num_plans() const { return plans_.size(); }

 private:
  struct Plan;
  Plan& plan_of(const CoreInputs& inputs) const;
  const Plan& accepted_plan(const CoreInputs& inputs) const;
  void* handle_of(int device, std::string& error) const;
  void run(const CoreInputs& inputs, const CudnnGraph& graph,
           std::vector<CudnnGraph::Binding> bindings) const;

  const CudnnLibrary& library_;
  const Host host_;
  mutable std::mutex mutex_;  // of what follows, and of the handles' streams
  mutable std::map<int, void*> handles_;
  mutable std::map<CudnnAttentionShape, std::unique_ptr<Plan>> plans_;
  mutable std::set<std::string> logged_;
};

// nullptr for a CPU, and if has_cudnn_attention() is false.
const CudnnAttention* cudnn_attention(c10::Device device);

// Until destroyed, cudnn_attention() returns this one for every device. For tests, on which it runs
// with a library that computes on the host.
class ScopedCudnnAttention {
 public:
  explicit ScopedCudnnAttention(const CudnnAttention& replacement);
  ScopedCudnnAttention(const ScopedCudnnAttention&) = delete;
  ~ScopedCudnnAttention();
};

}  // namespace sluice::ops
