#include "run/open_checkpoint.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "eval/generate.h"
#include "eval/perplexity.h"
#include "tests/run/session_support.h"
#include "tests/train/train_support.h"
#include "train/batches.h"

namespace sluice::run {
namespace {

namespace fs = std::filesystem;
using test::SessionTest;
using train::test::error_of;

TEST_F(SessionTest, AnOpenedRunReproducesTheEvaluation) {
  const Summary summary = run_training(options()).summary;
  const OpenedCheckpoint opened = open_checkpoint(directory_ / "run");
  EXPECT_EQ(opened.state.progress.step, 20);
  EXPECT_EQ(opened.run.config.corpus.prepared_dir, (directory_ / "prepared").string());
  EXPECT_FALSE(opened.model->parameters().gradient().defined());
  const data::PreparedData data = open_data(opened);
  const auto batches =
      train::make_evaluation_batches(opened.run, data.valid(), *opened.tokenizer, {});
  const auto result = eval::measure_perplexity(*opened.model, *batches,
                                               data.counts[data::Split::kValid], opened.device, {});
  EXPECT_EQ(result.figures.log_perplexity, *summary.figures.log_perplexity);
  EXPECT_EQ(result.num_tokens, data.valid().num_tokens());
  EXPECT_FALSE(eval::generate(*opened.model, *opened.tokenizer, "The",
                              {.num_tokens = 20, .context_length = 32})
                   .text.empty());
}

TEST_F(SessionTest, FindsTheNewestCheckpointOfARunOrTheGivenOne) {
  run_training(options());
  EXPECT_EQ(find_checkpoint(directory_ / "run").manifest.step, 20);
  EXPECT_EQ(find_checkpoint(directory_ / "run" / "checkpoints" / "step-10").manifest.step, 10);
  fs::remove(directory_ / "run" / "checkpoints" / "step-20" / "model.safetensors");
  const std::string refusal =
      error_of(ExitCode::kNoCheckpoint, [&] { find_checkpoint(directory_ / "run"); });
  EXPECT_NE(refusal.find("--allow-older-checkpoint for step 10"), std::string::npos) << refusal;
  EXPECT_EQ(find_checkpoint(directory_ / "run", OlderCheckpoint::kAccept).manifest.step, 10);
  error_of(ExitCode::kBadData,
           [&] { find_checkpoint(directory_ / "run" / "checkpoints" / "step-20"); });
  // The directory is missing, but result.json of the finished run names it. An incomplete save does
  // not count as a checkpoint.
  fs::rename(directory_ / "run" / "checkpoints" / "step-20", directory_ / "step-20");
  error_of(ExitCode::kNoCheckpoint, [&] { find_checkpoint(directory_ / "run"); });
  fs::remove(directory_ / "run" / "result.json");
  fs::create_directories(directory_ / "run" / "checkpoints" / "step-20.tmp-1");
  EXPECT_EQ(find_checkpoint(directory_ / "run").manifest.step, 10);
  fs::rename(directory_ / "step-20", directory_ / "run" / "checkpoints" / "step-20");
  fs::remove(directory_ / "run" / "checkpoints" / "step-10" / "model.safetensors");
  error_of(ExitCode::kNoCheckpoint,
           [&] { find_checkpoint(directory_ / "run", OlderCheckpoint::kAccept); });
  error_of(ExitCode::kMissingInput, [&] { find_checkpoint(directory_ / "nothing"); });
  error_of(ExitCode::kMissingInput, [&] { find_checkpoint(directory_ / "prepared"); });
}

// A checkpoint that was copied out of its run can be opened; its prepared_dir is the default.
TEST_F(SessionTest, ACheckpointOpensOutsideItsRun) {
  run_training(options());
  fs::copy(directory_ / "run" / "checkpoints" / "step-20", directory_ / "model",
           fs::copy_options::recursive);
  // A directory that is not named step-N is recognized by its manifest.
  const OpenedCheckpoint opened = open_checkpoint(directory_ / "model");
  EXPECT_EQ(opened.state.progress.step, 20);
  EXPECT_EQ(opened.run.config.corpus.prepared_dir, text::CorpusConfig{}.prepared_dir);
  EXPECT_FALSE(eval::generate(*opened.model, *opened.tokenizer, "The",
                              {.num_tokens = 5, .context_length = 32})
                   .text.empty());
}

}  // namespace
}  // namespace sluice::run
