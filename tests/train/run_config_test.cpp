#include "train/run_config.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "config/config.h"
#include "tests/train/train_support.h"

namespace sluice::train {
namespace {

RunConfig parse(const std::string& rest) {
  return config::parse<RunConfig>("corpus: {train: [a.txt]}\n" + rest, "test");
}

TEST(RunConfig, NeedsExactlyOneLength) {
  EXPECT_EQ(*parse("train: {steps: 5}").train.steps, 5);
  EXPECT_EQ(*parse("train: {tokens: 500}").train.tokens, 500);
  EXPECT_EQ(*parse("train: {epochs: 1.5}").train.epochs, 1.5);
  for (const char* bad : {"", "train: {batch_sequences: 4}", "train: {steps: 5, epochs: 2}",
                          "train: {steps: 5, tokens: 100, epochs: 2}"}) {
    const std::string message = test::error_of(ExitCode::kUsage, [&] { parse(bad); });
    EXPECT_NE(message.find("train.steps"), std::string::npos) << message;
    EXPECT_NE(message.find("exactly one"), std::string::npos) << message;
  }
}

TEST(RunConfig, RejectsInvalidValuesByName) {
  const std::vector<std::pair<std::string, std::string>> bad{
      {"train: {steps: 5, batch_sequences: 4, micro_batch_sequences: 5}",
       "train.micro_batch_sequences"},
      {"train: {steps: 5, device: tpu}", "train.device"},
      {"train: {steps: 5, device: 'cuda:'}", "train.device"},
      {"train: {steps: 5, device: 'cuda:-1'}", "train.device"},
      {"train: {steps: 5, device: 'cuda:1000'}", "train.device"},
      {"train: {steps: 0}", "train.steps"},
      {"train: {steps: 2000000000000}", "train.steps"},
      {"train: {steps: 5, sequence_length: 1}", "train.sequence_length"},
      {"train: {steps: 5, sequence_length: 1000000, batch_sequences: 1000000}",
       "train.batch_sequences"},
      {"train: {steps: 5, sequence_length: 64}\nmodel: {position: {type: learned, max_length: 32}}",
       "model.position.max_length"},
      {"train: {steps: 5, divergence: {policy: panic}}", "train.divergence.policy"},
      {"train: {steps: 5}\nevaluate: {every_steps: 0}", "evaluate.every_steps"},
      {"train: {steps: 5}\nrun: {dir: ''}", "run.dir"},
      {"train: {steps: 5}\nschedule: {type: t5, total_steps: 4}", "schedule.total_steps"},
      {"train: {steps: 5}\nschedule: {type: t5, constant_steps: 0}", "schedule.constant_steps"},
      {"train: {steps: 5}\nschedule: {type: t5, decay_fraction: 1.5}", "schedule.decay_fraction"},
      {"train: {steps: 5}\nschedule: {type: t5, warmup_steps: 3}", "schedule.warmup_steps"},
      {"train: {steps: 5}\noptimizer: {type: adafactor, decay_rate: 2}", "optimizer.decay_rate"},
      {"train: {steps: 5}\noptimizer: {type: adafactor, eps: 0}", "optimizer.eps"},
      {"train: {steps: 5}\noptimizer: {type: adafactor, factored_min_dim: 0}",
       "optimizer.factored_min_dim"},
      {"train: {steps: 5}\noptimizer: {type: adafactor, weight_decay: 0.1}",
       "optimizer.weight_decay"},
      {"train: {steps: 5}\noptimizer: {type: muon, newton_schulz_steps: 0}",
       "optimizer.newton_schulz_steps"},
      {"train: {steps: 5}\noptimizer: {type: muon, newton_schulz_type: fp16}",
       "optimizer.newton_schulz_type"},
      {"train: {steps: 5}\noptimizer: {type: muon, scale: none}", "optimizer.scale"},
      {"train: {steps: 5}\ndistributed: {shard: parameters, reduction: fast}",
       "distributed.reduction"},
      {"train: {steps: 5, device: cuda}\ndistributed: {shard: parameters}", "train.device"},
      {"train: {steps: 5}\ndistributed: {shard: parameters}\n"
       "evaluate: {samples: {prompts: [Once]}}",
       "evaluate.samples.prompts"},
  };
  for (const auto& [text, path] : bad) {
    const std::string message = test::error_of(ExitCode::kUsage, [&] { parse(text); });
    EXPECT_NE(message.find(path), std::string::npos) << text << "\n" << message;
  }
}

// The settings of "GLU Variants Improve Transformer" and of nanoT5.
TEST(RunConfig, AcceptsThePaperOptimizerAndSchedule) {
  const RunConfig paper = parse(
      "optimizer: {type: adafactor, decay_rate: 0.8, clip_update: 1.0, factored_min_dim: 128}\n"
      "schedule: {type: t5, constant_steps: 10000, decay_fraction: 0.1}\ntrain: {steps: 65536}");
  EXPECT_EQ(std::get<optim::AdafactorConfig>(paper.optimizer).lr, 1.0);
  EXPECT_EQ(std::get<optim::AdafactorConfig>(paper.optimizer).clip_norm, 0.0);
  EXPECT_TRUE(std::get<optim::T5Schedule>(paper.schedule).total_steps.is_word());
  EXPECT_NO_THROW(parse("schedule: {type: t5, total_steps: 524288}\ntrain: {steps: 65536}"));
  const RunConfig nano_t5 = parse(
      "optimizer: {type: adamw, scale_by_rms: true, lr: 2e-2, betas: [0.9, 0.999], eps: 1e-6, "
      "weight_decay: 0}\n"
      "schedule: {type: cosine, warmup_steps: 10000, final_fraction: 5e-4}\ntrain: {steps: 65536}");
  EXPECT_TRUE(std::get<optim::AdamWConfig>(nano_t5.optimizer).scale_by_rms);
}

constexpr const char* kSpans =
    "corpus: {train: [a.txt], separator: none}\nobjective: {type: span_corruption}\n";

TEST(RunConfig, ModelAndObjectiveMustMatch) {
  const auto message = [](const std::string& yaml) {
    return test::error_of(ExitCode::kUsage,
                          [&] { config::parse<RunConfig>(yaml + "train: {steps: 5}\n", "test"); });
  };
  EXPECT_EQ(message(kSpans),
            "test:2: objective.type: received span_corruption; expected causal_lm, since "
            "model.type is decoder");
  EXPECT_EQ(message("corpus: {train: [a.txt]}\nevaluate: {split: tune}\n"),
            "test:1: corpus.tune_holdout: received 0; expected a share above 0, since "
            "evaluate.split is tune");
}

TEST(RunConfig, SequenceLengthIsAutoUnlessGiven) {
  EXPECT_EQ(sequence_length(parse("train: {steps: 5}")), 256);
  EXPECT_EQ(sequence_length(parse("train: {steps: 5, sequence_length: 64}")), 64);
  EXPECT_TRUE(parse("train: {steps: 5}").train.sequence_length.is_word());
}

TEST(RunConfig, AcceptsEveryDevice) {
  for (const char* device : {"cpu", "cuda", "'cuda:0'", "'cuda:15'", "auto"})
    EXPECT_NO_THROW(parse(std::string("train: {steps: 5, device: ") + device + "}")) << device;
}

TEST(RunConfig, TheShippedConfigurationsAreValid) {
  for (const char* name : {"quickstart.yaml", "kjv.yaml", "bench.yaml"})
    EXPECT_NO_THROW(config::load<RunConfig>(
        {.file = std::string(SLUICE_SOURCE_DIR) + "/configs/" + name, .overrides = {}}))
        << name;
}

TEST(RunConfig, RoundTripsThroughYaml) {
  const RunConfig config = test::small_config();
  const auto again = config::parse<RunConfig>(config::to_yaml(config), "written");
  EXPECT_TRUE(config::changes(config, again).empty());
}

}  // namespace
}  // namespace sluice::train
