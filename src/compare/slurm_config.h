// Section `compare.slurm`: what `compare --submit slurm` asks of Slurm. Nothing in it changes a
// result, so it belongs neither to the identity of a run nor to the seal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "config/field.h"

namespace sluice::compare {

struct SlurmConfig {
  config::Auto<std::int64_t> tasks;
  std::optional<std::int64_t> cpus_per_task;
  std::optional<config::Bytes> memory;
  std::optional<config::Seconds> time;
  std::optional<std::string> partition, account;
  std::int64_t gpus = 0;
  std::vector<std::string> extra{};

  static constexpr auto fields() {
    using config::field;
    using C = SlurmConfig;
    return std::tuple{
        field<&C::tasks>("Number of tasks of the array job; each trains its part of the runs, one "
                         "after the other unless `--jobs` is given. `auto`: one per seed, so that "
                         "all runs of a seed are trained on the same machine.",
                         config::Between{1, 10'000}),
        field<&C::cpus_per_task>("Processors of a task. `null`: as many as Slurm gives.",
                                 config::AtLeast{1}),
        field<&C::memory>("Memory of a task, e.g. 16GiB. `null`: as much as Slurm gives.",
                          config::Positive{}),
        field<&C::time>("Time limit of a task, e.g. 12h; at least 10min. Two minutes before it, "
                        "the task saves and enters the queue again. `null`: that of the partition.",
                        config::AtLeast{600}),
        field<&C::partition>("Partition. `null`: Slurm's default.", config::NonEmpty{}),
        field<&C::account>("Account that is charged. `null`: Slurm's default.", config::NonEmpty{}),
        field<&C::gpus>("GPUs of a task. For a certain type, use `extra`: `--gres=gpu:a100:1`.",
                        config::NonNegative{}),
        field<&C::extra>("Further options of sbatch, each as one text: `--constraint=zen4`.")};
  }
  static void check(const SlurmConfig& c, config::Problems& problems);
};

}  // namespace sluice::compare
