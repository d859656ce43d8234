// The event file of a run: what a return to an earlier step keeps and restores, and histograms.
// tests/app/tensorboard_test.cpp reads the files with TensorBoard.
#include "train/tensorboard.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cmath>
#include <fstream>

#include "base/text_format.h"
#include "tests/base/temporary_directory.h"

namespace sluice::train {
namespace {

StepLine step_line(std::int64_t step) {
  return {.step = step,
          .tokens = 10,
          .loss = 1.0 / static_cast<double>(step),
          .time = {.seconds = 1, .step_seconds = 0.5, .tokens_per_s = 20}};
}

// Every second one has samples.
EvaluationLine evaluation_line(std::int64_t step) {
  EvaluationLine line{.step = step, .eval = {.figures = {.log_perplexity = 2.0}, .num_tokens = 5}};
  if (step % 4 == 0) line.samples = {{"In the", cat(" beginning ", step)}};
  return line;
}

class TensorBoard : public ::testing::Test {
 protected:
  // Steps 1 to `last` in metrics.jsonl, an evaluation after each even one.
  void write_metrics(std::int64_t last) const {
    std::ofstream file(metrics_);
    for (std::int64_t step = 1; step <= last; ++step) {
      file << config::to_json(step_line(step));
      if (step % 2 == 0) file << config::to_json(evaluation_line(step));
    }
  }
  // The same in a new event file, which is left open.
  TensorBoardLog log_with(std::int64_t last) const {
    TensorBoardLog log = new_log();
    log.return_to(-1, 1000);
    for (std::int64_t step = 1; step <= last; ++step) {
      log.add(step_line(step));
      if (step % 2 == 0) log.add(evaluation_line(step));
    }
    return log;
  }
  TensorBoardLog new_log(bool is_written = true, const std::string& yaml = "a: 1") const {
    return {{.events = events_, .metrics = metrics_, .is_written = is_written},
            {.yaml = yaml, .flat = {{"a", "1"}}}};
  }
  // "step tag", without the three events of the header.
  std::vector<std::string> points() const {
    const std::string content = read_file(events_);
    std::vector<std::string> found;
    const store::EventFrames read = store::read_event_frames(content);
    EXPECT_EQ(read.num_valid_bytes, content.size());
    for (std::size_t i = 0; i < read.frames.size(); ++i) {
      EXPECT_EQ(read.frames[i].is_header, i < 3);
      if (i >= 3) found.push_back(cat(read.frames[i].time.step, ' ', read.frames[i].tag));
    }
    return found;
  }
  // What the metrics of steps 1 to `last` give.
  static std::vector<std::string> expected(std::int64_t last) {
    std::vector<std::string> all;
    for (std::int64_t step = 1; step <= last; ++step) {
      all.push_back(cat(step, " train/loss"));
      if (step % 2 == 0) all.push_back(cat(step, " held_out/num_tokens"));
      if (step % 4 == 0) all.push_back(cat(step, " samples/text_summary"));
    }
    return all;
  }
  ino_t inode() const {
    struct stat found {};
    stat(events_.c_str(), &found);
    return found.st_ino;
  }

  sluice::testing::TemporaryDirectory directory_;
  std::filesystem::path events_ = directory_ / "events.out.tfevents.0.sluice",
                        metrics_ = directory_ / "metrics.jsonl";
};

TEST_F(TensorBoard, AReturnDropsLaterSteps) {
  TensorBoardLog log = log_with(6);
  EXPECT_EQ(points(), expected(6));
  write_metrics(3);
  log.return_to(3, 1000);
  EXPECT_EQ(points(), expected(3));
  log.add(step_line(4));
  log.add(evaluation_line(4));
  EXPECT_EQ(points(), expected(4));
}

// A running TensorBoard keeps the file open.
TEST_F(TensorBoard, AReturnWithoutAChangeLeavesTheFile) {
  log_with(4);
  write_metrics(4);
  const ino_t before = inode();
  const std::string content = read_file(events_);
  new_log().return_to(4, 2000);
  EXPECT_EQ(inode(), before);
  EXPECT_EQ(read_file(events_), content);
}

TEST_F(TensorBoard, TheHeaderShowsTheSettingsOfTheLastStart) {
  log_with(4);
  write_metrics(4);
  new_log(true, "b: 2").return_to(4, 2000);
  EXPECT_EQ(points(), expected(4));
  const std::string content = read_file(events_);
  EXPECT_EQ(content.find("a: 1"), std::string::npos);
  EXPECT_NE(content.find("b: 2"), std::string::npos);
}

TEST_F(TensorBoard, TheMetricsRestoreWhatACrashTookFromTheFile) {
  for (const std::size_t lost : {1u, 3u, 40u, 100u, 200u, 350u}) {
    log_with(6);
    write_metrics(6);
    const std::string whole = read_file(events_);
    ASSERT_LT(lost, whole.size());
    std::ofstream(events_, std::ios::binary) << whole.substr(0, whole.size() - lost);
    new_log().return_to(6, 1000);
    EXPECT_EQ(points(), expected(6)) << lost;
    std::filesystem::remove(events_);
  }
  new_log().return_to(6, 1000);  // the whole file is missing
  EXPECT_EQ(points(), expected(6));
  const std::string content = read_file(events_);
  const store::EventFrames read = store::read_event_frames(content);
  for (std::size_t i = 3; i < read.frames.size(); ++i)  // half a second per step, ending at 1000
    EXPECT_EQ(read.frames[i].time.wall_s,
              997 + 0.5 * static_cast<double>(read.frames[i].time.step));
}

TEST_F(TensorBoard, AnyDamagedFileIsRestored) {
  write_metrics(4);
  for (const std::string& damage : {std::string("text"), std::string(5000, '\0'), std::string()}) {
    std::ofstream(events_, std::ios::binary) << damage;
    new_log().return_to(4, 1000);
    EXPECT_EQ(points(), expected(4));
  }
}

TEST_F(TensorBoard, TurnedOffItOnlyDropsRepeatedSteps) {
  TensorBoardLog off = new_log(false);
  off.return_to(-1, 1000);
  off.add(step_line(1));
  EXPECT_FALSE(std::filesystem::exists(events_));
  log_with(6);
  write_metrics(2);
  off.return_to(2, 1000);
  off.add(step_line(3));
  EXPECT_EQ(points(), expected(2));
  write_metrics(5);
  new_log().return_to(5, 1000);  // turned on again
  EXPECT_EQ(points(), expected(5));
}

TEST_F(TensorBoard, HistogramsCountEveryFiniteValue) {
  const at::Tensor values = at::tensor({-1.0, 0.0, 0.25, 1.0, INFINITY, NAN}, at::kDouble);
  const store::Histogram found = histogram_of(values);
  EXPECT_EQ(found.num_values, 4u);
  EXPECT_EQ(found.min, -1);
  EXPECT_EQ(found.max, 1);
  EXPECT_EQ(found.sum, 0.25);
  EXPECT_EQ(found.sum_squares, 2.0625);
  ASSERT_EQ(found.limits.size(), 64u);
  ASSERT_EQ(found.counts.size(), 64u);
  // Buckets of width 1/32: -1 is in the first, 0 ends the 32nd, 0.25 the 40th, 1 the last.
  for (std::size_t i = 0; i < 64; ++i) {
    EXPECT_EQ(found.limits[i], -1 + static_cast<double>(i + 1) / 32);
    EXPECT_EQ(found.counts[i], i == 0 || i == 31 || i == 39 || i == 63) << i;
  }
  const store::Histogram equal = histogram_of(at::ones({3}));
  EXPECT_EQ(equal.limits, std::vector<double>{1});
  EXPECT_EQ(equal.counts, std::vector<double>{3});
  EXPECT_TRUE(histogram_of(at::full({2}, NAN)).limits.empty());
}

TEST_F(TensorBoard, CountsAgreeWithADirectCount) {
  const at::Tensor values = at::linspace(-2, 3, 1000, at::kFloat).pow(3);
  const store::Histogram found = histogram_of(values);
  double low = -INFINITY;
  for (std::size_t i = 0; i < found.limits.size(); ++i) {
    const double high = found.limits[i];
    const auto counted =
        ((values.to(at::kDouble) > low) & (values.to(at::kDouble) <= high)).sum().item<double>();
    EXPECT_NEAR(found.counts[i], counted, 1) << i;  // a value on a limit may round to either side
    low = high;
  }
}

}  // namespace
}  // namespace sluice::train
