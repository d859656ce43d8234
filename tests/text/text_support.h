// Helpers for tests of text and the layers above.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <string_view>

#include "base/error.h"

namespace sluice::testing {

inline void write_text(const std::filesystem::path& path, std::string_view content) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  ASSERT_TRUE(file.good()) << path;
}

// The message of the UserError thrown by `call`; fails if it throws none or one with another code.
inline std::string message_of(ExitCode code, const std::function<void()>& call) {
  try {
    call();
  } catch (const UserError& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
    EXPECT_EQ(std::string_view(error.what()).find('\n'), std::string_view::npos)
        << "more than one line: " << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no UserError";
  return {};
}

// UTF-8 of one code point, implemented independently of src/text/utf8.cpp.
inline std::string utf8_of(std::uint32_t code) {
  const auto tail = [&](int shift) { return static_cast<char>(0x80 + (code >> shift) % 64); };
  if (code < 0x80) return {static_cast<char>(code)};
  if (code < 0x800) return {static_cast<char>(0xC0 + (code >> 6)), tail(0)};
  if (code < 0x10000) return {static_cast<char>(0xE0 + (code >> 12)), tail(6), tail(0)};
  return {static_cast<char>(0xF0 + (code >> 18)), tail(12), tail(6), tail(0)};
}

// Difficult text for tokenizers: runs of blanks, newlines, control characters, special tokens of
// the library, all Unicode planes; never U+2581.
inline std::string random_text(std::mt19937_64& random, std::size_t num_characters) {
  const auto below = [&](std::uint32_t bound) {
    return static_cast<std::uint32_t>(random() % bound);
  };
  std::string text;
  for (std::size_t i = 0; i < num_characters; ++i) {
    std::uint32_t code = 0x2581;
    while (code == 0x2581 || (code >= 0xD800 && code < 0xE000)) {
      switch (below(8)) {
        case 0:
          code = ' ';
          break;
        case 1:
          code = static_cast<std::uint32_t>("\n\t\r\x01\x7F"[below(5)]);
          break;
        case 2:
          code = static_cast<std::uint32_t>("</s>unk0xAF"[below(11)]);
          break;
        case 3:
          code = 0x2580 + below(16);
          break;
        case 4:
          code = below(0x800);
          break;
        case 5:
          code = below(0x110000);
          break;
        default:
          code = 'a' + below(26);
          break;
      }
    }
    text += utf8_of(code);
  }
  return text;
}

// English-like text with enough distinct words to train a vocabulary.
inline std::string plain_text(std::uint64_t seed, std::size_t num_lines) {
  constexpr std::string_view kSyllables[] = {"ta",  "ri", "mo",  "sen", "ka", "lu", "ber",
                                             "the", "an", "ing", "or",  "is", "po", "den"};
  std::mt19937_64 random(seed);
  std::string text;
  for (std::size_t line = 0; line < num_lines; ++line) {
    for (std::uint64_t word = 0, words = 3 + random() % 9; word < words; ++word) {
      if (word > 0) text += ' ';
      for (std::uint64_t s = 0, syllables = 1 + random() % 3; s < syllables; ++s)
        text += kSyllables[random() % std::size(kSyllables)];
    }
    text += random() % 4 == 0 ? ".\n\n" : ",\n";
  }
  return text;
}

}  // namespace sluice::testing
