#include "tests/model/model_support.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <fstream>

#include "base/error.h"
#include "base/random.h"
#include "base/text_format.h"
#include "config/config.h"

namespace sluice::model::test {
namespace {

at::Tensor find(const LanguageModel& model, const std::string& name, bool gradient) {
  for (const ops::Parameters::Named& parameter : model.parameters().named()) {
    if (parameter.spec->name == name) return gradient ? parameter.gradient : parameter.value;
  }
  throw InvariantError("no parameter " + name);
}

}  // namespace

std::string small_yaml(std::string_view yaml) {
  return cat("{num_layers: 2, d_model: 24, num_heads: 4, ", yaml.substr(1));
}

DecoderConfig small_decoder(std::string_view yaml) {
  return config::parse<DecoderConfig>(small_yaml(yaml), "test");
}

EncoderDecoderConfig small_encoder_decoder(std::string_view yaml) {
  const std::string rest(yaml.substr(1));
  return config::parse<EncoderDecoderConfig>(
      cat("{num_layers: 2, num_decoder_layers: 3, d_model: 24, num_heads: 4, ", rest), "test");
}

std::unique_ptr<LanguageModel> build_encoder_decoder(const EncoderDecoderConfig& config,
                                                     const Setting& setting, std::uint64_t seed) {
  auto model = make_model(config, kVocabulary, {70, 20, 0});
  model->parameters().allocate(setting.device, setting.dtype, /*with_gradients=*/true);
  model->parameters().initialize(seed);
  return model;
}

std::unique_ptr<LanguageModel> build(const Built& wanted) {
  auto model = make_model(wanted.config, wanted.vocab_size, wanted.sequence_length);
  model->parameters().allocate(wanted.setting.device, wanted.setting.dtype,
                               /*with_gradients=*/true);
  model->parameters().initialize(wanted.seed);
  return model;
}

void fill_with_numbers(LanguageModel& model, double scale) {
  const at::NoGradGuard no_grad;
  std::uint64_t seed = 500;
  for (const ops::Parameters::Named& parameter : model.parameters().named()) {
    const double mean = parameter.spec->name.ends_with(".scale") ? 1 : 0;
    const at::Tensor numbers =
        mean + ops::test::numbers(parameter.value.sizes().vec(), seed++, scale);
    parameter.value.copy_(numbers.to(at::kBFloat16));
  }
  model.parameters().refresh_compute();
}

Batch random_batch(std::int64_t B, std::int64_t T, std::uint64_t seed, at::Device device,
                   std::int64_t vocab_size) {
  const at::Tensor inputs = at::empty({B, T}, at::kLong), targets = at::empty({B, T}, at::kLong);
  for (std::int64_t i = 0; i < B * T; ++i) {
    const auto n = static_cast<std::uint64_t>(i), bound = static_cast<std::uint64_t>(vocab_size);
    inputs.data_ptr<std::int64_t>()[i] =
        static_cast<std::int64_t>(random_below(random_key(seed, "inputs"), n, bound));
    targets.data_ptr<std::int64_t>()[i] =
        i % 7 == 3 ? -1
                   : static_cast<std::int64_t>(random_below(random_key(seed, "targets"), n, bound));
  }
  return {inputs.to(device), targets.to(device)};
}

std::int64_t num_scored(const Batch& batch) {
  return batch.targets_BT.ge(0).sum().item<std::int64_t>();
}

void write_raw(const std::filesystem::path& path, at::ScalarType type,
               const std::vector<at::Tensor>& tensors) {
  std::ofstream out(path, std::ios::binary);
  for (const at::Tensor& tensor : tensors) {
    const at::Tensor host = tensor.to(at::kCPU, type).contiguous();
    out.write(static_cast<const char*>(host.const_data_ptr()),
              static_cast<std::streamsize>(host.nbytes()));
  }
}

at::Tensor read_doubles(const std::filesystem::path& path) {
  const at::Tensor all = at::empty(
      {static_cast<std::int64_t>(std::filesystem::file_size(path) / sizeof(double))}, at::kDouble);
  std::ifstream(path, std::ios::binary)
      .read(static_cast<char*>(all.data_ptr()), static_cast<std::streamsize>(all.nbytes()));
  return all;
}

std::string tensor_list(const LanguageModel& model) {
  std::string list;
  for (const ops::Parameters::Named& parameter : model.parameters().named()) {
    list += cat("  - [", parameter.spec->name, ", [");
    for (const std::int64_t size : parameter.spec->shape) list += cat(size, ", ");
    list += "]]\n";
  }
  return list;
}

std::vector<at::Tensor> all_values(const LanguageModel& model) {
  std::vector<at::Tensor> values;
  for (const ops::Parameters::Named& parameter : model.parameters().named())
    values.push_back(parameter.value);
  return values;
}

at::Tensor gradient_of(const LanguageModel& model, const std::string& name) {
  return find(model, name, true);
}
at::Tensor value_of(const LanguageModel& model, const std::string& name) {
  return find(model, name, false);
}

double differentiate(LanguageModel& model, const Batch& batch, double scale,
                     const ops::Context& context) {
  at::Tensor gradient = model.parameters().gradient();
  gradient.zero_();
  const at::Tensor loss = model.loss(batch, {.scale = scale}, context).total;
  loss.backward();
  return loss.item<double>();
}

}  // namespace sluice::model::test
