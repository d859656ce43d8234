// The safetensors format: named tensors in one file, portable and without executable content.
//
//   8 bytes: length of the header, little-endian
//   header:  JSON, {"NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...,
//                   "__metadata__": {"k": "v"}}
//   data:    the tensors, row-major, little-endian, contiguous
//
// The output depends only on the arguments (no times, no paths); tensors are written in the order
// given. The header is padded with blanks so that the data starts at a multiple of 64 bytes; the
// format requires 8. Source: the safetensors specification,
// https://github.com/huggingface/safetensors#format
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
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

// Borrows its bytes. They may be unaligned in files of other programs: copy, do not cast.
struct TensorView {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<std::int64_t> shape;   // empty: a scalar
  std::span<const std::byte> bytes;  // row-major
};

using Metadata = std::map<std::string, std::string>;

// Views into the parsed bytes, which must outlive it.
struct Tensors {
  std::string source;           // the file's name, for messages
  std::vector<TensorView> all;  // in the order of the data
  Metadata metadata;

  const TensorView* find(std::string_view name) const;  // null if there is none
  const TensorView& at(std::string_view name) const;    // kBadData if there is none
};

// Writes the whole file content; neither syncs nor closes. Names must be unique, and the number of
// bytes must match dtype and shape (InvariantError).
void write_safetensors(OutputFile& file, std::span<const TensorView> tensors,
                       const Metadata& metadata = {});
// The same file, from tensors that are not in memory at the same time. Each is written before the
// next one is asked for.
struct TensorSource {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<std::int64_t> shape;
  std::function<std::span<const std::byte>()> bytes;
};
void write_safetensors(OutputFile& file, std::span<const TensorSource> tensors);
std::uint64_t safetensors_size_bytes(std::span<const TensorSource> tensors);

// The size of that file, without writing it: for space checks.
std::uint64_t safetensors_size_bytes(std::span<const TensorView> tensors,
                                     const Metadata& metadata = {});

inline constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
inline constexpr std::size_t kMaxDimensions = 64;

// Validates the whole file before returning views: header of at most 100 MB with exactly the
// structure above, unique names, known dtypes, sizes that match the shapes without overflow, data
// without overlaps, gaps or trailing bytes. kBadData otherwise; `source` names the file in the
// message. Memory is proportional to the header.
Tensors parse_safetensors(std::span<const std::byte> bytes, std::string_view source);

}  // namespace sluice::store
