// The predictions of `plan`, compared with actual runs.
#include <algorithm>
#include <cstdlib>

#include "base/rendezvous.h"
#include "tests/app/program.h"
#include "tests/base/count_parts.h"

namespace sluice::app {
namespace {

class PlanCommand : public ProgramTest {
 protected:
  nlohmann::json plan(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"plan", "tiny.yaml", "--json"});
    const Outcome outcome = sluice(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.exit_code == 0 ? outcome.json() : nlohmann::json();
  }
};

// As `compare --jobs auto` does. Neither could finish if the other did not take part.
TEST_F(PlanCommand, TwoProcessesMeasureDuringTheSamePeriod) {
  write_english();
  write_tiny_config();
  std::filesystem::create_directory(path("meeting"));
  const std::string variable = Rendezvous::variable(2, 0.1, path("meeting"));
  const std::vector<std::string> command{"/usr/bin/env", variable, SLUICE_PROGRAM, "plan",
                                         "tiny.yaml",    "--json", "--measure"};
  Process one(path(""), command), other(path(""), command);
  for (Process* process : {&one, &other}) {
    const Outcome outcome = process->wait();
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_GT(outcome.json().at("seconds_per_step").get<double>(), 0);
    EXPECT_TRUE(outcome.json().at("measured_peak_gpu_memory_bytes").is_null());
  }
  const auto num = [&](const std::string& stage) {
    const auto files = std::filesystem::directory_iterator(path("meeting"));
    return std::count_if(begin(files), end(files), [&](const auto& file) {
      return file.path().filename().string().starts_with(stage);
    });
  };
  EXPECT_EQ(num("ready-"), 2);
  EXPECT_EQ(num("timed-"), 2);
}

// Evaluations at 0, 10, 20 and 25; saves at 0, 7, 14, 21 and 25.
TEST_F(PlanCommand, CountsEvaluationsAndCheckpoints) {
  write_english();
  write_tiny_config();
  const std::vector<std::string> settings = {"--set", "train.steps=25", "checkpoint.every_steps=7",
                                             "checkpoint.keep_last=100"};
  const auto with = [&](std::vector<std::string> words) {
    words.insert(words.end(), settings.begin(), settings.end());
    return words;
  };
  const auto before = plan(with({"--measure-steps", "1"}));
  EXPECT_FALSE(before.at("is_prepared").get<bool>());
  EXPECT_TRUE(before.at("num_evaluations").is_null());
  EXPECT_TRUE(before.at("evaluation_seconds").is_null());
  EXPECT_EQ(before.at("num_saves"), 5);
  EXPECT_NE(sluice(with({"plan", "tiny.yaml", "--measure"}))
                .out.find("preparation and evaluations not included: the data is not prepared yet"),
            std::string::npos);
  ASSERT_EQ(sluice(with({"train", "tiny.yaml"})).exit_code, 0);
  const std::string metrics = read("run/metrics.jsonl");
  const auto after = plan(with({"--measure"}));
  EXPECT_TRUE(after.at("is_prepared").get<bool>());
  EXPECT_EQ(sluice::testing::count_parts(metrics, "\"eval\":"), 4U);
  EXPECT_EQ(after.at("num_evaluations"), 4);
  const auto checkpoints = std::filesystem::directory_iterator(path("run/checkpoints"));
  EXPECT_EQ(std::count_if(begin(checkpoints), end(checkpoints),
                          [](const auto& one) { return one.is_directory(); }),
            5);
  EXPECT_EQ(after.at("num_saves"), 5);
  // Never more than the run writes, however large keep_last is.
  const auto many = plan({"--set", "train.steps=25", "checkpoint.every_steps=7",
                          "checkpoint.keep_last=9000000000000000000"});
  for (const auto& one : {after, many})
    EXPECT_EQ(one.at("disk_bytes").get<double>(), 5 * one.at("checkpoint_bytes").get<double>());

  const auto number = [&](const char* key) { return after.at(key).get<double>(); };
  EXPECT_GT(number("start_seconds"), 0);
  EXPECT_GT(number("first_step_seconds"), number("start_seconds"));
  EXPECT_GT(number("evaluation_seconds"), 0);
  EXPECT_GT(number("checkpoint_seconds"), 0);
  EXPECT_NEAR(
      number("other_seconds"),
      number("start_seconds") + number("evaluation_seconds") + 5 * number("checkpoint_seconds"),
      1e-9);
  EXPECT_NEAR(number("seconds"), 25 * number("seconds_per_step") + number("other_seconds"), 1e-9);
}

// The final evaluation has a different limit, so the last step is evaluated twice (docs/config.md).
TEST_F(PlanCommand, CountsEvaluationsByInterval) {
  write_english();
  write_tiny_config();
  ASSERT_EQ(sluice({"prepare", "tiny.yaml"}).exit_code, 0);
  const auto num_evaluations = [&](std::vector<std::string> settings) {
    settings.insert(settings.begin(), "--set");
    return plan(settings).at("num_evaluations").get<std::int64_t>();
  };
  EXPECT_EQ(num_evaluations({"evaluate.every_steps=never"}), 0);
  EXPECT_EQ(num_evaluations({"evaluate.every_steps=7"}), 6);    // 0, 7, 14, 21, 28, 30
  EXPECT_EQ(num_evaluations({"evaluate.every_steps=30"}), 2);   // 0, 30
  EXPECT_EQ(num_evaluations({"evaluate.every_steps=100"}), 2);  // 0, 30
}

// Base, weights, optimizer, activations and tokens add up to the measured peak within 15 %.
TEST_F(PlanCommand, PredictsPeakMemory) {
  write_english();
  write_tiny_config();
  const std::vector<std::string> size = {"--set",
                                         "model.num_layers=4",
                                         "model.d_model=256",
                                         "model.num_heads=4",
                                         "train.sequence_length=128",
                                         "train.batch_sequences=16",
                                         "train.micro_batch_sequences=16",
                                         "train.steps=3",
                                         "evaluate.every_steps=3"};
  const auto with = [&](std::vector<std::string> words) {
    words.insert(words.end(), size.begin(), size.end());
    return words;
  };
  const double predicted = plan(with({})).at("memory_bytes").get<double>();
  const Outcome trained = sluice(with({"train", "tiny.yaml", "--json"}));
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const double real = trained.json().at("peak_memory_bytes").get<double>();
  EXPECT_NEAR(predicted / real, 1, 0.15) << predicted << " of " << real;
}

TEST_F(PlanCommand, WarnsIfTheLearningRateStaysBelowItsPeak) {
  write_english();
  write_tiny_config();
  const auto warning = [&](const std::string& schedule) {
    const Outcome outcome = sluice({"plan", "tiny.yaml", "--set", "schedule=" + schedule});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.err;
  };
  EXPECT_EQ(warning("{type: wsd, warmup_steps: 10, decay_fraction: 0.5}"), "");
  EXPECT_EQ(warning("{type: cosine, warmup_steps: 60}"),
            "warning: schedule: the learning rate reaches at most 50 % of optimizer.lr: "
            "warmup_steps 60 do not fit into the run's 30 steps\n");
  // (s + 1) / 20 and (30 − s) / 24: 14 / 20
  EXPECT_EQ(warning("{type: wsd, warmup_steps: 20, decay_fraction: 0.8}"),
            "warning: schedule: the learning rate reaches at most 70 % of optimizer.lr: "
            "warmup_steps 20 and the decay over the last 80 % "
            "overlap within the run's 30 steps\n");
}

TEST_F(PlanCommand, ComparesTheWidthInParametersAndMultiplyAdds) {
  write_english();
  write_tiny_config();
  const Outcome fits = sluice(
      {"plan", "tiny.yaml", "--set", "model.bias=true", "model.d_model=32", "model.num_heads=2"});
  EXPECT_NE(fits.out.find("+0.120 % in parameters and -0.391 % in multiply-adds"),
            std::string::npos)
      << fits.out << fits.err;
  const Outcome refused = sluice(
      {"plan", "tiny.yaml", "--set", "model.bias=true", "model.d_model=16", "model.num_heads=2"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find(
                "-0.56 % in parameters and -1.56 % in multiply-adds (the multiply-adds exceed the "
                "tolerance)"),
            std::string::npos)
      << refused.err;
}

}  // namespace
}  // namespace sluice::app
