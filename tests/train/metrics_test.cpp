#include "train/metrics.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
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

// A device that needs 2 s for each step, which the host starts in 0.125 s.
class LateDevice {
 public:
  StepClock clock() {
    return {.synchronize = [this] { now_ = std::max(now_, busy_until_); },
            .now = [this] { return now_; }};
  }
  void start_step() {
    now_ += 0.125;
    busy_until_ = std::max(busy_until_, now_) + 2;
  }
  void pass(double seconds) { now_ += seconds; }
  double now() const { return now_; }

 private:
  double now_ = 100, busy_until_ = 0;
};

std::vector<double> step_seconds(const std::filesystem::path& path, const char* key) {
  std::vector<double> all;
  store::read_metrics(path, [&](std::int64_t, const nlohmann::ordered_json& line) {
    if (line.contains("time")) all.push_back(line.at("time").at(key).get<double>());
  });
  return all;
}

TEST_F(MetricsTest, TimesOfAnAsynchronousDeviceAreThoseOfTheDevice) {
  LateDevice device;
  Metrics metrics(path_, {.flops_per_token = 1e3, .peak_flop_per_s = 1e4}, device.clock());
  metrics.write_out();
  metrics.start_clock();
  for (std::int64_t step = 1; step <= 4; ++step) {
    device.start_step();
    add(metrics, step, 1.0, step == 4);
  }
  // The device finishes 4 · 2 s after the first start.
  for (const double seconds : step_seconds(path_, "step_seconds"))
    EXPECT_DOUBLE_EQ(seconds, 8.125 / 4);
  EXPECT_EQ(step_seconds(path_, "step_seconds").size(), 4u);
  EXPECT_DOUBLE_EQ(step_seconds(path_, "seconds").front(), 8.125 / 4);
  EXPECT_DOUBLE_EQ(step_seconds(path_, "seconds").back(), 8.125);
  EXPECT_DOUBLE_EQ(metrics.training_seconds(), 8.125);
  EXPECT_DOUBLE_EQ(metrics.latest()->tokens_per_s, 40 / 8.125);
  EXPECT_DOUBLE_EQ(*metrics.mfu(), 1e3 * 40 / 8.125 / 1e4);
}

TEST_F(MetricsTest, WorkBetweenStepsIsNotCountedOnAnAsynchronousDevice) {
  LateDevice device;
  Metrics metrics(path_, {}, device.clock());
  metrics.write_out();
  metrics.start_clock();
  for (std::int64_t step = 1; step <= 5; ++step) {
    device.start_step();
    add(metrics, step, 1.0, step == 5);
    if (step != 3) continue;
    metrics.write_out();  // as before an evaluation
    device.pass(50);
    metrics.start_clock();
  }
  // Lines wait for at most a second, so the fourth step is written alone.
  EXPECT_DOUBLE_EQ(metrics.training_seconds(), 6.125 + 2.125 + 2.125);
  const std::vector<double> seconds = step_seconds(path_, "step_seconds");
  EXPECT_NEAR(seconds.at(0), 6.125 / 3, 1e-9);
  EXPECT_NEAR(seconds.at(3), 2.125, 1e-9);
  EXPECT_NEAR(seconds.at(4), 2.125, 1e-9);
}

// A rollback: steps that are repeated, and the time to restore a checkpoint.
TEST_F(MetricsTest, AReturnDropsTheTimeSinceTheLastLine) {
  for (const bool is_asynchronous : {false, true}) {
    LateDevice device;
    StepClock clock = device.clock();
    if (!is_asynchronous) clock.synchronize = {};
    Metrics metrics(path_, {}, clock);
    metrics.return_to(0);
    metrics.start_clock();
    device.pass(1);
    add(metrics, 1, 1.0, true);
    device.pass(0.5);
    add(metrics, 2, 1.0, false);
    device.pass(100);
    metrics.return_to(1);
    device.pass(3);
    add(metrics, 2, 1.0, true);
    EXPECT_EQ(step_seconds(path_, "step_seconds"), (std::vector<double>{1, 3}));
    EXPECT_EQ(metrics.training_seconds(), is_asynchronous ? 4 : 4.5);
    EXPECT_EQ(metrics.num_tokens(), is_asynchronous ? 20u : 30u);
  }
}

TEST_F(MetricsTest, AStepOfACpuHasItsOwnTime) {
  LateDevice device;
  StepClock clock = device.clock();
  clock.synchronize = {};
  Metrics metrics(path_, {}, clock);
  metrics.start_clock();
  for (std::int64_t step = 1; step <= 3; ++step) {
    device.pass(static_cast<double>(step));
    add(metrics, step, 1.0, step == 3);
  }
  EXPECT_EQ(step_seconds(path_, "step_seconds"), (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(step_seconds(path_, "seconds"), (std::vector<double>{1, 3, 6}));
  EXPECT_EQ(metrics.training_seconds(), 6);
}

}  // namespace
}  // namespace sluice::train
