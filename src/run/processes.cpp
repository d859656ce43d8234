#include "run/processes.h"

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/sha256.h"
#include "base/text_format.h"
#include "base/version.h"
#include "cluster/member.h"
#include "config/config.h"
#include "ops/torch_compat.h"
#include "store/manifest.h"

namespace sluice::run {

std::unique_ptr<dist::Group> join(const SessionOptions& options) {
  const std::optional<cluster::Member> member = cluster::member_of(cluster::process_environment());
  if (!member || member->size == 1) return nullptr;
  const std::vector<dist::Identity> identities = {
      {"program", cat(build_name(), ", SHA-256 ", sha256_of_file("/proc/self/exe"))},
      {"LibTorch", ops::torch_version()},
      {"CPU features", options.config.train.reproducible == train::Reproducible::kPortable
                           ? "any with AVX2 and FMA"
                           : machine().features()},
      {"configuration", hash_of(std::string_view(config::to_yaml(options.config))).hex()}};
  auto group = std::make_unique<dist::Group>(*member, options.config.distributed, identities);
  if (group->rank() == 0) log::info(cat(group->size(), " processes share each step"));
  return group;
}

void require_same_run(dist::Group& group, const Parts& parts, const Start* from) {
  group.require_equal(
      "the checkpoint to continue from",
      hash_of(std::string_view(from == nullptr ? std::string("none")
                                               : store::to_json(from->checkpoint.manifest))));
  const train::TrainConfig& train = parts.run.config.train;
  group.require_same(std::vector<dist::Identity>{
      {"prepared data", parts.data.fingerprint},
      {"train.device", parts.run.device},
      {"train.threads", std::to_string(*train.threads)},
      {"resolved configuration",
       hash_of(std::string_view(config::to_yaml(parts.run.config))).hex()}});
}

// The micro-batch belongs to the run, so it does not follow the number of processes.
void warn_of_idle_processes(const dist::Group& group, const train::ResolvedRun& run) {
  const std::int64_t sequences = run.config.train.batch_sequences,
                     micro_batches =
                         (sequences + run.micro_batch_sequences - 1) / run.micro_batch_sequences;
  if (micro_batches >= group.size()) return;
  log::warn(cat("train.micro_batch_sequences is ", run.micro_batch_sequences, ": the ",
                count_of(micro_batches, "micro-batch"), " of a step for ", group.size(),
                " processes; the others have no work"));
}

}  // namespace sluice::run
