// Runs the built program as a user does, in a temporary directory.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/base/temporary_directory.h"

namespace sluice::app {

// Of a file, also one of /proc; empty if it cannot be read.
std::string content(const std::filesystem::path& path);

struct Outcome {
  int exit_code = -1;  // 128 + signal if terminated by a signal
  std::string out, err;
  nlohmann::json json() const { return nlohmann::json::parse(out); }
};

// A running program. It leads its own process group, has default signal dispositions however the
// tests were started, and is killed if they die.
class Process {
 public:
  using Main = int (*)(int argc, char** argv);
  // `main`: called in the new process instead of loading the program.
  Process(const std::filesystem::path& directory, const std::vector<std::string>& command,
          Main main = nullptr);
  ~Process();  // kills the program if it is still running
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  void signal(int number) const;
  pid_t pid() const { return pid_; }
  bool running();
  Outcome wait();
  // The contents of stderr so far.
  std::string err() const;

 private:
  pid_t pid_ = -1;
  int status_ = 0;
  bool ended_ = false;
  std::filesystem::path out_, err_;
};

// A temporary directory per test.
class ProgramTest : public ::testing::Test {
 protected:
  Outcome sluice(const std::vector<std::string>& arguments) const;
  // In a fork of this process, where LibTorch is loaded already, in a tenth of the time: for
  // commands that only read arguments and files.
  Outcome sluice_in_fork(const std::vector<std::string>& arguments) const;
  Outcome run(const std::vector<std::string>& command) const;  // any program
  void write(const std::string& name, const std::string& text) const;
  std::string read(const std::string& name) const;
  std::filesystem::path path(const std::string& name) const { return directory_ / name; }
  // Real English, 11 kB: the license of this repository as "text.txt".
  void write_english() const;
  // "tiny.yaml", a configuration that trains on text.txt in a second or two.
  void write_tiny_config() const;

  testing::TemporaryDirectory directory_;
};

// With text.txt and "tiny.yaml", four steps that evaluate and save after every second one.
class ShortRunTest : public ProgramTest {
 protected:
  ShortRunTest();
  // `sluice train ARGUMENTS`, which must succeed.
  void train(std::vector<std::string> arguments) const;
};

// With "compare.yaml", relu and geglu under two seeds for six steps, in the directory "two".
class TwoVariantsTest : public ProgramTest {
 protected:
  TwoVariantsTest();
};

}  // namespace sluice::app
