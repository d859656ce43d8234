// `sluice export --to hf`: a model directory of Hugging Face `transformers`.
//
//   model.safetensors        weights, fp32
//   config.json, generation_config.json
//   tokenizer.json, ...      see text/huggingface_export.h
//   README.md                model card
//   selftest.safetensors     tokens and reference logits (selftest.h)
//   check_export.py          compares `transformers` with them
//
// Everything but the model card is a function of weights, model and tokenizer.
#pragma once

#include <filesystem>
#include <string>

#include "interop/export_source.h"

namespace sluice::interop {

struct Exported {
  std::string class_name;  // the class of transformers, or the architecture of llama.cpp
  std::int64_t step = 0;
  std::int64_t num_parameters = 0;
};

// kUsage, naming the field, for a model without an equivalent, and for an `out` that is not empty;
// kInterrupted if stopped. `out` then does not exist.
Exported export_huggingface(const ExportRequest& request);

}  // namespace sluice::interop
