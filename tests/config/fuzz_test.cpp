// Mutated configurations either parse or throw UserError, and parsed values survive a round trip.
//
// The corpus (fuzz_corpus/) has one small file per edge case; each execution mutates one of them.
// Mutations are a function of the execution number: SLUICE_FUZZ_FIRST=N reproduces a failure.
// SLUICE_FUZZ_SECONDS=600 sets a time limit instead of a fixed count.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <sstream>

#include "base/clock.h"
#include "base/machine.h"
#include "tests/config/sample.h"

namespace sluice::config {
namespace {

using sample::Root;

std::vector<std::string> corpus() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry :
       std::filesystem::directory_iterator(SLUICE_SOURCE_DIR "/tests/config/fuzz_corpus"))
    paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> texts;
  for (const auto& path : paths) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    texts.push_back(text.str());
  }
  return texts;
}

// The corpus and its valid files. Half of the executions start from a valid file.
struct Texts {
  std::vector<std::string> all = corpus();
  std::vector<std::string> valid;
  Texts() {
    std::copy_if(all.begin(), all.end(), std::back_inserter(valid), [](const std::string& text) {
      try {
        parse<Root>(text, "fuzz.yaml");
        return true;
      } catch (const UserError&) {
        return false;
      }
    });
  }
};

class Mutator {
 public:
  Mutator(const Texts& texts, std::uint64_t number) : texts_(texts), bits_(number) {}

  std::string next() {
    std::string text = pick(bits_() % 2 == 0 ? texts_.valid : texts_.all);
    for (std::uint64_t n = 1 + bits_() % 4; n > 0; --n) mutate(text);
    return text.substr(0, 4096);
  }

 private:
  template <class List>
  const typename List::value_type& pick(const List& list) {
    return list[bits_() % list.size()];
  }
  std::size_t place(const std::string& text) { return bits_() % (text.size() + 1); }

  void mutate(std::string& text) {
    static constexpr std::array<std::string_view, 40> kTokens = {
        ": ",     "- ",    "? ",      "&a ",         "*a",          "<<: ",   "---\n",    "...\n",
        "!!str ", "[",     "]",       "{",           "}",           ",",      "\n",       "\n  ",
        "\t",     "\"",    "'",       "#",           "|\n",         ">\n",    "null",     "on",
        "010",    "1e5",   "1e999",   "0x10",        "nan",         "1.5GiB", "10min",    "auto",
        "type: ", "run: ", "model: ", "optimizer: ", "%YAML 1.2\n", "\\x",    "\xC3\xA9", "\xFF"};
    const std::size_t at = place(text);
    switch (bits_() % 7) {
      case 0:
        text.insert(at, pick(kTokens));
        break;
      case 1:
        text.erase(at, 1 + bits_() % 8);
        break;
      case 2:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << bits_() % 8));
        break;
      case 3:
        text.insert(at, text.substr(place(text), bits_() % 64));
        break;
      case 4:
        text.insert(at, std::string(1 + bits_() % 80, at < text.size() ? text[at] : ' '));
        break;
      case 5:
        text = text.substr(0, at) + pick(texts_.all).substr(0, bits_() % 256);
        break;
      default:
        text.resize(at);
    }
  }

  const Texts& texts_;
  std::mt19937_64 bits_;
};

struct Counts {
  std::uint64_t read = 0, refused = 0;
};

// Tests both inputs: a file and the value of an override.
void execute(const Texts& texts, std::uint64_t number, Counts& counts) {
  const std::string text = Mutator(texts, number).next();
  try {
    const Root root = number % 8 == 0 ? sample::with_overrides({"model.d_model=64", "run=" + text})
                                      : parse<Root>(text, "fuzz.yaml");
    ++counts.read;
    const std::string written = to_yaml(root, Comments::kNone);
    ASSERT_EQ(to_yaml(parse<Root>(written, "again"), Comments::kNone), written)
        << "execution " << number;
  } catch (const UserError& error) {
    ++counts.refused;
    ASSERT_EQ(error.code(), ExitCode::kUsage) << "execution " << number;
    ASSERT_FALSE(std::string_view(error.what()).empty());
    ASSERT_LT(std::string_view(error.what()).size(), 100'000U) << "execution " << number;
  } catch (const std::exception& error) {
    FAIL() << "execution " << number << ": " << error.what() << "\n" << text;
  }
}

TEST(Fuzz, TheCorpusHasValidAndInvalidFiles) {
  const Texts texts;
  EXPECT_GE(texts.valid.size(), 8U);
  EXPECT_GE(texts.all.size() - texts.valid.size(), 20U);
}

TEST(Fuzz, MutatedFilesAreReadOrRefused) {
  const Texts texts;
  const char* seconds = std::getenv("SLUICE_FUZZ_SECONDS");
  const char* first = std::getenv("SLUICE_FUZZ_FIRST");
  const double end_s = monotonic_s() + (seconds == nullptr ? 0 : std::atof(seconds));
  const std::uint64_t start = first == nullptr ? 0 : std::strtoull(first, nullptr, 10);
  const std::uint64_t memory_before = peak_memory_bytes();
  Counts counts;
  std::uint64_t number = start;
  while (seconds == nullptr ? number < start + 50'000 : monotonic_s() < end_s) {
    execute(texts, number++, counts);
    if (HasFatalFailure()) return;
  }
  std::cout << number - start << " executions: " << counts.read << " read, " << counts.refused
            << " refused\n";
  EXPECT_GT(counts.read, (number - start) / 50);
  EXPECT_GT(counts.refused, (number - start) / 10);
#ifndef __SANITIZE_ADDRESS__
  EXPECT_LT(peak_memory_bytes() - memory_before, 64U << 20);
#else
  (void)memory_before;
#endif
}

}  // namespace
}  // namespace sluice::config
