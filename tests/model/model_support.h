// Small models to test, their inputs, and what both need.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "model/language_model.h"
#include "tests/ops/settings.h"

namespace sluice::model::test {

using ops::test::Setting;

inline constexpr std::int64_t kVocabulary = 37;  // stored as 64 rows

// `yaml`: fields of the section `model`, as in "{ffn: relu, bias: true}", over a decoder with 2 layers, d_model 24 and 4 heads.
DecoderConfig small_decoder(std::string_view yaml = "{}");
std::string small_yaml(std::string_view yaml);  // what it is read from

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

// Zeroes the gradients, then loss and backward. Returns the loss.
double differentiate(LanguageModel& model, const Batch& batch, double scale, const ops::Context& context);

}  // namespace sluice::model::test
