#include "run/session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/signals.h"
#include "config/config.h"
#include "store/checkpoint_store.h"
#include "tests/run/session_support.h"
#include "tests/train/train_support.h"
#include "train/checkpoint_state.h"

namespace sluice::run {
namespace {

namespace fs = std::filesystem;
using test::SessionTest;
using train::test::error_of;

// Ends the run earlier.
void run_until(const SessionOptions& options, std::int64_t stop_after) {
  SessionOptions shorter = options;
  shorter.config.train.steps = stop_after;
  run_training(shorter);
}

// Rewrites the checkpoint as if the best evaluation were not known yet.
void forget_best(const fs::path& checkpoints, std::int64_t step) {
  const fs::path directory = checkpoints / store::checkpoint_name(step);
  const store::Manifest manifest = store::verify_checkpoint(directory);
  std::vector<store::CheckpointFile> files;
  for (const store::ManifestFile& entry : manifest.files) {
    std::string content = read_file(directory / entry.name);
    if (entry.name == "train_state.json") {
      auto state = config::from_json<train::CheckpointState>(content, entry.name);
      state.best.reset();
      content = config::to_json(state);
    }
    files.push_back({entry.name, [content](OutputFile& out) { out.write(content); }});
  }
  store::CheckpointStore(checkpoints).save(step, files, manifest.notes);
}

// Deletes the later checkpoints, as after a crash; the repeated steps must equal the original ones.
TEST_F(SessionTest, ResumingFromAnyCheckpointEqualsAnUninterruptedRun) {
  SessionOptions unbroken = options("unbroken");
  unbroken.config.checkpoint = {.every_steps = 5, .keep_last = 100, .keep_best = true};
  run_training(unbroken);
  for (const std::int64_t step : {0, 5, 10, 15}) {
    const std::string name = "from-" + std::to_string(step);
    fs::copy(directory_ / "unbroken", directory_ / name, fs::copy_options::recursive);
    for (std::int64_t later = step + 5; later <= 20; later += 5)
      fs::remove_all(directory_ / name / "checkpoints" / store::checkpoint_name(later));
    std::ofstream(directory_ / name / "metrics.jsonl", std::ios::app) << "{\"step\": 19, \"torn";
    SessionOptions again = options(name);
    again.config.checkpoint = unbroken.config.checkpoint;
    EXPECT_EQ(run_training(again).summary.step, 20);
    expect_equal_runs(name, "unbroken", 20);
  }
}

// A process that is stopped during an evaluation saves without it; one that is killed right after
// it leaves only the line in the metrics.
TEST_F(SessionTest, AnEvaluationMissingFromTheCheckpointCountsOnResume) {
  run_training(options("unbroken"));
  for (const bool line_is_there : {false, true}) {
    const std::string name = line_is_there ? "killed" : "stopped";
    fs::copy(directory_ / "unbroken", directory_ / name, fs::copy_options::recursive);
    forget_best(directory_ / name / "checkpoints", 20);
    ASSERT_NE(file(name, 20, "manifest.json"), file("unbroken", 20, "manifest.json"));
    if (!line_is_there) {
      std::string lines = read_file(directory_ / name / "metrics.jsonl");
      const std::size_t last = lines.rfind("{\"step\":20,\"eval\"");
      ASSERT_NE(last, std::string::npos);
      std::ofstream(directory_ / name / "metrics.jsonl") << lines.substr(0, last);
    }
    EXPECT_EQ(run_training(options(name)).summary.step, 20);
    expect_equal_runs(name, "unbroken", 20);
    EXPECT_EQ(file(name, 20, "manifest.json"), file("unbroken", 20, "manifest.json"));
  }
}

TEST_F(SessionTest, ResumesDropout) {
  SessionOptions unbroken = options("unbroken");
  std::get<model::DecoderConfig>(unbroken.config.model).dropout = 0.2;
  run_training(unbroken);
  SessionOptions broken = unbroken;
  broken.config.run.dir = (directory_ / "broken").string();
  run_training(broken);
  fs::remove_all(directory_ / "broken" / "checkpoints" / "step-20");
  run_training(broken);
  expect_equal_runs("broken", "unbroken", 20);
}

TEST_F(SessionTest, ResumesWithAMovedOrMissingCorpus) {
  run_training(options("unbroken"));
  run_training(options("run"));
  fs::remove_all(directory_ / "run" / "checkpoints" / "step-20");
  fs::rename(directory_ / "text.txt", directory_ / "elsewhere.txt");
  run_training(options("run"));
  expect_equal_runs("run", "unbroken", 20);

  // Without the prepared data the corpus is needed again and must have the same text.
  fs::remove_all(directory_ / "run" / "checkpoints" / "step-20");
  fs::remove_all(directory_ / "prepared");
  error_of(ExitCode::kMissingInput, [&] { run_training(options("run")); });
  SessionOptions moved = options("run");
  moved.config.corpus.train = {(directory_ / "elsewhere.txt").string()};
  run_training(moved);
  expect_equal_runs("run", "unbroken", 20);
  fs::remove_all(directory_ / "run" / "checkpoints" / "step-20");
  fs::remove_all(directory_ / "prepared");
  std::ofstream(directory_ / "elsewhere.txt", std::ios::app) << "one more line\n";
  const std::string message = error_of(ExitCode::kBadData, [&] { run_training(moved); });
  EXPECT_NE(message.find("corpus.train"), std::string::npos) << message;
  EXPECT_NE(message.find("content has changed"), std::string::npos) << message;
}

TEST_F(SessionTest, RefusesForbiddenChangesByNameAndAcceptsOthers) {
  run_training(options());
  SessionOptions changed = options();
  std::get<optim::AdamWConfig>(changed.config.optimizer).lr = 1e-3;
  changed.config.run.seed = 7;
  changed.config.train.steps = 25;
  const std::string message = error_of(ExitCode::kUsage, [&] { run_training(changed); });
  for (const char* name : {"optimizer.lr", "run.seed"})
    EXPECT_NE(message.find(name), std::string::npos) << message;
  EXPECT_EQ(message.find("train.steps"), std::string::npos) << message;

  SessionOptions accepted = options();
  accepted.config.train.steps = 25;
  accepted.config.run.name = "longer";
  accepted.config.checkpoint.every_steps = 7;
  accepted.config.train.micro_batch_sequences = std::int64_t{4};
  EXPECT_EQ(run_training(accepted).summary.step, 25);
  const std::string log = read_file(directory_ / "run" / "log.txt");
  for (const char* name : {"train.steps: 20 -> 25", "train.micro_batch_sequences: 2 -> 4",
                           "checkpoint.every_steps: 10 -> 7", "not bit-equal"})
    EXPECT_NE(log.find(name), std::string::npos) << name << "\n" << log;
}

TEST_F(SessionTest, AutoIsResolvedOnceAndReused) {
  SessionOptions first = options();
  first.config.train.micro_batch_sequences = {};
  first.config.train.threads = {};
  first.config.train.precision = {};
  std::get<model::DecoderConfig>(first.config.model).d_ff = {};
  run_until(first, 10);
  const auto resolved =
      config::load<train::RunConfig>({.file = directory_ / "run" / "config.yaml", .overrides = {}});
  EXPECT_FALSE(resolved.train.micro_batch_sequences.is_word() || resolved.train.threads.is_word() ||
               resolved.train.precision.is_word() || resolved.train.device.is_word());
  const auto& model = std::get<model::DecoderConfig>(resolved.model);
  EXPECT_FALSE(model.vocab_size.is_word() || model.d_ff.is_word() || model.head_dim.is_word() ||
               model.num_kv_heads.is_word());
  EXPECT_EQ(*model.vocab_size, 257);
  EXPECT_EQ(*model.d_ff, 64);
  EXPECT_EQ(run_training(first).summary.step, 20);

  // The resolved file can be trained unchanged.
  SessionOptions from_file = options();
  from_file.config = resolved;
  from_file.config.run.dir = (directory_ / "again").string();
  run_training(from_file);
  EXPECT_TRUE(file("again", 10, "model.safetensors") == file("run", 10, "model.safetensors"));
}

TEST_F(SessionTest, SkipsDamagedCheckpoints) {
  run_training(options("unbroken"));
  run_training(options());
  std::ofstream(directory_ / "run" / "checkpoints" / "step-20" / "model.safetensors",
                std::ios::in | std::ios::out)
      .seekp(5000)
      .put('!');
  EXPECT_EQ(run_training(options()).summary.step, 20);
  expect_equal_runs("run", "unbroken", 20);
  for (const auto& entry : fs::directory_iterator(directory_ / "run" / "checkpoints"))
    fs::remove(entry.path() / "train_state.json");
  error_of(ExitCode::kNoCheckpoint, [&] { run_training(options()); });
}

TEST_F(SessionTest, AStopBeforeTheFirstStepSavesAndIsReported) {
  run_until(options(), 10);
  request_stop(SIGTERM);
  const std::string message = error_of(ExitCode::kInterrupted, [&] { run_training(options()); });
  EXPECT_NE(message.find("SIGTERM"), std::string::npos) << message;
  EXPECT_NE(message.find("--resume"), std::string::npos) << message;
  clear_stop();
  EXPECT_EQ(run_training(options()).summary.step, 20);
}

// An evaluation that a stop interrupted is done on resume, so no line is missing.
TEST_F(SessionTest, DoesAMissingEvaluationOnResume) {
  run_training(options("unbroken"));
  run_until(options(), 10);
  std::string kept;
  std::ifstream in(directory_ / "run" / "metrics.jsonl");
  for (std::string line; std::getline(in, line);)
    if (line.find("\"eval\"") == std::string::npos ||
        line.find("{\"step\":10,") == std::string::npos)
      kept += line + "\n";
  std::ofstream(directory_ / "run" / "metrics.jsonl") << kept;
  run_training(options());
  const auto lines = train::test::metrics_without_time(directory_ / "run" / "metrics.jsonl"),
             expected =
                 train::test::metrics_without_time(directory_ / "unbroken" / "metrics.jsonl");
  EXPECT_EQ(lines.size(), expected.size());
}

}  // namespace
}  // namespace sluice::run
