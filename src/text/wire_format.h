// The protobuf wire format, as far as SentencePiece models use it.
// https://protobuf.dev/programming-guides/encoding/
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::text {

// One field of a message. `number` holds varints and fixed values, `bytes` the length-delimited ones.
struct WireField {
  enum class Type { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };
  std::uint32_t id = 0;
  Type type = Type::kVarint;
  std::uint64_t number = 0;
  std::string_view bytes;
};

// Walks over the fields of one message. next() gives nothing at the end and after a fault; failed() tells which.
class WireReader {
 public:
  explicit WireReader(std::string_view message) : rest_(message) {}
  std::optional<WireField> next();
  bool failed() const { return failed_; }

 private:
  std::optional<WireField> give_up();
  bool read_varint(std::uint64_t& value);
  bool read_fixed(std::size_t num_bytes, std::uint64_t& value);

  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace sluice::text
