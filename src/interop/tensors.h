// Weights between a model and files of another layout.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "interop/layout.h"
#include "interop/weight_files.h"
#include "ops/parameters.h"
#include "store/safetensors.h"

namespace sluice::interop {

// Tensors in host memory and the views of them to write.
struct HostTensors {
  std::vector<at::Tensor> owners;
  std::vector<store::TensorView> views;
  // fp32 or int64, on any device.
  void add(const std::string& name, const at::Tensor& tensor);
};

// All parameters under their names in the layout, fp32.
HostTensors export_tensors(const Layout& layout, const ops::Parameters& parameters);

// Checks that the files have all tensors in their shapes, and `vocab_size` rows of those with a row
// per token. The parameters need not be allocated: a
// configuration that asks for more memory than the files fill fails here. Errors as below.
void check_tensors(const Layout& layout, const WeightFiles& files,
                   const ops::Parameters& parameters, std::int64_t vocab_size);
// Fills all parameters of an allocated arena; refreshes the compute copy. The files may hold fp32,
// fp16 or bf16; their embedding may have more rows than ours, which are dropped with a warning.
// kBadData names the file and the first tensor that is missing, unexpected, not finite, or of
// another shape or type; a tied head must equal the embedding.
void import_tensors(const Layout& layout, const WeightFiles& files, ops::Parameters& parameters);

}  // namespace sluice::interop
