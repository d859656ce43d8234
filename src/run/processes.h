// The processes of a distributed run, from the view of one of them.
#pragma once

#include <memory>

#include "dist/group.h"
#include "run/session.h"
#include "run/session_parts.h"

namespace sluice::run {

// Joins the other processes of the job; nullptr for one process. kUsage if they differ.
std::unique_ptr<dist::Group> join(const SessionOptions& options);

// Compares the checkpoint to continue from (kPeerLost if it differs: stored files may take a while
// to be the same everywhere), data, and what each process has resolved for itself (kUsage).
void require_same_run(dist::Group& group, const Parts& parts, const Start* from);

// If a step has fewer micro-batches than there are processes.
void warn_of_idle_processes(const dist::Group& group, const train::ResolvedRun& run);

}  // namespace sluice::run
