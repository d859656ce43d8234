// Two stop signals to a comparison, one of its runs, or the whole job, in each phase: exit code 75,
// exactly the saved runs are reported as saved, and the same command continues to the result of an
// uninterrupted run.
//
// Cases as in stop_training_test.cpp, half a row per phase; SLUICE_ALL_STOPS=1 runs all of them.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <thread>

#include "tests/app/stop_support.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

enum class Phase {
  kPreparing,
  kStarting,
  kBeforeFirstStep,
  kTraining,
  kEvaluating,
  kSaving,
  kTuning,
  kTiming
};
struct Row {
  Phase phase;
  unsigned number;
  unsigned half;  // half of the cases of the row
  const char* name;
  std::vector<std::string> settings{};

  friend void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }
};
const Row kPhases[] = {
    {Phase::kPreparing, 0, 0, "Preparing"},
    {Phase::kStarting, 0, 1, "Starting"},
    {Phase::kBeforeFirstStep, 1, 0, "BeforeTheFirstStep"},
    {Phase::kTraining, 1, 1, "Training"},
    {Phase::kEvaluating, 2, 0, "Evaluating", {"evaluate.every_steps=1"}},
    {Phase::kSaving, 2, 1, "Saving", {"checkpoint.every_steps=1"}},
    {Phase::kTuning,
     3,
     0,
     "Tuning",
     {"compare.tune={optimizer.lr: [2e-3], seeds: [9]}", "corpus.tune_holdout=0.2"}},
    {Phase::kTiming, 3, 1, "Timing", {"compare.equalize=time"}},
};

enum Target { kParent, kChild, kParentFirst, kChildFirst };
constexpr const char* kTargets[] = {"the parent", "the child", "the job, parent first",
                                    "the job, child first"};

class StopComparison : public ProgramTest, public ::testing::WithParamInterface<Row> {
 protected:
  void SetUp() override {
    write_english();
    write_tiny_config();
    write("stop.yaml",
          "extends: [tiny.yaml]\nmodel: {num_layers: 1, d_model: 32}\ntrain: {steps: " +
              std::to_string(kSteps) +
              "}\nevaluate: {every_steps: 40}\ncheckpoint: {every_steps: 40}\n" +
              "compare: {vary: {model.ffn: [relu, geglu]}, seeds: [1]}\n");
    if (GetParam().phase != Phase::kPreparing) return;
    write("prepare.yaml", "extends: [tiny.yaml]\ncorpus: {prepared_dir: elsewhere}\n");
    fingerprint_ = sluice({"prepare", "prepare.yaml", "--json"}).json().at("fingerprint");
  }

  std::vector<std::string> command(const std::string& name) const {
    std::vector<std::string> words{SLUICE_PROGRAM, "compare", "stop.yaml"};
    // Two concurrent runs for kTraining; otherwise one, which is faster.
    if (GetParam().phase == Phase::kTraining) {
      words.insert(words.end(), {"--jobs", "2"});
    } else {
      words.insert(words.end(), {"--only", "relu"});
    }
    words.insert(words.end(), {"--set", "run.dir=" + path(name).string()});
    if (GetParam().phase == Phase::kPreparing)
      words.push_back("corpus.prepared_dir=prepared-" + name);
    words.insert(words.end(), GetParam().settings.begin(), GetParam().settings.end());
    return words;
  }

  // Run directories of all cells, tuning included.
  std::vector<fs::path> runs_of(const std::string& name) const {
    std::vector<fs::path> runs;
    for (const char* folder : {"cells", "tune"}) {
      std::error_code error;
      for (fs::directory_iterator it(path(name) / folder, error), end; !error && it != end;
           it.increment(error))
        runs.push_back(it->path() / "run");
    }
    return runs;
  }

  std::vector<pid_t> children(const std::string& name) const {
    const std::string mark = path(name).string();
    return GetParam().phase == Phase::kTiming ? processes("plan", mark) : processes("train", mark);
  }

  bool is_reached(Process& process, const std::string& name) const {
    if (GetParam().phase == Phase::kPreparing)
      return process.err().find("waiting for it") != std::string::npos;
    if (GetParam().phase == Phase::kStarting || GetParam().phase == Phase::kTiming)
      return !children(name).empty();
    const std::vector<fs::path> runs = runs_of(name);
    const std::size_t num_expected = GetParam().phase == Phase::kTraining ? 2 : 1;
    return runs.size() == num_expected &&
           std::all_of(runs.begin(), runs.end(), [&](const fs::path& run) {
             if (GetParam().phase == Phase::kBeforeFirstStep)
               return fs::exists(run / "checkpoints/step-0");
             return training_lines(run).size() >= 3 &&
                    (GetParam().phase != Phase::kSaving || is_saving(run));
           });
  }

  static void send(pid_t parent, const std::vector<pid_t>& children, const Twice& twice) {
    const bool has_parent = twice.target != kChild || children.empty();
    if (has_parent && twice.target != kChildFirst) ::kill(parent, twice.signal.number);
    if (twice.target != kParent) {
      for (const pid_t child : children) ::kill(child, twice.signal.number);
    }
    if (twice.target == kChildFirst) ::kill(parent, twice.signal.number);
  }

  std::optional<Outcome> stopped(const Twice& twice, const std::string& name) const {
    std::optional<HeldLock> lock;
    if (GetParam().phase == Phase::kPreparing)
      lock.emplace(path("prepared-" + name) / "cache" / (fingerprint_ + ".lock"));
    Process process(directory_.path(), command(name));
    if (!wait_until(process, [&] { return is_reached(process, name); })) {
      const Outcome over = process.wait();
      EXPECT_EQ(over.exit_code, 0) << over.err;
      return std::nullopt;
    }
    const std::vector<pid_t> found = children(name);
    send(process.pid(), found, twice);
    std::this_thread::sleep_for(std::chrono::milliseconds(twice.gap_ms));
    // Only the children found before: an id may have been reused since.
    std::vector<pid_t> alive = children(name);
    std::erase_if(alive, [&](pid_t pid) {
      return std::find(found.begin(), found.end(), pid) == found.end();
    });
    send(process.pid(), alive, twice);
    Outcome outcome = process.wait();
    if (outcome.exit_code == 0) return std::nullopt;
    return outcome;
  }

  // "everything is saved" is reported exactly if all active runs are saved, "step N saved"
  // exactly for the saved ones.
  void check_message(const Outcome& outcome, const std::string& name) const {
    const auto reports = [&](const char* text) {
      return outcome.err.find(text) != std::string::npos;
    };
    std::size_t num_reported = 0;
    const std::regex saved("step (\\d+) saved");
    for (std::sregex_iterator it(outcome.err.begin(), outcome.err.end(), saved), end; it != end;
         ++it) {
      ++num_reported;
      const std::int64_t step = std::stoll((*it)[1]);
      const auto runs = runs_of(name);
      EXPECT_TRUE(std::any_of(runs.begin(), runs.end(), [&](const fs::path& run) {
        const auto lines = training_lines(run);
        return newest_step(run) == step &&
               (lines.empty() ? 0 : lines.back().at("step").get<std::int64_t>()) == step;
      })) << step;
    }
    const bool has_lost = reports("terminated by") || reports("before its first step") ||
                          reports("; newest checkpoint: step");
    EXPECT_EQ(reports("everything is saved"), num_reported > 0 && !has_lost) << outcome.err;
    if (GetParam().phase == Phase::kPreparing || GetParam().phase == Phase::kTiming) {
      EXPECT_FALSE(reports("saved")) << outcome.err;
    }
    if (GetParam().phase >= Phase::kBeforeFirstStep && GetParam().phase != Phase::kTiming) {
      EXPECT_TRUE(reports("everything is saved")) << outcome.err;
      const auto runs = runs_of(name);  // of which some may have finished
      EXPECT_EQ(static_cast<std::ptrdiff_t>(num_reported),
                std::count_if(runs.begin(), runs.end(),
                              [](const fs::path& run) { return !fs::exists(run / "result.json"); }))
          << outcome.err;
    }
  }

  // Equal to the same cells trained manually without interruption.
  void check_result(const std::string& name) {
    const Outcome finished = run(command(name));
    ASSERT_EQ(finished.exit_code, 0) << finished.err;
    for (const fs::path& run : runs_of(name)) {
      const std::string cell = run.parent_path().filename();
      const std::string manual = "manual-" + cell;
      if (!fs::exists(path(manual))) {
        const std::string config = (run.parent_path() / "config.yaml").string();
        ASSERT_EQ(sluice({"train", config, "--run-dir", manual}).exit_code, 0);
      }
      EXPECT_FALSE(weights(run, kSteps).empty());
      EXPECT_TRUE(weights(run, kSteps) == weights(path(manual), kSteps)) << cell;
      EXPECT_EQ(training_lines(run), training_lines(path(manual))) << cell;
    }
  }

  std::string fingerprint_;
};

TEST_P(StopComparison, SavesAndContinuesAfterTwoSignals) {
  int number = 0;
  const std::vector<Twice> row = twice_of_row(GetParam().number, 4);
  const bool whole = std::getenv("SLUICE_ALL_STOPS") != nullptr;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (!whole && i % 2 != GetParam().half) continue;
    const Twice& twice = row[i];
    SCOPED_TRACE(std::string(twice.signal.name) + " twice within " + std::to_string(twice.gap_ms) +
                 " ms to " + kTargets[twice.target]);
    std::optional<Outcome> outcome;
    std::string name;
    for (int attempt = 0; attempt < 5 && !outcome; ++attempt)
      outcome = stopped(twice, name = "c" + std::to_string(number++));
    ASSERT_TRUE(outcome.has_value()) << "five comparisons ended before the signal";
    EXPECT_EQ(outcome->exit_code, 75) << outcome->err;
    check_message(*outcome, name);
    if (GetParam().phase != Phase::kTiming) check_result(name);  // timing fails on a busy machine
  }
}

INSTANTIATE_TEST_SUITE_P(Phases, StopComparison, ::testing::ValuesIn(kPhases),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace sluice::app
