#include "cluster/member.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/error.h"

namespace sluice::cluster {
namespace {

using Variables = std::map<std::string, std::string, std::less<>>;

Environment environment_of(Variables variables) {
  return [variables = std::move(variables)](std::string_view name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end() || found->second.empty()) return std::nullopt;
    return found->second;
  };
}

std::string error_of(const Variables& variables) {
  try {
    member_of(environment_of(variables));
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  return "no error";
}

TEST(Member, NoneOutsideOfAJob) {
  EXPECT_FALSE(member_of(environment_of({})));
  EXPECT_FALSE(member_of(environment_of({{"SLURM_PROCID", "0"}})));  // in the script of a batch job
}

TEST(Member, IncompleteVariablesAreNamed) {
  EXPECT_EQ(error_of({{"RANK", "0"}}),
            "WORLD_SIZE: missing; expected both RANK and WORLD_SIZE for a process of a job, or "
            "neither");
  EXPECT_EQ(error_of({{"WORLD_SIZE", "2"}}),
            "RANK: missing; expected both WORLD_SIZE and RANK for a process of a job, or neither");
  EXPECT_EQ(error_of({{"RANK", "0"}, {"WORLD_SIZE", "2"}}),
            "MASTER_ADDR: missing; expected the machine of rank 0");
}

// The variables of torchrun 2.13 (torch/distributed/elastic/agent/server/local_elastic_agent.py).
TEST(Member, Torchrun) {
  const auto member = member_of(environment_of({{"RANK", "3"},
                                                {"WORLD_SIZE", "4"},
                                                {"LOCAL_RANK", "1"},
                                                {"MASTER_ADDR", "10.0.0.7"},
                                                {"MASTER_PORT", "29500"},
                                                {"TORCHELASTIC_USE_AGENT_STORE", "True"}}));
  ASSERT_TRUE(member);
  EXPECT_EQ(member->rank, 3);
  EXPECT_EQ(member->size, 4);
  EXPECT_EQ(member->local_rank, 1);
  EXPECT_EQ(member->address, "10.0.0.7");
  EXPECT_EQ(member->port, 29500);
  EXPECT_TRUE(member->is_served);
}

// `srun` documents the SLURM_STEP_* variables under "OUTPUT ENVIRONMENT VARIABLES".
TEST(Member, Slurm) {
  const Variables step = {{"SLURM_PROCID", "5"},    {"SLURM_STEP_NUM_TASKS", "8"},
                          {"SLURM_LOCALID", "1"},   {"SLURM_STEP_NODELIST", "gpu[07-08,12]"},
                          {"SLURM_JOB_ID", "4711"}, {"SLURM_STEP_ID", "0"}};
  const auto member = member_of(environment_of(step));
  ASSERT_TRUE(member);
  EXPECT_EQ(member->rank, 5);
  EXPECT_EQ(member->size, 8);
  EXPECT_EQ(member->local_rank, 1);
  EXPECT_EQ(member->address, "gpu07");
  EXPECT_GE(member->port, 20000);
  EXPECT_LT(member->port, 30000);
  EXPECT_FALSE(member->is_served);

  // All ranks of a step compute the same port; another step of the job, most likely another one.
  Variables other = step;
  other["SLURM_PROCID"] = "0";
  EXPECT_EQ(member_of(environment_of(other))->port, member->port);
  other["SLURM_STEP_ID"] = "1";
  EXPECT_NE(member_of(environment_of(other))->port, member->port);
  other["MASTER_ADDR"] = "head";
  other["MASTER_PORT"] = "1234";
  EXPECT_EQ(member_of(environment_of(other))->address, "head");
  EXPECT_EQ(member_of(environment_of(other))->port, 1234);
}

// In a batch script, SLURM_PROCID is 0 and SLURM_NTASKS the tasks of the job, but nobody starts the
// others.
TEST(Member, ABatchScriptIsOneProcess) {
  EXPECT_FALSE(member_of(environment_of(
      {{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}, {"SLURM_JOB_NODELIST", "a[1-2]"}})));
}

TEST(Member, Mpi) {
  const auto open_mpi = member_of(environment_of({{"OMPI_COMM_WORLD_RANK", "1"},
                                                  {"OMPI_COMM_WORLD_SIZE", "2"},
                                                  {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                                                  {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                                                  {"PMIX_NAMESPACE", "prterun-host-77@1"}}));
  ASSERT_TRUE(open_mpi);
  EXPECT_EQ(open_mpi->rank, 1);
  EXPECT_EQ(open_mpi->local_rank, 1);
  EXPECT_EQ(open_mpi->address, "127.0.0.1");
  EXPECT_NE(open_mpi->port, 0);

  const auto hydra = member_of(environment_of({{"PMI_RANK", "1"},
                                               {"PMI_SIZE", "2"},
                                               {"MPI_LOCALRANKID", "0"},
                                               {"MASTER_ADDR", "a"},
                                               {"MASTER_PORT", "5"}}));
  ASSERT_TRUE(hydra);
  EXPECT_EQ(hydra->launcher, "mpiexec");
  // On several machines, MPI does not tell where rank 0 is.
  EXPECT_EQ(error_of({{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}, {"MPI_LOCALNRANKS", "1"}}),
            "MASTER_ADDR: missing; expected the machine of rank 0, which mpiexec does not tell");
  EXPECT_EQ(hydra->address, "a");
}

// The launcher that started this process counts, not the one that started the launcher.
TEST(Member, TheInnermostLauncherCounts) {
  Variables variables = {{"SLURM_PROCID", "0"},
                         {"SLURM_STEP_NUM_TASKS", "2"},
                         {"OMPI_COMM_WORLD_RANK", "3"},
                         {"OMPI_COMM_WORLD_SIZE", "4"},
                         {"MASTER_ADDR", "a"}};
  EXPECT_EQ(member_of(environment_of(variables))->launcher, "mpirun");
  variables["RANK"] = "6";
  variables["WORLD_SIZE"] = "8";
  EXPECT_EQ(member_of(environment_of(variables))->launcher, "torchrun");
}

TEST(Member, MalformedVariablesAreNamed) {
  EXPECT_EQ(error_of({{"RANK", "2"}, {"WORLD_SIZE", "2"}}),
            "RANK: received `2`; expected a whole number from 0 to 1 (set by the launcher)");
  EXPECT_EQ(error_of({{"RANK", "0"}, {"WORLD_SIZE", "0"}}),
            "WORLD_SIZE: received `0`; expected a whole number from 1 to 1048576 (set by the "
            "launcher)");
  EXPECT_EQ(error_of({{"RANK", "x"}, {"WORLD_SIZE", "2"}}),
            "RANK: received `x`; expected a whole number from 0 to 1 (set by the launcher)");
  EXPECT_EQ(error_of({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_PORT", "70000"}}),
            "MASTER_PORT: received `70000`; expected a whole number from 1 to 65535 (set by the "
            "launcher)");
}

TEST(Member, FirstNodeOfASlurmList) {
  EXPECT_EQ(first_node("n1"), "n1");
  EXPECT_EQ(first_node("n1,n2"), "n1");
  EXPECT_EQ(first_node("n[1-4]"), "n1");
  EXPECT_EQ(first_node("n[007,9-12],m[1-2]"), "n007");
  EXPECT_EQ(first_node("r[1-2]n[3-4],z"), "r1n3");
  EXPECT_EQ(first_node("rack[1-2]n[01,03]"), "rack1n01");
  EXPECT_EQ(first_node("a,n[1-4]"), "a");
  EXPECT_EQ(first_node("n[3].cluster.org"), "n3.cluster.org");
  EXPECT_EQ(first_node("n["), "n[");
  EXPECT_EQ(first_node(""), "");
}

}  // namespace
}  // namespace sluice::cluster
