// The processes of a distributed run, from the view of one of them.
#pragma once

#include <cstdint>
#include <memory>

#include "dist/group.h"
#include "run/session.h"
#include "run/session_parts.h"

namespace sluice::run {

// Joins the other processes of the job; nullptr for one process. kUsage if their programs differ.
std::unique_ptr<dist::Group> join(const SessionOptions& options);

// kUsage naming the first setting that differs from that of rank 0.
void require_same_configuration(dist::Group& group, const train::RunConfig& config);

// Compares the checkpoint to continue from (kPeerLost if it differs: stored files may take a while
// to be the same everywhere), data, and what each process has resolved for itself (kUsage).
void require_same_run(dist::Group& group, const Parts& parts, const Start* from);

// If a step has fewer micro-batches than there are processes.
void warn_of_idle_processes(std::int64_t num_processes, const train::ResolvedRun& run);

// Logs the number of processes, and what makes them slow: too few micro-batches or processors.
void describe_processes(const dist::Group& group, const train::ResolvedRun& run);

// For a run that is continued with distributed.reduction: fast, if RUN/run.json has another number.
void warn_of_another_number(std::int64_t num_processes, const train::ResolvedRun& run,
                            const store::RunPaths& paths);

}  // namespace sluice::run
