#include "model/step_memory.h"

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "ops/attention_memory.h"
#include "ops/gpu_norm.h"
#include "ops/linear_cross_entropy.h"
#include "ops/softmax_gradient.h"

namespace sluice::model {
namespace {

std::uint64_t unsigned_of(std::int64_t n) { return static_cast<std::uint64_t>(n); }

class Ledger {
 public:
  void hold(std::uint64_t bytes) {
    now_ += bytes;
    peak_ = std::max(peak_, now_);
  }
  void release(std::uint64_t bytes) { now_ -= bytes; }
  void briefly(std::uint64_t bytes) { peak_ = std::max(peak_, now_ + bytes); }
  std::uint64_t now() const { return now_; }
  std::uint64_t peak() const { return peak_; }

 private:
  std::uint64_t now_ = 0, peak_ = 0;
};

struct AttentionBytes {
  bool exists = false;
  ops::CoreMemory core;
  std::uint64_t bias = 0;  // of every pair
};

AttentionBytes attention_bytes(const StackSizes& s, const StepShape& shape, std::int64_t keys,
                               bool has_bias) {
  const ops::CoreSizes sizes{.sequences = unsigned_of(shape.sequences),
                             .queries = unsigned_of(s.length),
                             .keys = unsigned_of(keys),
                             .heads = unsigned_of(s.num_heads),
                             .kv_heads = unsigned_of(s.num_kv_heads),
                             .head_dim = unsigned_of(s.head_dim),
                             .element = shape.element};
  AttentionBytes bytes{.exists = true, .core = {}};
  bytes.core =
      s.has_inner_dropout
          ? ops::dropout_memory(sizes)
          : ops::core_memory(ops::core_kind({.device = shape.device,
                                             .type = shape.element == 2 ? c10::ScalarType::BFloat16
                                                                        : c10::ScalarType::Float,
                                             .head_dim = s.head_dim,
                                             .has_bias = has_bias,
                                             .has_cudnn = shape.has_cudnn}),
                             sizes);
  if (!has_bias) return bytes;
  bytes.bias = shape.element * sizes.heads * sizes.queries * ((sizes.keys + 7) / 8 * 8);
  bytes.core.backward += 4 * sizes.sequences * sizes.heads * sizes.queries;
  return bytes;
}

// Bytes of tensors with one row for each position of the stack, and what attention needs besides.
struct StackBytes {
  StackBytes(const StackSizes& s, const StepShape& shape) : element(shape.element) {
    const std::uint64_t rows = unsigned_of(shape.sequences * s.length),
                        heads = unsigned_of(s.num_heads * s.head_dim),
                        kv_heads = unsigned_of(s.num_kv_heads * s.head_dim);
    fp32 = 4 * rows * unsigned_of(s.d_model);
    data = element * rows * unsigned_of(s.d_model);
    q = element * rows * heads;
    qkv = q + 2 * element * rows * kv_heads;
    hidden = element * rows * unsigned_of(s.d_ff);
    activation_input = (s.gated ? 2 : 1) * hidden;
    statistics = 8 * rows;
    partials =
        4 * unsigned_of(s.d_model * ops::gpu_norm_partials(shape.sequences * s.length, s.d_model));
    self = attention_bytes(s, shape, s.length, s.has_relative_bias);
    if (s.cross_length == 0) return;
    const std::uint64_t cross_rows = unsigned_of(shape.sequences * s.cross_length);
    cross = attention_bytes(s, shape, s.cross_length, /*has_bias=*/false);
    cross_kv = 2 * element * cross_rows * kv_heads;
    encoded = element * cross_rows * unsigned_of(s.d_model);
  }

  // Of one block without gradients: the residual stream before and after a norm, its output, two
  // updates, and the tensors of the sublayer.
  std::uint64_t evaluation_peak() const {
    const std::uint64_t attention =
        std::max(qkv + q + self.bias + self.core.forward,
                 cross.exists ? q + cross_kv + q + cross.core.forward : 0);
    return 2 * fp32 + 3 * data + encoded + std::max(attention, activation_input + hidden);
  }

  std::uint64_t element;
  std::uint64_t fp32;  // the residual stream
  std::uint64_t data;  // the same width in the compute dtype
  std::uint64_t q, qkv, hidden, activation_input;
  std::uint64_t statistics, partials;  // of a norm
  AttentionBytes self, cross;
  std::uint64_t cross_kv = 0, encoded = 0;
};

// The passes through a stack, in the order in which they create and free tensors.
class StackPasses {
 public:
  StackPasses(const StackSizes& sizes, const StepShape& shape, Ledger& ledger)
      : s_(sizes), b_(sizes, shape), ledger_(ledger) {}

  // From the embedding to the final norm; its output is live after it.
  void forward() {
    ledger_.hold(b_.fp32);
    if (s_.has_dropout) ledger_.briefly(b_.fp32);
    for (std::int64_t layer = 0; layer < s_.num_layers; ++layer) forward_block(layer > 0);
    ledger_.hold(b_.fp32 + b_.statistics);
    ledger_.hold(output());
    if (s_.fp32_output) ledger_.briefly(b_.fp32 + (s_.scales_output ? b_.fp32 : 0));
    ledger_.release(b_.data);  // the last update
  }

  // Begins with the gradient of the output, which is live. After it, nothing of the stack is.
  void backward() {
    std::uint64_t dy = output();
    if (s_.fp32_output) {
      ledger_.hold(b_.fp32);
      ledger_.release(dy);
      dy = b_.fp32;
      if (s_.has_dropout || s_.scales_output) ledger_.briefly(b_.fp32);
    }
    ledger_.hold(b_.fp32);  // the gradient of the residual stream, from here to the embedding
    norm_backward(dy, /*has_update=*/true);
    for (std::int64_t layer = s_.num_layers; layer-- > 0;) backward_block(layer > 0);
    // Positions sorted by token (keys, order and as much again for sorting), and sums of runs.
    ledger_.briefly(4 * b_.statistics + b_.fp32 / 16 + (s_.has_dropout ? b_.fp32 : 0));
    ledger_.release(b_.fp32);
    ledger_.release(b_.encoded);
  }

  std::uint64_t output() const { return b_.data; }
  std::uint64_t evaluation_peak() const { return b_.evaluation_peak(); }

 private:
  // With dropout, its input is live as well until the end of the block.
  std::uint64_t sublayer_output() const { return s_.has_dropout ? 2 * b_.data : b_.data; }

  void norm_forward(bool has_update) {
    ledger_.hold((has_update ? b_.fp32 : 0) + b_.statistics + b_.data);
  }

  // Replaces the gradient of the residual stream, and leaves that of the update.
  void norm_backward(std::uint64_t dy, bool has_update) {
    const std::uint64_t dupdate = has_update ? update_gradient() : 0;
    ledger_.briefly(b_.fp32 + dupdate + b_.partials);
    ledger_.hold(dupdate);
    ledger_.release(dy + b_.statistics + (has_update ? b_.fp32 : 0));
  }
  // In fp32 it is the tensor of the residual stream's gradient.
  std::uint64_t update_gradient() const { return b_.element == 2 ? b_.data : 0; }

  void forward_block(bool has_update) {
    norm_forward(has_update);
    ledger_.hold(b_.qkv);
    attention_forward(b_.self);
    ledger_.hold(sublayer_output());
    std::uint64_t live = sublayer_output();
    if (b_.cross.exists) {
      norm_forward(true);
      ledger_.hold(b_.q + b_.cross_kv);
      attention_forward(b_.cross);
      ledger_.hold(sublayer_output());
      live += sublayer_output();
    }
    norm_forward(true);
    ledger_.hold(b_.activation_input);
    if (s_.has_inner_dropout) ledger_.hold(b_.hidden);
    ledger_.briefly(b_.hidden + sublayer_output());
    ledger_.hold(b_.data);
    ledger_.release(live + (has_update ? b_.data : 0));
  }

  void attention_forward(const AttentionBytes& attention) {
    ledger_.hold(b_.q + attention.core.kept + attention.bias);
    ledger_.briefly(attention.core.forward);
  }

  // With dropout, the gradient of a sublayer's output is another tensor. Returns its bytes.
  std::uint64_t dropout_backward() {
    if (!s_.has_dropout) return update_gradient();
    ledger_.hold(b_.data);
    ledger_.release(update_gradient());
    return b_.data;
  }

  // Leaves the packed gradients.
  void attention_backward(const AttentionBytes& attention, std::uint64_t packed) {
    const std::uint64_t dy = dropout_backward();
    ledger_.hold(b_.q);
    ledger_.release(dy);
    ledger_.hold(packed);
    ledger_.briefly(attention.core.backward);
    ledger_.release(2 * b_.q + attention.core.kept + attention.bias + packed);
  }

  void ffn_backward() {
    const std::uint64_t dy = dropout_backward();
    ledger_.briefly(2 * b_.hidden + b_.activation_input);
    ledger_.hold(b_.activation_input);
    ledger_.release(dy + b_.activation_input + (s_.has_inner_dropout ? b_.hidden : 0));
    product_backward(b_.activation_input);
    norm_backward(b_.data, /*has_update=*/true);
  }

  // From the gradient of a projection to that of the norm's output, which replaces the output.
  void product_backward(std::uint64_t dy) {
    ledger_.hold(b_.data);
    ledger_.release(dy + b_.data);
  }

  void backward_block(bool has_update) {
    ffn_backward();
    if (b_.cross.exists) {
      attention_backward(b_.cross, b_.q + b_.cross_kv);
      if (!std::exchange(has_encoded_gradient_, true)) ledger_.hold(b_.encoded);
      ledger_.briefly(b_.encoded);
      ledger_.release(b_.cross_kv);
      product_backward(b_.q);
      norm_backward(b_.data, /*has_update=*/true);
    }
    attention_backward(b_.self, b_.qkv);
    product_backward(b_.qkv);
    norm_backward(b_.data, has_update);
  }

  StackSizes s_;
  StackBytes b_;
  Ledger& ledger_;
  bool has_encoded_gradient_ = false;
};

// Cross-entropy of the output and its gradient, which stays; the output does not.
std::uint64_t run_loss(const StackPasses& last, const StackSizes& sizes, const StepShape& shape,
                       Ledger& ledger) {
  const std::int64_t rows = shape.sequences * sizes.length,
                     chunk_rows = ops::gpu_rows_per_chunk(rows, shape.vocab_rows);
  const std::uint64_t logits =
      unsigned_of(chunk_rows * ops::row_stride_for(shape.vocab_rows)) * shape.element;
  ledger.hold(last.output());
  ledger.briefly(logits + 16 * unsigned_of(rows));
  ledger.release(last.output());
  return logits;
}

}  // namespace

StepMemory step_memory(const ModelConfig& config, const Sequences& sequences,
                       const StepShape& shape) {
  Ledger ledger;
  const std::vector<StackSizes> sizes =
      std::visit([&](const auto& c) { return stacks_of(c, sequences); }, config);
  std::vector<StackPasses> stacks;
  for (const StackSizes& stack : sizes) stacks.emplace_back(stack, shape, ledger);
  for (StackPasses& stack : stacks) stack.forward();
  StepMemory memory;
  memory.logits = run_loss(stacks.back(), sizes.back(), shape, ledger);
  memory.kept = ledger.now();
  for (std::size_t i = stacks.size(); i-- > 0;) stacks[i].backward();
  memory.peak = ledger.peak();
  memory.evaluation = memory.logits + 2 * stacks.back().output();
  for (const StackPasses& stack : stacks)
    memory.evaluation = std::max(memory.evaluation, stack.evaluation_peak());
  return memory;
}

}  // namespace sluice::model
