#include "base/machine.h"

#include <cpuid.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>
#include <vector>

namespace sluice {
namespace {

namespace fs = std::filesystem;

// The value after "KEY<blanks>:" in a /proc table; empty if missing.
std::string table_value(const char* path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::size_t start = line.find_first_not_of(" \t", colon + 1);
    return start == std::string::npos ? std::string() : line.substr(start);
  }
  return {};
}

// Directories with limits for this process: its control group and all ancestors (v2), and the usual
// mount points of v1.
std::vector<fs::path> control_groups(const char* v1_controller) {
  const fs::path root = "/sys/fs/cgroup";
  std::vector<fs::path> groups = {root, root / v1_controller};
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("0::/")) continue;
    fs::path group = root;
    for (const fs::path& part : fs::path(line.substr(4))) groups.push_back(group /= part);
  }
  return groups;
}

// The numbers in a control file, up to the first word such as "max".
std::vector<double> numbers_in(const fs::path& path) {
  std::ifstream file(path);
  std::vector<double> numbers;
  for (double number; file >> number;) numbers.push_back(number);
  return numbers;
}

std::optional<double> cpu_quota(const fs::path& group) {
  std::vector<double> numbers = numbers_in(group / "cpu.max");
  if (numbers.empty()) {
    numbers = numbers_in(group / "cpu.cfs_quota_us");
    const std::vector<double> period = numbers_in(group / "cpu.cfs_period_us");
    numbers.insert(numbers.end(), period.begin(), period.end());
  }
  if (numbers.size() != 2 || numbers[0] <= 0 || numbers[1] <= 0) return std::nullopt;
  return numbers[0] / numbers[1];
}

int all_cpus() { return static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)); }

// To which this process is bound.
int bound_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : all_cpus();
}

int allowed_cpus() {
  int count = bound_cpus();
  for (const fs::path& group : control_groups("cpu")) {
    if (const auto quota = cpu_quota(group))
      count = std::min(count, static_cast<int>(std::ceil(*quota)));
  }
  return std::max(count, 1);
}

std::uint64_t usable_memory_bytes() {
  auto bytes = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
               static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  for (const fs::path& group : control_groups("memory")) {
    for (const char* name : {"memory.max", "memory.limit_in_bytes"}) {
      const std::vector<double> limit = numbers_in(group / name);
      if (limit.size() == 1 && limit[0] < static_cast<double>(bytes))
        bytes = static_cast<std::uint64_t>(limit[0]);
    }
  }
  return bytes;
}

// AMX requires CPU support (leaf 7: AMX-BF16 and AMX-TILE) and a kernel that saves the tile state
// (XCR0).
bool has_amx_bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0) return false;
  unsigned xcr0 = 0, xcr0_high = 0;
  __asm__("xgetbv" : "=a"(xcr0), "=d"(xcr0_high) : "c"(0));
  constexpr unsigned kTileState = 3U << 17;
  if ((xcr0 & kTileState) != kTileState) return false;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  constexpr unsigned kBf16AndTile = 1U << 22 | 1U << 24;
  return (d & kBf16AndTile) == kBf16AndTile;
}

Machine detect_machine() {
  Machine found;
  found.cpu_model = table_value("/proc/cpuinfo", "model name");
  found.num_cpus = allowed_cpus();
  found.num_shared_cpus = bound_cpus() < all_cpus() ? all_cpus() : found.num_cpus;
  found.memory_bytes = usable_memory_bytes();
  __builtin_cpu_init();
  found.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  found.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  found.avx512_bf16 = found.avx512 && __builtin_cpu_supports("avx512bf16");
  found.amx_bf16 = has_amx_bf16();
  return found;
}

CpuFeatures& changeable_features() {
  static CpuFeatures features = machine();
  return features;
}

}  // namespace

std::string CpuFeatures::features() const {
  std::string names;
  const auto add = [&](bool present, std::string_view name) {
    if (!present) return;
    if (!names.empty()) names += ' ';
    names += name;
  };
  add(avx2, "avx2");
  add(avx512, "avx512");
  add(avx512_bf16, "avx512_bf16");
  add(amx_bf16, "amx_bf16");
  return names;
}

const Machine& machine() {
  static const Machine found = detect_machine();
  return found;
}

const CpuFeatures& usable_features() { return changeable_features(); }

void use_at_most_avx2(bool limit) {
  changeable_features() = machine();
  if (limit) changeable_features() = {.avx2 = machine().avx2};
}

// Not getrusage(): its ru_maxrss starts from the parent's peak.
std::uint64_t peak_memory_bytes() {
  return std::strtoull(table_value("/proc/self/status", "VmHWM").c_str(), nullptr, 10) * 1024;
}

}  // namespace sluice
