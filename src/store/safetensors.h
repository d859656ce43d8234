// The safetensors format: named tensors in one file, readable everywhere, with nothing in it that can run.
//
//   eight bytes: length of the header, little-endian
//   header: JSON, {"NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ..., "__metadata__": {"k": "v"}}
//   data: the tensors, row-major, little-endian, end to end
//
// What is written here is a function of the arguments alone (no times, no paths), in the order given. The header is padded with
// blanks so that data starts at a multiple of 64 bytes; the format's own rule is 8.
// Source: the safetensors specification, https://github.com/huggingface/safetensors#format
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace sluice::store {

enum class Dtype { kBool, kU8, kI8, kU16, kI16, kF16, kBF16, kU32, kI32, kF32, kU64, kI64, kF64 };

std::string_view name_of(Dtype dtype);  // "F32", as in the file
std::size_t bytes_per_element(Dtype dtype);

// Borrows its bytes. In files of other programs they may be unaligned for their type: copy, do not cast.
struct TensorView {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<std::int64_t> shape;   // empty: a scalar
  std::span<const std::byte> bytes;  // row-major
};

using Metadata = std::map<std::string, std::string>;

// Views into the bytes that were parsed, which must outlive it.
struct Tensors {
  std::string source;           // the file's name, for messages
  std::vector<TensorView> all;  // in the order of the data
  Metadata metadata;

  const TensorView* find(std::string_view name) const;  // null where there is none
  const TensorView& at(std::string_view name) const;    // kBadData where there is none
};

// Writes the whole file content; neither syncs nor closes. Names must be unique, and bytes must fit dtype and shape (InvariantError).
void write_safetensors(OutputFile& file, std::span<const TensorView> tensors, const Metadata& metadata = {});
// The size of that file, without writing it: for space checks.
std::uint64_t safetensors_size_bytes(std::span<const TensorView> tensors, const Metadata& metadata = {});

inline constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
inline constexpr std::size_t kMaxDimensions = 64;

// Checks everything before it hands out a view: header of at most 100 MB, exactly the shape shown above, no name twice, known
// dtypes, sizes that agree with shapes without overflow, data without overlap, hole or rest. kBadData otherwise; `source`
// stands for the file in the message. Memory: proportional to the header.
Tensors parse_safetensors(std::span<const std::byte> bytes, std::string_view source);

}  // namespace sluice::store
