// Against sha256sum of coreutils and the examples of FIPS 180-4.
#include "base/sha256.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <memory>

#include "tests/base/temporary_directory.h"

namespace sluice {
namespace {

std::string sha256sum(const std::filesystem::path& file) {
  const std::string command = "sha256sum '" + file.string() + "'";
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  char digits[65]{};
  return pipe && std::fread(digits, 1, 64, pipe.get()) == 64 ? digits : "";
}

TEST(Sha256, HasThePublishedValues) {
  EXPECT_EQ(sha256_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_of(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

// Lengths around the block size, where the padding changes.
TEST(Sha256, AgreesWithSha256sum) {
  const testing::TemporaryDirectory directory;
  const std::filesystem::path path = directory / "bytes";
  std::string bytes;
  for (int i = 0; i < 130; ++i) bytes.push_back(static_cast<char>(i * 37 + i * i));
  for (const std::size_t length : {1, 54, 55, 56, 57, 63, 64, 65, 119, 120, 128, 130}) {
    std::ofstream(path, std::ios::binary) << bytes.substr(0, length);
    const std::string expected = sha256sum(path);
    ASSERT_EQ(expected.size(), 64U);
    EXPECT_EQ(sha256_of(bytes.substr(0, length)), expected) << length;
    EXPECT_EQ(sha256_of_file(path), expected) << length;
  }
}

TEST(Sha256, PartsGiveTheSameHash) {
  const std::string text(1000, 'x');
  for (const std::size_t part : {1, 7, 63, 64, 65, 500}) {
    Sha256 hash;
    for (std::size_t i = 0; i < text.size(); i += part)
      hash.update(std::string_view(text).substr(i, part));
    EXPECT_EQ(hash.hex(), sha256_of(text)) << part;
  }
}

}  // namespace
}  // namespace sluice
