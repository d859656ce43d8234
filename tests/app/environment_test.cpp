// Home directories, file names that are not UTF-8, disk space and OMP_NUM_THREADS.
#include <cstdlib>
#include <filesystem>

#include "tests/app/program.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

class Environment : public ShortRunTest {};

TEST_F(Environment, ExpandsATildeToTheHomeDirectoryEverywhere) {
  ASSERT_EQ(::setenv("HOME", path("home").c_str(), 1), 0);
  fs::create_directories(path("home"));
  fs::copy_file(path("text.txt"), path("home/text.txt"));
  train({"tiny.yaml", "--set", "run.dir=~/run", "corpus.train=[~/text.txt]",
         "corpus.prepared_dir=~/prepared"});
  EXPECT_TRUE(fs::exists(path("home/run/result.json")));
  EXPECT_TRUE(fs::exists(path("home/prepared")));
  EXPECT_FALSE(fs::exists(path("~")));
  train({"--resume", "~/run", "--set", "train.steps=6"});
  train({"tiny.yaml", "--run-dir=~/second"});
  EXPECT_TRUE(fs::exists(path("home/second/result.json")));
  EXPECT_EQ(sluice({"eval", "~/run", "--data", "~/text.txt"}).exit_code, 0);
  EXPECT_EQ(sluice({"verify", "~/run"}).exit_code, 0);
  for (const char* set :
       {"run.dir=~root/x", "corpus.train=[~root/x]", "corpus.prepared_dir=~root/x"}) {
    const Outcome refused = sluice({"train", "tiny.yaml", "--set", set});
    EXPECT_EQ(refused.exit_code, 2) << set << refused.err;
    EXPECT_NE(refused.err.find("~root/x"), std::string::npos) << refused.err;
  }
  const Outcome refused = sluice({"eval", "~root/x"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("error: RUN: received ~root/x; expected "), std::string::npos)
      << refused.err;
}

TEST_F(Environment, NonUtf8NamesWorkOrAreRejectedFirst) {
  const Outcome refused = sluice({"train", "tiny.yaml", "--run-dir", "caf\xE9"});
  EXPECT_EQ(refused.exit_code, 2) << refused.err;
  EXPECT_NE(refused.err.find("UTF-8"), std::string::npos) << refused.err;
  EXPECT_FALSE(fs::exists(path("caf\xE9")));
  train({"tiny.yaml"});
  fs::rename(path("run"), path("caf\xE9"));
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"eval", "caf\xE9", "--json"},
        {"verify", "caf\xE9", "--json"},
        {"generate", "caf\xE9", "--prompt", "a", "--tokens", "2", "--json"}}) {
    const Outcome outcome = sluice(command);
    EXPECT_EQ(outcome.exit_code, 0) << command[0] << outcome.err;
    EXPECT_TRUE(outcome.json().is_object());
  }
  EXPECT_EQ(sluice({"train", "--resume", "caf\xE9"}).exit_code, 2);
}

TEST_F(Environment, ChecksDiskSpaceOnlyForCheckpointsOfTheRun) {
  for (const char* keep :
       {"checkpoint.keep_last=1000000", "checkpoint.keep_last=9000000000000000000",
        "checkpoint.keep_last=9223372036854775807"}) {
    const Outcome outcome =
        sluice({"train", "tiny.yaml", "--fresh", "--set", keep, "checkpoint.every_steps=2"});
    EXPECT_EQ(outcome.exit_code, 0) << keep << outcome.err;
    const auto plan =
        sluice({"plan", "tiny.yaml", "--set", keep, "checkpoint.every_steps=2", "--json"}).json();
    EXPECT_EQ(plan.at("disk_bytes").get<std::uint64_t>(),
              3 * plan.at("checkpoint_bytes").get<std::uint64_t>())
        << keep;
  }
}

TEST_F(Environment, ThreadsAutoHonorsOmpNumThreads) {
  write("auto.yaml", "extends: [tiny.yaml]\ntrain: {threads: auto}\n");
  ASSERT_EQ(::setenv("OMP_NUM_THREADS", "3,2", 1), 0);
  EXPECT_EQ(sluice({"plan", "auto.yaml", "--json"}).json().at("threads"), 3);
  EXPECT_EQ(sluice({"plan", "tiny.yaml", "--json"}).json().at("threads"), 1);
  ASSERT_EQ(::setenv("OMP_NUM_THREADS", "many", 1), 0);
  const Outcome garbage = sluice({"plan", "auto.yaml", "--json"});
  EXPECT_EQ(garbage.exit_code, 0);
  EXPECT_NE(garbage.err.find("OMP_NUM_THREADS"), std::string::npos) << garbage.err;
  ASSERT_EQ(::unsetenv("OMP_NUM_THREADS"), 0);
}

TEST_F(Environment, UsesTheSingularAndPrintsNoInfinity) {
  const Outcome outcome = sluice({"train", "tiny.yaml", "--set", "train.steps=1"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("finished 1 step;"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.out.find("after 1 step ("), std::string::npos) << outcome.out;
  const double per_word = nlohmann::json::parse(read("run/result.json")).at("word_perplexity");
  ASSERT_GT(per_word, 1e6);
  EXPECT_NE(outcome.out.find(", e^"), std::string::npos) << outcome.out;
  // A document without whitespace: one word of thousands of bytes.
  write("long.txt", std::string(3000, 'a') + std::string(3000, 'b') + "\n");
  const Outcome eval = sluice({"eval", "run", "--data", "long.txt"});
  ASSERT_EQ(eval.exit_code, 0) << eval.err;
  EXPECT_EQ(eval.out.find("inf"), std::string::npos) << eval.out;
  EXPECT_TRUE(sluice({"eval", "run", "--data", "long.txt", "--json"})
                  .json()
                  .at("word_perplexity")
                  .is_null());
}

}  // namespace
}  // namespace sluice::app
