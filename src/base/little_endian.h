// Numbers in binary formats, the least significant byte first, on any machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

// The number in bytes [at, at + num_bytes), which exist; num_bytes <= 8.
inline std::uint64_t read_little_endian(std::string_view bytes, std::size_t at,
                                        std::size_t num_bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = num_bytes; i-- > 0;)
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

inline void append_little_endian(std::string& bytes, std::uint64_t value, std::size_t num_bytes) {
  for (std::size_t i = 0; i < num_bytes; ++i, value >>= 8) bytes += static_cast<char>(value & 0xFF);
}

}  // namespace sluice
