// Loads the weights of a model from a safetensors file. Strict: the file must hold every parameter
// of the model in its shape as fp32, and nothing else.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/language_model.h"
#include "store/safetensors.h"

namespace sluice::eval {

// A tensor and its name in the file. fp32 or fp64, on any device.
struct NamedTensor {
  std::string name;
  at::Tensor tensor;
  // The stored tensor has this shape, of which the flat `tensor` is the part from element `first`.
  struct Whole {
    std::vector<std::int64_t> shape;
    std::int64_t first = 0;
  };
  std::optional<Whole> whole{};
};

// Copies each tensor of the file into the tensor of the same name. kBadData names the file and the
// first tensor that is missing, unexpected, or of another shape or type; nothing is copied then.
void copy_tensors(const store::Tensors& from, const std::vector<NamedTensor>& to);
// The same for all parameters of an allocated arena; refreshes the compute copy. `ranges`: copies
// these elements of the arena only.
void load_parameters(ops::Parameters& parameters, const store::Tensors& tensors);
void load_parameters(ops::Parameters& parameters, const store::Tensors& tensors,
                     const std::vector<ops::ArenaRange>& ranges);

struct ModelPlace {
  c10::Device device = c10::kCPU;
  c10::ScalarType compute = c10::kFloat;  // or c10::kBFloat16
  bool with_gradients = false;
};

// Creates the model and loads `safetensors`. `vocab_size` and `sequences`: see model::make_model.
std::unique_ptr<model::LanguageModel> load_model(const model::ModelConfig& config,
                                                 std::int64_t vocab_size,
                                                 const model::Sequences& sequences,
                                                 const std::filesystem::path& safetensors,
                                                 const ModelPlace& place);

}  // namespace sluice::eval
