#include "eval/load_model.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cstring>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text_format.h"

namespace sluice::eval {
namespace {

std::string text_of(store::Dtype dtype, const std::vector<std::int64_t>& shape) {
  std::string text = cat(store::name_of(dtype), " [");
  for (std::size_t i = 0; i < shape.size(); ++i) text += cat(i == 0 ? "" : ", ", shape[i]);
  return text + "]";
}

const store::TensorView& matching_view(
    const std::unordered_map<std::string_view, const store::TensorView*>& views,
    const NamedTensor& wanted, const std::string& source) {
  const bool is_double = wanted.tensor.scalar_type() == at::kDouble;
  invariant(is_double || wanted.tensor.scalar_type() == at::kFloat,
            "tensors in files are fp32 or fp64");
  const store::Dtype dtype = is_double ? store::Dtype::kF64 : store::Dtype::kF32;
  const std::vector<std::int64_t> shape =
      wanted.whole ? wanted.whole->shape : wanted.tensor.sizes().vec();
  const std::string expected = text_of(dtype, shape);
  const auto found = views.find(wanted.name);
  if (found == views.end())
    fail(ExitCode::kBadData, cat(source, ": ", wanted.name),
         cat("missing tensor; expected ", expected));
  const store::TensorView& view = *found->second;
  if (view.dtype != dtype || view.shape != shape)
    fail(ExitCode::kBadData, cat(source, ": ", wanted.name), text_of(view.dtype, view.shape),
         expected);
  return view;
}

}  // namespace

void copy_tensors(const store::Tensors& from, const std::vector<NamedTensor>& to) {
  const at::NoGradGuard no_grad;
  std::unordered_map<std::string_view, const store::TensorView*> views;
  for (const store::TensorView& view : from.all) views.emplace(view.name, &view);
  std::vector<const store::TensorView*> sources;
  for (const NamedTensor& wanted : to) {
    sources.push_back(&matching_view(views, wanted, from.source));
    views.erase(wanted.name);
  }
  for (const store::TensorView& view : from.all) {
    if (!views.contains(view.name)) continue;
    fail(ExitCode::kBadData, cat(from.source, ": ", printable(view.name)), "unexpected tensor");
  }
  for (std::size_t i = 0; i < to.size(); ++i) {
    const at::Tensor host = at::empty(to[i].tensor.sizes(),
                                      to[i].tensor.options().device(at::kCPU).requires_grad(false));
    const std::size_t first =
        to[i].whole ? static_cast<std::size_t>(to[i].whole->first) * host.element_size() : 0;
    std::memcpy(host.mutable_data_ptr(), sources[i]->bytes.data() + first, host.nbytes());
    to[i].tensor.detach().copy_(host);
  }
}

void load_parameters(ops::Parameters& parameters, const store::Tensors& tensors) {
  load_parameters(parameters, tensors, parameters.whole());
}

void load_parameters(ops::Parameters& parameters, const store::Tensors& tensors,
                     const std::vector<ops::ArenaRange>& ranges) {
  std::vector<NamedTensor> to;
  for (const auto& [spec, offset] : parameters.declared()) {
    // One part: a process has consecutive elements of a parameter.
    ops::ArenaRange part{offset, offset};
    for (const ops::ArenaRange& range : ranges) {
      const ops::ArenaRange found =
          ops::intersection(range, {offset, offset + spec->num_elements()});
      if (found.size() == 0) continue;
      invariant(part.size() == 0, "load_parameters: one part of each parameter");
      part = found;
    }
    to.push_back({spec->name, parameters.master().narrow(0, part.begin, part.size()),
                  NamedTensor::Whole{spec->shape, part.begin - offset}});
  }
  copy_tensors(tensors, to);
  parameters.refresh_compute(ranges);
}

std::unique_ptr<model::LanguageModel> load_model(const model::ModelConfig& config,
                                                 std::int64_t vocab_size,
                                                 const model::Sequences& sequences,
                                                 const std::filesystem::path& safetensors,
                                                 const ModelPlace& place) {
  std::unique_ptr<model::LanguageModel> model = model::make_model(config, vocab_size, sequences);
  const MappedFile file(safetensors);
  const store::Tensors tensors = store::parse_safetensors(file.bytes(), safetensors.string());
  model->parameters().allocate(place.device, place.compute, place.with_gradients);
  load_parameters(model->parameters(), tensors);
  return model;
}

}  // namespace sluice::eval
