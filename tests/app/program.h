// Runs the built program as a user does, in a directory of its own.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/base/temporary_directory.h"

namespace sluice::app {

struct Outcome {
  int exit_code = -1;  // 128 + signal where one ended it
  std::string out, err;
  nlohmann::json json() const { return nlohmann::json::parse(out); }
};

// A program that was started and may be signalled. It leads a process group of its own, takes every signal as usual however the tests were
// started, and dies with them.
class Process {
 public:
  Process(const std::filesystem::path& directory, const std::vector<std::string>& command);
  ~Process();  // kills it where it still runs
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  void signal(int number) const;
  pid_t pid() const { return pid_; }
  bool running();
  Outcome wait();
  // What it wrote to stderr so far.
  std::string err() const;

 private:
  pid_t pid_ = -1;
  int status_ = 0;
  bool ended_ = false;
  std::filesystem::path out_, err_;
};

// A fresh directory per test, removed afterwards.
class ProgramTest : public ::testing::Test {
 protected:
  Outcome sluice(const std::vector<std::string>& arguments) const;
  Outcome run(const std::vector<std::string>& command) const;  // any program, here
  void write(const std::string& name, const std::string& text) const;
  std::string read(const std::string& name) const;
  std::filesystem::path path(const std::string& name) const { return directory_ / name; }
  // Real English, 11 kB: the license of this repository as "text.txt".
  void write_english() const;
  // A configuration that trains in a second or two on text.txt: "tiny.yaml".
  void write_tiny_config() const;

  testing::TemporaryDirectory directory_;
};

}  // namespace sluice::app
