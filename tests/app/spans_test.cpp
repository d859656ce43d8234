// An encoder-decoder with the shipped program: train, interrupt, evaluate, fill blanks, plan, and
// errors.
#include <cmath>
#include <csignal>
#include <thread>

#include "tests/app/program.h"

namespace sluice::app {
namespace {

using namespace std::chrono_literals;

class Spans : public ProgramTest {
 protected:
  void SetUp() override {
    write_english();
    write("spans.yaml", R"(run:        {name: spans, dir: run, seed: 1}
corpus:     {train: [text.txt], holdout: 0.2, prepared_dir: prepared, separator: none}
tokenizer:  {type: bytes}
model:      {type: encoder_decoder, num_layers: 2, d_model: 48, num_heads: 2, d_ff: 96}
objective:  {type: span_corruption, input_length: 64}
optimizer:  {type: adamw, lr: 3e-3}
schedule:   {type: cosine, warmup_steps: 5}
train:      {steps: 30, batch_sequences: 4, threads: 1, precision: fp32}
evaluate:   {every_steps: 10}
checkpoint: {every_steps: 10}
)");
  }
  std::string model(const std::string& run) const {
    return read(run + "/checkpoints/step-30/model.safetensors");
  }
};

TEST_F(Spans, TrainsEvaluatesAndFillsBlanks) {
  const Outcome refused =
      sluice({"train", "spans.yaml", "--set", "evaluate.samples.prompts=[\"no blank\"]"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("evaluate.samples.prompts: received no blank; expected at least one"),
            std::string::npos)
      << refused.err;
  const Outcome trained =
      sluice({"train", "spans.yaml", "--json", "--set", "evaluate.samples.prompts=[\"a ___ b\"]"});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_LT(trained.json().at("log_perplexity").get<double>(),
            trained.json().at("initial_log_perplexity").get<double>() - 0.5);
  EXPECT_TRUE(trained.json().at("bits_per_byte").is_null());

  const Outcome evaluated = sluice({"eval", "run", "--json"});
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  const auto eval = evaluated.json(), result = nlohmann::json::parse(read("run/result.json"));
  for (const char* key :
       {"log_perplexity", "perplexity", "bits_per_byte", "word_perplexity", "step"})
    EXPECT_EQ(result.at(key), eval.at(key)) << key;
  EXPECT_EQ(result.at("num_targets"), eval.at("num_tokens"));
  EXPECT_GT(eval.at("num_dropped_tokens"), 0);
  EXPECT_EQ(result.at("num_dropped_tokens"), eval.at("num_dropped_tokens"));
  EXPECT_EQ(trained.json().at("num_dropped_tokens"), eval.at("num_dropped_tokens"));
  EXPECT_TRUE(eval.at("bits_per_byte").is_null() && eval.at("word_perplexity").is_null());
  EXPECT_GT(eval.at("num_bytes").get<int>(), 0);
  EXPECT_EQ(sluice({"eval", "run", "--data", "text.txt", "--json"}).exit_code, 0);

  write("short.txt", "short\n");
  write("tiny.txt", "abc\n");
  const Outcome few = sluice({"eval", "run", "--data", "short.txt"}),
                several = sluice({"eval", "run", "--data", "short.txt", "tiny.txt"});
  EXPECT_EQ(few.exit_code, 65);
  EXPECT_NE(few.err.find("--data short.txt: received 5 tokens; expected at least 70 tokens, one "
                         "segment for objective.input_length 64"),
            std::string::npos)
      << few.err;
  EXPECT_NE(several.err.find("--data short.txt and 1 more: received 8 tokens; expected at least"),
            std::string::npos)
      << several.err;

  const Outcome stride = sluice({"eval", "run", "--stride", "16"});
  EXPECT_EQ(stride.exit_code, 2);
  EXPECT_NE(stride.err.find("--stride: received 16; expected no stride, since the segments of "
                            "span_corruption do not overlap"),
            std::string::npos)
      << stride.err;

  const std::vector<std::string> fill{
      "generate", "run", "--prompt", "You may ___ copies of the ___.", "--tokens", "30",
      "--seed",   "7",   "--json"};
  const Outcome filled = sluice(fill);
  ASSERT_EQ(filled.exit_code, 0) << filled.err;
  const auto json = filled.json();
  EXPECT_EQ(json.at("prompt"), "You may ___ copies of the ___.");
  ASSERT_EQ(json.at("spans").size(), 2u);
  EXPECT_EQ(json.at("text"), "You may" + json.at("spans")[0].get<std::string>() + " copies of the" +
                                 json.at("spans")[1].get<std::string>() + ".");
  EXPECT_EQ(json.at("step"), 30);
  EXPECT_EQ(sluice(fill).out, filled.out);
  const Outcome plain = sluice({"generate", "run", "--prompt", "You may"});
  EXPECT_EQ(plain.exit_code, 2);
  EXPECT_NE(plain.err.find("expected at least one blank, written as three underscores"),
            std::string::npos)
      << plain.err;
  EXPECT_EQ(sluice({"verify", "run"}).exit_code, 0);
}

TEST_F(Spans, ResumingAfterASignalEqualsAnUninterruptedRun) {
  ASSERT_EQ(sluice({"train", "spans.yaml", "--run-dir", "unbroken"}).exit_code, 0);
  Process process(directory_.path(),
                  {SLUICE_PROGRAM, "train", "spans.yaml", "--run-dir", "broken"});
  while (process.running() && process.err().find("step 10: held-out") == std::string::npos)
    std::this_thread::sleep_for(1ms);
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait().exit_code, 75);
  EXPECT_FALSE(std::filesystem::exists(path("broken/result.json")));
  ASSERT_EQ(sluice({"train", "spans.yaml", "--run-dir", "broken", "--resume"}).exit_code, 0);
  EXPECT_TRUE(model("broken") == model("unbroken"));
  auto broken = nlohmann::json::parse(read("broken/result.json")),
       unbroken = nlohmann::json::parse(read("unbroken/result.json"));
  for (const char* key : {"training_seconds", "seal_xxh3_128"}) {
    broken.erase(key);
    unbroken.erase(key);
  }
  EXPECT_EQ(broken, unbroken);
}

TEST_F(Spans, RejectsAModelThatDoesNotFitTheObjective) {
  const auto refused = [&](const std::vector<std::string>& overrides) {
    std::vector<std::string> arguments{"train", "spans.yaml", "--set"};
    arguments.insert(arguments.end(), overrides.begin(), overrides.end());
    const Outcome outcome = sluice(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
    return outcome.err;
  };
  EXPECT_NE(refused({"objective={type: causal_lm}"})
                .find("span_corruption, since model.type is encoder_decoder"),
            std::string::npos);
  EXPECT_NE(refused({"model={type: decoder}"}).find("causal_lm, since model.type is decoder"),
            std::string::npos);
  EXPECT_NE(refused({"objective.sentinels=2"}).find("objective.sentinels"), std::string::npos);
  EXPECT_NE(refused({"model.vocab_size=257"}).find("expected 384 (tokenizer pieces and sentinels"),
            std::string::npos);
}

TEST_F(Spans, PlanPredictsSizeAndMemory) {
  write("wide.yaml", R"(extends: [spans.yaml]
model:     {d_model: 256, num_heads: 4, num_layers: 4, ffn: geglu, d_ff: match}
objective: {input_length: 512}
train:     {steps: 2, batch_sequences: 8, micro_batch_sequences: 8}
evaluate:  {every_steps: never}
)");
  const Outcome planned = sluice({"plan", "wide.yaml", "--json"});
  ASSERT_EQ(planned.exit_code, 0) << planned.err;
  const Outcome trained = sluice({"train", "wide.yaml", "--json"});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const auto plan = planned.json(), run = trained.json();
  EXPECT_EQ(plan.at("num_parameters"), run.at("num_parameters"));
  EXPECT_EQ(plan.at("tokens_per_step"), 8 * 114);
  EXPECT_DOUBLE_EQ(plan.at("multiply_adds_per_token").get<double>(),
                   plan.at("flops_per_token").get<double>() / 6);
  const std::string shown = sluice({"plan", "wide.yaml"}).out;
  EXPECT_NE(shown.find("multiply_adds_per_token"), std::string::npos) << shown;
  EXPECT_NE(
      shown.find("forward pass, per target token, including the encoder's work for its inputs"),
      std::string::npos)
      << shown;
  EXPECT_EQ(run.at("tokens"), 2 * 8 * 114);
  EXPECT_NEAR(plan.at("memory_bytes").get<double>() / run.at("peak_memory_bytes").get<double>(),
              1.0, 0.2);
  const int windows =
      sluice({"plan", "wide.yaml", "--json"}).json().at("tokens_per_epoch").get<int>() / 114;
  EXPECT_EQ(
      windows,
      sluice({"prepare", "wide.yaml", "--json"}).json().at("train").at("num_tokens").get<int>() /
          568);
}

}  // namespace
}  // namespace sluice::app
