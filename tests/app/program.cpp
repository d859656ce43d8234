#include "tests/app/program.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>

#include "app/command_line.h"

namespace sluice::app {
std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

namespace {

// Child after fork: only async-signal-safe calls, except in `main`.
[[noreturn]] void start_program(const char* directory, const char* out, const char* err,
                                std::vector<char*>& argv, Process::Main main) {
  for (const int number : {SIGHUP, SIGINT, SIGTERM, SIGUSR1}) ::signal(number, SIG_DFL);
  if (setpgid(0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) _exit(125);
  const int out_file = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0644),
            err_file = open(err, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (chdir(directory) != 0 || dup2(out_file, 1) < 0 || dup2(err_file, 2) < 0) _exit(126);
  if (main != nullptr) {
    const int code = main(static_cast<int>(argv.size()) - 1, argv.data());
    std::cout.flush();
    _exit(code);
  }
  execvp(argv[0], argv.data());
  _exit(127);
}

}  // namespace

Process::Process(const std::filesystem::path& directory, const std::vector<std::string>& command,
                 Main main) {
  static std::atomic<int> number{0};
  const std::string stem = ".process-" + std::to_string(number++);
  out_ = directory / (stem + ".out");
  err_ = directory / (stem + ".err");
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) start_program(directory.c_str(), out_.c_str(), err_.c_str(), argv, main);
  if (pid_ < 0) throw std::runtime_error("fork failed");
}

Process::~Process() {
  if (running()) {
    signal(SIGKILL);
    wait();
  }
}

void Process::signal(int number) const {
  if (!ended_) kill(pid_, number);
}

bool Process::running() {
  if (!ended_ && waitpid(pid_, &status_, WNOHANG) == pid_) ended_ = true;
  return !ended_;
}

Outcome Process::wait() {
  if (!ended_) {
    while (waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
    }
    ended_ = true;
  }
  return {WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_), content(out_),
          content(err_)};
}

std::string Process::err() const { return content(err_); }

Outcome ProgramTest::run(const std::vector<std::string>& command) const {
  return Process(directory_.path(), command).wait();
}

Outcome ProgramTest::sluice(const std::vector<std::string>& arguments) const {
  std::vector<std::string> command{SLUICE_PROGRAM};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run(command);
}

Outcome ProgramTest::sluice_in_fork(const std::vector<std::string>& arguments) const {
  std::vector<std::string> command{SLUICE_PROGRAM};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return Process(directory_.path(), command, app::run).wait();
}

void ProgramTest::write(const std::string& name, const std::string& text) const {
  std::filesystem::create_directories(path(name).parent_path());
  std::ofstream(path(name), std::ios::binary) << text;
}

std::string ProgramTest::read(const std::string& name) const { return content(path(name)); }

void ProgramTest::write_english() const {
  std::filesystem::copy_file(std::filesystem::path(SLUICE_SOURCE_DIR) / "LICENSE",
                             path("text.txt"));
}

void ProgramTest::write_tiny_config() const {
  write("tiny.yaml", R"(run:        {name: tiny, dir: run, seed: 1}
corpus:     {train: [text.txt], holdout: 0.2, prepared_dir: prepared}
tokenizer:  {type: bytes}
model:      {num_layers: 2, d_model: 48, num_heads: 2}
schedule:   {type: cosine, warmup_steps: 5}
train:      {steps: 30, batch_sequences: 4, sequence_length: 64, threads: 1, precision: fp32}
evaluate:   {every_steps: 10}
checkpoint: {every_steps: 10}
)");
}

ShortRunTest::ShortRunTest() {
  write_english();
  write("tiny.yaml", R"(run:        {name: tiny, dir: run, seed: 1}
corpus:     {train: [text.txt], holdout: 0.2, prepared_dir: prepared}
tokenizer:  {type: bytes}
model:      {num_layers: 1, d_model: 16, num_heads: 2}
train:      {steps: 4, batch_sequences: 2, sequence_length: 32, threads: 1, precision: fp32}
evaluate:   {every_steps: 2}
checkpoint: {every_steps: 2}
)");
}

void ShortRunTest::train(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), "train");
  const Outcome outcome = sluice(arguments);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
}

TwoVariantsTest::TwoVariantsTest() {
  write_english();
  write_tiny_config();
  write("compare.yaml", R"(extends: [tiny.yaml]
run:        {name: two, dir: two}
model:      {num_layers: 1, d_model: 32}
train:      {steps: 6}
checkpoint: {every_steps: 3, keep_last: 1, keep_best: false}
compare:
  vary:  {model.ffn: [relu, geglu]}
  seeds: [1, 2]
)");
}

}  // namespace sluice::app
