// Writes the GGUF format, version 3: key-value metadata and fp32 tensors, little-endian.
//
//   "GGUF", version, number of tensors, number of keys
//   keys:    name, type, value
//   tensors: name, number of dimensions, dimensions (fastest first), type, offset
//   data:    the tensors, each at a multiple of 32 bytes after the start of the data
//
// Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/file.h"
#include "store/safetensors.h"

namespace sluice::interop {

using GgufValue = std::variant<std::uint32_t, float, bool, std::string, std::vector<std::string>,
                               std::vector<float>, std::vector<std::int32_t>>;
using GgufKeys = std::vector<std::pair<std::string, GgufValue>>;

// Writes the whole file; neither syncs nor closes. All tensors must be fp32 (InvariantError).
void write_gguf(OutputFile& file, const GgufKeys& keys, std::span<const store::TensorView> tensors);

}  // namespace sluice::interop
