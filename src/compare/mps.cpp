#include "compare/mps.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <sstream>
#include <system_error>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text_format.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;

constexpr const char* kProgram = "nvidia-cuda-mps-control";
constexpr const char* kPipeVariable = "CUDA_MPS_PIPE_DIRECTORY";
constexpr const char* kDefaultPipes = "/tmp/nvidia-mps";
constexpr std::chrono::seconds kAnswerTime{20}, kQuitTime{60};
// The paths of sockets are limited to 108 bytes; the daemon's file names have up to 18.
constexpr std::size_t kLongestFolder = 65;

std::string value_of(const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr ? "" : value;
}

fs::path make_folder() {
  std::error_code error;
  fs::path parent = fs::temp_directory_path(error);
  if (error || parent.string().size() > kLongestFolder) parent = "/tmp";
  std::string folder = (parent / "sluice-mps-XXXXXX").string();
  require(::mkdtemp(folder.data()) != nullptr, ExitCode::kIo, folder,  // mode 0700
          "cannot create a directory");
  return folder;
}

// Sends `line` to the daemon, or starts it if `line` is empty. Returns why that failed; empty if it
// succeeded. `scratch`: a directory for the output; the daemon keeps the file open.
std::string control(const std::string& program, const std::string& line,
                    const Environment& environment, const fs::path& scratch) {
  const fs::path output = scratch / "output.txt";
  real_files().remove_all(output);
  // A Child dies with this process, but the daemon detaches itself.
  const std::string text = line.empty() ? R"(exec "$1" -d)" : R"(echo "$2" | "$1")";
  Child child({"/bin/sh", "-c", text, "sh", program, line}, output, environment);
  const auto end = std::chrono::steady_clock::now() + kAnswerTime;
  std::optional<int> code;
  while (!(code = child.exit_code()) && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  const std::string call = cat(kProgram, line.empty() ? " -d" : cat(" (", line, ")"));
  if (!code) return cat(call, " did not answer within ", kAnswerTime.count(), " s");
  if (*code == 0) return "";
  std::istringstream lines(read_file(output));
  std::string last;
  for (std::string one; std::getline(lines, one);)
    if (!one.empty()) last = one;
  return cat(call, ": exit code ", *code, last.empty() ? "" : ": ", printable(last, 200));
}

Environment pipes_in(const fs::path& folder) { return {cat(kPipeVariable, "=", folder.string())}; }

// The daemon numbers its GPUs by its own CUDA_VISIBLE_DEVICES, and its clients count among those:
// indices that are not 0, 1, ... would select other GPUs, or none.
std::string visible_devices_problem() {
  const std::string devices = value_of("CUDA_VISIBLE_DEVICES");
  std::istringstream entries(devices);
  int expected = 0;
  for (std::string entry; std::getline(entries, entry, ','); ++expected)
    if (!entry.starts_with("GPU-") && !entry.starts_with("MIG-") && entry != cat(expected))
      return cat("CUDA_VISIBLE_DEVICES: received ", printable(devices, 100),
                 "; expected UUIDs (nvidia-smi -L), which MPS needs");
  return "";
}

}  // namespace

Mps::Mps() {
  const std::string program = find_program(kProgram);
  const std::string given = value_of(kPipeVariable);
  const fs::path pipes = given.empty() ? kDefaultPipes : given;
  std::error_code ignored;
  try {
    if (fs::exists(pipes / "control", ignored)) {
      const fs::path scratch = make_folder();
      // A daemon that was killed leaves its socket behind.
      if (!program.empty())
        is_active_ = control(program, "get_server_list", pipes_in(pipes), scratch).empty();
      else
        is_active_ = true;
      fs::remove_all(scratch, ignored);
      if (is_active_) {
        log::info(cat("sharing the GPU through the MPS daemon in ", pipes.string()));
        return;
      }
    }
    if (program.empty()) {
      log::info(cat("no MPS: ", kProgram, " not found; processes take turns on the GPU"));
      return;
    }
    start(program);
  } catch (const UserError& error) {
    fs::remove_all(directory_, ignored);
    directory_.clear();
    log::warn(cat("no MPS, processes take turns on the GPU: ", error.what()));
  }
}

void Mps::start(const std::string& program) {
  const std::string devices = visible_devices_problem();
  if (!devices.empty()) throw UserError(ExitCode::kUsage, devices);
  directory_ = make_folder();
  for (const char* name : {"p", "l"}) fs::create_directory(directory_ / name);
  environment_ = pipes_in(directory_ / "p");
  environment_.push_back(cat("CUDA_MPS_LOG_DIRECTORY=", (directory_ / "l").string()));
  start_guard(program);
  for (const std::string line : {"", "get_server_list"}) {
    const std::string problem = control(program, line, environment_, directory_);
    if (problem.empty()) continue;
    stop_guard();
    environment_.clear();
    throw UserError(ExitCode::kUsage, problem);
  }
  is_active_ = true;
  log::info(cat("sharing the GPU through an MPS daemon of this session, in ", directory_.string()));
}

// Survives signals to this process and its death: it reads until this process closes the pipe.
void Mps::start_guard(const std::string& program) {
  constexpr const char* kScript =
      R"(trap '' INT TERM HUP USR1; read -r _; echo quit | "$1"; rm -rf "$2")";
  std::array<int, 2> ends{};
  require(::pipe2(ends.data(), O_CLOEXEC) == 0, ExitCode::kIo, kProgram, "cannot open a pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[0], 0);
  for (const int output : {1, 2})
    posix_spawn_file_actions_addopen(&actions, output, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);  // Ctrl-C reaches the parent only
  Environment variables = merged(environment_);
  std::vector<std::string> words{"/bin/sh", "-c", kScript, "sh", program, directory_.string()};
  const int error = ::posix_spawn(&guard_, words[0].c_str(), &actions, &attributes,
                                  pointers_to(words).data(), pointers_to(variables).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[0]);
  guard_end_ = ends[1];
  if (error == 0) return;
  guard_ = -1;
  stop_guard();
  fail(ExitCode::kIo, "/bin/sh", cat("cannot start: ", std::generic_category().message(error)));
}

void Mps::stop_guard() {
  if (guard_end_ >= 0) ::close(guard_end_);
  guard_end_ = -1;
  const auto end = std::chrono::steady_clock::now() + kQuitTime;
  while (guard_ > 0 && ::waitpid(guard_, nullptr, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > end) {
      log::warn(cat("the MPS daemon in ", directory_.string(), " has not ended within ",
                    kQuitTime.count(), " s"));
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  guard_ = -1;
}

Mps::~Mps() { stop_guard(); }

}  // namespace sluice::compare
