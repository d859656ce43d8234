// Helpers for the tests of store.
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

// A temporary directory, removed by the destructor.
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

// Deterministic pseudo-random bytes.
std::string pseudo_random_text(std::size_t size_bytes, std::uint64_t seed);

CheckpointFile text_file(const std::string& name, const std::string& content);

// Runs `call`, which must throw a UserError with `code`; returns its message.
std::string error_of(ExitCode code, const std::function<void()>& call);

// Runs a Python program (interpreter SLUICE_PYTHON) and returns its output. The test fails unless
// the exit status is 0.
std::string run_python(std::string_view program, std::span<const std::string> arguments);

// Executes a fuzz test `usual` times, or for SLUICE_FUZZ_SECONDS if set in the environment. Prints
// the number of executions.
void fuzz(std::uint64_t usual, const std::function<void(std::mt19937_64&)>& once);

// Applies one to three random edits: flipped bits, changed bytes and digits, removed, duplicated
// and truncated parts, inserted pieces of JSON.
std::string mutated(std::string text, std::mt19937_64& random);

}  // namespace sluice::store
