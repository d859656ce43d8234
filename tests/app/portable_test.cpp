// train.reproducible: portable. The committed hashes are those of every processor and of any number
// of threads. Here, other settings of the libraries stand for other processors.
#include <cstdlib>

#include "base/hash.h"
#include "base/machine.h"
#include "base/text_format.h"
#include "tests/app/program.h"

namespace sluice::app {
namespace {

const char* const kPortableDecoder = R"(
run:       {dir: run}
corpus:    {train: [text.txt], holdout: 0.2}
tokenizer: {type: bytes}
model:     {type: decoder, num_layers: 2, d_model: 96, num_heads: 4, num_kv_heads: 2, ffn: swiglu,
            d_ff: 300, position: {type: rope}, dropout: 0.1, bias: true}
train:     {steps: 8, batch_sequences: 8, micro_batch_sequences: 4, sequence_length: 96,
            reproducible: portable, z_loss: 1e-4, tensorboard: false}
schedule:  {type: cosine, warmup_steps: 2}
evaluate:  {every_steps: 4, max_tokens: 2048, final_max_tokens: 2048}
checkpoint: {every_steps: 4, keep_last: 10}
)";
const char* const kPortableEncoderDecoder = R"(
run:       {dir: run}
corpus:    {train: [text.txt], format: paragraphs, holdout: 0.2, separator: none}
tokenizer: {type: bytes}
model:     {type: encoder_decoder, num_layers: 1, num_decoder_layers: 1, d_model: 96, num_heads: 3,
            head_dim: 32, ffn: geglu, d_ff: 300, dropout: 0.1}
objective: {type: span_corruption, input_length: 96}
train:     {steps: 8, batch_sequences: 8, micro_batch_sequences: 4, reproducible: portable,
            tensorboard: false}
schedule:  {type: t5}
evaluate:  {every_steps: 4, max_tokens: 2048, final_max_tokens: 2048}
checkpoint: {every_steps: 4, keep_last: 10}
)";

struct Case {
  std::string config, optimizer, precision, hash;
};
const std::vector<Case> kCases = {
    {"decoder", "{type: adamw, lr: 0.01, clip_norm: 0.5}", "auto",
     "572fbdfc5f22790b455b8ef78960beb0"},
    {"decoder", "{type: muon, lr: 0.01}", "bf16", "400efa6667e3c9b318db6ae59568bf66"},
    {"encoder_decoder", "{type: adafactor, lr: 0.01}", "fp32", "0a23bd4a0af2b050d087d62f4a072549"},
    {"encoder_decoder", "{type: adamw, lr: 0.01}", "bf16", "ddc2703065470c2f6706dd72d6a85010"}};

using Environment = std::vector<std::pair<std::string, std::string>>;

class Portable : public ProgramTest {
 protected:
  void SetUp() override {
    if (!machine().avx2) GTEST_SKIP() << "needs a processor with AVX2 and FMA";
    write_english();
    write("decoder.yaml", kPortableDecoder);
    write("encoder_decoder.yaml", kPortableEncoderDecoder);
  }

  // Weights, optimizer state and figures after the last step.
  std::string hash_after(const Case& c, const std::vector<std::string>& more,
                         const Environment& environment = {}, std::string run = "") {
    if (run.empty()) run = cat("run-", ++num_runs_);
    for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
    std::vector<std::string> arguments = {
        "train",          c.config + ".yaml",         "--set",
        "run.dir=" + run, "optimizer=" + c.optimizer, "train.precision=" + c.precision};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = sluice(arguments);
    for (const auto& [name, value] : environment) ::unsetenv(name.c_str());
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return hash_of_run(run);
  }
  std::string hash_of_run(const std::string& run) const {
    const std::string folder = run + "/checkpoints/step-8/";
    const auto result = nlohmann::json::parse(read(run + "/result.json"));
    Hasher hasher;
    hasher.update(read(folder + "model.safetensors"))
        .update(read(folder + "optimizer.safetensors"));
    for (const char* key : {"log_perplexity", "initial_log_perplexity", "documents"})
      hasher.update(result.at(key).dump());
    return hasher.digest().hex();
  }

 private:
  int num_runs_ = 0;
};

// The instruction sets of this processor, by what the libraries may use.
std::vector<Environment> levels() {
  std::vector<Environment> all = {{{"ATEN_CPU_CAPABILITY", "avx2"},
                                   {"ONEDNN_MAX_CPU_ISA", "AVX2"},
                                   {"MKL_ENABLE_INSTRUCTIONS", "AVX2"}}};
  if (machine().avx512)
    all.push_back({{"ATEN_CPU_CAPABILITY", "avx512"},
                   {"ONEDNN_MAX_CPU_ISA", "ALL"},
                   {"MKL_ENABLE_INSTRUCTIONS", "AVX512"}});
  return all;
}

TEST_F(Portable, CommittedHashesForEachInstructionSetAndNumberOfThreads) {
  for (const Environment& level : levels())
    for (const Case& c : kCases)
      for (const int threads : {1, 2})
        EXPECT_EQ(hash_after(c, {cat("train.threads=", threads)}, level), c.hash)
            << c.config << " " << c.optimizer << " " << c.precision << " " << threads
            << " threads, " << level[0].second;
  EXPECT_EQ(hash_after(kCases[0], {"train.threads=3"}), kCases[0].hash);
}

TEST_F(Portable, LibrariesForOtherProcessorsChangeNothing) {
  const std::vector<Environment> processors = {
      {{"MKL_CBWR", "COMPATIBLE"}, {"ONEDNN_MAX_CPU_ISA", "SSE41"}},
      {{"ATEN_CPU_CAPABILITY", "default"}, {"MKL_ENABLE_INSTRUCTIONS", "SSE4_2"}}};
  for (const Environment& processor : processors)
    for (const Case& c : {kCases[0], kCases[2]})
      EXPECT_EQ(hash_after(c, {"train.threads=2"}, processor), c.hash)
          << c.config << " " << processor[0].first;
  // usual arithmetic has other bits
  EXPECT_NE(hash_after(kCases[2], {"train.threads=1", "train.reproducible=machine"}),
            kCases[2].hash);
}

TEST_F(Portable, ResumesWithOtherThreadsAndProcesses) {
  const Case& c = kCases[0];
  EXPECT_EQ(hash_after(c, {"train.threads=2"}, {}, "run"), c.hash);
  std::filesystem::remove_all(path("run/checkpoints/step-8"));
  std::filesystem::remove(path("run/result.json"));
  // LibTorch must not have chosen its kernels before.
  ::setenv("ATEN_CPU_CAPABILITY", "default", 1);
  const Outcome resumed =
      sluice({"launch", "-n", "2", "train", "--resume", "run", "--set", "train.threads=1"});
  const Outcome evaluated = sluice({"eval", "run"});
  ::unsetenv("ATEN_CPU_CAPABILITY");
  EXPECT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_NE(resumed.err.find("continuing from step 4"), std::string::npos) << resumed.err;
  EXPECT_EQ(hash_of_run("run"), c.hash);
}

TEST_F(Portable, NamesWhatItCannotMakePortable) {
  const auto refusal = [&](const std::string& setting) {
    const Outcome outcome = sluice({"plan", "decoder.yaml", "--set", setting});
    EXPECT_EQ(outcome.exit_code, 2) << setting;
    return outcome.err;
  };
  EXPECT_NE(refusal("train.device=cuda").find("expected cpu with train.reproducible: portable"),
            std::string::npos);
  EXPECT_NE(refusal("train.reductions=compute").find("expected fp32 with"), std::string::npos);
}

class PortableComparison : public TwoVariantsTest {};

TEST_F(PortableComparison, ASeedMayUseSeveralMachines) {
  if (!machine().avx2) GTEST_SKIP() << "needs a processor with AVX2 and FMA";
  const auto compare = [&](const std::string& mode, const std::string& threads,
                           std::vector<std::string> more) {
    std::vector<std::string> arguments = {"compare", "compare.yaml"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    arguments.insert(arguments.end(), {"--set", "run.dir=" + mode, "train.reproducible=" + mode,
                                       "train.threads=" + threads});
    return sluice(arguments);
  };
  for (const std::string mode : {"machine", "portable"})
    EXPECT_EQ(compare(mode, "1", {"--only", "relu"}).exit_code, 0) << mode;
  const Outcome refused = compare("machine", "2", {});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("all runs of a seed need the same environment"), std::string::npos);
  const Outcome done = compare("portable", "2", {});
  EXPECT_EQ(done.exit_code, 0) << done.err;
  const Outcome audit = sluice({"audit", "portable", "--cells", "1"});
  EXPECT_EQ(audit.exit_code, 0) << audit.err;
}

}  // namespace
}  // namespace sluice::app
