#include "model/decoder.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>

#include "base/error.h"
#include "base/text_format.h"
#include "tests/model/model_support.h"

namespace sluice::model::test {
namespace {

constexpr const char* kPositions[] = {"rope", "learned", "sinusoidal", "none"};

DecoderConfig with_position(const char* position, std::string_view rest = "") {
  return small_decoder(cat("{position: {type: ", position, "}", rest, "}"));
}

// For results computed in another order: equal up to rounding, relative to the norm of the tensor.
void expect_near(const at::Tensor& got, const at::Tensor& want, at::ScalarType dtype,
                 const std::string& what) {
  EXPECT_LE((got - want).norm().item<double>(),
            ops::test::tolerance(dtype) * want.norm().item<double>())
      << what;
}

class Decoders : public testing::TestWithParam<Setting> {};

TEST_P(Decoders, NoFutureTokenChangesThePast) {
  constexpr std::int64_t kLength = 40;
  const at::NoGradGuard no_grad;
  for (const char* position : kPositions) {
    const auto model = build({.config = with_position(position, ", num_kv_heads: 2"),
                              .sequence_length = kLength,
                              .setting = GetParam()});
    fill_with_numbers(*model, 0.25);
    const at::Tensor inputs = random_batch(2, kLength, 3, GetParam().device).inputs_BT;
    const at::Tensor before = model->logits({inputs, {}}, GetParam().context());
    for (const std::int64_t changed : {1, 17, 39}) {
      at::Tensor other = inputs.clone();
      other.narrow(1, changed, kLength - changed).add_(5).remainder_(kVocabulary);
      const at::Tensor after = model->logits({other, {}}, GetParam().context());
      EXPECT_TRUE(at::equal(after.narrow(1, 0, changed), before.narrow(1, 0, changed)))
          << position << " from " << changed;
      EXPECT_FALSE(at::equal(after.select(1, changed), before.select(1, changed)))
          << position << " at " << changed;
    }
  }
}

TEST_P(Decoders, NoFuturePositionReceivesAGradientFromThePast) {
  constexpr std::int64_t kLength = 20, kScored = 9;
  const auto model = build(
      {.config = with_position("learned"), .sequence_length = kLength, .setting = GetParam()});
  fill_with_numbers(*model, 0.25);
  Batch batch = random_batch(2, kLength, 3, GetParam().device);
  batch.targets_BT.narrow(1, kScored, kLength - kScored).fill_(-1);
  differentiate(*model, batch, 1.0, GetParam().context());
  const at::Tensor gradient = gradient_of(*model, "position.weight");
  EXPECT_EQ(gradient.narrow(0, kScored, kLength - kScored).abs().max().item<float>(), 0.0f);
  EXPECT_GT(gradient.narrow(0, 0, kScored).abs().amax(1).min().item<float>(), 0.0f);
}

TEST_P(Decoders, PaddedVocabularyRowsHaveNoEffect) {
  for (const char* tied : {"true", "false"}) {
    const auto model = build(
        {.config = small_decoder(cat("{tie_embeddings: ", tied, "}")), .setting = GetParam()});
    fill_with_numbers(*model, 0.25);
    const Batch batch = random_batch(2, 12, 3, GetParam().device);
    const double loss = differentiate(*model, batch, 1.0, GetParam().context());
    const at::Tensor gradient = model->parameters().gradient().clone(),
                     logits = model->logits(batch, GetParam().context());
    EXPECT_EQ(logits.size(2), kVocabulary);

    std::vector<at::Tensor> padding_gradients;
    for (const ops::Parameters::Named& parameter : model->parameters().named()) {
      if (parameter.spec->shape != std::vector<std::int64_t>{kVocabulary, 24}) continue;
      const at::NoGradGuard no_grad;
      const std::int64_t first = parameter.offset + kVocabulary * 24,
                         rows = (64 - kVocabulary) * 24;
      model->parameters().master().narrow(0, first, rows).fill_(100.0);
      padding_gradients.push_back(model->parameters().gradient().narrow(0, first, rows));
    }
    model->parameters().refresh_compute();
    EXPECT_EQ(padding_gradients.size(), std::string_view(tied) == "true" ? 1u : 2u);
    EXPECT_EQ(differentiate(*model, batch, 1.0, GetParam().context()), loss);
    EXPECT_TRUE(at::equal(model->logits(batch, GetParam().context()), logits));
    EXPECT_TRUE(at::equal(model->parameters().gradient(), gradient));
    for (const at::Tensor& padding : padding_gradients)
      EXPECT_EQ(padding.abs().max().item<float>(), 0.0f);
  }
}

TEST_P(Decoders, LossIsTheSameWithAndWithoutGradients) {
  const auto model = build({.config = small_decoder(), .setting = GetParam()});
  const Batch batch = random_batch(3, 12, 3, GetParam().device);
  const double with = differentiate(*model, batch, 0.1, GetParam().context());
  const at::NoGradGuard no_grad;
  EXPECT_EQ(model->loss(batch, {.scale = 0.1}, GetParam().context()).total.item<double>(), with);
}

// Including dropout and unequal numbers of targets per micro-batch.
TEST_P(Decoders, MicroBatchesAddUpToTheWholeBatch) {
  DecoderConfig config = small_decoder("{dropout: 0.2}");
  const auto model = build({.config = config, .setting = GetParam()});
  fill_with_numbers(*model, 0.25);
  Batch batch = random_batch(6, 12, 3, GetParam().device);
  batch.targets_BT[1].fill_(-1);
  const double scale = 1.0 / static_cast<double>(num_scored(batch));
  ops::Context context = GetParam().context();
  context.training = true;
  context.seed = 5;
  const double loss = differentiate(*model, batch, scale, context);
  const at::Tensor gradient = model->parameters().gradient().clone();
  for (const std::int64_t size : {1, 2, 4}) {
    at::Tensor accumulated = model->parameters().gradient();
    accumulated.zero_();
    double sum = 0;
    for (std::int64_t first = 0; first < 6; first += size) {
      const std::int64_t rows = std::min(size, 6 - first);
      context.first_sample = first;
      const at::Tensor part = model
                                  ->loss({batch.inputs_BT.narrow(0, first, rows),
                                          batch.targets_BT.narrow(0, first, rows)},
                                         {.scale = scale}, context)
                                  .total;
      part.backward();
      sum += part.item<double>();
    }
    EXPECT_NEAR(sum, loss, ops::test::tolerance(GetParam().dtype) * loss) << size;
    expect_near(accumulated, gradient, GetParam().dtype,
                cat("gradient with micro-batches of ", size));
  }
}

TEST_P(Decoders, DropoutDependsOnTheStepAndOnlyInTraining) {
  const auto model = build({.config = small_decoder("{dropout: 0.3}"), .setting = GetParam()});
  const Batch batch = random_batch(2, 12, 3, GetParam().device);
  ops::Context context = GetParam().context();
  const auto loss = [&] { return model->loss(batch, {}, context).total.item<double>(); };
  const double whole = loss();
  context.step = 4;
  EXPECT_EQ(loss(), whole);
  context.training = true;
  const double dropped = loss();
  EXPECT_NE(dropped, whole);
  EXPECT_EQ(loss(), dropped);
  context.step = 5;
  EXPECT_NE(loss(), dropped);
}

// Adam (Kingma & Ba 2015) on the whole arena; returns the final loss.
double train_on(LanguageModel& model, const Batch& batch, const ops::Context& context, int steps) {
  const double scale = 1.0 / static_cast<double>(num_scored(batch));
  const at::Tensor gradient = model.parameters().gradient();
  at::Tensor weights = model.parameters().master(), mean = at::zeros_like(weights),
             square = at::zeros_like(weights);
  for (int step = 1; step <= steps; ++step) {
    differentiate(model, batch, scale, context);
    const at::NoGradGuard no_grad;
    mean.mul_(0.9).add_(gradient, 0.1);
    square.mul_(0.99).addcmul_(gradient, gradient, 0.01);
    const double rate = 0.01 * std::sqrt(1 - std::pow(0.99, step)) / (1 - std::pow(0.9, step));
    weights.sub_(rate * mean / (square.sqrt() + 1e-8));
    model.parameters().refresh_compute();
  }
  return differentiate(model, batch, scale, context);
}

TEST_P(Decoders, OverfitOneBatch) {
  for (const char* yaml : {"{ffn: swiglu}",
                           "{ffn: relu, norm: {type: layernorm}, bias: true, position: {type: "
                           "learned}, tie_embeddings: false}"}) {
    const auto model = build({.config = small_decoder(yaml), .setting = GetParam()});
    const Batch batch = random_batch(2, 12, 3, GetParam().device);
    EXPECT_LT(train_on(*model, batch, GetParam().context(), 150), 0.05) << yaml;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Decoders, testing::ValuesIn(ops::test::device_settings()),
                         ops::test::setting_name);

struct Fresh {
  std::int64_t d_model, num_heads, num_layers, vocab_size;
};

class UntrainedModels : public testing::TestWithParam<Fresh> {};

// Between ln V − 1 % and ln V + ½ d σ² + 1 %: a head with standard deviation σ on normalized inputs
// gives logits of variance d σ².
TEST_P(UntrainedModels, StartNearTheLossOfGuessing) {
  const auto& [d_model, num_heads, num_layers, vocab_size] = GetParam();
  // Enough targets for a standard error of 0.02 with logits of variance 1.
  const Batch batch = random_batch(32, 64, 8, at::kCPU, vocab_size);
  const double guess = std::log(static_cast<double>(vocab_size));
  const at::NoGradGuard no_grad;
  const auto check = [&, d = d_model, heads = num_heads, layers = num_layers,
                      rows = vocab_size](const std::string& yaml) {
    DecoderConfig config = small_decoder(yaml);
    config.d_model = d;
    config.num_heads = heads;
    config.num_layers = layers;
    const auto model = build({.config = config, .vocab_size = rows, .sequence_length = 64});
    const double loss =
        model->loss(batch, {.scale = 1.0 / static_cast<double>(num_scored(batch))}, {})
            .total.item<double>();
    const bool fan_in_head = config.init.type == nn::InitType::kFanIn && !config.tie_embeddings;
    const double variance =
        fan_in_head ? 1.0 : static_cast<double>(d) * config.init.std * config.init.std;
    EXPECT_GT(loss, 0.99 * guess) << yaml;
    EXPECT_LT(loss, 1.01 * guess + 0.5 * variance) << yaml;
  };
  for (const char* tied : {"true", "false"}) {
    for (const nn::FfnVariant& variant : nn::kFfnVariants) {
      for (const char* norm : {"rmsnorm", "layernorm"})
        check(
            cat("{ffn: ", variant.name, ", norm: {type: ", norm, "}, tie_embeddings: ", tied, "}"));
    }
    for (const char* position : {"rope", "learned", "sinusoidal", "none"}) {
      for (const char* init : {"normal", "fan_in"})
        check(cat("{position: {type: ", position, "}, init: {type: ", init,
                  "}, tie_embeddings: ", tied, "}"));
    }
  }
}

std::string fresh_name(const testing::TestParamInfo<Fresh>& info) {
  return cat("width_", info.param.d_model, "_vocabulary_", info.param.vocab_size);
}

INSTANTIATE_TEST_SUITE_P(Shapes, UntrainedModels,
                         testing::Values(Fresh{48, 4, 6, 1000}, Fresh{96, 3, 3, 256},
                                         Fresh{192, 3, 2, 2048}),
                         fresh_name);

TEST(Decoder, ModelsWithDifferentFfnsShareAllOtherInitialValues) {
  const auto first = build({.config = small_decoder("{ffn: relu}")}),
             other = build({.config = small_decoder("{ffn: swiglu}")});
  const auto seed = build({.config = small_decoder("{ffn: relu}"), .seed = 2});
  int compared = 0;
  for (const ops::Parameters::Named& parameter : first->parameters().named()) {
    if (parameter.spec->name.find(".ffn.") != std::string::npos) continue;
    ++compared;
    EXPECT_TRUE(at::equal(parameter.value, value_of(*other, parameter.spec->name)))
        << parameter.spec->name;
    if (parameter.spec->init.kind != ops::Init::Kind::kNormal) continue;
    EXPECT_FALSE(at::equal(parameter.value, value_of(*seed, parameter.spec->name)))
        << parameter.spec->name;
  }
  EXPECT_EQ(compared, 1 + 2 * (4 + 2) + 1);
}

// The deviations of GPT-2 and fan-in initialization, measured on the drawn values.
TEST(Decoder, InitialValuesHaveTheDocumentedStd) {
  for (const char* type : {"normal", "fan_in"}) {
    const bool fan_in = std::string_view(type) == "fan_in";
    DecoderConfig config = small_decoder(
        cat("{init: {type: ", type,
            ", std: 0.03}, tie_embeddings: false, position: {type: learned}, bias: true}"));
    config.d_model = 96;
    const auto model = build({.config = config, .vocab_size = 300, .sequence_length = 100});
    for (const ops::Parameters::Named& parameter : model->parameters().named()) {
      const std::string& name = parameter.spec->name;
      if (parameter.spec->shape.size() == 1) {
        EXPECT_TRUE(parameter.value.eq(name.ends_with(".scale") ? 1.0 : 0.0).all().item<bool>())
            << name;
        continue;
      }
      const bool table = name == "embedding.weight" || name == "position.weight";
      const bool residual = name.ends_with("attention.o.weight") || name.ends_with("ffn.w2.weight");
      double want =
          fan_in && !table ? 1 / std::sqrt(static_cast<double>(parameter.spec->shape[1])) : 0.03;
      if (residual) want /= 2;  // 1/sqrt(2 · 2 layers)
      const double got = parameter.value.to(at::kDouble).square().mean().sqrt().item<double>();
      EXPECT_NEAR(got / want, 1,
                  5 / std::sqrt(2.0 * static_cast<double>(parameter.spec->num_elements())))
          << name;
    }
  }
}

TEST(Decoder, RejectsGenerationBeyondTheLearnedPositions) {
  const auto model = build({.config = with_position("learned"), .sequence_length = 12});
  EXPECT_THROW(model->logits(random_batch(1, 13, 1, at::kCPU), {}), InvariantError);
  EXPECT_THROW(model->make_decoding(1, 13), InvariantError);
}

}  // namespace
}  // namespace sluice::model::test
