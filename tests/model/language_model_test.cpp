#include "model/language_model.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text_format.h"
#include "model/decoder.h"
#include "tests/model/model_support.h"

namespace sluice::model::test {
namespace {

std::int64_t part(const ModelSizes& sizes, std::string_view name) {
  for (const Part& p : sizes.parts) {
    if (p.name == name) return p.num_parameters;
  }
  return -1;
}

// The quickstart: 4 layers of width 192, 3 heads of 64, swiglu of width 512, 4096 pieces, tied.
TEST(ModelSizes, MatchTheQuickstartByHand) {
  const ModelSizes sizes = model_sizes(DecoderConfig{}, 4096, 256);
  EXPECT_EQ(part(sizes, "embedding"), 4096 * 192);
  EXPECT_EQ(part(sizes, "attention"), 4 * 4 * 192 * 192);
  EXPECT_EQ(part(sizes, "ffn"), 4 * 3 * 192 * 512);
  EXPECT_EQ(part(sizes, "norm"), 9 * 192);
  EXPECT_EQ(part(sizes, "head"), 0);
  EXPECT_EQ(sizes.num_parameters, 2557632);
  EXPECT_EQ(sizes.num_non_embedding_parameters, 2557632 - 4096 * 192);
  EXPECT_EQ(sizes.d_ff, 512);
  EXPECT_EQ(sizes.d_ff_mismatch, 0.0);
  EXPECT_DOUBLE_EQ(
      sizes.flops_per_token,
      6.0 * (4 * 4 * 192 * 192 + 4 * 3 * 192 * 512 + 4096 * 192) + 12.0 * 4 * 192 * 256);
}

struct Shape {
  std::string yaml;
  std::int64_t matrices, kv_heads, head_dim, d_ff;
  bool bias, layernorm, learned, tied;
};

TEST(ModelSizes, FollowTheFormula) {
  constexpr std::int64_t V = 100, T = 16, L = 2, d = 24, H = 4;
  const Shape shapes[] = {
      {"{ffn: relu}", 2, 4, 6, 96, false, false, false, true},
      {"{ffn: swiglu}", 3, 4, 6, 64, false, false, false, true},
      {"{ffn: geglu, tie_embeddings: false, num_kv_heads: 2, head_dim: 10}", 3, 2, 10, 64, false,
       false, false, false},
      {"{ffn: bilinear, bias: true, position: {type: learned}, d_ff: 50}", 3, 4, 6, 50, true, false,
       true, true},
      {"{ffn: gelu, bias: true, norm: {type: layernorm}, position: {type: sinusoidal}}", 2, 4, 6,
       96, true, true, false, true},
      {"{ffn: squared_reglu, norm: {type: layernorm}, d_ff_reference: 48}", 3, 4, 6, 32, false,
       true, false, true},
  };
  for (const Shape& s : shapes) {
    const std::int64_t q = H * s.head_dim, kv = s.kv_heads * s.head_dim;
    const std::int64_t attention = d * (q + 2 * kv) + q * d, ffn = s.matrices * d * s.d_ff;
    const std::int64_t biases = s.bias ? q + 2 * kv + d + (s.matrices - 1) * s.d_ff + d : 0;
    const std::int64_t norms = (2 * L + 1) * d * (s.bias && s.layernorm ? 2 : 1);
    const std::int64_t outside = V * d * (s.tied ? 1 : 2) + (s.learned ? T * d : 0);
    const ModelSizes sizes = model_sizes(small_decoder(s.yaml), V, T);
    EXPECT_EQ(sizes.num_parameters, L * (attention + ffn + biases) + norms + outside) << s.yaml;
    EXPECT_EQ(sizes.num_non_embedding_parameters, sizes.num_parameters - outside) << s.yaml;
    EXPECT_EQ(part(sizes, "norm"), norms) << s.yaml;
    EXPECT_EQ(part(sizes, "head"), s.tied ? 0 : V * d) << s.yaml;
    EXPECT_DOUBLE_EQ(sizes.flops_per_token,
                     static_cast<double>(6 * (L * (attention + ffn) + V * d) + 12 * L * q * T))
        << s.yaml;
    EXPECT_DOUBLE_EQ(sizes.multiply_adds_per_token(),
                     static_cast<double>(L * (attention + ffn) + V * d + 2 * L * q * T))
        << s.yaml;
    EXPECT_EQ(sizes.d_ff, s.d_ff) << s.yaml;
    double sum = 0;
    for (const Part& p : sizes.parts) sum += p.flops_per_token;
    EXPECT_DOUBLE_EQ(sum, sizes.flops_per_token) << s.yaml;
  }
}

TEST(ModelSizes, MatchTheAllocatedParameters) {
  for (const nn::FfnVariant& variant : nn::kFfnVariants) {
    const Built wanted{.config = small_decoder(cat("{ffn: ", variant.name, ", bias: true}"))};
    std::int64_t elements = 0;
    for (const ops::Parameters::Named& parameter : build(wanted)->parameters().named())
      elements += parameter.value.numel();
    EXPECT_EQ(elements,
              model_sizes(wanted.config, wanted.vocab_size, wanted.sequence_length).num_parameters)
        << variant.name;
  }
}

// All variants have the same number of operations, and of parameters except learned scalars.
TEST(ModelSizes, AreEqualForAllVariantsAtMatchedWidth) {
  const ModelSizes relu = model_sizes(small_decoder("{ffn: relu}"), 100, 16);
  for (const nn::FfnVariant& variant : nn::kFfnVariants) {
    const DecoderConfig config = small_decoder(cat("{ffn: ", variant.name, "}"));
    const ModelSizes sizes = model_sizes(config, 100, 16);
    EXPECT_EQ(sizes.num_parameters,
              relu.num_parameters + config.num_layers * variant.activation.num_scalars())
        << variant.name;
    EXPECT_EQ(sizes.flops_per_token, relu.flops_per_token) << variant.name;
  }
}

TEST(ModelSizes, NeedNoMemoryForTheLargestConfigurableModel) {
  DecoderConfig config = small_decoder("{head_dim: 4096, d_ff: 16777216}");
  config.num_layers = 10000;
  config.d_model = 65536;
  config.num_heads = 4096;
  const ModelSizes sizes = model_sizes(config, 2147483647, 1048576);
  const double heads = 4096.0 * 4096.0;
  const double want = 10000.0 * (4 * heads * 65536 + 3.0 * 65536 * 16777216) + 2147483647.0 * 65536;
  EXPECT_NEAR(static_cast<double>(sizes.num_parameters) / want, 1, 1e-6);
  EXPECT_NEAR(sizes.flops_per_token / (6 * want + 12.0 * 10000 * heads * 1048576), 1, 1e-6);
}

// Several processes exchange only the compute copy of operands (train/shared_weights.h): whatever
// runs between two updates must not read their fp32 values.
void expect_only_copies_are_read(LanguageModel& model, int num_operands, const std::string& what) {
  const Batch batch = random_batch(2, 12, 3, at::kCPU);
  ops::Context context = Setting{}.context();
  const auto outputs = [&] {
    const at::NoGradGuard no_grad;
    context.training = false;
    const auto decoding = model.make_decoding(1, 12);
    const std::vector<std::int32_t> inputs = {3, 5, 7}, ids = {2, 4};
    decoding->start(0, model.start_id() ? std::span(inputs) : std::span<const std::int32_t>());
    const Feed feed{.sequence = 0, .ids = ids};
    return std::vector<at::Tensor>{model.target_nats(batch, context),
                                   decoding->append({&feed, 1}).clone()};
  };
  const auto gradient = [&] {
    context.training = true;
    const double loss = differentiate(model, batch, 0.1, context);
    return std::pair{loss, model.parameters().gradient().clone()};
  };
  const auto first_outputs = outputs();
  const auto first = gradient();
  for (const ops::Parameters::Named& parameter : model.parameters().named()) {
    if (!parameter.spec->is_operand) continue;
    const at::NoGradGuard no_grad;
    at::Tensor(parameter.value).fill_(std::nan(""));
    --num_operands;
  }
  EXPECT_EQ(num_operands, 0) << what;
  const auto second_outputs = outputs();
  const auto second = gradient();
  EXPECT_EQ(first.first, second.first) << what;
  EXPECT_TRUE(at::equal(first.second, second.second)) << what;
  for (std::size_t i = 0; i < first_outputs.size(); ++i)
    EXPECT_TRUE(at::equal(first_outputs[i], second_outputs[i])) << what << " " << i;
}

TEST(LanguageModel, ReadsOnlyTheCopyOfOperands) {
  const Setting bf16{.dtype = at::kBFloat16};
  const std::string with_bias = "{ffn: swiglu, bias: true}",
                    untied = "{ffn: xielu, tie_embeddings: false}",
                    t5 = "{ffn: geglu, dropout: 0.1}";
  expect_only_copies_are_read(*build({.config = small_decoder(with_bias), .setting = bf16}),
                              2 * (4 + 3), with_bias);
  expect_only_copies_are_read(*build({.config = small_decoder(untied), .setting = bf16}),
                              2 * (4 + 2), untied);
  expect_only_copies_are_read(*build_encoder_decoder(small_encoder_decoder(t5), bf16),
                              2 * (4 + 3) + 3 * (8 + 3), t5);
}

void expect_refused(const DecoderConfig& config, std::int64_t sequence_length,
                    std::initializer_list<std::string_view> words) {
  try {
    make_model(config, kVocabulary, sequence_length);
    ADD_FAILURE() << "configuration was accepted";
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    for (const std::string_view word : words)
      EXPECT_NE(std::string_view(error.what()).find(word), std::string_view::npos) << error.what();
  }
}

TEST(MakeModel, RejectsAVocabularyOtherThanTheTokenizers) {
  DecoderConfig config = small_decoder("{vocab_size: 36}");
  expect_refused(config, 12, {"model.vocab_size", "36", "37"});
  config.vocab_size = kVocabulary;
  EXPECT_NO_THROW(make_model(config, kVocabulary, 12));
}

TEST(MakeModel, RejectsFewerLearnedPositionsThanTheWindow) {
  expect_refused(small_decoder("{position: {type: learned, max_length: 8}}"), 9,
                 {"model.position.max_length", "8", "9"});
  EXPECT_NO_THROW(
      make_model(small_decoder("{position: {type: learned, max_length: 8}}"), kVocabulary, 8));
}

TEST(MakeModel, AppliesTheConfigurationChecks) {
  DecoderConfig config = small_decoder();
  config.num_heads = 5;
  expect_refused(config, 12, {"model.num_heads", "5", "24"});
}

}  // namespace
}  // namespace sluice::model::test
