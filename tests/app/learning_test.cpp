// What a model learns, with the shipped program: real English, and a language with exactly known
// entropy.
#include <cmath>

#include "tests/app/program.h"

namespace sluice::app {
namespace {

class Learning : public ProgramTest {
 protected:
  Outcome make_corpus(const std::vector<std::string>& arguments) const {
    std::vector<std::string> command{SLUICE_PYTHON,
                                     std::string(SLUICE_SOURCE_DIR) + "/scripts/make_corpus.py"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return run(command);
  }
  // The result of `sluice train CONFIG` with these overrides.
  nlohmann::json train(const std::string& config, std::vector<std::string> overrides) const {
    std::vector<std::string> arguments{"train",
                                       std::string(SLUICE_SOURCE_DIR) + "/configs/" + config,
                                       "--run-dir",
                                       "run",
                                       "--json",
                                       "--set",
                                       "corpus.prepared_dir=prepared"};
    arguments.insert(arguments.end(), overrides.begin(), overrides.end());
    const Outcome outcome = sluice(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.json();
  }
};

// On this held-out text, unigrams reach about 5.6 nats per token, the uniform distribution 8.3.
TEST_F(Learning, LearnsTheKingJamesBible) {
  const Outcome corpus = make_corpus({"kjv", "kjv.txt"});
  if (corpus.exit_code != 0) GTEST_SKIP() << "King James Bible not available: " << corpus.err;
  const auto result =
      train("quickstart.yaml", {"corpus.train=[kjv.txt]", "train.steps=60",
                                "schedule.warmup_steps=20", "evaluate.max_tokens=4096",
                                "evaluate.final_max_tokens=16384", "train.batch_sequences=8"});
  EXPECT_NEAR(result.at("initial_log_perplexity").get<double>(), std::log(4096.0), 0.15);
  EXPECT_LT(result.at("log_perplexity").get<double>(), 5.5);
  const Outcome text =
      sluice({"generate", "run", "--prompt", "And the LORD said", "--tokens", "20"});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_GT(text.out.size(), 30u);
}

// Most of the memory is weights, so any second copy of them is noticed.
TEST_F(Learning, PlanPredictsTheMemoryOfARunWithLargeWeights) {
  write_english();
  write_tiny_config();
  const std::vector<std::string> large = {"--set",
                                          "model.d_model=768",
                                          "model.num_heads=12",
                                          "model.num_layers=3",
                                          "train.batch_sequences=1",
                                          "train.steps=1",
                                          "evaluate.every_steps=never",
                                          "train.micro_batch_sequences=1"};
  std::vector<std::string> plan = {"plan", "tiny.yaml", "--json"},
                           train = {"train", "tiny.yaml", "--json"};
  plan.insert(plan.end(), large.begin(), large.end());
  train.insert(train.end(), large.begin(), large.end());
  const auto planned = sluice(plan).json(), trained = sluice(train).json();
  EXPECT_NEAR(
      planned.at("memory_bytes").get<double>() / trained.at("peak_memory_bytes").get<double>(), 1.0,
      0.2);
}

// The loss covers at least 80 % of the distance from the best 5-gram to the entropy: the model uses
// context beyond five words.
TEST_F(Learning, LearnsAgreementOverLongerDistancesThanA5Gram) {
  ASSERT_EQ(make_corpus({"grammar", "letters.txt", "--alphabet", "letters"}).exit_code, 0);
  const auto exact = nlohmann::json::parse(read("letters.json"));
  const double entropy = exact.at("entropy_nats_per_symbol"),
               best_5gram = exact.at("best_5gram_nats_per_symbol");
  ASSERT_GE(best_5gram - entropy, 0.3);
  const std::vector<std::string> overrides = {"corpus.train=[letters.txt]", "train.precision=fp32",
                                              "train.steps=700", "evaluate.every_steps=never"};
  const auto trained = train("grammar.yaml", overrides);
  const Outcome outcome = sluice({"eval", "run", "--stride", "32", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const double reached = outcome.json().at("log_perplexity");
  EXPECT_GE((best_5gram - reached) / (best_5gram - entropy), 0.8) << reached;
  EXPECT_GE(reached, entropy - 0.01) << "below the entropy";

  std::vector<std::string> plan{"plan", std::string(SLUICE_SOURCE_DIR) + "/configs/grammar.yaml",
                                "--json", "--set", "corpus.prepared_dir=prepared"};
  plan.insert(plan.end(), overrides.begin(), overrides.end());
  const auto planned = sluice(plan).json();
  EXPECT_EQ(planned.at("num_parameters"), trained.at("num_parameters"));
  EXPECT_NEAR(
      planned.at("memory_bytes").get<double>() / trained.at("peak_memory_bytes").get<double>(), 1.0,
      0.2);
}

}  // namespace
}  // namespace sluice::app
