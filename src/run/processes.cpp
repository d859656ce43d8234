#include "run/processes.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/sha256.h"
#include "base/text_format.h"
#include "base/version.h"
#include "cluster/address.h"
#include "cluster/member.h"
#include "config/config.h"
#include "ops/torch_compat.h"
#include "run/run_record.h"
#include "store/manifest.h"

namespace sluice::run {
namespace {

using train::RunConfig;

dist::Difference first_change(const std::string& expected, const std::string& found) {
  const auto parsed = [](const std::string& yaml) {
    return config::parse<RunConfig>(yaml, "the configuration of another process");
  };
  const std::vector<config::Change> all = config::changes(parsed(expected), parsed(found));
  invariant(!all.empty(), "two configurations that differ");
  return {all[0].path, all[0].before, all[0].after};
}

dist::Identity identity_of(const std::string& name, const RunConfig& config) {
  std::string yaml = config::to_yaml(config, config::Comments::kNone);
  return {.name = name,
          .value = hash_of(std::string_view(yaml)).hex(),
          .details = std::move(yaml),
          .compare = first_change};
}

// Threads that wait for each other's processors make a step many times slower.
void warn_of_shared_processors(const dist::Group& group, const train::ResolvedRun& run) {
  const std::int64_t processors = machine().num_shared_cpus,
                     processes = group.num_on_this_machine();
  if (run.device != "cpu" || processes * run.threads <= processors) return;
  const std::int64_t fewer = std::max<std::int64_t>(1, processors / processes);
  const bool is_portable =
      run.config.train.reproducible == train::Reproducible::kPortable;  // the same bits
  const std::string rounding = is_portable ? "" : ", which changes rounding";
  log::warn(cat(processes, " processes with ", count_of(run.threads, "thread"), " each share ",
                count_of(processors, "processor"), " of ", cluster::host_name(), ", which is slow",
                fewer >= run.threads ? "; expected fewer processes"
                                     : cat("; expected train.threads=", fewer, rounding)));
}

}  // namespace

std::unique_ptr<dist::Group> join(const SessionOptions& options) {
  const std::optional<cluster::Member> member = cluster::member_of(cluster::process_environment());
  if (!member || member->size == 1) return nullptr;
  const std::vector<dist::Identity> identities = {
      {"program", cat(build_name(), ", SHA-256 ", sha256_of_file("/proc/self/exe"))},
      {"LibTorch", ops::torch_version()},
      {"CPU features", options.config.train.reproducible == train::Reproducible::kPortable
                           ? "any with AVX2 and FMA"
                           : machine().features()}};
  return std::make_unique<dist::Group>(*member, options.config.distributed, identities);
}

void require_same_configuration(dist::Group& group, const RunConfig& config) {
  group.require_same(std::vector<dist::Identity>{identity_of("configuration", config)});
}

void require_same_run(dist::Group& group, const Parts& parts, const Start* from) {
  group.require_equal(
      "the checkpoint to continue from",
      hash_of(std::string_view(from == nullptr ? std::string("none")
                                               : store::to_json(from->checkpoint.manifest))));
  const train::TrainConfig& train = parts.run.config.train;
  group.require_same(
      std::vector<dist::Identity>{{"prepared data", parts.data.fingerprint},
                                  {"train.device", parts.run.device},
                                  {"train.threads", std::to_string(*train.threads)},
                                  identity_of("resolved configuration", parts.run.config)});
}

// The micro-batch belongs to the run, so it does not follow the number of processes.
void warn_of_idle_processes(std::int64_t num_processes, const train::ResolvedRun& run) {
  const std::int64_t sequences = run.config.train.batch_sequences,
                     micro_batches =
                         (sequences + run.micro_batch_sequences - 1) / run.micro_batch_sequences;
  if (micro_batches >= num_processes) return;
  const std::int64_t most = sequences / num_processes;
  log::warn(cat("idle processes: ", num_processes - micro_batches, " of ", num_processes,
                "; a step has ", count_of(micro_batches, "micro-batch"),
                most > 0 ? cat("; with train.micro_batch_sequences=", most, " it has enough")
                         : std::string()));
}

void describe_processes(const dist::Group& group, const train::ResolvedRun& run) {
  log::info(cat(group.size(), " processes share each step"));
  warn_of_idle_processes(group.size(), run);
  warn_of_shared_processors(group, run);
}

void warn_of_another_number(std::int64_t num_processes, const train::ResolvedRun& run,
                            const store::RunPaths& paths) {
  if (run.config.distributed.reduction != cluster::Reduction::kFast) return;
  std::optional<std::int64_t> before;
  try {
    if (const std::optional<RunRecord> record = read_run_record(paths)) before = record->processes;
  } catch (const UserError&) {
    return;  // damaged; this start writes it again
  }
  if (before && *before != num_processes)
    log::warn(cat("the run was last started with ", count_of(*before, "process"),
                  "; with distributed.reduction: fast, another number changes rounding"));
}

}  // namespace sluice::run
