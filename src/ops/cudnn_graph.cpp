#include "ops/cudnn_graph.h"

#include <algorithm>

#include "base/error.h"
#include "base/text_format.h"

namespace sluice::ops {

CudnnGraph::~CudnnGraph() {
  for (auto at = all_.rbegin(); at != all_.rend(); ++at) library_.destroy(*at);
}

void CudnnGraph::check(int error, const char* what) {
  if (error != 0 && refusal_.empty()) refusal_ = cat(what, ": ", library_.explain(error));
}

void* CudnnGraph::make(CudnnObject kind) {
  void* made = nullptr;
  if (refusal_.empty()) check(library_.create(kind, &made), "create");
  if (made != nullptr) all_.push_back(made);
  return made;
}

void CudnnGraph::set(void* descriptor, CudnnName name, CudnnType type,
                     std::span<const std::int64_t> values) {
  if (!refusal_.empty()) return;
  check(
      library_.set(descriptor, name, type, static_cast<std::int64_t>(values.size()), values.data()),
      "set attribute");
}

void CudnnGraph::set(void* descriptor, CudnnName name, CudnnType type, int value) {
  if (refusal_.empty()) check(library_.set(descriptor, name, type, 1, &value), "set attribute");
}

void CudnnGraph::set_flag(void* descriptor, CudnnName name) {
  const bool yes = true;
  if (refusal_.empty())
    check(library_.set(descriptor, name, CudnnType::kBool, 1, &yes), "set attribute");
}

void CudnnGraph::set_object(void* descriptor, CudnnName name, void* value) {
  if (refusal_.empty())
    check(
        library_.set(descriptor, name, CudnnType::kDescriptor, 1, static_cast<const void*>(&value)),
        "set attribute");
}

void CudnnGraph::finalize(void* descriptor) {
  if (refusal_.empty()) check(library_.finalize(descriptor), "finalize");
}

void CudnnGraph::declare(Tensor id, CudnnData type, const Sizes& sizes, const Sizes& strides,
                         const CudnnName* flag) {
  void* made = make(CudnnObject::kTensor);
  set(made, CudnnName::kTensorType, CudnnType::kDataType, static_cast<int>(type));
  set(made, CudnnName::kTensorSizes, CudnnType::kInt64, sizes);
  set(made, CudnnName::kTensorStrides, CudnnType::kInt64, strides);
  set(made, CudnnName::kTensorId, CudnnType::kInt64, std::array{id});
  set(made, CudnnName::kTensorAlignment, CudnnType::kInt64, std::array<std::int64_t, 1>{16});
  if (flag != nullptr) set_flag(made, *flag);
  finalize(made);
  tensors_.emplace_back(id, made);
}

void CudnnGraph::tensor(Tensor id, CudnnData type, const Sizes& sizes, const Sizes& strides) {
  invariant(id > 0 && id < kFirstVirtual, "the ID of a tensor in memory");
  declare(id, type, sizes, strides, nullptr);
}

void CudnnGraph::scalar(Tensor id) {
  const CudnnName by_value = CudnnName::kTensorIsByValue;
  declare(id, CudnnData::kFloat, {1, 1, 1, 1}, {1, 1, 1, 1}, &by_value);
}

CudnnGraph::Tensor CudnnGraph::intermediate(CudnnData type, const Sizes& sizes,
                                            const Sizes& strides) {
  const CudnnName is_virtual = CudnnName::kTensorIsVirtual;
  declare(next_, type, sizes, strides, &is_virtual);
  return next_++;
}

CudnnGraph::Tensor CudnnGraph::intermediate(CudnnData type, const Sizes& s) {
  return intermediate(type, s, {s[1] * s[2] * s[3], s[2] * s[3], s[3], 1});
}

void* CudnnGraph::descriptor_of(Tensor id) const {
  const auto at = std::find_if(tensors_.begin(), tensors_.end(),
                               [&](const auto& entry) { return entry.first == id; });
  invariant(at != tensors_.end(), cat("tensor ", id, " is declared"));
  return at->second;
}

void CudnnGraph::multiply(Tensor a, Tensor b, Tensor c, const Actual& actual) {
  void* product = make(CudnnObject::kMatmul);
  set(product, CudnnName::kMatmulPrecision, CudnnType::kDataType,
      static_cast<int>(CudnnData::kFloat));
  finalize(product);
  void* operation = make(CudnnObject::kMatmulOperation);
  set_object(operation, CudnnName::kMatmulA, descriptor_of(a));
  set_object(operation, CudnnName::kMatmulB, descriptor_of(b));
  set_object(operation, CudnnName::kMatmulC, descriptor_of(c));
  for (const auto& [name, sizes] : {std::pair{CudnnName::kMatmulRows, actual.rows},
                                    std::pair{CudnnName::kMatmulColumns, actual.columns},
                                    std::pair{CudnnName::kMatmulDepth, actual.depth}})
    if (sizes != 0) set_object(operation, name, descriptor_of(sizes));
  set_object(operation, CudnnName::kMatmulDescriptor, product);
  finalize(operation);
  operations_.push_back(operation);
}

void CudnnGraph::add_pointwise(void* kind, const Operands& in, Tensor y) {
  void* operation = make(CudnnObject::kPointwiseOperation);
  set_object(operation, CudnnName::kPointwiseDescriptor, kind);
  set_object(operation, CudnnName::kPointwiseX, descriptor_of(in.x));
  set_object(operation, CudnnName::kPointwiseY, descriptor_of(y));
  if (in.b != 0) set_object(operation, CudnnName::kPointwiseB, descriptor_of(in.b));
  if (in.t != 0) set_object(operation, CudnnName::kPointwiseT, descriptor_of(in.t));
  finalize(operation);
  operations_.push_back(operation);
}

void CudnnGraph::pointwise(CudnnPointwise mode, const Operands& in, Tensor y, CudnnData precision) {
  void* kind = make(CudnnObject::kPointwise);
  set(kind, CudnnName::kPointwiseMode, CudnnType::kPointwiseMode, static_cast<int>(mode));
  set(kind, CudnnName::kPointwisePrecision, CudnnType::kDataType, static_cast<int>(precision));
  finalize(kind);
  add_pointwise(kind, in, y);
}

void CudnnGraph::position(int axis, Tensor like, Tensor y, CudnnData precision) {
  void* kind = make(CudnnObject::kPointwise);
  set(kind, CudnnName::kPointwiseMode, CudnnType::kPointwiseMode,
      static_cast<int>(CudnnPointwise::kIndex));
  set(kind, CudnnName::kPointwisePrecision, CudnnType::kDataType, static_cast<int>(precision));
  set(kind, CudnnName::kPointwiseAxis, CudnnType::kInt64, std::array<std::int64_t, 1>{axis});
  finalize(kind);
  add_pointwise(kind, {like}, y);
}

void CudnnGraph::reduce(CudnnReduction mode, Tensor x, Tensor y) {
  void* kind = make(CudnnObject::kReduction);
  set(kind, CudnnName::kReductionPrecision, CudnnType::kDataType,
      static_cast<int>(CudnnData::kFloat));
  set(kind, CudnnName::kReductionMode, CudnnType::kReductionMode, static_cast<int>(mode));
  finalize(kind);
  void* operation = make(CudnnObject::kReductionOperation);
  set_object(operation, CudnnName::kReductionDescriptor, kind);
  set_object(operation, CudnnName::kReductionX, descriptor_of(x));
  set_object(operation, CudnnName::kReductionY, descriptor_of(y));
  finalize(operation);
  operations_.push_back(operation);
}

void CudnnGraph::reshape(Tensor x, Tensor y) {
  void* operation = make(CudnnObject::kReshapeOperation);
  set_object(operation, CudnnName::kReshapeX, descriptor_of(x));
  set_object(operation, CudnnName::kReshapeY, descriptor_of(y));
  finalize(operation);
  operations_.push_back(operation);
}

// Engines with their settings, the best first.
std::vector<void*> CudnnGraph::configurations(void* handle) {
  void* graph = make(CudnnObject::kOperationGraph);
  if (refusal_.empty())
    check(library_.set(graph, CudnnName::kGraphOperations, CudnnType::kDescriptor,
                       static_cast<std::int64_t>(operations_.size()),
                       static_cast<const void*>(operations_.data())),
          "set operations");
  if (refusal_.empty())
    check(library_.set(graph, CudnnName::kGraphHandle, CudnnType::kHandle, 1,
                       static_cast<const void*>(&handle)),
          "set handle");
  finalize(graph);
  void* heuristics = make(CudnnObject::kHeuristics);
  set_object(heuristics, CudnnName::kHeuristicsGraph, graph);
  set(heuristics, CudnnName::kHeuristicsMode, CudnnType::kHeuristicsMode, kCudnnHeuristicsA);
  finalize(heuristics);
  std::int64_t count = 0;
  const auto get = [&](std::int64_t capacity, void* values) {
    if (refusal_.empty())
      check(library_.get(heuristics, CudnnName::kHeuristicsResults, CudnnType::kDescriptor,
                         capacity, &count, values),
            "find engines");
  };
  get(0, nullptr);
  std::vector<void*> found;
  for (std::int64_t i = 0; i < count; ++i) found.push_back(make(CudnnObject::kEngineConfig));
  if (!found.empty()) get(count, static_cast<void*>(found.data()));
  found.resize(refusal_.empty() ? static_cast<std::size_t>(count) : 0);
  return found;
}

std::string CudnnGraph::build(void* handle) {
  std::string last = "no engine for this graph";
  for (void* configuration : configurations(handle)) {
    void* plan = make(CudnnObject::kPlan);
    set_object(plan, CudnnName::kPlanConfig, configuration);
    if (refusal_.empty())
      check(library_.set(plan, CudnnName::kPlanHandle, CudnnType::kHandle, 1,
                         static_cast<const void*>(&handle)),
            "set handle");
    if (!refusal_.empty()) return refusal_;
    // An engine may refuse what the heuristics propose; the next one may not.
    if (const int error = library_.finalize(plan); error != 0) {
      last = cat("plan: ", library_.explain(error));
      continue;
    }
    check(library_.get(plan, CudnnName::kPlanWorkspaceSize, CudnnType::kInt64, 1, nullptr,
                       &workspace_bytes_),
          "workspace size");
    plan_ = plan;
    return refusal_;
  }
  return refusal_.empty() ? last : refusal_;
}

void CudnnGraph::execute(void* handle, std::span<const Binding> tensors, void* workspace) const {
  invariant(plan_ != nullptr, "the graph is built");
  std::vector<std::int64_t> ids;
  std::vector<const void*> pointers;
  for (const auto& [id, pointer] : tensors) {
    ids.push_back(id);
    pointers.push_back(pointer);
  }
  void* pack = nullptr;
  int error = library_.create(CudnnObject::kVariantPack, &pack);
  const auto add = [&](CudnnName name, CudnnType type, std::size_t count, const void* values) {
    if (error == 0)
      error = library_.set(pack, name, type, static_cast<std::int64_t>(count), values);
  };
  add(CudnnName::kPackPointers, CudnnType::kPointer, pointers.size(),
      static_cast<const void*>(pointers.data()));
  add(CudnnName::kPackIds, CudnnType::kInt64, ids.size(), ids.data());
  add(CudnnName::kPackWorkspace, CudnnType::kPointer, 1, static_cast<const void*>(&workspace));
  if (error == 0) error = library_.finalize(pack);
  if (error == 0) error = library_.execute(handle, plan_, pack);
  const std::string why = error == 0 ? "" : library_.explain(error);
  if (pack != nullptr) library_.destroy(pack);
  invariant(error == 0, cat("cuDNN runs attention: ", why));
}

}  // namespace sluice::ops
