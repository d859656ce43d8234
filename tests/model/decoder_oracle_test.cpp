// Compares the decoder with a plain PyTorch implementation (scripts/reference_model.py) in float64
// on the same weights: logits, loss and the gradient of every parameter. One Python process
// computes all cases.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "base/text_format.h"
#include "model/decoder.h"
#include "ops/activations.h"
#include "tests/model/model_support.h"

// Included last: its namespace sluice::testing would hide GoogleTest's.
#include "tests/base/temporary_directory.h"

namespace sluice::model::test {
namespace {

constexpr std::int64_t B = 3, T = 12;

struct Case {
  std::string name, yaml;
};

std::vector<Case> all_cases() {
  std::vector<Case> all;
  for (const nn::FfnVariant& variant : nn::kFfnVariants)
    all.push_back({std::string(variant.name), cat("{ffn: ", variant.name, "}")});
  all.push_back(
      {"layernorm_bias_learned",
       "{ffn: gelu, norm: {type: layernorm, eps: 1e-4}, bias: true, position: {type: learned}}"});
  all.push_back({"bias_sinusoidal", "{ffn: swiglu, bias: true, position: {type: sinusoidal}}"});
  all.push_back({"untied_grouped",
                 "{ffn: geglu, tie_embeddings: false, num_kv_heads: 2, head_dim: 8, position: "
                 "{type: rope, theta: 100}}"});
  all.push_back(
      {"one_kv_head",
       "{ffn: reglu, num_kv_heads: 1, position: {type: none}, norm: {type: layernorm}, d_ff: 20}"});
  return all;
}

std::unique_ptr<LanguageModel> filled(const Case& c, const Setting& setting) {
  auto model = build({.config = small_decoder(c.yaml), .sequence_length = T, .setting = setting});
  fill_with_numbers(*model, 0.25);
  return model;
}

Batch inputs(at::Device device) { return random_batch(B, T, 9, device); }

// Writes the cases to `folder` and runs Python, which writes its outputs there.
void run_reference(const std::filesystem::path& folder) {
  std::ofstream cases(folder / "cases.yaml");
  for (const Case& c : all_cases()) {
    const auto model = filled(c, {});
    cases << "- name: " << c.name << "\n  model: " << small_yaml(c.yaml)
          << "\n  vocab_size: " << kVocabulary << "\n  batch: " << B << "\n  length: " << T
          << "\n  tensors:\n"
          << tensor_list(*model);
    write_raw(folder / (c.name + ".weights"), at::kFloat, all_values(*model));
    write_raw(folder / (c.name + ".tokens"), at::kLong,
              {inputs(at::kCPU).inputs_BT, inputs(at::kCPU).targets_BT});
  }
  cases.close();
  const std::string command = cat('"', SLUICE_PYTHON, "\" \"", SLUICE_SOURCE_DIR,
                                  "/tests/model/reference_outputs.py\" \"", folder.string(), '"');
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
}

// Relative to the norm of the tensor: 64 roundings of fp32, 8 of bf16 (weights are exact in both;
// tensors between ops are rounded). The slope of relu is discontinuous: a fraction of its inputs on
// the order of one rounding changes sign, each with an error of order 1, so norms differ by the
// square root of a rounding; drelu has two such factors, whose errors add.
double allowed(const DecoderConfig& config, at::ScalarType dtype) {
  if (dtype != at::kBFloat16) return 64 * 1.1920929e-7;
  const std::string_view name = config.ffn->activation.name;
  if (name == ops::kDoubleRelu.name) return 2 * std::sqrt(1.0 / 256);
  return name == ops::kRelu.name ? std::sqrt(1.0 / 256) : 8.0 / 256;
}

double distance(const at::Tensor& got, const at::Tensor& want) {
  return (got.detach().to(at::kCPU, at::kDouble).flatten() - want).norm().item<double>();
}

void expect_gradients_agree(const LanguageModel& model, const at::Tensor& want, double tolerance,
                            bool rope, bool bf16) {
  std::int64_t first = 0;
  double key_scale = 0;
  for (const ops::Parameters::Named& parameter : model.parameters().named()) {
    const at::Tensor gradient =
        want.narrow(0, std::exchange(first, first + parameter.spec->num_elements()),
                    parameter.spec->num_elements());
    double scale = gradient.norm().item<double>();
    if (parameter.spec->name.ends_with(".k.weight")) key_scale = scale;
    // A key bias shifts all scores of a query equally, so without rope its gradient is zero up to
    // rounding errors in the scale of the keys.
    if (parameter.spec->name.ends_with(".k.bias") && !rope) scale = key_scale;
    // The gradient of a scalar is one sum whose terms cancel, so rounding errors of bf16 are not in
    // its scale. tests/ops/glu_test.cpp and tests/nn/ffn_test.cpp compare these sums in bf16.
    if (bf16 && parameter.spec->name.find(".activation.") != std::string::npos) continue;
    EXPECT_LE(distance(parameter.gradient, gradient), tolerance * scale)
        << parameter.spec->name << ", of norm " << scale;
  }
  EXPECT_EQ(first, want.numel());
}

void expect_agrees(const Case& c, const at::Tensor& want, const Setting& setting) {
  const auto model = filled(c, setting);
  const DecoderConfig config = small_decoder(c.yaml);
  const Batch batch = inputs(setting.device);
  const double tolerance = allowed(config, setting.dtype);
  const double loss =
      differentiate(*model, batch, 1.0 / static_cast<double>(num_scored(batch)), setting.context());
  EXPECT_NEAR(loss, want[0].item<double>(), tolerance * want[0].item<double>());
  const at::NoGradGuard no_grad;
  constexpr std::int64_t kLogits = B * T * kVocabulary;
  const at::Tensor logits = want.narrow(0, 1, kLogits);
  EXPECT_LE(distance(model->logits(batch, setting.context()), logits),
            tolerance * logits.norm().item<double>())
      << "logits";
  const at::Tensor gradients = want.narrow(0, 1 + kLogits, want.numel() - 1 - kLogits);
  expect_gradients_agree(*model, gradients, tolerance,
                         std::holds_alternative<nn::RopeConfig>(config.position),
                         setting.dtype == at::kBFloat16);
}

TEST(DecoderOracle, AgreesInLossLogitsAndGradients) {
  const sluice::testing::TemporaryDirectory folder;
  ASSERT_NO_FATAL_FAILURE(run_reference(folder.path()));
  for (const Case& c : all_cases()) {
    const at::Tensor want = read_doubles(folder.path() / (c.name + ".outputs"));
    for (const Setting& setting : ops::test::device_settings()) {
      SCOPED_TRACE(c.name + ' ' + name_of(setting));
      expect_agrees(c, want, setting);
    }
  }
}

}  // namespace
}  // namespace sluice::model::test
