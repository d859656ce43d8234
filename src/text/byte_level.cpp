#include "text/byte_level.h"

#include <array>

#include "text/utf8.h"

namespace sluice::text {

namespace {

bool is_printable(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Table {
  std::array<std::string, 256> characters;
  std::array<int, 0x200> bytes;

  Table() {
    bytes.fill(-1);
    std::uint32_t next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const std::uint32_t code = is_printable(byte) ? static_cast<std::uint32_t>(byte) : next++;
      append_utf8(code, characters[static_cast<std::size_t>(byte)]);
      bytes[code] = byte;
    }
  }
};

const Table& table() {
  static const Table the_table;
  return the_table;
}

}  // namespace

const std::string& byte_level_character(unsigned char byte) { return table().characters[byte]; }

int byte_of_character(std::uint32_t code) {
  return code < table().bytes.size() ? table().bytes[code] : -1;
}

std::string to_byte_level(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  for (const char c : text) out += byte_level_character(static_cast<unsigned char>(c));
  return out;
}

}  // namespace sluice::text
