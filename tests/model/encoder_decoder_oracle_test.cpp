// Compares the encoder-decoder with `transformers`' T5ForConditionalGeneration in fp32 on the same
// weights: loss, logits and the gradient of every parameter. One case uses dropout with the same
// masks, which checks that the dropout sites are those of T5. One Python process per version of
// `transformers` computes all cases.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "base/text_format.h"
#include "model/block.h"
#include "model/encoder_decoder.h"
#include "ops/activations.h"
#include "ops/dropout.h"
#include "tests/model/model_support.h"
#include "tests/model/transformers_versions.h"

// Included last: its namespace sluice::testing would hide GoogleTest's.
#include "tests/base/temporary_directory.h"

namespace sluice::model::test {
namespace {

constexpr std::int64_t B = 3, S = 70, T = 20, V = 128;

struct Case {
  std::string name, yaml;
  bool trains = false;  // with dropout masks from kMasks
};

const ops::Context kMasks{.training = true, .seed = 5, .step = 3};

// The eight variants of the paper, and options that deviate from its model.
std::vector<Case> all_cases() {
  std::vector<Case> all;
  for (const char* variant :
       {"relu", "gelu", "swish", "glu", "bilinear", "reglu", "geglu", "swiglu"})
    all.push_back({variant, cat("{ffn: ", variant, "}")});
  all.push_back({"untied", "{ffn: geglu, tie_embeddings: false, head_dim: 9, d_ff: 50}"});
  all.push_back({"other_buckets",
                 "{ffn: relu, position: {type: t5_relative, num_buckets: 8, max_distance: 20}}"});
  all.push_back({"dropout", "{ffn: geglu, dropout: 0.2}", /*trains=*/true});
  return all;
}

// A dropout site: its logical name in our model, and the shape of its mask.
struct DropoutSite {
  std::string name;
  std::vector<std::int64_t> shape;
};

// The sites of T5 in the execution order of `transformers`, with the names documented in
// encoder_decoder.h and block.h.
void add_stack(std::vector<DropoutSite>& all, const EncoderDecoderConfig& c, bool decoder) {
  const std::string stack = decoder ? "decoder." : "encoder.";
  const std::int64_t length = decoder ? T : S,
                     num_blocks = decoder ? c.resolved_decoder_layers() : c.num_layers;
  const std::vector<std::int64_t> row{B, length, c.d_model};
  all.push_back({stack + "embedding", row});
  for (std::int64_t i = 0; i < num_blocks; ++i) {
    const std::string block = cat(stack, "blocks.", i, '.');
    all.push_back({block + "attention.probabilities", {B, c.num_heads, length, length}});
    all.push_back({block + "attention", row});
    if (decoder) {
      all.push_back({block + "cross.probabilities", {B, c.num_heads, T, S}});
      all.push_back({block + "cross", row});
    }
    all.push_back({block + "ffn.hidden", {B, length, c.resolved_d_ff().d_ff}});
    all.push_back({block + "ffn", row});
  }
  all.push_back({stack + "final_norm", row});
}

std::vector<DropoutSite> sites_of(const EncoderDecoderConfig& c) {
  std::vector<DropoutSite> all;
  add_stack(all, c, /*decoder=*/false);
  add_stack(all, c, /*decoder=*/true);
  return all;
}

// The factors that each site multiplies its elements by.
std::vector<at::Tensor> masks_of(const EncoderDecoderConfig& c) {
  std::vector<at::Tensor> masks;
  for (const DropoutSite& site : sites_of(c))
    masks.push_back(
        ops::dropout(at::ones(site.shape), c.dropout, ops::dropout_site(site.name), kMasks));
  return masks;
}

std::unique_ptr<LanguageModel> filled(const Case& c, const Setting& setting) {
  auto model = build_encoder_decoder(small_encoder_decoder(c.yaml), setting);
  fill_with_numbers(*model, 0.125);  // moderate scores, which are not divided by sqrt(head_dim)
  return model;
}

Batch inputs(at::Device device) {
  return {random_batch(B, S, 9, device).inputs_BT, random_batch(B, T, 10, device).targets_BT};
}

// The section `model` with numeric widths.
std::string section_of(const EncoderDecoderConfig& c) {
  const auto& position = std::get<nn::T5RelativeConfig>(c.position);
  return cat(
      "{num_layers: ", c.num_layers, ", num_decoder_layers: ", c.resolved_decoder_layers(),
      ", d_model: ", c.d_model, ", num_heads: ", c.num_heads, ", head_dim: ", c.resolved_head_dim(),
      ", ffn: ", c.ffn->name, ", d_ff: ", c.resolved_d_ff().d_ff,
      ", position: {num_buckets: ", position.num_buckets, ", max_distance: ", position.max_distance,
      "}, tie_embeddings: ", c.tie_embeddings ? "true" : "false", ", dropout: ", c.dropout, "}");
}

// Writes the cases to `folder` and runs Python, which writes its outputs there.
void run_reference(const std::filesystem::path& folder, const TransformersVersion& version) {
  std::ofstream cases(folder / "cases.yaml");
  for (const Case& c : all_cases()) {
    const auto model = filled(c, {});
    cases << "- name: " << c.name << "\n  model: " << section_of(small_encoder_decoder(c.yaml))
          << "\n  vocab_size: " << V << "\n  batch: " << B << "\n  inputs: " << S
          << "\n  targets: " << T << "\n  tensors:\n"
          << tensor_list(*model);
    if (c.trains) {
      const EncoderDecoderConfig config = small_encoder_decoder(c.yaml);
      cases << "  masks:\n";
      for (const DropoutSite& site : sites_of(config))
        cases << "  - [\"" << site.name << "\", " << c10::multiply_integers(site.shape) << "]\n";
      write_raw(folder / (c.name + ".masks"), at::kFloat, masks_of(config));
    }
    write_raw(folder / (c.name + ".weights"), at::kFloat, all_values(*model));
    write_raw(folder / (c.name + ".tokens"), at::kLong,
              {inputs(at::kCPU).inputs_BT, inputs(at::kCPU).targets_BT});
  }
  cases.close();
  const std::string command =
      cat('"', version.python, "\" \"", SLUICE_SOURCE_DIR, "/tests/model/t5_outputs.py\" \"",
          folder.string(), "\" ", version.major);
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
}

// Allowed differences from Python. fp32: relative for the loss, otherwise relative to the largest
// element of the tensor. bf16: relative to norms, as in decoder_oracle_test.cpp; the sign changes
// of the relu layers are independent, so their errors add in squares.
struct Tolerance {
  double loss, logits, gradients;
  bool of_norms;
};

Tolerance tolerance_of(const EncoderDecoderConfig& config, at::ScalarType dtype) {
  if (dtype != at::kBFloat16) return {1e-5, 1e-5, 1e-4, false};
  const auto num_ffn = static_cast<double>(config.num_layers + config.resolved_decoder_layers());
  const double rounded =
      config.ffn->activation.name == ops::kRelu.name ? std::sqrt(num_ffn / 256) : 8.0 / 256;
  return {rounded, rounded, rounded, true};
}

void expect_near(const at::Tensor& got, const at::Tensor& want, double allowed, bool of_norms,
                 const std::string& what) {
  const at::Tensor difference = got.detach().to(at::kCPU, at::kDouble).flatten() - want;
  const double error =
      of_norms ? difference.norm().item<double>() : difference.abs().max().item<double>();
  const double scale = of_norms ? want.norm().item<double>() : want.abs().max().item<double>();
  EXPECT_LE(error, allowed * scale) << what << ", of scale " << scale;
}

ops::Context context_of(const Case& c, const Setting& setting) {
  ops::Context context = setting.context();
  context.training = c.trains;
  context.seed = kMasks.seed;
  context.step = kMasks.step;
  return context;
}

// Skipping any single site changes the logits by more than the tolerance, so a model with other
// sites would not agree.
void expect_each_site_matters(const Case& c, const at::Tensor& changes) {
  const std::vector<DropoutSite> sites = sites_of(small_encoder_decoder(c.yaml));
  ASSERT_EQ(changes.numel(), static_cast<std::int64_t>(sites.size()));
  for (std::size_t i = 0; i < sites.size(); ++i)
    EXPECT_GT(changes[static_cast<std::int64_t>(i)].item<double>(), 1e-3) << sites[i].name;
}

void expect_agrees(const Case& c, const at::Tensor& want, const Setting& setting) {
  const auto model = filled(c, setting);
  const Batch batch = inputs(setting.device);
  const Tolerance tolerance = tolerance_of(small_encoder_decoder(c.yaml), setting.dtype);
  const ops::Context context = context_of(c, setting);
  const double loss =
      differentiate(*model, batch, 1.0 / static_cast<double>(num_scored(batch)), context);
  EXPECT_NEAR(loss, want[0].item<double>(), tolerance.loss * want[0].item<double>());
  const at::NoGradGuard no_grad;
  std::int64_t first = 1;
  const auto next = [&](std::int64_t elements) {
    return want.narrow(0, std::exchange(first, first + elements), elements);
  };
  expect_near(model->logits(batch, context), next(B * T * V), tolerance.logits, tolerance.of_norms,
              "logits");
  for (const ops::Parameters::Named& parameter : model->parameters().named())
    expect_near(parameter.gradient, next(parameter.spec->num_elements()), tolerance.gradients,
                tolerance.of_norms, parameter.spec->name);
  if (c.trains) expect_each_site_matters(c, next(want.numel() - first));
  EXPECT_EQ(first, want.numel());
}

class EncoderDecoderOracle : public ::testing::TestWithParam<TransformersVersion> {};

TEST_P(EncoderDecoderOracle, AgreesInLossLogitsAndGradients) {
  const sluice::testing::TemporaryDirectory folder;
  ASSERT_NO_FATAL_FAILURE(run_reference(folder.path(), GetParam()));
  for (const Case& c : all_cases()) {
    const at::Tensor want = read_doubles(folder.path() / (c.name + ".outputs"));
    for (const Setting& setting : ops::test::device_settings()) {
      SCOPED_TRACE(c.name + ' ' + name_of(setting));
      expect_agrees(c, want, setting);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(With, EncoderDecoderOracle, ::testing::ValuesIn(kTransformersVersions),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace sluice::model::test
