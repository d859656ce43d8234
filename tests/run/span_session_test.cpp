// Trains an encoder-decoder on span corruption, from the configuration to result.json.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "config/config.h"
#include "run/open_checkpoint.h"
#include "run/plan.h"
#include "store/metrics_log.h"
#include "store/run_result.h"
#include "store/safetensors.h"
#include "tests/model/transformers_versions.h"
#include "tests/run/session_support.h"
#include "tests/train/train_support.h"
#include "train/batches.h"

namespace sluice::run {
namespace {

namespace fs = std::filesystem;
using train::Precision;
using train::RunConfig;

class SpanSession : public test::SessionTest {
 protected:
  // 257 byte tokens and 20 sentinels; segments of 34 bytes become 32 inputs and 8 targets.
  SessionOptions span_options(const std::string& run = "run") const {
    SessionOptions made = options(run);
    RunConfig& config = made.config;
    config.corpus.separator = text::Separator::kNone;
    config.objective = data::SpanCorruptionConfig{.input_length = 32, .sentinels = 20};
    config.optimizer = optim::AdamWConfig{.lr = 3e-3};
    config.train.sequence_length = {};
    model::EncoderDecoderConfig model;
    model.num_layers = 2;
    model.d_model = 24;
    model.num_heads = 2;
    model.d_ff = std::int64_t{48};
    config.model = model;
    return made;
  }
};

TEST_F(SpanSession, TrainsEvaluatesAndWritesItsResult) {
  const SessionOptions asked = span_options();
  const data::SequenceShape shape = train::sequence_shape(asked.config);
  const Summary summary = run_training(asked).summary;
  EXPECT_EQ(summary.tokens, 20u * 4 * static_cast<std::uint64_t>(shape.target_length))
      << "tokens are targets";
  ASSERT_TRUE(summary.initial_log_perplexity && summary.figures.log_perplexity);
  EXPECT_LT(*summary.figures.log_perplexity, *summary.initial_log_perplexity);
  EXPECT_FALSE(summary.figures.bits_per_byte || summary.figures.word_perplexity)
      << "the targets do not form the text";

  const auto resolved =
      config::load<RunConfig>({.file = directory_ / "run" / "config.yaml", .overrides = {}});
  EXPECT_EQ(*resolved.train.sequence_length, train::sequence_length(asked.config));
  EXPECT_EQ(*std::get<model::EncoderDecoderConfig>(resolved.model).vocab_size, 384)
      << "277 ids in use, rounded up to 128";

  const store::RunResult result = store::read_run_result(directory_ / "run" / "result.json");
  EXPECT_EQ(result.figures.log_perplexity, summary.figures.log_perplexity);
  EXPECT_FALSE(result.figures.bits_per_byte || result.figures.word_perplexity);
  EXPECT_EQ(result.num_targets % static_cast<std::uint64_t>(shape.target_length), 0u)
      << "whole segments";
  const data::PreparedData data =
      data::open_prepared(asked.config.corpus.prepared_dir, summary.data_fingerprint);
  const std::uint64_t dropped =
      data.valid().num_tokens() % static_cast<std::uint64_t>(train::sequence_length(asked.config));
  ASSERT_GT(dropped, 0u) << "the text has no tail";
  EXPECT_EQ(result.num_dropped_tokens, dropped);
  EXPECT_EQ(summary.num_dropped_tokens, dropped);
  std::size_t num_evaluations = 0;
  store::read_metrics(directory_ / "run" / "metrics.jsonl",
                      [&](std::int64_t, const nlohmann::ordered_json& line) {
                        if (!line.contains("eval")) return;
                        EXPECT_EQ(line.at("eval").at("num_dropped_tokens"), dropped);
                        ++num_evaluations;
                      });
  EXPECT_EQ(num_evaluations, 3u);
  const std::string log = read_file(directory_ / "run" / "log.txt"),
                    remark = "; not scored: " + std::to_string(dropped) +
                             " tokens, the tail shorter than one segment)";
  EXPECT_EQ(log.find(remark), log.rfind(remark)) << "only the last evaluation reports it";
  EXPECT_GT(log.find(remark), log.find("step 20: held-out log-perplexity"));
  EXPECT_NE(log.find(remark), std::string::npos);
  double nats = 0;
  std::uint64_t num_targets = 0;
  for (const store::DocumentLoss& document : result.documents) {
    nats += document.nats;
    num_targets += document.num_targets;
  }
  EXPECT_EQ(num_targets, result.num_targets);
  EXPECT_NEAR(nats / static_cast<double>(num_targets), *result.figures.log_perplexity, 1e-9);
}

TEST_F(SpanSession, ResumingFromAnyCheckpointEqualsAnUninterruptedRun) {
  for (const double dropout : {0.0, 0.1}) {
    const std::string name = dropout > 0 ? "dropout" : "plain";
    SessionOptions unbroken = span_options(name);
    unbroken.config.checkpoint = {.every_steps = 5, .keep_last = 100, .keep_best = true};
    std::get<model::EncoderDecoderConfig>(unbroken.config.model).dropout = dropout;
    run_training(unbroken);
    for (const std::int64_t step : {0, 10, 15}) {
      const std::string again = name + "-from-" + std::to_string(step);
      fs::copy(directory_ / name, directory_ / again, fs::copy_options::recursive);
      for (std::int64_t later = step + 5; later <= 20; later += 5)
        fs::remove_all(directory_ / again / "checkpoints" / store::checkpoint_name(later));
      SessionOptions resumed = unbroken;
      resumed.config.run.dir = (directory_ / again).string();
      EXPECT_EQ(run_training(resumed).summary.step, 20);
      expect_equal_runs(again, name, 20);
    }
  }
}

TEST_F(SpanSession, EvaluationAndSavingChangeNoWeight) {
  run_training(span_options("watched"));
  SessionOptions blind = span_options("blind");
  blind.config.evaluate.every_steps = {};
  blind.config.checkpoint.every_steps = 1000;
  run_training(blind);
  EXPECT_TRUE(file("watched", 20, "model.safetensors") == file("blind", 20, "model.safetensors"));
  EXPECT_TRUE(file("watched", 20, "optimizer.safetensors") ==
              file("blind", 20, "optimizer.safetensors"));
}

// The paper's code computed statistics in bf16. Evaluation uses fp32 regardless.
TEST_F(SpanSession, StatisticsInTheTypeOfTheProducts) {
  const auto trained = [&](const std::string& run, Precision precision,
                           ops::Reductions reductions) {
    SessionOptions asked = span_options(run);
    asked.config.train.precision = precision;
    asked.config.train.reductions = reductions;
    return run_training(asked).summary;
  };
  const Summary fine = trained("fine", Precision::kBf16, ops::Reductions::kFp32),
                coarse = trained("coarse", Precision::kBf16, ops::Reductions::kCompute);
  EXPECT_EQ(fine.initial_log_perplexity, coarse.initial_log_perplexity);
  EXPECT_NE(fine.figures.log_perplexity, coarse.figures.log_perplexity);
  EXPECT_NEAR(*fine.figures.log_perplexity, *coarse.figures.log_perplexity, 0.05);
  trained("whole", Precision::kFp32, ops::Reductions::kFp32);
  trained("whole-compute", Precision::kFp32, ops::Reductions::kCompute);
  EXPECT_TRUE(file("whole", 20, "model.safetensors") ==
              file("whole-compute", 20, "model.safetensors"));
}

// Passes of three and one equal a single pass up to rounding.
TEST_F(SpanSession, MicroBatchesAgree) {
  const auto losses = [&](const std::string& run, std::int64_t micro_batch) {
    SessionOptions asked = span_options(run);
    asked.config.train.micro_batch_sequences = micro_batch;
    run_training(asked);
    std::vector<double> found;
    store::read_metrics(directory_ / run / "metrics.jsonl",
                        [&](std::int64_t, const nlohmann::ordered_json& line) {
                          if (line.contains("loss")) found.push_back(line.at("loss").get<double>());
                        });
    return found;
  };
  const std::vector<double> whole = losses("whole", 4), unequal = losses("unequal", 3);
  ASSERT_EQ(whole.size(), 20u);
  for (std::size_t i = 0; i < whole.size(); ++i)
    EXPECT_NEAR(whole[i], unequal[i], 1e-4 * whole[i]) << "step " << i + 1;
}

// Both runs have the same held-out segments with the same spans, but different training batches.
TEST_F(SpanSession, EvaluationDoesNotDependOnTheSeed) {
  const Summary one = run_training(span_options("one")).summary;
  SessionOptions other = span_options("two");
  other.config.run.seed = 2;
  run_training(other);
  const data::PreparedData data =
      data::open_prepared(other.config.corpus.prepared_dir, one.data_fingerprint);
  const auto first = config::load<RunConfig>(
                 {.file = directory_ / "one" / "config.yaml", .overrides = {}}),
             second = config::load<RunConfig>(
                 {.file = directory_ / "two" / "config.yaml", .overrides = {}});
  const auto held_out_of = [&](const RunConfig& c) {
    return train::make_evaluation_batches(train::read_resolved(c), data.valid(), *data.tokenizer,
                                          {})
        ->batch(0);
  };
  EXPECT_EQ(held_out_of(first).inputs, held_out_of(second).inputs);
  EXPECT_EQ(held_out_of(first).targets, held_out_of(second).targets);
  EXPECT_NE(train::make_training_batches(first, data)->batch(0).inputs,
            train::make_training_batches(second, data)->batch(0).inputs);
}

TEST_F(SpanSession, DumpedBatchesHaveDecoderInputs) {
  SessionOptions asked = span_options();
  asked.dump_batches = (directory_ / "batches.safetensors").string();
  asked.dump_steps = 3;
  run_training(asked);
  const MappedFile mapped(asked.dump_batches);
  const store::Tensors tensors = store::parse_safetensors(mapped.bytes(), "batches");
  const data::SequenceShape shape = train::sequence_shape(asked.config);
  EXPECT_EQ(tensors.at("inputs").shape, (std::vector<std::int64_t>{3, 4, shape.input_length}));
  EXPECT_EQ(tensors.at("targets").shape, (std::vector<std::int64_t>{3, 4, shape.target_length}));
  EXPECT_EQ(tensors.at("decoder_inputs").shape, tensors.at("targets").shape);
  const auto* targets = reinterpret_cast<const std::int32_t*>(tensors.at("targets").bytes.data());
  const auto* decoder =
      reinterpret_cast<const std::int32_t*>(tensors.at("decoder_inputs").bytes.data());
  for (std::int64_t i = 0; i < 3 * 4 * shape.target_length; ++i)
    EXPECT_EQ(decoder[i], i % shape.target_length == 0 ? 256 : targets[i - 1]) << i;
}

// With train.tokens the number of steps is not known earlier.
TEST_F(SpanSession, RejectsAShortScheduleBeforeTheRunStarts) {
  SessionOptions asked = span_options();
  asked.config.train.steps.reset();
  asked.config.train.tokens =
      20 * asked.config.train.batch_sequences * train::sequence_shape(asked.config).target_length;
  asked.config.schedule = optim::T5Schedule{.total_steps = std::int64_t{19}};
  EXPECT_EQ(train::test::error_of(ExitCode::kUsage, [&] { run_training(asked); }),
            "schedule.total_steps: received 19; expected auto, or at least train.steps 20");
  EXPECT_FALSE(store::is_run_directory(directory_ / "run"));
}

TEST_F(SpanSession, AnOpenedCheckpointReproducesTheEvaluation) {
  const Summary summary = run_training(span_options()).summary;
  const OpenedCheckpoint opened = open_checkpoint(directory_ / "run");
  const data::PreparedData data = open_data(opened);
  const auto batches =
      train::make_evaluation_batches(opened.run, data.valid(), *opened.tokenizer, {});
  const eval::Perplexity p = eval::measure_perplexity(
      *opened.model, *batches,
      train::counts_of_targets(*opened.run.objective, data.counts[data::Split::kValid]),
      opened.device, {});
  EXPECT_EQ(p.figures.log_perplexity, *summary.figures.log_perplexity);
  EXPECT_GT(p.num_dropped_tokens, 0u);
}

TEST_F(SpanSession, RejectsShortHeldOutTextBeforeTheRunStarts) {
  SessionOptions asked = span_options();
  asked.config.objective =
      data::SpanCorruptionConfig{.input_length = 4000, .noise_density = 0.02, .sentinels = 100};
  train::test::error_of(ExitCode::kBadData, [&] { run_training(asked); });
  EXPECT_FALSE(store::is_run_directory(directory_ / "run"));
}

// ---- The oracle: `transformers` and NumPy's Adafactor in float64, with the same initial weights
// and batches ----

using model::test::TransformersVersion;
class PaperOracle : public SpanSession,
                    public ::testing::WithParamInterface<
                        std::tuple<TransformersVersion, std::tuple<const char*, bool>>> {};

TEST_P(PaperOracle, ReproducesFiftyLosses) {
  const auto& [version, layers] = GetParam();
  const auto [ffn, tied] = layers;
  SessionOptions asked = span_options();
  asked.config.train.steps = 50;
  asked.config.train.z_loss = 1e-4;
  // unequal passes of three and one
  asked.config.train.micro_batch_sequences = std::int64_t{3};
  asked.config.checkpoint = {.every_steps = 50, .keep_last = 2, .keep_best = false};
  asked.config.evaluate.every_steps = {};
  auto& model = std::get<model::EncoderDecoderConfig>(asked.config.model);
  model.ffn = nn::FfnName(ffn);
  model.tie_embeddings = tied;
  // The paper's optimizer with a constant rate. At this width some matrices are factored.
  asked.config.optimizer = optim::AdafactorConfig{.factored_min_dim = 32};
  asked.config.schedule = optim::T5Schedule{.constant_steps = 10000, .decay_fraction = 0.1};
  asked.dump_batches = (directory_ / "batches.safetensors").string();
  asked.dump_steps = 50;
  run_training(asked);

  const fs::path run = directory_ / "run", out = directory_ / "losses.json";
  const std::string command =
      std::string("'") + version.python + "' '" + SLUICE_SOURCE_DIR +
      "/scripts/paper_oracle.py' --config '" + (run / "config.yaml").string() + "' --initial '" +
      (run / "checkpoints/step-0/model.safetensors").string() + "' --batches '" +
      asked.dump_batches + "' --start 256 --threads 1 > '" + out.string() + "'";
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  const auto theirs = nlohmann::json::parse(read_file(out));
  ASSERT_EQ(theirs.at("losses").size(), 50u);
  ASSERT_TRUE(theirs.at("transformers").get<std::string>().starts_with(version.major))
      << theirs.at("transformers");
  std::size_t step = 0;
  store::read_metrics(run / "metrics.jsonl", [&](std::int64_t, const nlohmann::ordered_json& line) {
    if (!line.contains("loss")) return;
    ASSERT_LT(step, 50u);
    const double loss = theirs.at("losses").at(step),
                 log_perplexity = theirs.at("log_perplexities").at(step);
    EXPECT_NEAR(line.at("loss").get<double>(), loss, 1e-4 * loss) << "step " << step + 1;
    EXPECT_NEAR(line.at("log_perplexity").get<double>(), log_perplexity, 1e-4 * log_perplexity)
        << "step " << step + 1;
    EXPECT_NEAR(line.at("lr").get<double>(), theirs.at("lr").at(step).get<double>(), 1e-12)
        << "step " << step + 1;
    ++step;
  });
  EXPECT_EQ(step, 50u);
  EXPECT_LT(theirs.at("losses").at(49).get<double>(), 0.9 * theirs.at("losses").at(0).get<double>())
      << "the loss did not decrease";
}

INSTANTIATE_TEST_SUITE_P(Layers, PaperOracle,
                         ::testing::Combine(::testing::ValuesIn(model::test::kTransformersVersions),
                                            ::testing::Values(std::tuple{"geglu", true},
                                                              std::tuple{"swish", true},
                                                              std::tuple{"glu", false})),
                         [](const auto& test) {
                           const auto layers = std::get<1>(test.param);
                           const char* tied = std::get<1>(layers) ? "" : "_untied";
                           return std::string(std::get<0>(test.param).name) + "_" +
                                  std::get<0>(layers) + tied;
                         });

// ---- Invalid combinations, and sizes from the YAML alone ----

constexpr const char* kBase = R"(corpus: {train: [nowhere.txt], separator: none}
tokenizer: {type: sentencepiece, model: nowhere/t5.model}
model: {type: encoder_decoder, num_layers: 12, d_model: 768, num_heads: 12, head_dim: 64, )"
                              R"(ffn: geglu, vocab_size: 32128}
objective: {type: span_corruption}
train: {steps: 65536, batch_sequences: 128, z_loss: 1e-4, precision: bf16, threads: 1, device: cpu}
)";

RunConfig base(const std::string& from = "", const std::string& to = "") {
  std::string yaml = kBase;
  if (!from.empty()) yaml.replace(yaml.find(from), from.size(), to);
  return config::parse<RunConfig>(yaml, "test");
}

std::string refusal(const std::string& from, const std::string& to) {
  return train::test::error_of(ExitCode::kUsage, [&] { base(from, to); });
}

TEST(SpanConfig, RejectsWrongCombinationsInOneLine) {
  EXPECT_EQ(refusal("objective: {type: span_corruption}\n", ""),
            "test: objective.type: received causal_lm; expected span_corruption, since model.type "
            "is encoder_decoder");
  EXPECT_EQ(refusal(", separator: none", ""),
            "test:1: corpus.separator: received eos; expected none, since objective.type is "
            "span_corruption: its documents are joined without end tokens");
  EXPECT_EQ(refusal("steps: 65536,", "steps: 65536, sequence_length: 512,"),
            "test:5: train.sequence_length: received 512; expected auto or 568, the length of raw "
            "segments for objective.input_length 512");
  EXPECT_EQ(train::sequence_length(base("steps: 65536,", "steps: 65536, sequence_length: 568,")),
            568);
}

TEST(SpanPlan, T5BaseNeedsNeitherCorpusNorTokenizer) {
  for (const char* variant :
       {"relu", "gelu", "swish", "glu", "bilinear", "reglu", "geglu", "swiglu"}) {
    const Plan plan = make_plan(base("geglu", variant));
    EXPECT_EQ(plan.sizes.num_parameters, 222'903'552) << variant;
    EXPECT_EQ(plan.sizes.d_ff_mismatch, 0) << variant;
    EXPECT_EQ(plan.run.tokens_per_step(), 128 * 114);
    EXPECT_FALSE(plan.tokens_per_epoch.has_value());
  }
}

// Counted by hand: 512 inputs and 114 targets, d_model 768, 12 heads of 64, feed-forward layers of
// 2 · 768 · 3072 weights.
TEST(SpanPlan, FlopsPerTargetTokenIncludeTheEncoder) {
  const double S = 512, T = 114, d2 = 768.0 * 768, ffn = 2.0 * 768 * 3072;
  const double encoder = 12 * (4 * d2 + ffn), decoder = 12 * (4 * d2 + 2 * d2 + ffn),
               cross_keys = 12 * 2 * d2, head = 768.0 * 32128;
  // multiply-adds of QKᵀ and of the weighted sum
  const double scores = 12 * 768 * (S * S + T * T + T * S) * 2;
  const double forward = S * (encoder + cross_keys) + T * (decoder + head) + scores;
  EXPECT_NEAR(make_plan(base()).sizes.flops_per_token, 6 * forward / T, 1e-9 * 6 * forward / T);
}

}  // namespace
}  // namespace sluice::run
