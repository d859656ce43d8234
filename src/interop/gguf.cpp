#include "interop/gguf.h"

#include <array>
#include <bit>
#include <cstring>

#include "base/error.h"

namespace sluice::interop {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are written as in memory");

constexpr std::uint32_t kVersion = 3, kF32 = 0;
constexpr std::uint64_t kAlignment = 32;
enum Type : std::uint32_t {
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9
};

class Buffer {
 public:
  template <class Number>
  void number(Number value) {
    const std::size_t at = bytes_.size();
    bytes_.resize(at + sizeof(Number));
    std::memcpy(bytes_.data() + at, &value, sizeof(Number));
  }
  void text(const std::string& value) {
    number(static_cast<std::uint64_t>(value.size()));
    bytes_ += value;
  }

  void value(std::uint32_t v) { typed(kUint32, v); }
  void value(float v) { typed(kFloat32, v); }
  void value(bool v) { typed(kBool, static_cast<std::uint8_t>(v)); }
  void value(const std::string& v) {
    number(std::uint32_t{kString});
    text(v);
  }
  void value(const std::vector<std::string>& v) {
    array(kString, v.size());
    for (const std::string& one : v) text(one);
  }
  void value(const std::vector<float>& v) {
    array(kFloat32, v.size());
    for (const float one : v) number(one);
  }
  void value(const std::vector<std::int32_t>& v) {
    array(kInt32, v.size());
    for (const std::int32_t one : v) number(one);
  }

  void align() { bytes_.resize((bytes_.size() + kAlignment - 1) / kAlignment * kAlignment); }
  const std::string& bytes() const { return bytes_; }

 private:
  template <class Number>
  void typed(Type type, Number v) {
    number(std::uint32_t{type});
    number(v);
  }
  void array(Type type, std::size_t size) {
    number(std::uint32_t{kArray});
    number(std::uint32_t{type});
    number(static_cast<std::uint64_t>(size));
  }

  std::string bytes_;
};

std::uint64_t padding(std::uint64_t size) { return (kAlignment - size % kAlignment) % kAlignment; }

}  // namespace

void write_gguf(OutputFile& file, const GgufKeys& keys,
                std::span<const store::TensorView> tensors) {
  Buffer header;
  header.number(std::array{'G', 'G', 'U', 'F'});
  header.number(kVersion);
  header.number(static_cast<std::uint64_t>(tensors.size()));
  header.number(static_cast<std::uint64_t>(keys.size()));
  for (const auto& [key, value] : keys) {
    header.text(key);
    std::visit([&](const auto& v) { header.value(v); }, value);
  }
  std::uint64_t offset = 0;
  for (const store::TensorView& tensor : tensors) {
    invariant(tensor.dtype == store::Dtype::kF32, "GGUF exports hold fp32");
    header.text(tensor.name);
    header.number(static_cast<std::uint32_t>(tensor.shape.size()));
    for (std::size_t i = tensor.shape.size(); i-- > 0;)
      header.number(static_cast<std::uint64_t>(tensor.shape[i]));
    header.number(kF32);
    header.number(offset);
    offset += tensor.bytes.size() + padding(tensor.bytes.size());
  }
  header.align();
  file.write(std::string_view(header.bytes()));
  for (const store::TensorView& tensor : tensors) {
    file.write(tensor.bytes);
    file.write(std::string_view(std::string(padding(tensor.bytes.size()), '\0')));
  }
}

}  // namespace sluice::interop
