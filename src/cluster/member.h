// Which process of a job this one is, and where the processes meet, from the environment that a
// launcher sets.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::cluster {

struct Member {
  int rank = 0;           // 0 to size - 1
  int size = 1;           // processes of the job
  int local_rank = 0;     // among the processes of this machine
  std::string address{};  // of the machine of rank 0; empty: unknown
  int port = 0;           // free on that machine; 0: unknown
  // Whether the launcher serves the rendezvous (torchrun does); otherwise rank 0 does.
  bool is_served = false;
  std::string launcher{};  // for messages: "torchrun", "srun"
  // Which start of the job this is, where the launcher starts it again after a failure.
  std::string attempt = "0";
};

// The value of an environment variable, or nullopt. Empty values count as absent.
using Environment = std::function<std::optional<std::string>(std::string_view name)>;
Environment process_environment();

// The first of these that is complete; nullopt outside of a job.
//   torchrun, `sluice launch`: RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT
//   Open MPI's mpirun: OMPI_COMM_WORLD_RANK, _SIZE, _LOCAL_RANK
//   MPICH's and Intel MPI's mpiexec: PMI_RANK, PMI_SIZE, MPI_LOCALRANKID
//   Slurm's srun: SLURM_PROCID, SLURM_STEP_NUM_TASKS, SLURM_LOCALID, SLURM_STEP_NODELIST. Not in a
//     batch script itself, which is one process however many tasks its job has.
// With MPI and Slurm, MASTER_ADDR and MASTER_PORT replace address and port; without the latter, the
// port is derived from the job's id. kUsage for a number that is malformed or out of range, and if
// only one of RANK and WORLD_SIZE is set, naming the variable.
std::optional<Member> member_of(const Environment& environment);

// The first machine of a Slurm node list: "node[03-04,7],x" gives "node03".
std::string first_node(std::string_view node_list);

// The variables above. A process of a job removes them for children that are no members.
std::vector<std::string> member_variables();

}  // namespace sluice::cluster
