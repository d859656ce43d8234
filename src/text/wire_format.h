// The subset of the protobuf wire format used by SentencePiece models.
// https://protobuf.dev/programming-guides/encoding/
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::text {

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

}  // namespace sluice::text
