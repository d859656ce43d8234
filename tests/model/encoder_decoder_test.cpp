#include "model/encoder_decoder.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>

#include "base/error.h"
#include "base/text_format.h"
#include "tests/model/model_support.h"

namespace sluice::model::test {
namespace {

constexpr std::int64_t S = 70, T = 20, V = 128;

Batch random_pair(std::int64_t B, at::Device device) {
  return {random_batch(B, S, 3, device).inputs_BT, random_batch(B, T, 4, device).targets_BT};
}

std::unique_ptr<LanguageModel> filled(const Setting& setting, std::string_view yaml = "{}",
                                      double scale = 0.25) {
  auto model = build_encoder_decoder(small_encoder_decoder(yaml), setting);
  fill_with_numbers(*model, scale);
  return model;
}

// For results computed in another order: equal up to rounding, relative to the norm of the tensor.
void expect_near(const at::Tensor& got, const at::Tensor& want, at::ScalarType dtype,
                 const std::string& what) {
  const double error = (got - want).norm().item<double>(),
               allowed = ops::test::tolerance(dtype) * want.norm().item<double>();
  ops::test::record_error(error, allowed);
  EXPECT_LE(error, allowed) << what;
}

class EncoderDecoders : public testing::TestWithParam<Setting> {};

// Target t is predicted from earlier targets: its logits depend on target t − 1 but not on t.
TEST_P(EncoderDecoders, LaterTargetsDoNotChangeEarlierLogits) {
  const at::NoGradGuard no_grad;
  const auto model = filled(GetParam());
  const Batch batch = random_pair(2, GetParam().device);
  const at::Tensor before = model->logits(batch, GetParam().context());
  for (const std::int64_t changed : {0, 7, 18}) {
    Batch other = batch;
    other.targets_BT = batch.targets_BT.clone();
    other.targets_BT.select(1, changed).fill_(1).add_(batch.targets_BT.select(1, changed).eq(1));
    const at::Tensor after = model->logits(other, GetParam().context());
    EXPECT_TRUE(at::equal(after.narrow(1, 0, changed + 1), before.narrow(1, 0, changed + 1)))
        << changed;
    EXPECT_FALSE(at::equal(after.select(1, changed + 1), before.select(1, changed + 1))) << changed;
  }
}

// The encoder is bidirectional and every target attends to all of its output.
TEST_P(EncoderDecoders, EveryTargetSeesAllOfTheInput) {
  const auto model = filled(GetParam());
  const Batch batch = random_pair(1, GetParam().device);
  const at::NoGradGuard no_grad;
  const at::Tensor before = model->logits(batch, GetParam().context());
  for (const std::int64_t changed : {0, 33, 69}) {
    Batch other = batch;
    other.inputs_BT = batch.inputs_BT.clone();
    other.inputs_BT.select(1, changed).add_(5).remainder_(kVocabulary);
    const at::Tensor after = model->logits(other, GetParam().context());
    EXPECT_TRUE(after.ne(before).any(-1).all().item<bool>()) << "input " << changed;
  }
}

TEST_P(EncoderDecoders, TargetLossesAddUp) {
  const auto model = filled(GetParam());
  const Batch batch = random_pair(2, GetParam().device);
  const double with = differentiate(*model, batch, 1.0, GetParam().context());
  const at::NoGradGuard no_grad;
  EXPECT_EQ(model->loss(batch, {}, GetParam().context()).total.item<double>(), with);
  const at::Tensor nats = model->target_nats(batch, GetParam().context());
  EXPECT_NEAR(nats.sum().item<double>(), with, 1e-9 * with);
  EXPECT_TRUE(nats.masked_select(batch.targets_BT.lt(0)).eq(0).all().item<bool>());
}

// Padded rows are part of the softmax and receive gradients.
TEST_P(EncoderDecoders, PaddedRowsTakePartInTheSoftmax) {
  const auto model = filled(GetParam());
  differentiate(*model, random_pair(2, GetParam().device), 1.0, GetParam().context());
  EXPECT_GT(gradient_of(*model, "embedding.weight")
                .narrow(0, kVocabulary, V - kVocabulary)
                .abs()
                .amax(1)
                .min()
                .item<float>(),
            0.0f);
}

// Including dropout and unequal numbers of targets per micro-batch. A GPU sums in an order that
// depends on the size of the batch, so these weights are small enough that the order matters less
// than what is allowed, which the comparison of both forms shows: with 0.25 in place of 0.1 their
// fp32 gradients differ by five times that.
TEST_P(EncoderDecoders, MicroBatchesAddUpToTheWholeBatch) {
  const auto model = filled(GetParam(), "{dropout: 0.2}", 0.1);
  Batch batch = random_pair(4, GetParam().device);
  batch.targets_BT[1].fill_(-1);
  const double scale = 1.0 / static_cast<double>(num_scored(batch));
  ops::Context context = GetParam().context();
  context.training = true;
  context.seed = 5;
  const double loss = differentiate(*model, batch, scale, context);
  const at::Tensor gradient = model->parameters().gradient().clone();
  ops::Context other = context;
  other.form = context.form == ops::Form::kFastest ? ops::Form::kReference : ops::Form::kFastest;
  differentiate(*model, batch, scale, other);
  expect_near(model->parameters().gradient(), gradient, GetParam().dtype, "the other form");
  for (const std::int64_t size : {1, 3}) {
    at::Tensor accumulated = model->parameters().gradient();
    accumulated.zero_();
    double sum = 0;
    for (std::int64_t first = 0; first < 4; first += size) {
      const std::int64_t rows = std::min(size, 4 - first);
      context.first_sample = first;
      const Batch part{batch.inputs_BT.narrow(0, first, rows),
                       batch.targets_BT.narrow(0, first, rows)};
      const at::Tensor total = model->loss(part, {.scale = scale}, context).total;
      total.backward();
      sum += total.item<double>();
    }
    EXPECT_NEAR(sum, loss, ops::test::tolerance(GetParam().dtype) * loss) << size;
    expect_near(accumulated, gradient, GetParam().dtype,
                cat("gradient with micro-batches of ", size));
  }
}

TEST_P(EncoderDecoders, DropoutDependsOnSeedAndStepAndOnlyInTraining) {
  const auto model = filled(GetParam(), "{dropout: 0.3}");
  const Batch batch = random_pair(2, GetParam().device);
  ops::Context context = GetParam().context();
  const auto loss = [&] { return model->loss(batch, {}, context).total.item<double>(); };
  const double whole = loss();
  EXPECT_EQ(filled(GetParam())->loss(batch, {}, context).total.item<double>(), whole);
  context.training = true;
  const double first = loss();
  EXPECT_NE(first, whole);
  EXPECT_EQ(loss(), first);
  context.step = 1;
  EXPECT_NE(loss(), first);
  context.step = 0;
  context.seed = 1;
  EXPECT_NE(loss(), first);
}

TEST_P(EncoderDecoders, OverfitOneBatch) {
  const auto model = build_encoder_decoder(
      small_encoder_decoder("{ffn: geglu, tie_embeddings: false}"), GetParam());
  const Batch batch = random_pair(2, GetParam().device);
  const double scale = 1.0 / static_cast<double>(num_scored(batch));
  const double before = differentiate(*model, batch, scale, GetParam().context());
  for (int step = 0; step < 60; ++step) {
    {
      const at::NoGradGuard no_grad;
      const at::Tensor& gradient = model->parameters().gradient();
      at::Tensor master = model->parameters().master();
      master.sub_(gradient.sign() * 0.01);
      model->parameters().refresh_compute();
    }
    differentiate(*model, batch, scale, GetParam().context());
  }
  EXPECT_LT(differentiate(*model, batch, scale, GetParam().context()), 0.5 * before);
}

INSTANTIATE_TEST_SUITE_P(All, EncoderDecoders, testing::ValuesIn(ops::test::device_settings()),
                         ops::test::setting_name);

TEST(EncoderDecoder, DeclaresItsParametersByName) {
  const auto model =
      make_model(small_encoder_decoder("{tie_embeddings: false}"), kVocabulary, {S, T, 0});
  std::vector<std::string> first_blocks;
  std::int64_t decoder_blocks = 0;
  for (const ops::ParameterSpec* spec : model->parameters().specs()) {
    const bool block = spec->name.find(".blocks.") != std::string::npos;
    if (!block || spec->name.find(".blocks.0.") != std::string::npos)
      first_blocks.push_back(spec->name);
    decoder_blocks += spec->name.starts_with("decoder.") && spec->name.ends_with(".cross.k.weight");
    EXPECT_EQ(spec->decay, spec->shape.size() == 2 && !spec->name.ends_with("position.weight"))
        << spec->name;
  }
  std::vector<std::string> want{"embedding.weight"};
  for (const std::string stack : {"encoder", "decoder"}) {
    want.push_back(stack + ".position.weight");
    const auto add = [&](std::initializer_list<const char*> names) {
      for (const char* name : names) want.push_back(stack + ".blocks.0." + name);
    };
    add({"attention_norm.scale", "attention.q.weight", "attention.k.weight", "attention.v.weight",
         "attention.o.weight"});
    if (stack == "decoder")
      add({"cross_norm.scale", "cross.q.weight", "cross.k.weight", "cross.v.weight",
           "cross.o.weight"});
    add({"ffn_norm.scale", "ffn.w.weight", "ffn.v.weight", "ffn.w2.weight"});
    want.push_back(stack + ".final_norm.scale");
  }
  want.push_back("head.weight");
  EXPECT_EQ(first_blocks, want);
  EXPECT_EQ(decoder_blocks, 3);
}

TEST(EncoderDecoder, ZeroDropoutMakesTrainingEqualEvaluation) {
  const auto model = filled({});
  const Batch batch = random_pair(2, at::kCPU);
  EXPECT_EQ(model->loss(batch, {}, {.training = true}).total.item<double>(),
            model->loss(batch, {}, {}).total.item<double>());
}

// An untied head is initialized to N(0, 1/d_model) truncated at two deviations (which leaves 0.774
// of the variance), and its input rows have mean square 1. Logits thus have variance 0.774, and log
// Z is about ln V + 0.387. If tied, logits have variance 1, except that the logit of the decoder's
// input token may reach sqrt(d_model): the loss is between ln V + ½ and the bound for this case.
TEST(EncoderDecoder, UntrainedLossMatchesTheInitialDistribution) {
  constexpr std::int64_t kWidth = 64, kRows = 2048;
  for (const bool tied : {false, true}) {
    EncoderDecoderConfig config =
        small_encoder_decoder(cat("{tie_embeddings: ", tied ? "true" : "false", "}"));
    config.d_model = kWidth;
    const auto model = make_model(config, kRows, {S, T, 0});
    model->parameters().allocate(at::kCPU, at::kFloat, false);
    model->parameters().initialize(1);
    const Batch batch{random_batch(8, S, 3, at::kCPU, kRows).inputs_BT,
                      random_batch(8, T, 4, at::kCPU, kRows).targets_BT};
    const at::NoGradGuard no_grad;
    const double loss =
        model->loss(batch, {.scale = 1.0 / static_cast<double>(num_scored(batch))}, {})
            .total.item<double>();
    const double guess = std::log(static_cast<double>(kRows));
    if (!tied) {
      EXPECT_NEAR(loss, guess + 0.387, 0.2);
      continue;
    }
    EXPECT_GT(loss, guess + 0.3);
    EXPECT_LT(loss, std::log(static_cast<double>(kRows) * std::exp(0.5) +
                             std::exp(std::sqrt(static_cast<double>(kWidth)))) +
                        0.2);
  }
}

// Measured on the drawn values.
TEST(EncoderDecoder, InitialValuesHaveTheDocumentedStd) {
  EncoderDecoderConfig config = small_encoder_decoder("{tie_embeddings: false, head_dim: 16}");
  config.d_model = 96;
  const auto model = build_encoder_decoder(config);
  constexpr double kCut = 0.7737;  // fraction of the variance after truncation at two deviations
  for (const ops::Parameters::Named& parameter : model->parameters().named()) {
    const std::string& name = parameter.spec->name;
    if (parameter.spec->shape.size() == 1) continue;
    double variance = 1.0 / static_cast<double>(parameter.spec->shape[1]);
    if (name == "embedding.weight") variance = 1;
    if (name.ends_with(".q.weight")) variance = 1.0 / (96 * 16);
    if (name.find(".ffn.") != std::string::npos || name == "head.weight") variance *= kCut;
    if (name.ends_with("position.weight")) variance = 6.0 / (4 + 32) / 3;
    const double got = parameter.value.to(at::kDouble).square().mean().item<double>();
    EXPECT_NEAR(got / variance, 1,
                6 * std::sqrt(2.0 / static_cast<double>(parameter.spec->num_elements())))
        << name;
  }
}

TEST(EncoderDecoder, RejectsSequencesWithoutAStartToken) {
  EXPECT_THROW(make_model(small_encoder_decoder(), kVocabulary, 12), InvariantError);
}

}  // namespace
}  // namespace sluice::model::test
