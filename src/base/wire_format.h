// The protobuf wire format without groups, for SentencePiece models and TensorBoard events.
// https://protobuf.dev/programming-guides/encoding/
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sluice {

// One field of a message. `number`: value of varint and fixed fields; `bytes`: value of
// length-delimited fields.
struct WireField {
  enum class Type { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };
  std::uint32_t id = 0;
  Type type = Type::kVarint;
  std::uint64_t number = 0;
  std::string_view bytes;
};

// Iterates over the fields of one message. next() returns nullopt at the end and after an error;
// failed() distinguishes the two.
class WireReader {
 public:
  explicit WireReader(std::string_view message) : rest_(message) {}
  std::optional<WireField> next();
  bool failed() const { return failed_; }

 private:
  std::optional<WireField> set_failed();
  bool read_varint(std::uint64_t& value);
  bool read_fixed(std::size_t num_bytes, std::uint64_t& value);

  std::string_view rest_;
  bool failed_ = false;
};

// Builds one message; fields appear in the order of the calls. Protobuf's own library is not used:
// a second copy in a process with LibTorch and SentencePiece, which contain their own, is a known
// cause of crashes, and a few messages do not need generated code.
class WireWriter {
 public:
  WireWriter& add_varint(std::uint32_t id, std::uint64_t value);
  WireWriter& add_double(std::uint32_t id, double value);
  WireWriter& add_float(std::uint32_t id, float value);
  WireWriter& add_bytes(std::uint32_t id, std::string_view value);  // also strings and messages
  WireWriter& add_message(std::uint32_t id, const WireWriter& message) {
    return add_bytes(id, message.bytes());
  }
  WireWriter& add_packed_doubles(std::uint32_t id, std::span<const double> values);
  const std::string& bytes() const { return bytes_; }

 private:
  void write_key(std::uint32_t id, WireField::Type type);
  void write_varint(std::uint64_t value);
  void write_fixed(std::uint64_t value, std::size_t num_bytes);

  std::string bytes_;
};

}  // namespace sluice
