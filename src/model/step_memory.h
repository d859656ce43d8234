// Memory of one micro-batch of a training step by the GPU forms of the ops: the tensors that the
// forward and backward passes create, followed in order.
#pragma once

#include <cstdint>

#include "model/model_config.h"
#include "ops/attention_core.h"

namespace sluice::model {

struct StepShape {
  std::int64_t sequences = 1;   // of a micro-batch
  std::int64_t vocab_rows = 0;  // columns of the logits
  std::uint64_t element = 4;    // bytes of the compute dtype: 4 or 2
  // These two determine the core of attention.
  c10::DeviceType device = c10::kCUDA;
  bool has_cudnn = false;
};

// Bytes, without weights, gradients, optimizer state and tokens.
struct StepMemory {
  std::uint64_t kept = 0;        // activations kept for backward, after the forward pass
  std::uint64_t logits = 0;      // one chunk
  std::uint64_t peak = 0;        // of all tensors at once, `kept` included
  std::uint64_t evaluation = 0;  // peak of a forward pass without gradients
};
StepMemory step_memory(const ModelConfig& config, const Sequences& sequences,
                       const StepShape& shape);

}  // namespace sluice::model
