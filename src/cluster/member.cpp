#include "cluster/member.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "base/hash.h"
#include "base/text_format.h"

namespace sluice::cluster {
namespace {

constexpr int kMaxSize = 1 << 20, kMaxPort = 65535;

// The names of one launcher's variables; empty: it has none.
struct Names {
  std::string_view rank, size, local_rank, local_size, job, launcher;
};
constexpr std::array kTorchrun = {"RANK",        "WORLD_SIZE",  "LOCAL_RANK",
                                  "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_USE_AGENT_STORE"};
constexpr std::array kLaunchers = {
    Names{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
          "OMPI_COMM_WORLD_LOCAL_SIZE", "PMIX_NAMESPACE", "mpirun"},
    Names{"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS", "", "mpiexec"},
    Names{"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "", "SLURM_JOB_ID", "srun"}};
constexpr std::string_view kNodes = "SLURM_STEP_NODELIST", kStep = "SLURM_STEP_ID";

int number(std::string_view name, const std::string& text, int low, int high) {
  int value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  require(error == std::errc() && stop == end && value >= low && value <= high, ExitCode::kUsage,
          name, cat('`', printable(text), '`'),
          cat("a whole number from ", low, " to ", high, " (set by the launcher)"));
  return value;
}

// Ports from 20000 to 29999 are below those that Linux gives to outgoing connections.
int port_of(const std::string& job) {
  return 20000 + static_cast<int>(hash_of(std::string_view(job)).low % 10000);
}

// `size` is complete and at least 1, `rank` below it.
void read_numbers(const Environment& environment, const Names& names, Member& member) {
  member.size = number(names.size, *environment(names.size), 1, kMaxSize);
  member.rank = number(names.rank, *environment(names.rank), 0, member.size - 1);
  if (const auto local = environment(names.local_rank))
    member.local_rank = number(names.local_rank, *local, 0, member.size - 1);
}

void read_meeting_place(const Environment& environment, Member& member) {
  if (const auto address = environment("MASTER_ADDR")) member.address = *address;
  if (const auto port = environment("MASTER_PORT"))
    member.port = number("MASTER_PORT", *port, 1, kMaxPort);
}

std::optional<Member> member_of_torchrun(const Environment& environment) {
  if (!environment("RANK") || !environment("WORLD_SIZE")) return std::nullopt;
  Member member{.launcher = "torchrun"};
  read_numbers(environment, {"RANK", "WORLD_SIZE", "LOCAL_RANK", {}, {}, {}}, member);
  read_meeting_place(environment, member);
  require(!member.address.empty() || member.size == 1, ExitCode::kUsage, "MASTER_ADDR",
          "missing; expected the machine of rank 0");
  member.attempt = environment("TORCHELASTIC_RESTART_COUNT").value_or("0");
  member.is_served = environment("TORCHELASTIC_USE_AGENT_STORE") == "True";
  return member;
}

}  // namespace

Environment process_environment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string(name).c_str());
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
  };
}

std::string first_node(std::string_view list) {
  std::string node;
  for (std::size_t at = 0; at < list.size() && list[at] != ',';) {
    if (list[at] != '[') {
      node += list[at++];
      continue;
    }
    const std::size_t close = list.find(']', at);
    if (close == std::string_view::npos) return std::string(list);  // not a node list
    const std::string_view numbers = list.substr(at + 1, close - at - 1);
    node += numbers.substr(0, numbers.find_first_of("-,"));
    at = close + 1;
  }
  return node;
}

std::optional<Member> member_of(const Environment& environment) {
  if (std::optional<Member> member = member_of_torchrun(environment)) return member;
  for (const Names& names : kLaunchers) {
    if (!environment(names.rank) || !environment(names.size)) continue;
    Member member{.launcher = std::string(names.launcher)};
    read_numbers(environment, names, member);
    const bool is_slurm = names.launcher == "srun";
    if (const auto nodes = environment(kNodes); is_slurm && nodes)
      member.address = first_node(*nodes);
    if (const auto job = environment(names.job))
      member.port = port_of(is_slurm ? cat(*job, '.', environment(kStep).value_or("")) : *job);
    // All on this machine.
    if (environment(names.local_size) == environment(names.size)) member.address = "127.0.0.1";
    read_meeting_place(environment, member);
    require(
        !member.address.empty() || member.size == 1, ExitCode::kUsage, "MASTER_ADDR",
        cat("missing; expected the machine of rank 0, which ", names.launcher, " does not tell"));
    return member;
  }
  // Otherwise each process of such a job would train alone.
  for (const auto& [present, missing] :
       {std::pair("RANK", "WORLD_SIZE"), std::pair("WORLD_SIZE", "RANK")})
    require(!environment(present), ExitCode::kUsage, missing,
            cat("missing; expected both ", present, " and ", missing,
                " for a process of a job, or neither"));
  return std::nullopt;
}

std::vector<std::string> member_variables() {
  std::vector<std::string> all(kTorchrun.begin(), kTorchrun.end());
  for (const Names& names : kLaunchers)
    for (const std::string_view name : {names.rank, names.size, names.local_rank})
      all.emplace_back(name);
  return all;
}

}  // namespace sluice::cluster
