#include "tests/fake_cuda/operations.h"

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <memory>

#include "tests/fake_cuda/card.h"

namespace sluice::fake_cuda {

using Stack = torch::jit::Stack;

at::Tensor on_host(const at::Tensor& x) {
  return at::for_blob(x.storage().mutable_data(), x.sizes())
      .strides(x.strides())
      .storage_offset(x.storage_offset())
      .options(x.options().device(at::kCPU).requires_grad(false))
      .make_tensor();
}

std::vector<at::Tensor> run_on_host(std::function<std::vector<at::Tensor>()> compute) {
  const auto results = std::make_shared<std::vector<at::Tensor>>();
  Card::current().run([results, compute = std::move(compute)] {
    const at::AutoDispatchBelowADInplaceOrView no_autograd;
    const std::vector<at::Tensor> computed = compute();
    if (results->empty())
      for (const at::Tensor& x : computed)
        results->push_back(at::empty_strided(x.sizes(), x.strides(),
                                             x.options().device(Card::current().device())));
    for (std::size_t i = 0; i < computed.size(); ++i) on_host((*results)[i]).copy_(computed[i]);
  });
  return *results;
}

namespace {

// CUDA accepts numbers from the host only.
at::Tensor argument_on_host(const at::Tensor& x, const c10::OperatorHandle& op) {
  if (!x.defined()) return x;
  const c10::Device device = Card::current().device();
  TORCH_CHECK(x.device() == device || (x.is_cpu() && x.dim() == 0), op.schema().name(),
              ": Expected all tensors to be on the same device, but found at least two devices, ",
              device, " and ", x.device(), "!");
  return x.is_cuda() ? on_host(x) : x;
}

c10::IValue argument_on_host(const c10::IValue& value, const c10::OperatorHandle& op) {
  if (value.isTensor()) return argument_on_host(value.toTensor(), op);
  if (value.isTensorList()) {
    c10::List<at::Tensor> list;
    for (const at::Tensor& x : value.toTensorVector()) list.push_back(argument_on_host(x, op));
    return list;
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<at::Tensor>> list;
    for (const std::optional<at::Tensor>& x : value.toOptionalTensorVector())
      list.push_back(x ? std::optional(argument_on_host(*x, op)) : std::nullopt);
    return list;
  }
  if (value.isDevice()) return c10::Device(c10::kCPU);
  return value;
}

Stack computed_on_host(const c10::OperatorHandle& op, const Stack& arguments) {
  Stack stack;
  for (const c10::IValue& value : arguments) stack.push_back(argument_on_host(value, op));
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), &stack);
  return stack;
}

void give_size(const at::Tensor& x, at::IntArrayRef sizes) {
  c10::StorageImpl* storage = x.storage().unsafeGetStorageImpl();
  const std::size_t bytes = at::detail::computeStorageNbytesContiguous(sizes, x.itemsize());
  if (storage->nbytes() < bytes) {
    storage->set_data_ptr(c10::GetAllocator(c10::kCUDA)->allocate(bytes));
    storage->set_nbytes(bytes);
  }
  x.unsafeGetTensorImpl()->set_sizes_contiguous(sizes);
}

// Operations give their size to empty `out` arguments.
void resize_outputs(const c10::OperatorHandle& op, const Stack& arguments) {
  Stack stack;
  std::vector<std::size_t> outputs;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const c10::Argument& argument = op.schema().arguments()[i];
    const bool is_output =
        argument.is_out() && arguments[i].isTensor() && arguments[i].toTensor().numel() == 0;
    if (is_output) outputs.push_back(i);
    stack.push_back(is_output ? at::empty({0}, arguments[i].toTensor().options().device(at::kCPU))
                              : argument_on_host(arguments[i], op));
  }
  if (outputs.empty()) return;
  const Stack computed_outputs = stack;
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), &stack);
  for (const std::size_t i : outputs)
    give_size(arguments[i].toTensor(), computed_outputs[i].toTensor().sizes());
}

// The argument that the result is, or is a view of; nullptr: neither.
const c10::IValue* aliased_argument(const c10::OperatorHandle& op, const c10::AliasInfo* result,
                                    const Stack& arguments) {
  if (result == nullptr) return nullptr;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const c10::AliasInfo* alias = op.schema().arguments()[i].alias_info();
    if (alias != nullptr && alias->beforeSets() == result->beforeSets()) return &arguments[i];
  }
  return nullptr;
}

at::Tensor view_like(const at::Tensor& base, const at::Tensor& view_on_host) {
  at::Tensor view = at::detail::make_tensor<c10::TensorImpl>(
      c10::TensorImpl::VIEW, c10::Storage(base.storage()), base.key_set(), base.dtype());
  view.unsafeGetTensorImpl()->set_sizes_and_strides(view_on_host.sizes(), view_on_host.strides(),
                                                    view_on_host.storage_offset());
  if (view_on_host.dtype() != base.dtype())
    view.unsafeGetTensorImpl()->set_storage_and_dtype(base.storage(), view_on_host.dtype());
  return view;
}

c10::IValue views_like(const at::Tensor& base, const c10::IValue& on_host) {
  if (on_host.isTensor()) return view_like(base, on_host.toTensor());
  c10::List<at::Tensor> list;
  for (const at::Tensor& x : on_host.toTensorVector()) list.push_back(view_like(base, x));
  return list;
}

// The products by which the program measures its GPU. Nothing reads them, and they take seconds.
bool is_measurement(const c10::FunctionSchema& schema, const Stack& arguments) {
  return schema.name() == "aten::mm" && schema.overload_name() == "out" &&
         arguments[0].toTensor().numel() >= std::int64_t{1} << 24;
}

// That of the first tensor on a card, or the one that is asked for.
std::optional<c10::Device> device_of(const Stack& arguments) {
  for (const c10::IValue& value : arguments) {
    std::vector<at::Tensor> tensors;
    if (value.isTensor()) tensors = {value.toTensor()};
    if (value.isTensorList()) tensors = value.toTensorVector();
    if (value.isDevice() && value.toDevice().is_cuda()) return value.toDevice();
    for (const at::Tensor& x : tensors)
      if (x.defined() && x.is_cuda()) return x.device();
  }
  return {};
}

// Any operation without an entry below.
void run_boxed(const c10::OperatorHandle& op, Stack* stack) {
  const auto& schema = op.schema();
  const Stack arguments = torch::jit::pop(*stack, schema.arguments().size());
  const c10::OptionalDeviceGuard guard(device_of(arguments));
  if (schema.name() == "aten::_local_scalar_dense")
    Card::current().refuse_in_capture("reading a value");
  std::vector<const c10::IValue*> aliased;
  bool changes_arguments = false, makes_views = false;
  for (const c10::Argument& result : schema.returns()) {
    const c10::AliasInfo* alias = result.alias_info();
    aliased.push_back(aliased_argument(op, alias, arguments));
    (alias != nullptr && alias->isWrite() ? changes_arguments : makes_views) |=
        aliased.back() != nullptr;
  }
  if (makes_views) {
    const Stack results = computed_on_host(op, arguments);
    for (std::size_t i = 0; i < results.size(); ++i)
      stack->push_back(views_like(aliased[i]->toTensor(), results[i]));
  } else if (changes_arguments || schema.returns().empty()) {
    resize_outputs(op, arguments);
    if (!is_measurement(schema, arguments))
      Card::current().run([op, arguments] { computed_on_host(op, arguments); });
    for (const c10::IValue* argument : aliased) stack->push_back(*argument);
  } else {
    Stack results = computed_on_host(op, arguments);
    std::vector<std::size_t> tensors;
    for (std::size_t i = 0; i < results.size(); ++i)
      if (results[i].isTensor()) tensors.push_back(i);
    if (!tensors.empty()) {
      const std::vector<at::Tensor> on_card = run_on_host([=] {
        const Stack again = computed_on_host(op, arguments);
        std::vector<at::Tensor> values;
        for (const std::size_t i : tensors) values.push_back(again[i].toTensor());
        return values;
      });
      for (std::size_t k = 0; k < tensors.size(); ++k) results[tensors[k]] = on_card[k];
    }
    for (c10::IValue& result : results) stack->push_back(std::move(result));
  }
}

c10::DispatchKeySet cuda_keys() { return c10::DispatchKeySet(c10::DispatchKey::CUDA); }

at::Tensor empty(at::IntArrayRef sizes, std::optional<at::ScalarType> dtype,
                 std::optional<at::Layout>, std::optional<at::Device> device, std::optional<bool>,
                 std::optional<at::MemoryFormat> format) {
  const c10::OptionalDeviceGuard guard(device);
  return at::Tensor(at::detail::empty_generic(sizes, c10::GetAllocator(c10::kCUDA), cuda_keys(),
                                              dtype.value_or(at::kFloat), format));
}

at::Tensor empty_strided(at::IntArrayRef sizes, at::IntArrayRef strides,
                         std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                         std::optional<at::Device> device, std::optional<bool>) {
  const c10::OptionalDeviceGuard guard(device);
  return at::Tensor(at::detail::empty_strided_generic(sizes, strides, c10::GetAllocator(c10::kCUDA),
                                                      cuda_keys(), dtype.value_or(at::kFloat)));
}

at::Tensor& set(at::Tensor& x, at::Storage storage, std::int64_t offset, at::IntArrayRef sizes,
                at::IntArrayRef strides) {
  TORCH_CHECK(storage.device() == x.device(), "storage of another device");
  x.unsafeGetTensorImpl()->set_storage_keep_dtype(std::move(storage));
  x.unsafeGetTensorImpl()->set_sizes_and_strides(sizes, strides, offset);
  return x;
}

// Between card and host, memory that is not pinned cannot be copied during a capture.
at::Tensor& copy(at::Tensor& to, const at::Tensor& from, bool) {
  const c10::DeviceGuard guard((to.is_cuda() ? to : from).device());
  for (const at::Tensor& x : {to, from})
    if (x.is_cpu() && !x.is_pinned()) Card::current().refuse_in_capture("copying host memory");
  const auto host = [](const at::Tensor& x) { return x.is_cuda() ? on_host(x) : x; };
  Card::current().run([=] {
    const at::AutoDispatchBelowADInplaceOrView no_autograd;
    host(to).copy_(host(from));
  });
  return to;
}

TORCH_LIBRARY_IMPL(_, CUDA, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&run_boxed>());
}
TORCH_LIBRARY_IMPL(aten, CUDA, m) {
  m.impl("empty.memory_format", &empty);
  m.impl("empty_strided", &empty_strided);
  m.impl("copy_", &copy);
  m.impl("set_.source_Storage_storage_offset", &set);
}

}  // namespace
}  // namespace sluice::fake_cuda
