#include "train/metrics.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/text_format.h"
#include "tests/train/train_support.h"

namespace sluice::train {
namespace {

class MetricsTest : public ::testing::Test {
 protected:
  StepStats stats(double loss) const {
    return {.loss = at::full({}, loss, at::kDouble),
            .log_perplexity = at::full({}, loss, at::kDouble),
            .grad_norm = at::full({}, 0.5, at::kDouble),
            .applied = at::full({}, true, at::kBool),
            .num_targets = 10};
  }
  void add(Metrics& metrics, std::int64_t step, double loss, bool last = false) const {
    const Progress progress{.step = step, .tokens = static_cast<std::uint64_t>(10 * step)};
    const StepStats values = stats(loss);
    metrics.add({.progress = progress, .stats = values, .lr = 0.25, .last = last});
  }
  std::vector<std::string> lines() const { return test::metrics_without_time(path_); }

  sluice::testing::TemporaryDirectory directory_;
  std::filesystem::path path_ = directory_ / "metrics.jsonl";
};

TEST_F(MetricsTest, ALineHasEveryKey) {
  Metrics metrics(path_);
  metrics.start_clock();
  add(metrics, 1, 2.0, true);
  EXPECT_EQ(lines(), std::vector<std::string>{cat(
                         R"({"step":1,"tokens":10,"loss":2.0,"log_perplexity":2.0,"perplexity":)",
                         shortest(std::exp(2.0)), R"(,"grad_norm":0.5,"lr":0.25})")});
}

TEST_F(MetricsTest, UtilizationIsAFractionOfThePeakRate) {
  Metrics metrics(path_, {.flops_per_token = 6e6, .peak_flop_per_s = 3e9});
  metrics.start_clock();
  add(metrics, 1, 2.0, true);
  Metrics without(directory_ / "without.jsonl", {.flops_per_token = 6e6, .peak_flop_per_s = {}});
  without.start_clock();
  add(without, 1, 2.0, true);
  store::read_metrics(path_, [](std::int64_t, const nlohmann::ordered_json& line) {
    const auto& time = line.at("time");
    EXPECT_EQ(time.at("mfu_denominator"), 3e9);
    EXPECT_NEAR(time.at("mfu").get<double>(), 6e6 * time.at("tokens_per_s").get<double>() / 3e9,
                1e-12);
    EXPECT_NEAR(time.at("step_seconds").get<double>(), 10 / time.at("tokens_per_s").get<double>(),
                1e-12);
  });
  store::read_metrics(directory_ / "without.jsonl",
                      [](std::int64_t, const nlohmann::ordered_json& line) {
                        EXPECT_TRUE(line.at("time").at("mfu").is_null() &&
                                    line.at("time").at("mfu_denominator").is_null());
                      });
}

TEST_F(MetricsTest, AddsUpTheSecondsOfAllProcesses) {
  std::ofstream(path_) << R"({"step":1,"loss":2.0,"time":{"seconds":9.0,"step_seconds":0.5}})"
                       << "\n"
                       << R"({"step":1,"eval":{"log_perplexity":2.0}})"
                       << "\n"
                       << R"({"step":2,"loss":2.0,"time":{"seconds":0.25,"step_seconds":0.25}})"
                       << "\n";
  EXPECT_EQ(read_training_seconds(path_), 0.75);
}

TEST_F(MetricsTest, ReadsDeviceValuesAtMostEightStepsLater) {
  Metrics metrics(path_);
  metrics.start_clock();
  metrics.write_out();
  for (std::int64_t step = 1; step <= 7; ++step) add(metrics, step, 1.0);
  EXPECT_EQ(lines().size(), 0u);
  add(metrics, 8, 1.0);
  EXPECT_EQ(lines().size(), 8u);
  add(metrics, 9, 1.0);
  metrics.flush();
  EXPECT_EQ(lines().size(), 9u);
  EXPECT_EQ(metrics.latest()->step, 9);
  EXPECT_EQ(metrics.num_tokens(), 90u);
}

TEST_F(MetricsTest, WritesARepeatedStepOnce) {
  Metrics metrics(path_);
  add(metrics, 1, 1.0);
  add(metrics, 1, 1.0, true);
  EXPECT_EQ(lines().size(), 1u);
}

TEST_F(MetricsTest, WritesNonFiniteNumbersAsNull) {
  Metrics metrics(path_);
  add(metrics, 1, std::nan(""), true);
  EXPECT_NE(lines().at(0).find(R"("loss":null)"), std::string::npos);
}

TEST_F(MetricsTest, EvaluationsFollowTheirStepAndReadBack) {
  Metrics metrics(path_);
  add(metrics, 1, 1.0);
  metrics.add_evaluation(
      1, {.figures = {.log_perplexity = 1.5, .perplexity = std::exp(1.5), .bits_per_byte = 2.5},
          .num_tokens = 100,
          .num_dropped_tokens = 7});
  metrics.add_evaluation(2, {.figures = {.log_perplexity = std::nan("")}});
  EXPECT_NE(lines().at(1).find(R"("eval")"), std::string::npos);
  const auto found = read_evaluations(path_);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].step, 1);
  EXPECT_EQ(found[0].eval.figures.log_perplexity, 1.5);
  EXPECT_EQ(found[0].eval.figures.bits_per_byte, 2.5);
  EXPECT_FALSE(found[0].eval.figures.word_perplexity);
  EXPECT_EQ(found[0].eval.num_dropped_tokens, 7u);
  EXPECT_FALSE(found[1].eval.figures.log_perplexity);
}

TEST_F(MetricsTest, ReadsEvaluationsOfEarlierVersions) {
  std::ofstream(path_) << R"({"step":1,"eval":{"log_perplexity":2.0,"perplexity":7.38,)"
                          R"("bits_per_byte":null,"word_perplexity":null,"num_tokens":10}})"
                       << "\n";
  ASSERT_EQ(read_evaluations(path_).size(), 1u);
  EXPECT_FALSE(read_evaluations(path_)[0].eval.num_dropped_tokens);
}

TEST_F(MetricsTest, ReturningDropsLaterLines) {
  Metrics metrics(path_);
  for (std::int64_t step = 1; step <= 10; ++step) add(metrics, step, 1.0);
  metrics.return_to(4);
  EXPECT_EQ(lines().size(), 4u);
  for (std::int64_t step = 5; step <= 6; ++step) add(metrics, step, 2.0, step == 6);
  EXPECT_EQ(lines().size(), 6u);
  EXPECT_NE(lines()[4].find(R"("step":5,)"), std::string::npos);
  metrics.return_to(-1);
  EXPECT_TRUE(lines().empty());
}

}  // namespace
}  // namespace sluice::train
