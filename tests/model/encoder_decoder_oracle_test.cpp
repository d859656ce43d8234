// The encoder-decoder against T5ForConditionalGeneration of `transformers`, fp32, on the same weights: loss, logits and the gradient of every
// parameter. One Python process answers for all cases.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "base/text_format.h"
#include "model/encoder_decoder.h"
#include "ops/activations.h"
#include "tests/model/model_support.h"

#include "tests/base/temporary_directory.h"  // last: its namespace `testing` would stand before GoogleTest's

namespace sluice::model::test {
namespace {

constexpr std::int64_t B = 3, S = 70, T = 20, V = 128;

struct Case {
  std::string name, yaml;
};

// The paper's eight, and what differs from its model.
std::vector<Case> all_cases() {
  std::vector<Case> all;
  for (const char* variant : {"relu", "gelu", "swish", "glu", "bilinear", "reglu", "geglu", "swiglu"})
    all.push_back({variant, cat("{ffn: ", variant, "}")});
  all.push_back({"untied", "{ffn: geglu, tie_embeddings: false, head_dim: 9, d_ff: 50}"});
  all.push_back({"other_buckets", "{ffn: relu, position: {type: t5_relative, num_buckets: 8, max_distance: 20}}"});
  return all;
}

std::unique_ptr<LanguageModel> filled(const Case& c, const Setting& setting) {
  auto model = build_encoder_decoder(small_encoder_decoder(c.yaml), setting);
  fill_with_numbers(*model, 0.125);  // scores of some units: they are not divided by sqrt(head_dim)
  return model;
}

Batch inputs(at::Device device) { return {random_batch(B, S, 9, device).inputs_BT, random_batch(B, T, 10, device).targets_BT}; }

// The section `model` with every width as a number.
std::string section_of(const EncoderDecoderConfig& c) {
  const auto& position = std::get<nn::T5RelativeConfig>(c.position);
  return cat("{num_layers: ", c.num_layers, ", num_decoder_layers: ", c.resolved_decoder_layers(), ", d_model: ", c.d_model,
             ", num_heads: ", c.num_heads, ", head_dim: ", c.resolved_head_dim(), ", ffn: ", c.ffn->name,
             ", d_ff: ", c.resolved_d_ff().d_ff, ", position: {num_buckets: ", position.num_buckets,
             ", max_distance: ", position.max_distance, "}, tie_embeddings: ", c.tie_embeddings ? "true" : "false", "}");
}

// Describes the cases, lets Python answer, and leaves the answers in the folder.
void ask_python(const std::filesystem::path& folder) {
  std::ofstream cases(folder / "cases.yaml");
  for (const Case& c : all_cases()) {
    const auto model = filled(c, {});
    cases << "- name: " << c.name << "\n  model: " << section_of(small_encoder_decoder(c.yaml)) << "\n  vocab_size: " << V
          << "\n  batch: " << B << "\n  inputs: " << S << "\n  targets: " << T << "\n  tensors:\n"
          << tensor_list(*model);
    write_raw(folder / (c.name + ".weights"), at::kFloat, all_values(*model));
    write_raw(folder / (c.name + ".tokens"), at::kLong, {inputs(at::kCPU).inputs_BT, inputs(at::kCPU).targets_BT});
  }
  cases.close();
  const std::string command = cat('"', SLUICE_PYTHON, "\" \"", SLUICE_SOURCE_DIR, "/tests/model/t5_outputs.py\" \"", folder.string(), '"');
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
}

// How far results may lie from Python's. fp32: relative loss, logits against the largest logit, gradients against each tensor's largest
// element. bf16: as in decoder_oracle_test.cpp, of norms; each feed-forward layer's relu changes sides on its own, so that errors add in squares.
struct Tolerance {
  double loss, logits, gradients;
  bool of_norms;
};

Tolerance tolerance_of(const EncoderDecoderConfig& config, at::ScalarType dtype) {
  if (dtype != at::kBFloat16) return {1e-5, 1e-5, 1e-4, false};
  const auto num_ffn = static_cast<double>(config.num_layers + config.resolved_decoder_layers());
  const double rounded = config.ffn->activation.name == ops::kRelu.name ? std::sqrt(num_ffn / 256) : 8.0 / 256;
  return {rounded, rounded, rounded, true};
}

void expect_near(const at::Tensor& got, const at::Tensor& want, double allowed, bool of_norms, const std::string& what) {
  const at::Tensor difference = got.detach().to(at::kCPU, at::kDouble).flatten() - want;
  const double error = of_norms ? difference.norm().item<double>() : difference.abs().max().item<double>();
  const double scale = of_norms ? want.norm().item<double>() : want.abs().max().item<double>();
  EXPECT_LE(error, allowed * scale) << what << ", of scale " << scale;
}

void expect_agrees(const Case& c, const at::Tensor& want, const Setting& setting) {
  const auto model = filled(c, setting);
  const Batch batch = inputs(setting.device);
  const Tolerance tolerance = tolerance_of(small_encoder_decoder(c.yaml), setting.dtype);
  const double loss = differentiate(*model, batch, 1.0 / static_cast<double>(num_scored(batch)), setting.context());
  EXPECT_NEAR(loss, want[0].item<double>(), tolerance.loss * want[0].item<double>());
  const at::NoGradGuard no_grad;
  std::int64_t first = 1;
  const auto next = [&](std::int64_t elements) { return want.narrow(0, std::exchange(first, first + elements), elements); };
  expect_near(model->logits(batch, setting.context()), next(B * T * V), tolerance.logits, tolerance.of_norms, "logits");
  for (const ops::Parameters::Named& parameter : model->parameters().named())
    expect_near(parameter.gradient, next(parameter.spec->num_elements()), tolerance.gradients, tolerance.of_norms, parameter.spec->name);
  EXPECT_EQ(first, want.numel());
}

TEST(EncoderDecoderOracle, agrees_with_transformers_in_loss_logits_and_gradients) {
  const sluice::testing::TemporaryDirectory folder;
  ASSERT_NO_FATAL_FAILURE(ask_python(folder.path()));
  for (const Case& c : all_cases()) {
    const at::Tensor want = read_doubles(folder.path() / (c.name + ".outputs"));
    for (const Setting& setting : ops::test::all_settings()) {
      SCOPED_TRACE(c.name + ' ' + name_of(setting));
      expect_agrees(c, want, setting);
    }
  }
}

}  // namespace
}  // namespace sluice::model::test
