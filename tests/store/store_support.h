// What several tests of store need.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <random>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "store/checkpoint_store.h"

namespace sluice::store {

// A new directory under the system's temporary one, removed in the end.
class ScratchDirectory {
 public:
  ScratchDirectory();
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const fs::path& path() const { return path_; }
  fs::path operator/(std::string_view name) const { return path_ / name; }

 private:
  fs::path path_;
};

void write_text(const fs::path& path, std::string_view text);

// Relative path -> content of every file below `directory`.
std::map<std::string, std::string> content_of_tree(const fs::path& directory);

// Bytes that are a function of the arguments.
std::string pseudo_random_text(std::size_t size_bytes, std::uint64_t seed);

CheckpointFile text_file(const std::string& name, const std::string& content);

// Runs `call`; the message of the UserError it must throw with `code`.
std::string error_of(ExitCode code, const std::function<void()>& call);

// Runs a Python program (the interpreter that has the oracles) with arguments; what it printed. Fails the test unless it ends with 0.
std::string run_python(std::string_view program, std::span<const std::string> arguments);

// Executions of a fuzz test: `usual`, or for as long as the environment's SLUICE_FUZZ_SECONDS says. Reports the count.
void fuzz(std::uint64_t usual, const std::function<void(std::mt19937_64&)>& once);

// A few random edits: bits, bytes, cut, inserted and doubled pieces, digits changed, pieces of JSON.
std::string mutated(std::string text, std::mt19937_64& random);

}  // namespace sluice::store
