// Shapes: see ops/attention_core.h.
#include "ops/cudnn_attention.h"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <atomic>
#include <limits>

#include "base/error.h"
#include "base/log.h"
#include "base/text_format.h"
#include "ops/cuda.h"

namespace sluice::ops {
namespace {

// Earlier versions need other values for −infinity, and mask padded keys twice.
constexpr std::size_t kOldestCudnn = 91000;

constexpr float kLowest = -std::numeric_limits<float>::infinity(), kOne = 1;

CudnnGraph::Sizes strides_of(const at::Tensor& x) {
  return {x.stride(0), x.stride(1), x.stride(2), x.stride(3)};
}

CudnnAttentionShape shape_of(const CoreInputs& in) {
  const auto& [q, k, v] = in.heads;
  return {.device = with_index(q.device()).index(),
          .B = q.size(0),
          .H = q.size(1),
          .K = k.size(1),
          .T = q.size(2),
          .S = k.size(2),
          .D = q.size(3),
          .q = strides_of(q),
          .k = strides_of(k),
          .v = strides_of(v),
          .bias_row = in.bias_HTS.defined() ? in.bias_HTS.stride(1) : 0,
          .causal = in.causal,
          .deterministic = in.deterministic};
}

bool is_aligned(const at::Tensor& x) {
  return reinterpret_cast<std::uintptr_t>(x.const_data_ptr()) % 16 == 0;
}

void* stream_of_torch(c10::Device device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device).native_handle();
}

int major_of_card(c10::Device device) {
  const std::optional<gpu::Card>& card = gpu_support(device).card;
  return card ? card->major : 0;
}

// Limits that cudnn-frontend 1.15 checks, because cuDNN does not refuse everything that it computes
// wrongly. Empty: none applies.
std::string unsupported(const CudnnAttentionShape& s) {
  if (!cudnn_takes_head_dim(s.D)) return cat("head_dim ", s.D, " is not a multiple of 8 up to 128");
  if (s.T == 1 && s.S == 1) return "one query and one key";
  return "";
}

const CudnnLibrary* torch_cudnn() {
  // Never destroyed: plans cannot be after the driver has shut down.
  static const CudnnLibrary* const library = []() -> const CudnnLibrary* {
    std::unique_ptr<CudnnLibrary> found = CudnnLibrary::load();
    if (found == nullptr || found->version() < kOldestCudnn) return nullptr;
    return found.release();
  }();
  return library;
}

std::atomic<const CudnnAttention*> replacement = nullptr;

}  // namespace

struct CudnnAttention::Plan {
  explicit Plan(const CudnnLibrary& library) : forward(library), backward(library) {}
  CudnnGraph forward, backward;
  std::string refusal;  // empty: both work
};

CudnnAttention::CudnnAttention(const CudnnLibrary& library, const Host& host)
    : library_(library), host_(host) {}
CudnnAttention::~CudnnAttention() = default;

void* CudnnAttention::handle_of(int device, std::string& error) const {
  void*& handle = handles_[device];
  if (handle == nullptr) {
    if (const int result = library_.create_handle(&handle); result != 0)
      error = library_.explain(result);
  }
  return handle;
}

CudnnAttention::Plan& CudnnAttention::plan_of(const CoreInputs& in) const {
  const CudnnAttentionShape shape = shape_of(in);
  std::unique_ptr<Plan>& plan = plans_[shape];
  if (plan != nullptr) return *plan;
  plan = std::make_unique<Plan>(library_);
  std::string& refusal = plan->refusal;
  refusal = unsupported(shape);
  // Compute capability 10 and 11 need other graphs to be repeatable.
  const int major = refusal.empty() && shape.deterministic ? host_.major(in.heads.q.device()) : 0;
  if (major == 10 || major == 11) refusal = "no repeatable backward pass for this GPU";
  void* handle = refusal.empty() ? handle_of(shape.device, refusal) : nullptr;
  if (refusal.empty()) {
    add_attention_forward(plan->forward, shape);
    refusal = plan->forward.build(handle);
  }
  if (refusal.empty()) {
    add_attention_backward(plan->backward, shape);
    refusal = plan->backward.build(handle);
  }
  const std::string line =
      cat("attention without cuDNN ", cudnn_version_text(library_.version()), ": ", refusal);
  if (!refusal.empty() && logged_.insert(line).second) log::info(line);
  return *plan;
}

bool CudnnAttention::accepts(const CoreInputs& in) const {
  const auto& [q, k, v] = in.heads;
  const bool aligned = is_aligned(q) && is_aligned(k) && is_aligned(v) &&
                       (!in.bias_HTS.defined() || is_aligned(in.bias_HTS));
  if (q.scalar_type() != at::kBFloat16 || !aligned) return false;
  const std::lock_guard lock(mutex_);
  return plan_of(in).refusal.empty();
}

const CudnnAttention::Plan& CudnnAttention::accepted_plan(const CoreInputs& in) const {
  const Plan& plan = plan_of(in);
  invariant(plan.refusal.empty(), "cuDNN accepts this attention");
  return plan;
}

// The memory of the workspace belongs to the stream, as every tensor's; in a recorded graph, to the
// graph.
void CudnnAttention::run(const CoreInputs& in, const CudnnGraph& graph,
                         std::vector<CudnnGraph::Binding> bindings) const {
  const auto& [q, k, v] = in.heads;
  const auto scale = static_cast<float>(in.scale);
  for (const CudnnGraph::Binding& binding :
       std::initializer_list<CudnnGraph::Binding>{{kCudnnQ, q.const_data_ptr()},
                                                  {kCudnnK, k.const_data_ptr()},
                                                  {kCudnnV, v.const_data_ptr()},
                                                  {kCudnnScale, &scale}})
    bindings.push_back(binding);
  if (in.causal) bindings.emplace_back(kCudnnLowestOfFuture, &kLowest);
  if (in.bias_HTS.defined()) bindings.emplace_back(kCudnnBias, in.bias_HTS.const_data_ptr());
  const at::Tensor workspace =
      at::empty({graph.workspace_bytes()}, q.options().dtype(at::kByte).requires_grad(false));
  std::string error;
  void* handle = handle_of(shape_of(in).device, error);
  const int result = library_.set_stream(handle, host_.current_stream(q.device()));
  invariant(result == 0, cat("cuDNN takes the stream: ", result));
  graph.execute(handle, bindings, workspace.mutable_data_ptr());
}

CoreResult CudnnAttention::forward(const CoreInputs& in) const {
  const at::Tensor& q = in.heads.q;
  const CoreResult result{
      at::empty({q.size(0), q.size(2), q.size(1), q.size(3)}, q.options()),
      at::empty({q.size(0), q.size(1), q.size(2)}, q.options().dtype(at::kFloat)),
      {}};
  const std::lock_guard lock(mutex_);
  std::vector<CudnnGraph::Binding> bindings{
      {kCudnnY, result.y_BTHD.mutable_data_ptr()},
      {kCudnnLogSumExp, result.log_sum_exp_BHT.mutable_data_ptr()}};
  run(in, accepted_plan(in).forward, std::move(bindings));
  return result;
}

Heads CudnnAttention::backward(const CoreInputs& in, const CoreResult& result,
                               const at::Tensor& dy_BTHD, const Heads& packed) const {
  const CudnnAttentionShape s = shape_of(in);
  invariant(strides_of(packed.q) == s.q && strides_of(packed.k) == s.k &&
                strides_of(packed.v) == s.v && dy_BTHD.is_contiguous() && is_aligned(dy_BTHD) &&
                result.y_BTHD.is_contiguous() && result.log_sum_exp_BHT.is_contiguous(),
            "gradients have the layout of the values");
  const auto fp32 = dy_BTHD.options().dtype(at::kFloat), int32 = fp32.dtype(at::kInt);
  const at::Tensor delta = at::empty({s.B, s.H, s.T}, fp32);
  std::vector<CudnnGraph::Binding> bindings{
      {kCudnnY, result.y_BTHD.const_data_ptr()},
      {kCudnnLogSumExp, result.log_sum_exp_BHT.const_data_ptr()},
      {kCudnnDy, dy_BTHD.const_data_ptr()},
      {kCudnnDq, packed.q.mutable_data_ptr()},
      {kCudnnDk, packed.k.mutable_data_ptr()},
      {kCudnnDv, packed.v.mutable_data_ptr()},
      {kCudnnDelta, delta.mutable_data_ptr()},
      {kCudnnOne, &kOne}};
  at::Tensor dq_sum, query_lengths, key_lengths;
  if (!s.deterministic) {
    dq_sum = at::zeros({s.B, s.H, s.T, s.D}, fp32);  // cuDNN adds to it
    bindings.emplace_back(kCudnnDqSum, dq_sum.mutable_data_ptr());
  }
  if (backward_needs_lengths(s)) {
    query_lengths = at::full({s.B}, s.T, int32);
    key_lengths = at::full({s.B}, s.S, int32);
    bindings.emplace_back(kCudnnQueryLengths, query_lengths.const_data_ptr());
    bindings.emplace_back(kCudnnKeyLengths, key_lengths.const_data_ptr());
    bindings.emplace_back(kCudnnLowestOfPadding, &kLowest);
  }
  const std::lock_guard lock(mutex_);
  run(in, accepted_plan(in).backward, std::move(bindings));
  return packed;
}

bool has_cudnn_attention() { return torch_cudnn() != nullptr; }

const CudnnAttention* cudnn_attention(c10::Device device) {
  if (const CudnnAttention* other = replacement; other != nullptr) return other;
  if (!device.is_cuda() || !has_cudnn_attention()) return nullptr;
  static const auto* const of_torch =
      new CudnnAttention(*torch_cudnn(), {&stream_of_torch, &major_of_card});
  return of_torch;
}

ScopedCudnnAttention::ScopedCudnnAttention(const CudnnAttention& other) { replacement = &other; }
ScopedCudnnAttention::~ScopedCudnnAttention() { replacement = nullptr; }

}  // namespace sluice::ops
