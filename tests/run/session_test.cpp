#include "run/session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "config/config.h"
#include "data/prepared.h"
#include "store/metrics_log.h"
#include "store/run_result.h"
#include "tests/run/session_support.h"
#include "tests/train/train_support.h"

namespace sluice::run {
namespace {

namespace fs = std::filesystem;
using test::SessionTest;
using train::test::error_of;

TEST_F(SessionTest, TrainsEvaluatesAndWritesItsFiles) {
  SessionOptions asked = options();
  asked.command_line = "sluice train \"tiny.yaml\"";
  const Summary summary = run_training(asked).summary;
  EXPECT_EQ(summary.step, 20);
  EXPECT_EQ(summary.tokens, 20u * 4 * 32);
  ASSERT_TRUE(summary.initial_log_perplexity && summary.figures.log_perplexity &&
              summary.figures.perplexity && summary.figures.bits_per_byte &&
              summary.figures.word_perplexity);
  EXPECT_NEAR(*summary.initial_log_perplexity, std::log(257.0), 0.1);
  EXPECT_LT(*summary.figures.log_perplexity, *summary.initial_log_perplexity - 0.5);
  EXPECT_NEAR(*summary.figures.perplexity, std::exp(*summary.figures.log_perplexity),
              1e-9 * *summary.figures.perplexity);
  for (const char* name : {"config.yaml", "run.json", "log.txt", "metrics.jsonl", "checkpoints"})
    EXPECT_TRUE(fs::exists(directory_ / "run" / name)) << name;
  for (const char* name : {"model.safetensors", "optimizer.safetensors", "tokenizer.json",
                           "config.yaml", "train_state.json", "manifest.json"})
    EXPECT_TRUE(fs::exists(fs::path(summary.checkpoint) / name)) << name;
  const auto record = nlohmann::json::parse(read_file(directory_ / "run" / "run.json"));
  EXPECT_EQ(record.at("command"), asked.command_line);
  EXPECT_EQ(record.at("data").at("fingerprint"), summary.data_fingerprint);
  EXPECT_EQ(record.at("num_parameters"), summary.num_parameters);
  for (const char* key : {"sluice", "libtorch", "machine", "threads", "tokenizer"})
    EXPECT_TRUE(record.contains(key)) << key;
}

TEST_F(SessionTest, AFinishedRunWritesItsResult) {
  const Summary summary = run_training(options()).summary;
  const fs::path path = directory_ / "run" / "result.json";
  const store::RunResult result = store::read_run_result(path);
  EXPECT_EQ(result.step, 20);
  EXPECT_EQ(result.tokens, summary.tokens);
  EXPECT_EQ(result.figures.log_perplexity, summary.figures.log_perplexity);
  EXPECT_EQ(result.figures.perplexity, summary.figures.perplexity);
  EXPECT_EQ(result.figures.bits_per_byte, summary.figures.bits_per_byte);
  EXPECT_EQ(result.figures.word_perplexity, summary.figures.word_perplexity);
  EXPECT_EQ(result.num_parameters, summary.num_parameters);
  EXPECT_EQ(result.data_fingerprint, summary.data_fingerprint);
  EXPECT_EQ(result.config, file("run", 20, "config.yaml"));
  EXPECT_EQ(result.flops_per_token, 6 * result.multiply_adds_per_token);
  EXPECT_EQ(result.precision, "fp32");
  EXPECT_EQ(result.device, "cpu");
  EXPECT_EQ(result.threads, 1);
  EXPECT_EQ(result.num_dropped_tokens, 0u) << "windows include the tail";
  EXPECT_EQ(summary.num_dropped_tokens, 0u);
  EXPECT_EQ(read_file(directory_ / "run" / "log.txt").find("not scored"), std::string::npos);
  EXPECT_FALSE(result.build.empty() || result.libtorch.empty() || result.cpu.empty() ||
               result.tokenizer_hash.empty());
  EXPECT_GT(result.training_seconds, 0);
  EXPECT_LE(result.training_seconds, summary.seconds);
  double nats = 0;
  std::uint64_t num_targets = 0;
  for (const store::DocumentLoss& document : result.documents) {
    nats += document.nats;
    num_targets += document.num_targets;
    EXPECT_GT(document.num_targets, 0u);
  }
  EXPECT_GT(result.documents.size(), 1u);
  EXPECT_EQ(num_targets, result.num_targets);
  EXPECT_NEAR(nats / static_cast<double>(num_targets), *result.figures.log_perplexity, 1e-9);
}

TEST_F(SessionTest, RewritesAMissingDamagedOrOldResult) {
  run_training(options());
  const fs::path path = directory_ / "run" / "result.json";
  const std::string text = read_file(path);
  const auto metrics = train::test::metrics_without_time(directory_ / "run" / "metrics.jsonl");
  const auto resume = [&](std::int64_t steps) {
    SessionOptions again = options();
    again.config.train.steps = steps;
    run_training(again);
    return read_file(path);
  };
  fs::remove(path);
  EXPECT_EQ(resume(20), text);
  std::ofstream(path) << text.substr(0, 100);
  EXPECT_EQ(resume(20), text);
  EXPECT_EQ(train::test::metrics_without_time(directory_ / "run" / "metrics.jsonl"), metrics)
      << "an evaluation is logged once";
  resume(25);
  const store::RunResult longer = store::read_run_result(path);
  EXPECT_EQ(longer.step, 25);
  double seconds = 0;
  store::read_metrics(directory_ / "run" / "metrics.jsonl",
                      [&](std::int64_t, const nlohmann::ordered_json& line) {
                        if (line.contains("time"))
                          seconds += line.at("time").at("step_seconds").get<double>();
                      });
  EXPECT_EQ(longer.training_seconds, seconds) << "of both processes";
}

TEST_F(SessionTest, TheResultUsesTheFinalTokenLimit) {
  SessionOptions limited = options();
  limited.config.evaluate.final_max_tokens = std::int64_t{100};
  run_training(limited);
  const store::RunResult result = store::read_run_result(directory_ / "run" / "result.json");
  EXPECT_EQ(result.num_targets, 100u);
  EXPECT_TRUE(result.documents.empty());
  EXPECT_FALSE(result.figures.bits_per_byte.has_value());
}

// A limited and a full evaluation are not comparable, so the last step is also measured on the
// limited set.
TEST_F(SessionTest, TheBestEvaluationComparesTheSameTokens) {
  SessionOptions limited = options("limited");
  limited.config.evaluate.max_tokens = 64;
  const Outcome outcome = run_training(limited);
  EXPECT_FALSE(outcome.initial_is_comparable);  // of 64 tokens, the last one of all
  SessionOptions everywhere = limited;
  everywhere.config.run.dir = (directory_ / "everywhere").string();
  everywhere.config.evaluate.final_max_tokens = 64;
  const Outcome same = run_training(everywhere);
  EXPECT_TRUE(same.initial_is_comparable);
  EXPECT_NE(*outcome.summary.figures.log_perplexity, *same.summary.figures.log_perplexity);
  EXPECT_EQ(file("limited", 20, "train_state.json"), file("everywhere", 20, "train_state.json"));
}

TEST_F(SessionTest, TuningTextIsASeparateSplit) {
  SessionOptions tuned = options();
  tuned.config.corpus.tune_holdout = 0.2;
  const Summary valid = run_training(tuned).summary;
  tuned.config.run.dir = (directory_ / "tuned").string();
  tuned.config.evaluate.split = train::Split::kTune;
  const Summary tune = run_training(tuned).summary;
  EXPECT_EQ(valid.data_fingerprint, tune.data_fingerprint);
  EXPECT_TRUE(file("run", 20, "model.safetensors") == file("tuned", 20, "model.safetensors"))
      << "the evaluated split does not affect the weights";
  EXPECT_NE(valid.figures.log_perplexity, tune.figures.log_perplexity);
  const data::PreparedData data =
      data::open_prepared(tuned.config.corpus.prepared_dir, tune.data_fingerprint);
  EXPECT_EQ(store::read_run_result(directory_ / "tuned" / "result.json").documents.size(),
            data.streams[data::Split::kTune].num_documents());
}

TEST_F(SessionTest, MetricsHaveOneLinePerStepAndEvaluation) {
  run_training(options());
  std::ifstream file(directory_ / "run" / "metrics.jsonl");
  std::vector<std::int64_t> steps, evaluations;
  for (std::string text; std::getline(file, text);) {
    const auto line = nlohmann::json::parse(text);
    if (line.contains("eval")) {
      evaluations.push_back(line.at("step"));
      for (const char* key :
           {"log_perplexity", "perplexity", "bits_per_byte", "word_perplexity", "num_tokens"})
        EXPECT_TRUE(line.at("eval").at(key).is_number()) << key;
      continue;
    }
    steps.push_back(line.at("step"));
    EXPECT_EQ(line.at("tokens"), steps.back() * 4 * 32);
    EXPECT_NEAR(line.at("perplexity").get<double>(),
                std::exp(line.at("log_perplexity").get<double>()),
                1e-9 * line.at("perplexity").get<double>());
    for (const char* key : {"loss", "grad_norm", "lr"})
      EXPECT_TRUE(line.at(key).is_number()) << key;
    for (const char* key : {"seconds", "step_seconds", "tokens_per_s", "mfu", "mfu_denominator"})
      EXPECT_GT(line.at("time").at(key).get<double>(), 0) << key;
  }
  EXPECT_EQ(steps.size(), 20u);
  EXPECT_TRUE(std::is_sorted(steps.begin(), steps.end()));
  EXPECT_EQ(evaluations, (std::vector<std::int64_t>{0, 10, 20}));
}

TEST_F(SessionTest, TheSameConfigurationIsReproducibleAndTheSeedMatters) {
  run_training(options("a"));
  run_training(options("b"));
  expect_equal_runs("a", "b", 20);
  SessionOptions other = options("c");
  other.config.run.seed = 2;
  run_training(other);
  EXPECT_FALSE(file("a", 20, "model.safetensors") == file("c", 20, "model.safetensors"));
}

TEST_F(SessionTest, AFailedStartCreatesNoRun) {
  SessionOptions bad = options();
  bad.config.corpus.train = {(directory_ / "nothing.txt").string()};
  bad.mode = store::StartMode::kNew;
  error_of(ExitCode::kMissingInput, [&] { run_training(bad); });
  EXPECT_FALSE(store::is_run_directory(directory_ / "run"));
  SessionOptions good = options();
  good.mode = store::StartMode::kNew;
  run_training(good);
  const std::string message = error_of(ExitCode::kUsage, [&] { run_training(good); });
  EXPECT_NE(message.find("--resume"), std::string::npos);
  EXPECT_NE(message.find("--fresh"), std::string::npos);
  good.mode = store::StartMode::kFresh;
  run_training(good);
  EXPECT_TRUE(fs::exists(directory_ / "run.old-1" / "checkpoints" / "step-20"));
}

TEST_F(SessionTest, EvaluationCanBeDisabled) {
  SessionOptions blind = options();
  blind.config.evaluate.every_steps = {};
  const Summary summary = run_training(blind).summary;
  EXPECT_FALSE(summary.initial_log_perplexity || summary.figures.log_perplexity);
  const store::RunResult result = store::read_run_result(directory_ / "run" / "result.json");
  EXPECT_FALSE(result.figures.log_perplexity || result.figures.perplexity);
  EXPECT_EQ(result.num_targets, 0u);
  EXPECT_TRUE(summary.tokens_per_s.has_value());
}

TEST_F(SessionTest, RejectsSequencesLongerThanTheCorpus) {
  SessionOptions long_ones = options();
  long_ones.config.train.sequence_length = 1 << 20;
  error_of(ExitCode::kBadData, [&] { run_training(long_ones); });
  EXPECT_FALSE(store::is_run_directory(directory_ / "run"));
}

// ---- The oracle: plain PyTorch with the same initial weights and batches ----

nlohmann::json losses_of_pytorch(const fs::path& directory, const std::string& run) {
  const fs::path out = directory / "losses.json";
  const std::string command =
      std::string("'") + SLUICE_PYTHON + "' '" + SLUICE_SOURCE_DIR +
      "/scripts/reference_train.py' --config '" + (directory / run / "config.yaml").string() +
      "' --initial '" +
      (directory / run / "checkpoints" / "step-0" / "model.safetensors").string() +
      "' --batches '" + (directory / "batches.safetensors").string() +
      "' --threads 1 --micro-batch 2 > '" + out.string() + "'";
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  return nlohmann::json::parse(read_file(out));
}

struct Recipe {
  const char* name;
  const char* ffn;
  optim::OptimizerConfig optimizer;
  optim::ScheduleConfig schedule;
  double clip_norm;
};

class PlainPyTorch : public SessionTest, public ::testing::WithParamInterface<Recipe> {};

TEST_P(PlainPyTorch, ReproducesFiftyLosses) {
  SessionOptions asked = options();
  asked.config.train.steps = 50;
  asked.config.checkpoint = {.every_steps = 50, .keep_last = 2, .keep_best = false};
  asked.config.evaluate.every_steps = {};
  asked.config.train.sequence_length = 48;
  asked.config.train.batch_sequences = 6;
  asked.config.train.micro_batch_sequences = std::int64_t{4};  // unequal passes of four and two
  asked.config.optimizer = GetParam().optimizer;
  asked.config.schedule = GetParam().schedule;
  auto& model = std::get<model::DecoderConfig>(asked.config.model);
  model.num_layers = 2;
  model.ffn = nn::FfnName(GetParam().ffn);
  asked.dump_batches = (directory_ / "batches.safetensors").string();
  asked.dump_steps = 50;
  run_training(asked);
  const auto reference = losses_of_pytorch(directory_.path(), "run");
  ASSERT_EQ(reference.at("losses").size(), 50u);
  std::ifstream file(directory_ / "run" / "metrics.jsonl");
  std::size_t step = 0;
  bool clipped = false;
  for (std::string text; std::getline(file, text); ++step) {
    const auto line = nlohmann::json::parse(text);
    const double loss = reference.at("losses").at(step), norm = reference.at("grad_norms").at(step),
                 lr = reference.at("lr").at(step);
    EXPECT_NEAR(line.at("loss").get<double>(), loss, 1e-4 * loss) << "step " << step + 1;
    EXPECT_NEAR(line.at("grad_norm").get<double>(), norm, 1e-2 * norm) << "step " << step + 1;
    EXPECT_NEAR(line.at("lr").get<double>(), lr, 1e-12) << "step " << step + 1;
    clipped = clipped || norm > GetParam().clip_norm;
  }
  EXPECT_EQ(step, 50u);
  EXPECT_TRUE(clipped) << "no gradient was clipped";
}

const optim::AdamWConfig kAdamW{.lr = 3e-3, .weight_decay = 0.1, .clip_norm = 0.5};
const optim::CosineSchedule kCosine{.warmup_steps = 10, .final_fraction = 0.1};
// At this width q, k, v and o are factored, and other matrices with both dimensions of at least 24.
const optim::AdafactorConfig kAdafactor{.factored_min_dim = 24, .clip_norm = 0.5};
// Unrounded, so that losses agree as closely as with the other optimizers.
const optim::MuonConfig kMuon{.lr = 3e-3,
                              .newton_schulz_type = optim::NewtonSchulzType::kFp32,
                              .adamw_lr_factor = 0.5,
                              .clip_norm = 0.5};
const optim::T5Schedule kT5{.constant_steps = 400, .decay_fraction = 0.2};

INSTANTIATE_TEST_SUITE_P(Recipes, PlainPyTorch,
                         ::testing::Values(Recipe{"SwiGluAdamW", "swiglu", kAdamW, kCosine, 0.5},
                                           Recipe{"ReluAdamW", "relu", kAdamW, kCosine, 0.5},
                                           Recipe{"GeGluAdafactor", "geglu", kAdafactor, kT5, 0.5},
                                           Recipe{"XieluAdamW", "xielu", kAdamW, kCosine, 0.5},
                                           Recipe{"PolyNormAdafactor", "polynorm", kAdafactor, kT5,
                                                  0.5},
                                           Recipe{"SwiGluMuon", "swiglu", kMuon, kCosine, 0.5},
                                           Recipe{"XieluMuon", "xielu", kMuon, kCosine, 0.5}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace sluice::run
