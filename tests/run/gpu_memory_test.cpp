// The memory of a GPU as `plan` predicts it, against the bytes that LibTorch allocates when the GPU
// forms of the ops run on the CPU.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "model/step_memory.h"
#include "ops/widened_product.h"
#include "run/memory.h"
#include "tests/gpu/host_device.h"
#include "tests/train/memory_recorder.h"
#include "tests/train/train_support.h"
#include "train/batches.h"
#include "train/execution.h"
#include "train/step_runner.h"

namespace sluice::run {
namespace {

using train::RunConfig;

constexpr std::int64_t kVocab = 512;

struct Case {
  std::string name;
  model::ModelConfig model;
  std::int64_t length = 64, micro_batch = 4;
  bool adafactor = false;
};

// Widths are large enough that tables of the optimizers and of positions do not matter.
template <class Config>
Config sized(std::int64_t layers, std::int64_t d_ff) {
  Config c;
  c.num_layers = layers;
  c.d_model = 128;
  c.num_heads = 4;
  c.d_ff = d_ff;
  return c;
}

std::vector<Case> cases() {
  auto decoder = sized<model::DecoderConfig>(3, 384);
  auto grouped = decoder, plain = decoder;
  grouped.num_kv_heads = 2;
  plain.num_layers = 2;
  plain.ffn = nn::FfnName{"relu"};
  plain.dropout = 0.1;
  plain.position = nn::LearnedConfig{};
  plain.norm.type = nn::NormType::kLayerNorm;
  plain.bias = true;
  auto t5 = sized<model::EncoderDecoderConfig>(2, 384), dropped = t5, untied = t5;
  dropped.dropout = 0.1;
  untied.tie_embeddings = false;
  untied.num_decoder_layers = 1;
  return {
      {.name = "decoder", .model = decoder, .length = 128},
      {.name = "decoder, grouped queries", .model = grouped, .adafactor = true},
      {.name = "decoder, one matrix, dropout", .model = plain, .micro_batch = 9},
      {.name = "encoder-decoder", .model = t5, .length = 96, .adafactor = true},
      {.name = "encoder-decoder, dropout", .model = dropped},
      {.name = "encoder-decoder, two matrices", .model = untied, .length = 200, .micro_batch = 2}};
}

train::ResolvedRun resolved(const Case& one, train::Precision precision) {
  RunConfig config = train::test::small_config();
  config.model = one.model;
  config.train.precision = precision;
  config.train.batch_sequences = 2 * one.micro_batch;
  config.train.micro_batch_sequences = one.micro_batch;
  config.train.sequence_length = one.length;
  if (one.adafactor) {
    config.optimizer = optim::AdafactorConfig{};
    config.schedule = optim::T5Schedule{};
  }
  if (std::holds_alternative<model::EncoderDecoderConfig>(one.model)) {
    config.objective = data::SpanCorruptionConfig{.input_length = one.length};
    config.train.sequence_length = {};
  }
  return train::resolve(config, {.vocab_size = kVocab, .windows_per_epoch = 1});
}

data::Batch batch_of(const train::ResolvedRun& run) {
  const data::SequenceShape shape = run.objective->shape();
  data::Batch batch{.num_sequences = run.micro_batch_sequences,
                    .input_length = shape.input_length,
                    .target_length = shape.target_length};
  const auto fill = [&](std::vector<std::int32_t>& ids, std::int64_t length) {
    for (std::int64_t i = 0; i < batch.num_sequences * length; ++i)
      ids.push_back(static_cast<std::int32_t>(i * 7919 % 199));
  };
  fill(batch.inputs, shape.input_length);
  fill(batch.targets, shape.target_length);
  batch.num_targets = batch.num_sequences * shape.target_length;
  return batch;
}

struct Peak {
  double between = 0;  // what stays between steps
  double step = 0;     // the peak above it
};

Peak measure(const train::ResolvedRun& run, gpu::Device& device) {
  at::set_num_threads(1);
  train::test::MemoryRecorder recorder;
  const auto model =
      model::make_model(run.config.model, kVocab, train::sequences_of(run.config, /*start=*/0));
  model->parameters().allocate(at::kCPU, train::compute_type(run.precision), true);
  const auto optimizer = optim::make_optimizer(run.config.optimizer, model->parameters(), &device);
  train::StepRunner runner(*model, *optimizer);
  const std::vector<data::Batch> batches{batch_of(run), batch_of(run)};
  runner.run(batches, {.lr = 1e-3, .gpu = &device});  // makes tables of positions
  const std::int64_t between = recorder.now();
  recorder.reset_peak();
  runner.run(batches, {.lr = 1e-3, .gpu = &device});
  EXPECT_EQ(recorder.now(), between);
  return {static_cast<double>(between), static_cast<double>(recorder.peak() - between)};
}

std::uint64_t bytes_of(const std::vector<MemoryPart>& parts,
                       std::initializer_list<std::string_view> names) {
  std::uint64_t sum = 0;
  for (const std::string_view name : names) {
    const auto part = std::find_if(parts.begin(), parts.end(),
                                   [&](const MemoryPart& one) { return one.name == name; });
    EXPECT_NE(part, parts.end()) << name;
    if (part != parts.end()) sum += part->bytes;
  }
  return sum;
}

Peak predict(const train::ResolvedRun& run) {
  const auto model =
      model::make_model(run.config.model, kVocab, train::sequences_of(run.config, /*start=*/0));
  const std::vector<MemoryPart> parts = gpu_memory_parts(
      run, {.vocab_size = kVocab,
            .arena_elements = static_cast<std::uint64_t>(model->parameters().arena_elements()),
            .optimizer_bytes =
                optim::state_size(run.config.optimizer, model->parameters()).gpu_memory_bytes,
            .device = c10::kCPU});
  return {
      static_cast<double>(bytes_of(parts, {"weights, fp32", "gradients, fp32", "weights, bf16 copy",
                                           "optimizer state, fp32", "tokens of a step"})),
      static_cast<double>(bytes_of(
          parts, {"activations kept for backward", "logits, one chunk", "gradients in flight"}))};
}

// On the CPU, bf16 products of gradients use a buffer that a GPU does not, and other cores of
// attention run; gpu_memory_parts() is asked for those.
TEST(GpuMemory, PredictsThePeakWithinTenPercent) {
  for (const Case& one : cases())
    for (const train::Precision precision : {train::Precision::kBf16, train::Precision::kFp32}) {
      const train::ResolvedRun run = resolved(one, precision);
      train::test::IdleDevice device;
      const Peak real = measure(run, device), predicted = predict(run);
      const bool bf16 = precision == train::Precision::kBf16;
      EXPECT_GT(device.num_launches(), 50);
      EXPECT_NEAR(predicted.between / real.between, 1, 0.02) << one.name << " bf16 " << bf16;
      // Without bf16 in hardware, the CPU's products have fp32 copies of their operands.
      if (bf16 && ops::widened_product_is_faster()) continue;
      EXPECT_NEAR(predicted.step / real.step, 1, 0.1) << one.name << " bf16 " << bf16;
    }
}

// Rows of padding are multiplied, too: of 4 · 64 rows on a GPU, of 4 · 64 / 4 + 64 on a CPU.
TEST(GpuMemory, LogitsIncludeThePaddingOfTheVocabulary) {
  auto decoder = sized<model::DecoderConfig>(3, 384);
  decoder.pad_vocab_multiple = 4096;
  train::ResolvedRun run = resolved({.name = "padded", .model = decoder}, train::Precision::kFp32);
  EXPECT_EQ(bytes_of(estimate_memory(run, kVocab).process, {"logits, one chunk"}), 128u * 4096 * 4);
  run.device = "cuda";
  EXPECT_EQ(bytes_of(estimate_memory(run, kVocab).gpu, {"logits, one chunk"}), 256u * 4096 * 4);
}

// Allocations do not depend on what kernels compute.
TEST(GpuMemory, KernelsDoNotChangeTheAllocations) {
  auto small = sized<model::DecoderConfig>(1, 48);
  small.d_model = 32;
  const train::ResolvedRun run = resolved(
      {.name = "small", .model = small, .length = 16, .micro_batch = 2}, train::Precision::kBf16);
  train::test::IdleDevice idle;
  gpu::test::HostDevice host;
  EXPECT_EQ(measure(run, idle).step, measure(run, host).step);
}

// The cores of the card differ only in what they need during attention; what they keep does not
// grow with the square of the length.
TEST(GpuMemory, CoresOfTheCardKeepNoScores) {
  const auto step = [](std::int64_t length, std::uint64_t element) {
    const auto config = sized<model::DecoderConfig>(3, 384);
    return model::step_memory(config, length,
                              {.sequences = 4, .vocab_rows = kVocab, .element = element});
  };
  EXPECT_NEAR(static_cast<double>(step(4096, 2).peak) / static_cast<double>(step(2048, 2).peak), 2,
              0.01);
  EXPECT_GT(step(4096, 4).peak, 3 * step(2048, 4).peak);
  EXPECT_LT(step(4096, 4).kept, 3 * step(2048, 4).kept);
}

TEST(GpuMemory, IsListedBesideThatOfTheProcess) {
  train::ResolvedRun run = resolved(cases().front(), train::Precision::kBf16);
  const MemoryEstimate on_cpu = estimate_memory(run, kVocab, 1000, 200);
  EXPECT_TRUE(on_cpu.gpu.empty());
  run.device = "cuda";
  const MemoryEstimate on_gpu = estimate_memory(run, kVocab, 1000, 200);
  EXPECT_EQ(on_gpu.process.size(), 2u);
  EXPECT_EQ(bytes_of(on_gpu.gpu, {"weights, fp32"}), bytes_of(on_cpu.process, {"weights, fp32"}));
  EXPECT_EQ(on_gpu.gpu.back().bytes, gpu_context_bytes());
  EXPECT_GT(sum_of(on_gpu.gpu), sum_of(on_cpu.process) - sum_of(on_gpu.process));
  EXPECT_EQ(sum_of({{"a", 2}, {"b", 3}}), 5u);
}

}  // namespace
}  // namespace sluice::run
