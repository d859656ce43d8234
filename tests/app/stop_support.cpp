#include "tests/app/stop_support.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "store/checkpoint_store.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

// Multiplication by 2 in the field of four elements: the second of two orthogonal Latin squares.
constexpr std::array<unsigned, 4> kTimesTwo = {0, 2, 3, 1};

}  // namespace

std::vector<Twice> twice_of_row(unsigned row, unsigned num_targets) {
  static_assert(kStopSignals.size() == 4 && kGaps_ms.size() == 4);
  std::vector<Twice> cases;
  if (std::getenv("SLUICE_ALL_STOPS") == nullptr) {
    for (unsigned i = 0; i < 4; ++i) {
      const unsigned target = kTimesTwo[row % 4] ^ i;
      cases.push_back(
          {kStopSignals[i], kGaps_ms[(row % 4) ^ i], static_cast<int>(target % num_targets)});
    }
    return cases;
  }
  for (const StopSignal& signal : kStopSignals) {
    for (const int gap : kGaps_ms) {
      for (unsigned target = 0; target < num_targets; ++target)
        cases.push_back({signal, gap, static_cast<int>(target)});
    }
  }
  return cases;
}

bool wait_until(Process& process, const std::function<bool()>& condition) {
  using namespace std::chrono_literals;
  const auto end = std::chrono::steady_clock::now() + 120s;
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    if (!process.running()) return false;
    std::this_thread::sleep_for(500us);
  }
  return false;
}

HeldLock::HeldLock(const fs::path& path) {
  fs::create_directories(path.parent_path());
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  EXPECT_EQ(::flock(descriptor_, LOCK_EX | LOCK_NB), 0);
}

HeldLock::~HeldLock() { ::close(descriptor_); }

std::optional<std::int64_t> newest_step(const fs::path& run) {
  const auto newest = store::CheckpointStore(run / "checkpoints").newest_valid();
  return newest ? std::optional(newest->manifest.step) : std::nullopt;
}

std::vector<nlohmann::json> training_lines(const fs::path& run) {
  std::vector<nlohmann::json> lines;
  std::ifstream file(run / "metrics.jsonl");
  for (std::string line; std::getline(file, line);) {
    nlohmann::json json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("loss")) continue;
    json.erase("time");
    lines.push_back(std::move(json));
  }
  return lines;
}

bool is_saving(const fs::path& run) {
  std::error_code error;
  for (fs::directory_iterator it(run / "checkpoints", error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().filename().string().find(".tmp-") != std::string::npos) return true;
  }
  return false;
}

std::string weights(const fs::path& run, int step) {
  const fs::path checkpoint = run / "checkpoints" / store::checkpoint_name(step);
  return content(checkpoint / "model.safetensors") + content(checkpoint / "optimizer.safetensors");
}

std::vector<pid_t> processes(const std::string& command, const std::string& text) {
  const std::string word = '\0' + command + '\0';
  std::vector<pid_t> found;
  std::error_code error;
  for (fs::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string line = content(it->path() / "cmdline");
    if (line.find(word) != std::string::npos && line.find(text) != std::string::npos)
      found.push_back(std::stoi(name));
  }
  return found;
}

bool handles(pid_t pid, int number) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("SigCgt:")) continue;
    return (std::stoull(line.substr(7), nullptr, 16) >> (number - 1) & 1U) != 0;
  }
  return false;
}

}  // namespace sluice::app
