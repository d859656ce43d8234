// Two stop signals in each phase of a training run: exit code 75, the current step is saved, and
// the resumed run equals an uninterrupted one.
//
// Runs the cases of twice_of_row(); SLUICE_ALL_STOPS=1 runs the full product, which takes minutes.
#include <chrono>
#include <csignal>
#include <thread>

#include "tests/app/stop_support.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

enum class TrainingPhase {
  kStarting,
  kPreparing,
  kBeforeFirstStep,
  kTraining,
  kEvaluating,
  kSaving
};
struct TrainingRow {
  TrainingPhase phase;
  unsigned number;
  const char* name;
  std::vector<std::string> settings{};  // prolong the phase without changing the weights

  friend void PrintTo(const TrainingRow& row, std::ostream* out) { *out << row.name; }
};
const TrainingRow kTrainingPhases[] = {
    {TrainingPhase::kStarting, 0, "Starting"},
    {TrainingPhase::kPreparing, 1, "Preparing"},
    {TrainingPhase::kBeforeFirstStep, 2, "BeforeTheFirstStep"},
    {TrainingPhase::kTraining, 3, "Training"},
    {TrainingPhase::kEvaluating, 0, "Evaluating", {"evaluate.every_steps=1"}},
    {TrainingPhase::kSaving, 1, "Saving", {"checkpoint.every_steps=1"}}};

class StopTraining : public ProgramTest, public ::testing::WithParamInterface<TrainingRow> {
 protected:
  void SetUp() override {
    write_english();
    write_tiny_config();
    write("stop.yaml",
          "extends: [tiny.yaml]\nmodel: {num_layers: 1, d_model: 32}\ntrain: {steps: " +
              std::to_string(kSteps) +
              "}\nevaluate: {every_steps: 40}\ncheckpoint: {every_steps: 40}\n");
    const Outcome unbroken = sluice({"train", "stop.yaml", "--run-dir", "unbroken", "--json"});
    ASSERT_EQ(unbroken.exit_code, 0) << unbroken.err;
    fingerprint_ = unbroken.json().at("data_fingerprint");
  }

  std::vector<std::string> command(const std::string& run) const {
    std::vector<std::string> words{SLUICE_PROGRAM, "train",     "stop.yaml",
                                   "--resume",     "--run-dir", run};
    const std::vector<std::string>& settings = GetParam().settings;
    if (GetParam().phase != TrainingPhase::kPreparing && settings.empty()) return words;
    words.emplace_back("--set");
    words.insert(words.end(), settings.begin(), settings.end());
    if (GetParam().phase == TrainingPhase::kPreparing)
      words.push_back("corpus.prepared_dir=" + prepared_dir(run));
    return words;
  }
  static std::string prepared_dir(const std::string& run) { return "prepared-" + run; }

  bool is_reached(Process& process, const std::string& name) const {
    const fs::path run = path(name);
    switch (GetParam().phase) {
      case TrainingPhase::kStarting:
        return true;
      case TrainingPhase::kPreparing:
        return process.err().find("waiting for it") != std::string::npos;
      case TrainingPhase::kBeforeFirstStep:
        return fs::exists(run / "checkpoints/step-0");
      case TrainingPhase::kSaving:
        return training_lines(run).size() >= 3 && is_saving(run);
      case TrainingPhase::kTraining:
      case TrainingPhase::kEvaluating:
        return training_lines(run).size() >= 3;
    }
    return false;
  }

  // Empty if the run ended before the signal.
  std::optional<Outcome> stopped(const Twice& twice, const std::string& run) const {
    std::optional<HeldLock> lock;
    if (GetParam().phase == TrainingPhase::kPreparing)
      lock.emplace(path(prepared_dir(run)) / "cache" / (fingerprint_ + ".lock"));
    Process process(directory_.path(), command(run));
    if (!wait_until(process, [&] { return is_reached(process, run); })) {
      const Outcome over = process.wait();
      EXPECT_EQ(over.exit_code, 0) << over.err;
      return std::nullopt;
    }
    const pid_t target = twice.target == 0 ? process.pid() : -process.pid();
    // The process group may not exist yet.
    while (::kill(target, twice.signal.number) != 0 && process.running()) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(twice.gap_ms));
    ::kill(target, twice.signal.number);
    Outcome outcome = process.wait();
    if (outcome.exit_code == 0) return std::nullopt;
    return outcome;
  }

  // The message is true, and the resumed run differs from an uninterrupted one only in times.
  void check(const Outcome& outcome, const Twice& twice, const std::string& run) const {
    const auto newest = newest_step(path(run));
    const bool killed_before_handlers = GetParam().phase == TrainingPhase::kStarting &&
                                        outcome.exit_code == 128 + twice.signal.number;
    if (!killed_before_handlers) {
      EXPECT_EQ(outcome.exit_code, 75) << outcome.err;
    }
    EXPECT_EQ(outcome.err.find("saved") != std::string::npos, newest.has_value()) << outcome.err;
    const auto lines = training_lines(path(run));
    if (newest) {
      EXPECT_EQ(*newest, lines.empty() ? 0 : lines.back().at("step").get<std::int64_t>());
      EXPECT_NE(outcome.err.find("step " + std::to_string(*newest)), std::string::npos)
          << outcome.err;
    } else {
      EXPECT_TRUE(lines.empty());
    }
    if (GetParam().phase >= TrainingPhase::kBeforeFirstStep) {
      EXPECT_TRUE(newest.has_value()) << outcome.err;
    }
    const Outcome resumed = this->run(command(run));
    ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_FALSE(weights(path("unbroken"), kSteps).empty());
    EXPECT_TRUE(weights(path(run), kSteps) == weights(path("unbroken"), kSteps));
    EXPECT_EQ(training_lines(path(run)), training_lines(path("unbroken")));
  }

  std::string fingerprint_;
};

TEST_P(StopTraining, SavesAndContinuesAfterTwoSignals) {
  int number = 0;
  for (const Twice& twice : twice_of_row(GetParam().number, 2)) {
    SCOPED_TRACE(std::string(twice.signal.name) + " twice within " + std::to_string(twice.gap_ms) +
                 " ms, " + (twice.target == 0 ? "process" : "group"));
    std::optional<Outcome> outcome;
    std::string run;
    for (int attempt = 0; attempt < 5 && !outcome; ++attempt)
      outcome = stopped(twice, run = "run-" + std::to_string(number++));
    ASSERT_TRUE(outcome.has_value()) << "five runs ended before the signal";
    check(*outcome, twice, run);
  }
}

INSTANTIATE_TEST_SUITE_P(Phases, StopTraining, ::testing::ValuesIn(kTrainingPhases),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace sluice::app
