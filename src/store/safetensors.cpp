#include "store/safetensors.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <set>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text_format.h"
#include "store/safetensors_header.h"

static_assert(std::endian::native == std::endian::little,
              "tensors are written in native byte order");

namespace sluice::store {
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kDataAlignment = 64;

struct DtypeRow {
  Dtype dtype;
  std::string_view name;
  std::size_t size_bytes;
};
constexpr DtypeRow kDtypes[] = {
    {Dtype::kBool, "BOOL", 1}, {Dtype::kU8, "U8", 1},   {Dtype::kI8, "I8", 1},
    {Dtype::kU16, "U16", 2},   {Dtype::kI16, "I16", 2}, {Dtype::kF16, "F16", 2},
    {Dtype::kBF16, "BF16", 2}, {Dtype::kU32, "U32", 4}, {Dtype::kI32, "I32", 4},
    {Dtype::kF32, "F32", 4},   {Dtype::kU64, "U64", 8}, {Dtype::kI64, "I64", 8},
    {Dtype::kF64, "F64", 8},
};

const DtypeRow& row_of(Dtype dtype) {
  const auto* row = std::find_if(std::begin(kDtypes), std::end(kDtypes),
                                 [&](const DtypeRow& r) { return r.dtype == dtype; });
  invariant(row != std::end(kDtypes), "a dtype without a row");
  return *row;
}

// elements * size; nullopt on overflow.
std::optional<std::uint64_t> size_of(std::span<const std::int64_t> shape, Dtype dtype) {
  std::uint64_t bytes = bytes_per_element(dtype);
  for (std::int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(bytes, static_cast<std::uint64_t>(extent), &bytes))
      return std::nullopt;
  }
  return bytes;
}

std::string quoted(std::string_view text) { return nlohmann::json(text).dump(); }

void check_size(const std::string& name, Dtype dtype, std::span<const std::int64_t> shape,
                std::size_t num_bytes) {
  invariant(
      size_of(shape, dtype) == num_bytes,
      cat("tensor `", name, "` has ", num_bytes, " bytes, which do not match its dtype and shape"));
}

template <class Tensor>
void check_names(std::span<const Tensor> tensors) {
  std::set<std::string_view> names;
  for (const Tensor& t : tensors) {
    invariant(t.name != kMetadataKey && names.insert(t.name).second,
              cat("duplicate or reserved tensor name `", t.name, "`"));
    invariant(t.shape.size() <= kMaxDimensions && size_of(t.shape, t.dtype).has_value(),
              cat("tensor `", t.name, "`: its shape can be stored"));
  }
}

// The length field and the padded header.
template <class Tensor>
std::string head_of(std::span<const Tensor> tensors, const Metadata& metadata) {
  check_names(tensors);
  std::string head(kLengthBytes, '\0');
  head += "{";
  if (!metadata.empty()) head += cat(quoted(kMetadataKey), ":", nlohmann::json(metadata).dump());
  std::uint64_t begin = 0;
  for (const Tensor& t : tensors) {
    if (head.size() > kLengthBytes + 1) head += ",";
    const std::uint64_t end = begin + size_of(t.shape, t.dtype).value();
    head += cat(quoted(t.name), ":{\"dtype\":\"", name_of(t.dtype),
                "\",\"shape\":", nlohmann::json(t.shape).dump(), ",\"data_offsets\":[", begin, ",",
                end, "]}");
    begin = end;
  }
  head += "}";
  head.resize((head.size() + kDataAlignment - 1) / kDataAlignment * kDataAlignment, ' ');
  const std::uint64_t length = head.size() - kLengthBytes;
  invariant(length <= kMaxHeaderBytes, "a safetensors header above 100 MB");
  for (std::size_t i = 0; i < kLengthBytes; ++i) head[i] = static_cast<char>(length >> (8 * i));
  return head;
}

std::string_view header_of(std::span<const std::byte> bytes, std::string_view source) {
  if (bytes.size() < kLengthBytes) {
    fail(ExitCode::kBadData, source, cat(bytes.size(), " bytes"),
         "a safetensors file, starting with an 8-byte header length");
  }
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i)
    length |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  const std::uint64_t limit = std::min<std::uint64_t>(kMaxHeaderBytes, bytes.size() - kLengthBytes);
  if (length > limit || length < 2) {
    fail(ExitCode::kBadData, source,
         cat("a header of ", length, " bytes in a file of ", bytes.size()),
         "a safetensors header inside the file, at most 100,000,000 bytes");
  }
  return {reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length};
}

Dtype dtype_named(const HeaderEntry& entry, std::string_view source) {
  const auto* row = std::find_if(std::begin(kDtypes), std::end(kDtypes),
                                 [&](const DtypeRow& r) { return r.name == entry.dtype; });
  if (row == std::end(kDtypes)) {
    fail(ExitCode::kBadData, source,
         cat("dtype `", printable(entry.dtype), "` of tensor `", printable(entry.name), "`"),
         "BOOL, U8 to U64, I8 to I64, F16, BF16, F32 or F64");
  }
  return row->dtype;
}

// Sorts the entries by offset; each must begin at the end of the previous one.
void place_tensors(std::vector<HeaderEntry>& entries, std::span<const std::byte> data,
                   Tensors& tensors) {
  std::stable_sort(entries.begin(), entries.end(), [](const HeaderEntry& a, const HeaderEntry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t at = 0;
  for (HeaderEntry& e : entries) {
    const Dtype dtype = dtype_named(e, tensors.source);
    if (e.begin != at || e.end < e.begin || e.end > data.size()) {
      fail(ExitCode::kBadData, tensors.source,
           cat("tensor `", printable(e.name), "` at bytes ", e.begin, " to ", e.end),
           cat("contiguous tensors: this one from ", at, ", inside the ", data.size(),
               " bytes of data"));
    }
    if (size_of(e.shape, dtype) != e.end - e.begin) {
      fail(ExitCode::kBadData, tensors.source,
           cat("tensor `", printable(e.name), "` of ", e.end - e.begin, " bytes"),
           "the size implied by its dtype and shape");
    }
    at = e.end;
    tensors.all.push_back(
        {std::move(e.name), dtype, std::move(e.shape), data.subspan(e.begin, e.end - e.begin)});
  }
  if (at != data.size()) {
    fail(ExitCode::kBadData, tensors.source, cat(data.size(), " bytes of data"),
         cat(at, " bytes, the total size of its tensors"));
  }
}

void reject_duplicate_names(const Tensors& tensors) {
  std::vector<std::string_view> names;
  names.reserve(tensors.all.size());
  for (const TensorView& t : tensors.all) names.push_back(t.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end())
    fail(ExitCode::kBadData, tensors.source, cat("two tensors named `", printable(*twice), "`"),
         "unique names");
}

}  // namespace

std::string_view name_of(Dtype dtype) { return row_of(dtype).name; }

std::size_t bytes_per_element(Dtype dtype) { return row_of(dtype).size_bytes; }

const TensorView* Tensors::find(std::string_view name) const {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const TensorView& t) { return t.name == name; });
  return found == all.end() ? nullptr : &*found;
}

const TensorView& Tensors::at(std::string_view name) const {
  const TensorView* tensor = find(name);
  if (tensor == nullptr)
    fail(ExitCode::kBadData, source,
         cat("missing tensor `", name, "` (", all.size(), " in the file)"));
  return *tensor;
}

void write_safetensors(OutputFile& file, std::span<const TensorView> tensors,
                       const Metadata& metadata) {
  for (const TensorView& t : tensors) check_size(t.name, t.dtype, t.shape, t.bytes.size());
  file.write(std::string_view(head_of(tensors, metadata)));
  for (const TensorView& t : tensors) {
    if (!t.bytes.empty()) file.write(t.bytes);
  }
}

void write_safetensors(OutputFile& file, std::span<const TensorSource> tensors) {
  file.write(std::string_view(head_of(tensors, {})));
  for (const TensorSource& t : tensors) {
    const std::span<const std::byte> bytes = t.bytes();
    check_size(t.name, t.dtype, t.shape, bytes.size());
    if (!bytes.empty()) file.write(bytes);
  }
}

std::uint64_t safetensors_size_bytes(std::span<const TensorSource> tensors) {
  std::uint64_t size = head_of(tensors, {}).size();
  for (const TensorSource& t : tensors) size += size_of(t.shape, t.dtype).value();
  return size;
}

std::uint64_t safetensors_size_bytes(std::span<const TensorView> tensors,
                                     const Metadata& metadata) {
  std::uint64_t size = head_of(tensors, metadata).size();
  for (const TensorView& t : tensors) size += t.bytes.size();
  return size;
}

Tensors parse_safetensors(std::span<const std::byte> bytes, std::string_view source) {
  const std::string_view header = header_of(bytes, source);
  Tensors tensors;
  tensors.source = source;
  std::vector<HeaderEntry> entries = read_header(header, source, tensors.metadata);
  place_tensors(entries, bytes.subspan(kLengthBytes + header.size()), tensors);
  reject_duplicate_names(tensors);
  return tensors;
}

}  // namespace sluice::store
