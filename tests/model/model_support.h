// Small models to test, their inputs, and what both need.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/language_model.h"
#include "tests/ops/settings.h"

namespace sluice::model::test {

using ops::test::Setting;

inline constexpr std::int64_t kVocabulary = 37;  // stored as 64 rows

// `yaml`: fields of the section `model`, as in "{ffn: relu, bias: true}", over a decoder with 2 layers, d_model 24 and 4 heads.
DecoderConfig small_decoder(std::string_view yaml = "{}");
std::string small_yaml(std::string_view yaml);  // what it is read from

// An encoder-decoder of the same size, its decoder of three layers, with gradients and initialised; vocabulary 37, stored as 128 rows.
// The decoder starts from token 0.
EncoderDecoderConfig small_encoder_decoder(std::string_view yaml = "{}");
std::unique_ptr<LanguageModel> build_encoder_decoder(const EncoderDecoderConfig& config, const Setting& setting = {},
                                                     std::uint64_t seed = 1);

struct Built {
  DecoderConfig config;
  std::int64_t vocab_size = kVocabulary;
  std::int64_t sequence_length = 12;
  Setting setting = {};
  std::uint64_t seed = 1;
};
// Declared, allocated with gradients and initialised.
std::unique_ptr<LanguageModel> build(const Built& wanted);

// Replaces every parameter by numbers of deviation `scale` that bf16 represents; norm scales lie around 1.
void fill_with_numbers(LanguageModel& model, double scale);

// Uniform tokens; every seventh target is not scored.
Batch random_batch(std::int64_t B, std::int64_t T, std::uint64_t seed, at::Device device, std::int64_t vocab_size = kVocabulary);
std::int64_t num_scored(const Batch& batch);

at::Tensor gradient_of(const LanguageModel& model, const std::string& name);
at::Tensor value_of(const LanguageModel& model, const std::string& name);

// Files for tests that ask Python: the elements of tensors one after the other as `type`, and float64 read back.
void write_raw(const std::filesystem::path& path, at::ScalarType type, const std::vector<at::Tensor>& tensors);
at::Tensor read_doubles(const std::filesystem::path& path);
// YAML of all logical parameters: "  - [name, [rows, columns]]", a line each.
std::string tensor_list(const LanguageModel& model);
std::vector<at::Tensor> all_values(const LanguageModel& model);

// Zeroes the gradients, then loss and backward. Returns the loss.
double differentiate(LanguageModel& model, const Batch& batch, double scale, const ops::Context& context);

}  // namespace sluice::model::test
