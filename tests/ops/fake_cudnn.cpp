#include "tests/ops/fake_cudnn.h"

#include <ATen/ATen.h>

#include <cstring>
#include <set>

#include "base/error.h"
#include "base/text_format.h"

namespace sluice::ops::test {
namespace {

constexpr int kBadParameter = 2000, kNotSupported = 3000;

struct Object {
  CudnnObject kind;
  bool is_final = false;
  std::map<CudnnName, std::vector<std::int64_t>> numbers = {};
  std::map<CudnnName, std::vector<Object*>> objects = {};

  std::int64_t number(CudnnName name) const { return numbers.at(name).at(0); }
  const Object* object(CudnnName name) const {
    return objects.count(name) == 0 ? nullptr : objects.at(name).at(0);
  }
  bool has(CudnnName name) const { return numbers.count(name) > 0 || objects.count(name) > 0; }
};

FakeCudnn* current = nullptr;
std::set<Object*> alive;
std::string last_error;

int bad(std::string why, int error = kBadParameter) {
  last_error = std::move(why);
  return error;
}

std::int64_t number_at(const void* values, std::int64_t i, CudnnType type) {
  if (type == CudnnType::kBool) return static_cast<const bool*>(values)[i];
  if (type == CudnnType::kInt64 || type == CudnnType::kPointer || type == CudnnType::kHandle)
    return static_cast<const std::int64_t*>(values)[i];
  return static_cast<const int*>(values)[i];
}

int set_attribute(void* to, CudnnName name, CudnnType type, std::int64_t count,
                  const void* values) {
  auto* object = static_cast<Object*>(to);
  if (alive.count(object) == 0 || object->is_final) return bad("not an open descriptor");
  for (std::int64_t i = 0; i < count; ++i) {
    if (type != CudnnType::kDescriptor) {
      object->numbers[name].push_back(number_at(values, i, type));
      continue;
    }
    Object* value = static_cast<Object* const*>(values)[i];
    if (alive.count(value) == 0 || !value->is_final) return bad("not a finished descriptor");
    object->objects[name].push_back(value);
  }
  return 0;
}

int get_attribute(const void* from, CudnnName name, CudnnType, std::int64_t count,
                  std::int64_t* found, void* values) {
  const auto* object = static_cast<const Object*>(from);
  if (!object->is_final) return bad("not a finished descriptor");
  if (name == CudnnName::kPlanWorkspaceSize) {
    *static_cast<std::int64_t*>(values) = FakeCudnn::kWorkspaceBytes;
    return 0;
  }
  if (name != CudnnName::kHeuristicsResults) return bad("not recorded");
  *found = current->finds_engines ? 3 : 0;
  for (std::int64_t i = 0; i < count; ++i) {
    auto* engine = static_cast<Object**>(values)[i];
    engine->is_final = true;
    engine->objects[CudnnName::kHeuristicsGraph] = object->objects.at(CudnnName::kHeuristicsGraph);
  }
  return 0;
}

std::string join(const std::vector<std::int64_t>& numbers) {
  std::string text;
  for (const std::int64_t number : numbers) text += cat(" ", number);
  return text;
}

// A graph as in cudnn_graphs.txt.
std::string text_of(const Object* graph) {
  std::string text;
  std::map<const Object*, std::string> names;
  for (const Object* operation : graph->objects.at(CudnnName::kGraphOperations)) {
    std::string line = cat(static_cast<int>(operation->kind)), operands;
    for (const auto& [name, objects] : operation->objects) {
      const Object* x = objects[0];
      if (x->kind != CudnnObject::kTensor) {
        for (const auto& [of, numbers] : x->numbers)
          line += cat(" ", static_cast<int>(of), "=", numbers[0]);
        continue;
      }
      if (names.count(x) == 0) {
        names[x] = cat("t", names.size());
        text += cat(names[x],
                    x->has(CudnnName::kTensorIsVirtual)   ? " virtual"
                    : x->has(CudnnName::kTensorIsByValue) ? " value"
                                                          : " memory",
                    " type", join(x->numbers.at(CudnnName::kTensorType)), " sizes",
                    join(x->numbers.at(CudnnName::kTensorSizes)), " strides",
                    join(x->numbers.at(CudnnName::kTensorStrides)), "\n");
      }
      operands += cat(" ", static_cast<int>(name), "=", names[x]);
    }
    text += cat(line, operands, "\n");
  }
  return text;
}

int finalize(void* descriptor) {
  auto* object = static_cast<Object*>(descriptor);
  if (alive.count(object) == 0 || object->is_final) return bad("not an open descriptor");
  if (object->kind == CudnnObject::kPlan && current->refused_plans > 0) {
    --current->refused_plans;
    return bad("the engine refuses", kNotSupported);
  }
  if (object->kind == CudnnObject::kTensor && object->number(CudnnName::kTensorAlignment) != 16)
    return bad("an alignment of 16 bytes");
  if (object->kind == CudnnObject::kOperationGraph) current->graphs.push_back(text_of(object));
  object->is_final = true;
  return 0;
}

// --- Computing a graph

at::ScalarType type_of(const Object* tensor) {
  switch (static_cast<CudnnData>(tensor->number(CudnnName::kTensorType))) {
    case CudnnData::kFloat:
      return at::kFloat;
    case CudnnData::kInt32:
      return at::kInt;
    case CudnnData::kBool:
      return at::kBool;
    default:
      return at::kBFloat16;
  }
}

at::Tensor sum_to(at::Tensor x, at::IntArrayRef sizes, CudnnReduction mode) {
  for (std::int64_t i = 0; i < 4; ++i) {
    if (x.size(i) == sizes[i]) continue;
    x = x.unflatten(i, {sizes[i], x.size(i) / sizes[i]});
    x = mode == CudnnReduction::kMax ? x.amax(i + 1) : x.sum(i + 1);
  }
  return x;
}

class Run {
 public:
  explicit Run(std::map<std::int64_t, const void*> memory) : memory_(std::move(memory)) {}

  void operation(const Object* o) {
    switch (o->kind) {
      case CudnnObject::kMatmulOperation:
        return product(o);
      case CudnnObject::kPointwiseOperation:
        return pointwise(o);
      case CudnnObject::kReductionOperation: {
        const Object* kind = o->object(CudnnName::kReductionDescriptor);
        const Object* y = o->object(CudnnName::kReductionY);
        const auto mode = static_cast<CudnnReduction>(kind->number(CudnnName::kReductionMode));
        return write(y, sum_to(read(o->object(CudnnName::kReductionX)),
                               y->numbers.at(CudnnName::kTensorSizes), mode));
      }
      default:
        return write(o->object(CudnnName::kReshapeY),
                     read(o->object(CudnnName::kReshapeX)).transpose(2, 3));
    }
  }

 private:
  static bool is_virtual(const Object* t) { return t->has(CudnnName::kTensorIsVirtual); }

  // A view of memory; `t` has its sizes and strides.
  at::Tensor view(const Object* t) const {
    const std::int64_t id = t->number(CudnnName::kTensorId);
    invariant(memory_.count(id) > 0, cat("tensor ", id, " is bound"));
    return at::from_blob(const_cast<void*>(memory_.at(id)), t->numbers.at(CudnnName::kTensorSizes),
                         t->numbers.at(CudnnName::kTensorStrides), type_of(t));
  }
  at::Tensor read(const Object* t) const {
    return is_virtual(t) ? values_.at(t->number(CudnnName::kTensorId)) : view(t).to(at::kDouble);
  }
  void write(const Object* t, const at::Tensor& value) {
    invariant(value.sizes() == at::IntArrayRef(t->numbers.at(CudnnName::kTensorSizes)),
              "a result has the declared sizes");
    if (is_virtual(t))
      values_[t->number(CudnnName::kTensorId)] = value.to(type_of(t)).to(at::kDouble);
    else
      view(t).copy_(value);
  }
  // Actual sizes must be the full ones here.
  void check_lengths(const Object* o, CudnnName name, std::int64_t size) const {
    if (const Object* lengths = o->object(name))
      invariant(read(lengths).eq(size).all().item<bool>(), "actual sizes are the full ones");
  }
  void product(const Object* o) {
    const at::Tensor a = read(o->object(CudnnName::kMatmulA));
    at::Tensor b = read(o->object(CudnnName::kMatmulB));
    check_lengths(o, CudnnName::kMatmulRows, a.size(2));
    check_lengths(o, CudnnName::kMatmulDepth, a.size(3));
    check_lengths(o, CudnnName::kMatmulColumns, b.size(3));
    if (b.size(1) != a.size(1)) b = b.repeat_interleave(a.size(1) / b.size(1), 1);
    write(o->object(CudnnName::kMatmulC), at::matmul(a, b));
  }
  static at::Tensor apply(CudnnPointwise mode, const at::Tensor& x, const at::Tensor& b) {
    switch (mode) {
      case CudnnPointwise::kAdd:
        return x + b;
      case CudnnPointwise::kMultiply:
        return x * b;
      case CudnnPointwise::kDivide:
        return x / b;
      case CudnnPointwise::kSubtract:
        return x - b;
      case CudnnPointwise::kExp:
        return x.exp();
      case CudnnPointwise::kLog:
        return x.log();
      case CudnnPointwise::kAtLeast:
        return x.ge(b);
      case CudnnPointwise::kLess:
        return x.lt(b);
      case CudnnPointwise::kAnd:
        return at::logical_and(x, b);
      default:
        return x;
    }
  }
  void pointwise(const Object* o) {
    const Object* kind = o->object(CudnnName::kPointwiseDescriptor);
    const auto mode = static_cast<CudnnPointwise>(kind->number(CudnnName::kPointwiseMode));
    const Object *y = o->object(CudnnName::kPointwiseY), *b = o->object(CudnnName::kPointwiseB);
    const at::Tensor x = read(o->object(CudnnName::kPointwiseX));
    if (mode == CudnnPointwise::kSelect)
      return write(y, at::where(read(o->object(CudnnName::kPointwiseT)).to(at::kBool), x, read(b)));
    if (mode != CudnnPointwise::kIndex)
      return write(y, apply(mode, x, b == nullptr ? at::Tensor() : read(b)));
    const std::int64_t axis = kind->number(CudnnName::kPointwiseAxis);
    std::vector<std::int64_t> shape(4, 1);
    shape[static_cast<std::size_t>(axis)] = x.size(axis);
    write(y, at::arange(x.size(axis), at::kDouble).view(shape).expand_as(x));
  }

  std::map<std::int64_t, const void*> memory_;
  std::map<std::int64_t, at::Tensor> values_;  // of intermediate results
};

int execute(void*, void* plan, void* pack_of) {
  const auto *object = static_cast<Object*>(plan), *pack = static_cast<Object*>(pack_of);
  if (!object->is_final || !pack->is_final) return bad("not a finished descriptor");
  FakeCudnn::Execution run{.stream = current->stream};
  const auto& ids = pack->numbers.at(CudnnName::kPackIds);
  const auto& pointers = pack->numbers.at(CudnnName::kPackPointers);
  for (std::size_t i = 0; i < ids.size(); ++i)
    run.bindings[ids[i]] = reinterpret_cast<const void*>(pointers[i]);
  auto* workspace = reinterpret_cast<void*>(pack->number(CudnnName::kPackWorkspace));
  std::memset(workspace, 0xff, FakeCudnn::kWorkspaceBytes);
  run.workspace = workspace;
  const Object* graph = object->object(CudnnName::kPlanConfig)->object(CudnnName::kHeuristicsGraph);
  Run computation(run.bindings);
  for (const Object* operation : graph->objects.at(CudnnName::kGraphOperations))
    computation.operation(operation);
  current->executions.push_back(std::move(run));
  return 0;
}

}  // namespace

FakeCudnn::FakeCudnn() {
  current = this;
  library.version = [] { return std::size_t{91900}; };
  library.error_string = [](int error) {
    return error == kNotSupported ? "not supported" : "bad parameter";
  };
  library.last_error = [](char* text, std::size_t size) {
    std::strncpy(text, last_error.c_str(), size);
  };
  library.create_handle = [](void** handle) {
    ++current->num_handles;
    *handle = current->handle_error == 0 ? current : nullptr;
    return current->handle_error == 0 ? 0 : bad("no handle", current->handle_error);
  };
  library.set_stream = [](void* handle, void* used) {
    current->stream = used;
    return handle == current ? 0 : kBadParameter;
  };
  library.create = [](CudnnObject kind, void** made) {
    auto* object = new Object{kind};
    alive.insert(object);
    ++current->num_objects;
    *made = object;
    return 0;
  };
  library.destroy = [](void* descriptor) {
    auto* object = static_cast<Object*>(descriptor);
    invariant(alive.erase(object) == 1, "a descriptor is destroyed once");
    --current->num_objects;
    delete object;
    return 0;
  };
  library.set = &set_attribute;
  library.get = &get_attribute;
  library.finalize = &finalize;
  library.execute = &execute;
}

FakeCudnn::~FakeCudnn() { current = nullptr; }

}  // namespace sluice::ops::test
