// Starts the processes of a job on this machine, as torchrun does.
#pragma once

#include <string>
#include <vector>

namespace sluice::cluster {

// Runs the file `program` with `arguments` (argv, from argv[0]) in `num` processes, which find each
// other by the variables of cluster/member.h. Each gets its share of the processors in
// OMP_NUM_THREADS, unless that is set.
// Forwards stop signals (base/signals.h). If one process fails, the others end by themselves
// (cluster/watch.h); those that do not are killed after 10 seconds. Returns 0 if all succeeded,
// otherwise the exit code of the first process that failed for another reason than the end of
// another (kPeerLost), or kPeerLost if one was killed.
int launch(int num, const std::string& program, const std::vector<std::string>& arguments);

}  // namespace sluice::cluster
