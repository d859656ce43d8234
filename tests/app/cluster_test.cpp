// `sluice compare` on a cluster: parts of the runs in several processes, and as an array job of
// Slurm. A stub replaces sbatch: it checks its arguments and keeps the script, whose tasks then run
// as Slurm would run them. The results are those of one process.
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <thread>

#include "base/text_format.h"
#include "tests/app/program.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

const char* const kTune = "compare.tune={optimizer.lr: [1e-3, 3e-3], seeds: [9]}";

// Without clock readings.
nlohmann::json untimed(nlohmann::json value) {
  if (value.is_object()) {
    for (const char* key : {"training_seconds", "seconds", "wall_seconds"}) value.erase(key);
  }
  if (value.is_structured())
    for (auto& one : value) one = untimed(one);
  return value;
}

class ClusterTest : public TwoVariantsTest {
 protected:
  using Parts = std::vector<std::unique_ptr<Process>>;

  std::unique_ptr<Process> start(const std::vector<std::string>& command) const {
    return std::make_unique<Process>(directory_.path(), command);
  }
  std::vector<std::string> compare(const std::vector<std::string>& arguments) const {
    std::vector<std::string> words{SLUICE_PROGRAM, "compare", "compare.yaml"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return words;
  }
  std::vector<std::string> part(int number, int count,
                                std::vector<std::string> arguments = {}) const {
    arguments.insert(arguments.begin(), {"--cells", cat(number, "/", count)});
    return compare(arguments);
  }
  static void expect_success(Process& process) {
    const Outcome outcome = process.wait();
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  }

  // The comparison in one process, in the directory "plain".
  void run_plain(const std::vector<std::string>& arguments) const {
    const Outcome outcome = run(compare(arguments));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    fs::rename(path("two"), path("plain"));
  }
  // The report in "two" equals that of run_plain(), except for times. The seal has the losses,
  // results and weights of all runs.
  void expect_plain_results() const {
    EXPECT_FALSE(read("plain/seal.txt").empty());
    for (const char* name : {"seal.txt", "comparison.json"})
      EXPECT_EQ(read(cat("two/", name)), read(cat("plain/", name))) << name;
    const auto results = [&](const std::string& directory) {
      return untimed(nlohmann::json::parse(read(directory + "/results.json")));
    };
    EXPECT_EQ(results("two"), results("plain"));
    // The last part has written what `--report` writes.
    const std::string html = read("two/report.html"), json = read("two/results.json");
    ASSERT_EQ(sluice({"compare", "--report", "two"}).exit_code, 0);
    EXPECT_EQ(read("two/report.html"), html);
    EXPECT_EQ(read("two/results.json"), json);
  }
  std::uintmax_t bytes_of_metrics() const {
    std::uintmax_t sum = 0;
    std::error_code error;
    for (fs::recursive_directory_iterator it(path("two/cells"), error), end; !error && it != end;
         it.increment(error)) {
      std::error_code removed;
      const bool counts = it->path().filename() == "metrics.jsonl";
      const std::uintmax_t bytes = counts ? fs::file_size(it->path(), removed) : 0;
      if (!removed) sum += bytes;
    }
    return sum;
  }
  // Every run was started once.
  void expect_no_repetition(const std::string& folder, std::size_t num_cells) const {
    std::size_t num_found = 0;
    for (const fs::directory_entry& cell : fs::directory_iterator(path("two/" + folder))) {
      ++num_found;
      const std::string output = content(cell.path() / "output.txt"), end = "finished 6 steps";
      EXPECT_EQ(output.find(end), output.rfind(end)) << cell.path();
      EXPECT_NE(output.find(end), std::string::npos) << output;
    }
    EXPECT_EQ(num_found, num_cells);
  }
};

TEST_F(ClusterTest, PartsAtTheSameTimeGiveTheResultsOfOneProcess) {
  run_plain({});
  fs::remove_all(path("prepared"));  // the parts prepare the data, once
  Parts parts;
  for (int number = 1; number <= 3; ++number) parts.push_back(start(part(number, 3)));
  for (const auto& one : parts) expect_success(*one);
  expect_plain_results();
  expect_no_repetition("cells", 4);
  const Outcome again = run(compare({}));
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_EQ(again.err.find("started"), std::string::npos) << again.err;
}

// One after the other, in any order, as on a cluster that runs one task at a time; and at the same
// time. Each of the two parts needs both variants, but tunes only one of them.
TEST_F(ClusterTest, PartsShareTheTuning) {
  const std::vector<std::string> settings{"--set", kTune, "corpus.tune_holdout=0.2"};
  run_plain(settings);
  for (const int number : {2, 1}) {
    const Outcome outcome = run(part(number, 2, settings));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.err.find("waiting for"), std::string::npos) << outcome.err;
  }
  expect_plain_results();
  expect_no_repetition("tune", 4);

  fs::remove_all(path("two"));
  Parts parts;
  for (int number = 1; number <= 2; ++number) parts.push_back(start(part(number, 2, settings)));
  for (const auto& one : parts) expect_success(*one);
  expect_plain_results();
  expect_no_repetition("tune", 4);
}

TEST_F(ClusterTest, APartMayBeKilledOrStoppedAndStartedAgain) {
  const std::vector<std::string> settings{"--set", "train.steps=60"};
  run_plain(settings);
  for (const int signal : {SIGKILL, SIGTERM}) {
    fs::remove_all(path("two"));
    Parts parts;
    for (int number = 1; number <= 2; ++number) parts.push_back(start(part(number, 2, settings)));
    while (bytes_of_metrics() == 0 && parts[0]->running()) std::this_thread::sleep_for(5ms);
    parts[0]->signal(signal);
    EXPECT_EQ(parts[0]->wait().exit_code, signal == SIGKILL ? 128 + SIGKILL : 75);
    parts[0] = start(part(1, 2, settings));
    for (const auto& one : parts) expect_success(*one);
    expect_plain_results();
  }
}

// A step of srun with several tasks sets variables that describe a job of several processes.
TEST_F(ClusterTest, UnderSrunTheRunsAreNoMembersOfAJob) {
  std::vector<std::string> command = part(1, 4);
  const std::vector<std::string> variables{"/usr/bin/env",
                                           "SLURM_PROCID=1",
                                           "SLURM_STEP_NUM_TASKS=2",
                                           "SLURM_LOCALID=1",
                                           "SLURM_JOB_ID=4711",
                                           "SLURM_STEP_ID=0",
                                           "SLURM_STEP_NODELIST=nowhere",
                                           "SLURM_ARRAY_TASK_ID=1"};
  command.insert(command.begin(), variables.begin(), variables.end());
  const Outcome outcome = run(command);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(nlohmann::json::parse(read("two/results.json"))["cells"][0]["status"], "finished");
}

TEST_F(ClusterTest, RejectsWrongUse) {
  const auto refused = [&](const std::vector<std::string>& arguments,
                           const std::vector<std::string>& expected) {
    const Outcome outcome = run(compare(arguments));
    EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
    for (const std::string& text : expected)
      EXPECT_NE(outcome.err.find(text), std::string::npos) << text << "\n" << outcome.err;
  };
  for (const std::string part : {"0/3", "4/3", "a/b"})
    refused({"--cells", part}, {"--cells: received `" + part + "`; expected K/N, the part K of N"});
  const std::string combined = "cannot be combined with --";
  refused({"--cells", "1/2", "--submit", "slurm"}, {combined});
  refused({"--cells", "1/2", "--dry-run"}, {combined});
  refused({"--cells", "1/2", "--noise"}, {combined});
  refused({"--submit", "slurm", "--noise"}, {combined});
  refused({"--submit", "slurm", "--json"}, {combined});
  refused({"--submit", "slurm", "--dry-run", "--measure"}, {combined});
  refused({"--report", "two", "--cells", "1/2"}, {"--report: cannot be combined with CONFIG"});
  refused({"--submit", "pbs"}, {"--submit: received `pbs`; expected one of slurm"});
  refused({"--submit", "slurm", "--dry-run", "--seeds", "3"}, {"--seeds: received 3"});
  refused({"--submit", "slurm", "--dry-run", "--only", "swish"}, {"--only: received `swish`"});
  const auto settings = [&](std::vector<std::string> texts,
                            const std::vector<std::string>& expected) {
    texts.insert(texts.begin(), {"--submit", "slurm", "--dry-run", "--set"});
    refused(texts, expected);
  };
  settings({"compare.slurm.tasks=5"},
           {"compare.slurm.tasks: received 5; expected at most 4, the number of runs"});
  settings({"compare.slurm.tasks=0", "compare.slurm.cpu_per_task=2", "compare.slurm.time=5min",
            "compare.slurm.memory=0"},
           {"compare.slurm.tasks: received `0`", "(did you mean `cpus_per_task`?)",
            "compare.slurm.time: received", "compare.slurm.memory: received"});
  settings(
      {"compare.slurm.partition=a b", "compare.slurm.extra=[exclusive, --array=1-9, \"--x\\nrm\"]"},
      {"compare.slurm.partition: received `a b`; expected a name without blanks",
       "compare.slurm.extra: received `exclusive`; expected an option of sbatch in one line",
       "compare.slurm.extra: received `--array=1-9`", "compare.slurm.extra: received `--x"});
  settings({"compare.vary={model.ffn: [relu, gegul]}"}, {"(did you mean `geglu`?)"});
  settings({"compare.tune={optimizer.lr: [0], seeds: [9]}", "corpus.tune_holdout=0.2"},
           {"compare.tune.optimizer.lr"});
  EXPECT_FALSE(fs::exists(path("two")));
}

class SlurmTest : public ClusterTest {
 protected:
  SlurmTest() {
    write("bin/sbatch", R"(#!/bin/sh
[ "$#" = 3 ] && [ "$1" = --parsable ] && [ "$2" = --array=1-4 ] && [ -f "$3" ] ||
  { echo "sbatch: error: received $*" >&2; exit 1; }
grep -qx '#SBATCH --array=1-4' "$3" && grep -qx '#SBATCH --time=0-01:00:00' "$3" &&
  grep -qx '#SBATCH --cpus-per-task=1' "$3" && grep -qx '#SBATCH --mem=512M' "$3" &&
  grep -qx '#SBATCH --partition=short' "$3" && grep -qx '#SBATCH --exclusive=user' "$3" ||
  { echo "sbatch: error: missing options in $3" >&2; exit 1; }
case "$3" in /*) ;; *) exit 1 ;; esac
echo "sbatch: warning: the weather is fine" >&2
cp "$3" submitted.sh
echo "4711;cluster"
)");
    write("bin/scontrol", "#!/bin/sh\necho \"$@\" >> " + path("scontrol.txt").string() + "\n");
    for (const char* program : {"bin/sbatch", "bin/scontrol"})
      fs::permissions(path(program), fs::perms::owner_all);
    write("slurm.yaml", R"(extends: [compare.yaml]
compare:
  slurm:
    {tasks: 4, cpus_per_task: 1, memory: 512MiB, time: 1h, partition: short,
     extra: [--exclusive=user]}
)");
    fs::create_directories(path("elsewhere"));
  }

  // A command with the stubs in PATH.
  std::vector<std::string> on_cluster(std::vector<std::string> command,
                                      const std::vector<std::string>& variables = {}) const {
    std::vector<std::string> words{"/usr/bin/env",
                                   cat("PATH=", path("bin").string(), ":", std::getenv("PATH"))};
    words.insert(words.end(), variables.begin(), variables.end());
    words.insert(words.end(), command.begin(), command.end());
    return words;
  }
  Outcome submit(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {SLUICE_PROGRAM, "compare", "slurm.yaml"});
    return run(on_cluster(arguments));
  }
  // A task as Slurm starts it: a copy of the script, in another directory.
  std::unique_ptr<Process> task(int number) const {
    return std::make_unique<Process>(
        path("elsewhere"),
        on_cluster({"/bin/bash", path("submitted.sh").string()},
                   {"SLURM_ARRAY_JOB_ID=4711", cat("SLURM_ARRAY_TASK_ID=", number),
                    cat("SLURM_JOB_ID=", 4711 + number), "SLURM_PROCID=0", "SLURM_LOCALID=0",
                    "SLURM_NTASKS=1", "SLURM_CPUS_PER_TASK=1", "SLURM_JOB_NODELIST=node1"}));
  }
};

TEST_F(SlurmTest, AnArrayJobGivesTheResultsOfOneProcess) {
  const std::vector<std::string> settings{"--set", "run.name=two words"};
  std::vector<std::string> plain{SLUICE_PROGRAM, "compare", "slurm.yaml"};
  plain.insert(plain.end(), settings.begin(), settings.end());
  ASSERT_EQ(run(plain).exit_code, 0);
  fs::rename(path("two"), path("plain"));

  const Outcome submitted = submit({"--submit", "slurm", "--set", "run.name=two words"});
  ASSERT_EQ(submitted.exit_code, 0) << submitted.err;
  EXPECT_EQ(submitted.out.find("job     4711 (4 tasks)\n"), 0U) << submitted.out;
  EXPECT_NE(submitted.err.find("the weather is fine"), std::string::npos) << submitted.err;
  EXPECT_FALSE(fs::exists(path("two/cells")));
  EXPECT_EQ(read("two/slurm/job.sh"), read("submitted.sh"));

  const auto first = task(1), third = task(3);  // at the same time
  expect_success(*first);
  expect_success(*third);
  const auto fourth = task(4);
  expect_success(*fourth);
  EXPECT_NE(read("two/table.md").find("reliminary"), std::string::npos);
  const auto second = task(2);
  expect_success(*second);
  expect_plain_results();
  expect_no_repetition("cells", 4);
  EXPECT_FALSE(fs::exists(path("scontrol.txt")));
}

TEST_F(SlurmTest, TheTimeLimitRequeuesATaskAndScancelDoesNot) {
  ASSERT_EQ(submit({"--submit", "slurm", "--set", "train.steps=1000000"}).exit_code, 0);
  for (const int signal : {SIGUSR1, SIGTERM}) {
    const std::uintmax_t before = bytes_of_metrics();
    const auto one = task(1);
    while (bytes_of_metrics() < before + 2000 && one->running()) std::this_thread::sleep_for(20ms);
    one->signal(signal);
    const Outcome outcome = one->wait();
    EXPECT_EQ(outcome.exit_code, 75) << outcome.err;
    EXPECT_NE(outcome.err.find("everything is saved"), std::string::npos) << outcome.err;
    EXPECT_EQ(read("scontrol.txt"), "requeue 4712\n");
  }
}

TEST_F(SlurmTest, DryRunPrintsTheScriptAndSubmitsNothing) {
  const Outcome outcome = sluice({"compare", "--dry-run", "--set", "compare.slurm.account=lab",
                                  "--submit=slurm", "slurm.yaml", "--jobs", "2"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with("#!/bin/bash\n")) << outcome.out;
  EXPECT_NE(outcome.out.find("\n#SBATCH --account=lab\n"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find(cat(SLUICE_PROGRAM,
                                 " compare --set compare.slurm.account=lab "
                                 "slurm.yaml --jobs 2 --cells "
                                 "\"$SLURM_ARRAY_TASK_ID/4\" &\n")),
            std::string::npos)
      << outcome.out;
  EXPECT_FALSE(fs::exists(path("two")));
  // One task per seed by default.
  const Outcome two = sluice({"compare", "compare.yaml", "--dry-run", "--submit", "slurm"});
  EXPECT_NE(two.out.find("\n#SBATCH --array=1-2\n"), std::string::npos) << two.out;
}

TEST_F(SlurmTest, SaysWhySubmittingFailed) {
  std::vector<std::string> command{"/usr/bin/env", "PATH=/nowhere", SLUICE_PROGRAM, "compare",
                                   "slurm.yaml",   "--submit",      "slurm"};
  const Outcome missing = run(command);
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_NE(missing.err.find("sbatch: not found in PATH"), std::string::npos) << missing.err;
  EXPECT_FALSE(fs::exists(path("two")));
  const Outcome rejected = submit({"--submit", "slurm", "--set", "compare.slurm.tasks=2"});
  EXPECT_EQ(rejected.exit_code, 2);
  EXPECT_NE(rejected.err.find("sbatch: received exit code 1: sbatch: error: received --parsable "
                              "--array=1-2 "),
            std::string::npos)
      << rejected.err;
  write("bin/sbatch", "#!/bin/sh\necho no number\n");
  const Outcome no_number = submit({"--submit", "slurm"});
  EXPECT_EQ(no_number.exit_code, 2);
  EXPECT_NE(no_number.err.find("expected the number of the job"), std::string::npos)
      << no_number.err;
}

}  // namespace
}  // namespace sluice::app
