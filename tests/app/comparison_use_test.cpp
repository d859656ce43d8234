// `sluice compare` without runs: forecast, errors, documentation.
#include <filesystem>

#include "tests/app/program.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

class ComparisonUse : public TwoVariantsTest {};

TEST_F(ComparisonUse, DryRunTrainsNothing) {
  const Outcome outcome = sluice({"compare", "compare.yaml", "--dry-run", "--measure", "--json",
                                  "--set", "compare.assumed_std=0.005"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = outcome.json();
  EXPECT_EQ(json["cells"], 4);
  EXPECT_EQ(json["variants"][1]["settings"]["model.ffn"], "geglu");
  EXPECT_GT(json["variants"][0]["seconds_per_step"].get<double>(), 0);
  EXPECT_TRUE(json["detectable_difference"].is_null());
  EXPECT_EQ(json["min_seeds"], 6);
  EXPECT_EQ(json["smallest_p"], 0.5);
  EXPECT_FALSE(fs::exists(path("two")));
  const Outcome text = sluice({"compare", "compare.yaml", "--dry-run"});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_NE(text.out.find("relu (baseline)"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("verdict    none possible: with 2 seeds"), std::string::npos) << text.out;
  const Outcome looks = sluice({"compare", "compare.yaml", "--dry-run", "--set",
                                "compare.seeds=[1, 2, 3, 4, 5, 6, 7, 8]", "compare.looks=[4, 8]",
                                "compare.assumed_std=0.005"});
  EXPECT_NE(looks.out.find("look 1, 4 seeds: level 0.0056, nothing can be found"),
            std::string::npos)
      << looks.out;
  EXPECT_NE(looks.out.find("detectable 0.0"), std::string::npos) << looks.out;
}

TEST_F(ComparisonUse, RejectsWrongUse) {
  const auto refused = [&](const std::vector<std::string>& arguments, const std::string& expected) {
    const Outcome outcome = sluice_in_fork(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
    EXPECT_NE(outcome.err.find(expected), std::string::npos) << outcome.err;
  };
  refused({"train", "compare.yaml"}, "`sluice compare compare.yaml`");
  refused({"compare", "tiny.yaml"}, "missing section `compare`");
  refused({"compare", "compare.yaml", "--set", "compare.vary={model.fnn: [relu, geglu]}"},
          "(did you mean `ffn`?)");
  refused({"compare", "compare.yaml", "--set", "compare.vary={model.ffn: [relu, gegul]}"},
          "(did you mean `geglu`?)");
  refused({"config", "check", "compare.yaml", "--set", "compare.vary={model.fnn: [relu]}"},
          "compare.yaml: compare.vary.model.fnn: unknown key");
  refused({"compare", "compare.yaml", "--set", "compare.looks=[2, 1]"},
          "compare.looks: received 1");
  refused({"compare", "compare.yaml", "--set", "compare.looks=[2, 3]"},
          "compare.looks: received 3 as the last look; expected 2, as many as seeds");
  refused({"compare", "compare.yaml", "--set", "compare.margin=0"}, "compare.margin");
  refused({"compare", "compare.yaml", "--only", "swish"}, "--only: received `swish`");
  refused({"compare", "compare.yaml", "--set", "evaluate.every_steps=never"},
          "evaluate.every_steps");
  refused({"compare", "compare.yaml", "--set", "compare.tune={optimizer.lr: [1e-3], seeds: [9]}"},
          "corpus.tune_holdout");
  for (const std::string jobs : {"0", "1.5", "-1", "99999999999"})
    refused({"compare", "--jobs", jobs, "compare.yaml"},
            "--jobs: received `" + jobs + "`; expected `auto` or a whole number from 1 to 1024");
  refused({"compare", "compare.yaml", "--seeds", "1-2"},
          "--seeds: received `1-2`; expected a whole number");
  refused({"compare", "--report", "two", "--seeds", "1"},
          "--report: cannot be combined with --seeds");
  refused({"compare", "compare.yaml", "--report", "two"},
          "--report: cannot be combined with CONFIG");
  const std::string vary = "compare.tune={optimizer.lr: [0], seeds: [9]}";
  refused({"compare", "compare.yaml", "--dry-run", "--set", vary, "corpus.tune_holdout=0.2"},
          "compare.yaml: compare.tune.optimizer.lr");
  refused({"compare", "compare.yaml", "--dry-run", "--set", vary}, "compare.tune.optimizer.lr");
  for (const std::string key : {"objective.noise_density", "train.micro_batch_sequences",
                                "train.log_interval", "train.device", "train.threads", "run.seed",
                                "corpus.train", "evaluate.split", "checkpoint.keep_last"})
    refused({"compare", "compare.yaml", "--dry-run", "--set", "compare.vary={" + key + ": [1, 2]}"},
            "compare.vary." + key);
  refused({"compare", "compare.yaml", "--dry-run", "--set",
           "compare.tune={objective.type: [a], seeds: [9]}"},
          "compare.tune.objective.type");
  refused({"compare", "compare.yaml", "--dry-run", "--set",
           "compare.tune={train.precision: [fp32], seeds: [9]}"},
          "compare.tune.train.precision: received `train.precision`; expected this key only in");
  refused({"compare", "compare.yaml", "--set", "corpus.holdout=0"},
          "corpus.holdout: received 0 and no corpus.valid");
  refused({"compare", "compare.yaml", "--set", "compare.metric=bits_per_byte",
           "evaluate.final_max_tokens=64"},
          "evaluate.final_max_tokens");
  refused({"compare", "compare.yaml", "--set", "compare.tune={optimizer.lr: [1e-3], seeds: [9]}",
           "corpus.tune_holdout=0.2", "evaluate.split=tune"},
          "evaluate.split: received tune; expected valid");
  refused({"compare", "compare.yaml", "--set",
           "compare.tune={optimizer.lr: [1e-3], seeds: [8, 9], repeat: 3}"},
          "compare.tune.repeat: received 3; expected a divisor of the number of compare.seeds, 2");
  refused({"compare", "compare.yaml", "--set",
           "compare.tune={optimizer.lr: [1e-3], seeds: [9], repeat: 2}"},
          "compare.tune.seeds: received 1 seed; expected the same number for each of the 2 groups");
  refused({"compare", "compare.yaml", "--noise", "--only", "relu"},
          "--noise: cannot be combined with --only");
  refused({"compare", "compare.yaml", "--set", "run.seeds.data_order=5"},
          "run.seeds.data_order: received 5; expected `seed`, since compare.seeds determines");
  refused({"compare", "compare.yaml", "--set", "compare.metric={bits, average_last: 2}"},
          "compare.metric: received `bits`; expected one of log_perplexity, bits_per_byte");
  refused({"compare", "compare.yaml", "--set", "compare.metric={log_perplexity, last: 2}"},
          "or {VALUE, average_last: ...} if `average_last` is not set beside it");
  refused({"compare", "compare.yaml", "--set", "compare.equalize=time",
           "schedule={type: t5, total_steps: 10}"},
          "schedule.total_steps");
  EXPECT_EQ(sluice({"compare", "compare.yaml", "--dry-run", "--set",
                    "compare.vary={optimizer.betas: [[0.9, 0.95], [0.9, 0.99]]}"})
                .exit_code,
            0);
  EXPECT_EQ(sluice({"compare", "--only", "relu", "compare.yaml", "--dry-run"}).exit_code, 0);
  EXPECT_EQ(sluice({"compare", "--seeds", "1,2", "compare.yaml", "--dry-run"}).exit_code, 0);
  EXPECT_EQ(sluice({"compare", "--report", "nowhere"}).exit_code, 66);
  EXPECT_FALSE(fs::exists(path("two")));
}

// bf16 against fp32, with the same seeds in one comparison.
TEST_F(ComparisonUse, PrecisionMayVary) {
  const std::vector<std::string> settings{
      "compare.vary={train.precision: [fp32, bf16]}",
      "compare.baseline={model.ffn: relu, train.precision: fp32}"};
  std::vector<std::string> command{"compare", "compare.yaml", "--set"};
  command.insert(command.end(), settings.begin(), settings.end());
  const Outcome outcome = sluice(command);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto results = nlohmann::json::parse(read("two/results.json"));
  ASSERT_EQ(results["cells"].size(), 8U);  // of relu and geglu
  std::set<double> figures;
  for (const auto& cell : results["cells"]) {
    EXPECT_EQ(cell["status"], "finished");
    EXPECT_EQ(cell["precision"], cell["settings"]["train.precision"]);
    figures.insert(cell["log_perplexity"].get<double>());
  }
  EXPECT_EQ(figures.size(), 8U);
  const Outcome again = sluice(command);  // everything is done
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.err.find("started"), std::string::npos) << again.err;
  EXPECT_EQ(sluice({"audit", "two", "--cells", "2"}).exit_code, 0);
}

TEST_F(ComparisonUse, TheSectionIsInSchemaReferenceAndShow) {
  const auto schema = nlohmann::json::parse(sluice({"config", "schema"}).out);
  EXPECT_TRUE(schema["properties"]["compare"]["anyOf"][1]["properties"].contains("vary"));
  EXPECT_NE(sluice({"config", "docs"}).out.find("## `compare`"), std::string::npos);
  EXPECT_NE(sluice({"config", "show", "compare.yaml"}).out.find("vary: {model.ffn: [relu, geglu]}"),
            std::string::npos);
  EXPECT_EQ(sluice({"config", "show", "tiny.yaml"}).out.find("\ncompare:"), std::string::npos);
  EXPECT_EQ(sluice({"config", "check", "compare.yaml"}).exit_code, 0);
}

}  // namespace
}  // namespace sluice::app
