// Small test models, their inputs, and helper functions.
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

// A decoder with 2 layers, d_model 24 and 4 heads. `yaml`: further fields of the section `model`,
// e.g. "{ffn: relu, bias: true}".
DecoderConfig small_decoder(std::string_view yaml = "{}");
std::string small_yaml(std::string_view yaml);  // the source of small_decoder(yaml)

// An encoder-decoder of the same size with 3 decoder layers, allocated with gradients and
// initialized; vocabulary 37, stored as 128 rows; start token 0.
EncoderDecoderConfig small_encoder_decoder(std::string_view yaml = "{}");
std::unique_ptr<LanguageModel> build_encoder_decoder(const EncoderDecoderConfig& config,
                                                     const Setting& setting = {},
                                                     std::uint64_t seed = 1);

struct Built {
  DecoderConfig config;
  std::int64_t vocab_size = kVocabulary;
  std::int64_t sequence_length = 12;
  Setting setting = {};
  std::uint64_t seed = 1;
};
// Allocates with gradients and initializes.
std::unique_ptr<LanguageModel> build(const Built& wanted);

// Fills every parameter with numbers of standard deviation `scale` that are exact in bf16; the mean
// is 1 for norm scales, otherwise 0.
void fill_with_numbers(LanguageModel& model, double scale);

// Uniform random tokens; every seventh target is unscored.
Batch random_batch(std::int64_t B, std::int64_t T, std::uint64_t seed, at::Device device,
                   std::int64_t vocab_size = kVocabulary);
std::int64_t num_scored(const Batch& batch);

at::Tensor gradient_of(const LanguageModel& model, const std::string& name);
at::Tensor value_of(const LanguageModel& model, const std::string& name);

// Data exchange with Python: writes the elements of all tensors as `type`, and reads float64.
void write_raw(const std::filesystem::path& path, at::ScalarType type,
               const std::vector<at::Tensor>& tensors);
at::Tensor read_doubles(const std::filesystem::path& path);
// All logical parameters in YAML, one line each: "  - [name, [rows, columns]]".
std::string tensor_list(const LanguageModel& model);
std::vector<at::Tensor> all_values(const LanguageModel& model);

// Zeroes the gradients, computes loss and gradients, and returns the loss.
double differentiate(LanguageModel& model, const Batch& batch, double scale,
                     const ops::Context& context);

}  // namespace sluice::model::test
