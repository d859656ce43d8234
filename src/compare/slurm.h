// `compare --submit slurm`: the parts of a comparison (part.h) as the tasks of one array job.
//
// There is no job for the report: each part writes it when it ends, so the last one completes it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "compare/slurm_config.h"

namespace sluice::compare {

struct SlurmJob {
  SlurmConfig config;
  std::string name;                         // run.name
  std::filesystem::path directory;          // of the comparison, absolute
  std::filesystem::path working_directory;  // in which the command runs, absolute
  std::vector<std::string> command;         // without --cells; its program with an absolute path
  std::size_t num_tasks = 1;

  std::filesystem::path script_file() const { return directory / "slurm" / "job.sh"; }
};

// The batch script: bash, with the options of sbatch. It ends with the exit code of the command. A
// task that Slurm stops because of its time limit enters the queue again. kUsage for a directory
// that such a script cannot name.
std::string slurm_script(const SlurmJob& job);

// Path of sbatch; kUsage if it is not in PATH.
std::string find_sbatch();

// Writes the script to script_file() and submits it. Returns the id of the job. kUsage with the
// message of sbatch if it rejects the job.
std::string submit(const SlurmJob& job, const std::string& sbatch);

}  // namespace sluice::compare
