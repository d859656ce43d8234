#include "base/wire_format.h"

#include <bit>

#include "base/little_endian.h"

namespace sluice {

bool WireReader::read_varint(std::uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (rest_.empty()) return false;
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    if (shift == 63 && byte > 1) return false;  // more than 64 bits
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool WireReader::read_fixed(std::size_t num_bytes, std::uint64_t& value) {
  if (rest_.size() < num_bytes) return false;
  value = read_little_endian(rest_, 0, num_bytes);
  rest_.remove_prefix(num_bytes);
  return true;
}

std::optional<WireField> WireReader::set_failed() {
  failed_ = true;
  return std::nullopt;
}

std::optional<WireField> WireReader::next() {
  if (failed_ || rest_.empty()) return std::nullopt;
  std::uint64_t key = 0;
  if (!read_varint(key) || key >> 3 == 0 || key >> 3 > 0x1FFFFFFF) return set_failed();
  WireField field;
  field.id = static_cast<std::uint32_t>(key >> 3);
  switch (key & 7) {
    case 0:
      field.type = WireField::Type::kVarint;
      return read_varint(field.number) ? std::optional(field) : set_failed();
    case 1:
      field.type = WireField::Type::kFixed64;
      return read_fixed(8, field.number) ? std::optional(field) : set_failed();
    case 5:
      field.type = WireField::Type::kFixed32;
      return read_fixed(4, field.number) ? std::optional(field) : set_failed();
    case 2:
      field.type = WireField::Type::kBytes;
      if (!read_varint(field.number) || field.number > rest_.size()) return set_failed();
      field.bytes = rest_.substr(0, field.number);
      rest_.remove_prefix(field.number);
      return field;
    default:
      return set_failed();  // groups: deprecated, and nesting would be unbounded
  }
}

void WireWriter::write_varint(std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>((value & 0x7F) | 0x80);
  bytes_ += static_cast<char>(value);
}

void WireWriter::write_fixed(std::uint64_t value, std::size_t num_bytes) {
  append_little_endian(bytes_, value, num_bytes);
}

void WireWriter::write_key(std::uint32_t id, WireField::Type type) {
  write_varint(std::uint64_t{id} << 3 | static_cast<std::uint64_t>(type));
}

WireWriter& WireWriter::add_varint(std::uint32_t id, std::uint64_t value) {
  write_key(id, WireField::Type::kVarint);
  write_varint(value);
  return *this;
}

WireWriter& WireWriter::add_double(std::uint32_t id, double value) {
  write_key(id, WireField::Type::kFixed64);
  write_fixed(std::bit_cast<std::uint64_t>(value), 8);
  return *this;
}

WireWriter& WireWriter::add_float(std::uint32_t id, float value) {
  write_key(id, WireField::Type::kFixed32);
  write_fixed(std::bit_cast<std::uint32_t>(value), 4);
  return *this;
}

WireWriter& WireWriter::add_bytes(std::uint32_t id, std::string_view value) {
  write_key(id, WireField::Type::kBytes);
  write_varint(value.size());
  bytes_ += value;
  return *this;
}

WireWriter& WireWriter::add_packed_doubles(std::uint32_t id, std::span<const double> values) {
  write_key(id, WireField::Type::kBytes);
  write_varint(values.size() * sizeof(double));
  for (const double value : values) write_fixed(std::bit_cast<std::uint64_t>(value), 8);
  return *this;
}

}  // namespace sluice
