// Runs of several processes, started with `sluice launch`.
#pragma once

#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "base/text_format.h"
#include "tests/app/program.h"

namespace sluice::app {

inline const char* const kOneStack = R"(
run:       {dir: run}
corpus:    {train: [text.txt], format: paragraphs, holdout: 0.2}
tokenizer: {type: bytes}
model:     {type: decoder, num_layers: 1, d_model: 24, num_heads: 2, ffn: swiglu, d_ff: 40,
            dropout: 0.1}
train:     {steps: 6, batch_sequences: 7, micro_batch_sequences: 1, sequence_length: 32,
            precision: fp32, device: cpu, threads: 1, tensorboard: false}
schedule:  {type: constant, warmup_steps: 2}
evaluate:  {every_steps: 3, max_tokens: 256, final_max_tokens: 256}
checkpoint: {every_steps: 2, keep_last: 10}
distributed: {timeout: 10s, check_every_steps: 2, bucket: 0}
)";
inline const char* const kTwoStacks = R"(
run:       {dir: run}
corpus:    {train: [text.txt], format: paragraphs, holdout: 0.2, separator: none}
tokenizer: {type: bytes}
model:     {type: encoder_decoder, num_layers: 1, num_decoder_layers: 1, d_model: 24, num_heads: 2,
            head_dim: 12, ffn: geglu, d_ff: 40, dropout: 0.1}
objective: {type: span_corruption, input_length: 32}
train:     {steps: 6, batch_sequences: 7, micro_batch_sequences: 1, precision: bf16, device: cpu,
            threads: 1, tensorboard: false}
schedule:  {type: t5}
evaluate:  {every_steps: 3, max_tokens: 256, final_max_tokens: 256}
checkpoint: {every_steps: 2, keep_last: 10}
distributed: {timeout: 10s, check_every_steps: 2, bucket: 0}
)";

inline const std::vector<std::string> kSavedFiles = {"model.safetensors", "optimizer.safetensors",
                                                     "train_state.json", "config.yaml"};

class Launch : public ProgramTest {
 protected:
  void SetUp() override {
    ::setenv("OMP_NUM_THREADS", "1", 1);
    write_english();
    write("decoder.yaml", kOneStack);
    write("encoder_decoder.yaml", kTwoStacks);
    if (sluice({"launch", "-n", "2", "train", "decoder.yaml", "--set", "run.dir=probe",
                "train.steps=1", "evaluate.every_steps=never"})
            .err.find("built without the headers of Gloo") != std::string::npos)
      GTEST_SKIP() << "built without Gloo's headers";
  }

  static std::vector<std::string> with(int num, std::vector<std::string> arguments) {
    if (num > 1) {
      const std::vector<std::string> launch = {"launch", "-n", std::to_string(num)};
      arguments.insert(arguments.begin(), launch.begin(), launch.end());
    }
    return arguments;
  }

  // The files of a checkpoint and, without times, its metrics.
  std::vector<std::string> state_of(const std::string& run, int step) const {
    std::vector<std::string> all;
    for (const std::string& file : kSavedFiles)
      all.push_back(read(cat(run, "/checkpoints/step-", step, "/", file)));
    std::istringstream lines(read(run + "/metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      nlohmann::json one = nlohmann::json::parse(line);
      one.erase("time");
      if (one.at("step") <= step) all.push_back(one.dump());
    }
    return all;
  }
  void expect_equal(const std::string& run, const std::string& other, int step) const {
    const auto one = state_of(run, step), two = state_of(other, step);
    ASSERT_EQ(one.size(), two.size());
    EXPECT_GT(one[0].size(), 1000u);
    for (std::size_t i = 0; i < one.size(); ++i)
      EXPECT_TRUE(one[i] == two[i])
          << run << ", " << other << ": "
          << (i < kSavedFiles.size() ? kSavedFiles[i] : one[i] + "\n" + two[i]);
  }
  // The histograms of an evaluation, which have no times.
  std::vector<std::string> events_of(const std::string& run) const {
    const std::string text = read(run + "/events.out.tfevents.0.sluice");
    std::vector<std::string> all;
    for (std::size_t at = text.find("weights/"); at != std::string::npos;
         at = text.find("weights/", at + 1))
      all.push_back(text.substr(at, 90));  // name, range and sums
    EXPECT_GT(all.size(), 20u);
    return all;
  }
  std::string program() const { return SLUICE_BINARY_DIR "/sluice"; }
};

}  // namespace sluice::app
