// The batch script of `compare --submit slurm`.
#include "compare/slurm.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace sluice::compare {
namespace {

SlurmJob job() {
  return {.config = {},
          .name = "layers",
          .directory = "/data/my runs/50%",
          .working_directory = "/home/me/it's here",
          .command = {"/opt/sluice", "compare", "c.yaml", "--set", "run.name=two words"},
          .num_tasks = 8};
}

bool has_line(const std::string& script, const std::string& line) {
  return ("\n" + script).find("\n" + line + "\n") != std::string::npos;
}

TEST(SlurmScript, NamesOnlyWhatTheConfigurationAsksFor) {
  const std::string script = slurm_script(job());
  EXPECT_TRUE(script.starts_with("#!/bin/bash\n"));
  for (const char* line :
       {"#SBATCH --job-name=layers", "#SBATCH --array=1-8", "#SBATCH --nodes=1",
        "#SBATCH --ntasks=1", "#SBATCH --output=\"/data/my runs/50%%/slurm/%A_%a.txt\"",
        "#SBATCH --open-mode=append", "#SBATCH --requeue", "#SBATCH --signal=B:USR1@120",
        "cd '/home/me/it'\\''s here' || exit 66",
        "/opt/sluice compare c.yaml --set 'run.name=two words' --cells \"$SLURM_ARRAY_TASK_ID/8\" "
        "&"})
    EXPECT_TRUE(has_line(script, line)) << line << "\n" << script;
  for (const char* option :
       {"--cpus", "--mem", "--time", "--partition", "--account", "--gres", "OMP_NUM_THREADS"})
    EXPECT_EQ(script.find(option), std::string::npos) << option;
}

TEST(SlurmScript, HasTheResourcesOfTheConfiguration) {
  SlurmJob one = job();
  one.name = "a b\n#SBATCH --wrap=x";
  one.config = {.cpus_per_task = 16,
                .memory = config::Bytes{(std::int64_t{3} << 30) + 1},
                .time = config::Seconds{26 * 3600 + 61},
                .partition = "short,long",
                .account = "lab",
                .gpus = 1,
                .extra = {"--constraint=\"a&b\"", "--mail-type=END"}};
  const std::string script = slurm_script(one);
  for (const char* line :
       {"#SBATCH --job-name=a_b__SBATCH_--wrap_x", "#SBATCH --cpus-per-task=16",
        "#SBATCH --mem=3073M", "#SBATCH --time=1-02:02:00", "#SBATCH --partition=short,long",
        "#SBATCH --account=lab", "#SBATCH --gres=gpu:1", "#SBATCH --constraint=\"a&b\"",
        "#SBATCH --mail-type=END", "export OMP_NUM_THREADS=16"})
    EXPECT_TRUE(has_line(script, line)) << line << "\n" << script;
  // Slurm stops reading options at the first command.
  EXPECT_LT(script.rfind("#SBATCH"), script.find("\ncd "));
}

TEST(SlurmScript, RejectsAPathThatSlurmCannotRead) {
  for (const char* path : {"/a\"b", "/a\\b", "/a\nb"}) {
    SlurmJob one = job();
    one.directory = path;
    EXPECT_THROW(slurm_script(one), UserError) << path;
  }
}

}  // namespace
}  // namespace sluice::compare
