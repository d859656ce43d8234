#include "tests/store/store_support.h"

#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>

#include "base/text_format.h"

namespace sluice::store {
namespace {

// clang-format off
constexpr std::array<std::string_view, 24> kPieces = {
    "{", "}", "[", "]", ",", ":", "\"", "\"dtype\"", "\"shape\"", "\"data_offsets\"", "\"F32\"",
    "\"__metadata__\"", "-1", "1e9", "0.5", "null", "true", "18446744073709551615",
    "18446744073709551616", "9223372036854775807", "\\u0000", " ", "0", "4294967296"};
// clang-format on

// In memory if possible, since thousands of saves would be slow on a disk. Disk failures are
// simulated by FaultyFileSystem.
fs::path place_for_scratch() {
  std::error_code error;
  const fs::space_info space = fs::space("/dev/shm", error);
  return !error && space.available > (32U << 20) ? fs::path("/dev/shm") : fs::temp_directory_path();
}

void mutate_once(std::string& text, std::mt19937_64& random) {
  const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random() % bound); };
  if (text.empty()) text = "x";
  const std::size_t at = below(text.size());
  const std::size_t length = 1 + below(std::min<std::size_t>(40, text.size() - at));
  switch (below(8)) {
    case 0:
      text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
      break;
    case 1:
      text[at] = static_cast<char>(below(256));
      break;
    case 2:
      text.erase(at, length);
      break;
    case 3:
      text.insert(at, text.substr(at, length));
      break;
    case 4:
      text.insert(at, kPieces[below(kPieces.size())]);
      break;
    case 5:
      text.replace(at, length, kPieces[below(kPieces.size())]);
      break;
    case 6:
      text.resize(at);
      break;
    default: {
      const std::size_t digit = text.find_first_of("0123456789", at);
      if (digit != std::string::npos) text[digit] = static_cast<char>('0' + below(10));
    }
  }
}

}  // namespace

ScratchDirectory::ScratchDirectory() {
  std::string pattern = (place_for_scratch() / "sluice-store-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory");
  path_ = pattern;
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void write_text(const fs::path& path, std::string_view text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  if (!out) throw std::runtime_error("cannot write " + path.string());
}

std::map<std::string, std::string> content_of_tree(const fs::path& directory) {
  std::map<std::string, std::string> content;
  if (!fs::exists(directory)) return content;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file())
      content[fs::relative(entry.path(), directory).string()] = read_file(entry.path());
  }
  return content;
}

std::string pseudo_random_text(std::size_t size_bytes, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string text(size_bytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

CheckpointFile text_file(const std::string& name, const std::string& content) {
  return {name, [content](OutputFile& file) { file.write(std::string_view(content)); }};
}

std::string error_of(ExitCode code, const std::function<void()>& call) {
  try {
    call();
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_EQ(std::string_view(error.what()).find('\n'), std::string_view::npos)
        << "more than one line: " << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no UserError";
  return {};
}

std::string run_python(std::string_view program, std::span<const std::string> arguments) {
  const ScratchDirectory scratch;
  write_text(scratch / "program.py", program);
  std::string command = SLUICE_PYTHON;
  command += cat(' ', (scratch / "program.py").string());
  for (const std::string& argument : arguments) command += cat(" '", argument, "'");
  command += " 2>&1";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
  std::string output;
  std::array<char, 4096> block{};
  while (const std::size_t size = std::fread(block.data(), 1, block.size(), pipe))
    output.append(block.data(), size);
  const int status = ::pclose(pipe);
  EXPECT_EQ(status, 0) << command << "\n" << output;
  return output;
}

void fuzz(std::uint64_t usual, const std::function<void(std::mt19937_64&)>& once) {
  std::mt19937_64 random(20240229);
  const char* seconds = std::getenv("SLUICE_FUZZ_SECONDS");
  std::uint64_t count = 0;
  if (seconds == nullptr) {
    for (; count < usual && !::testing::Test::HasFailure(); ++count) once(random);
  } else {
    random.seed(std::random_device{}());
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(seconds));
    for (; std::chrono::steady_clock::now() < end && !::testing::Test::HasFailure(); ++count)
      once(random);
  }
  std::cout << count << " executions\n";
}

std::string mutated(std::string text, std::mt19937_64& random) {
  for (std::uint64_t i = 1 + random() % 3; i > 0; --i) mutate_once(text, random);
  return text;
}

}  // namespace sluice::store
