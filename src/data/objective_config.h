// Section `objective`: what the model learns from the text.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>

#include "config/field.h"

namespace sluice::data {

class Objective;  // data/objective.h

// Every token is predicted from those before it.
struct CausalConfig {
  static constexpr std::string_view kind = "causal_lm";
  static constexpr auto fields() { return std::tuple{}; }
};
std::unique_ptr<const Objective> make(const CausalConfig& config,
                                      std::optional<std::int64_t> sequence_length);

// An encoder-decoder reconstructs the spans removed from its input (data/span_corruption.h).
struct SpanCorruptionConfig {
  static constexpr std::string_view kind = "span_corruption";
  std::int64_t input_length = 512;
  double noise_density = 0.15;
  double mean_span_length = 3.0;
  std::int64_t sentinels = 100;

  static constexpr auto fields() {
    using config::field;
    using C = SpanCorruptionConfig;
    return std::tuple{
        field<&C::input_length>(
            "Encoder input tokens, including sentinels and the end token. Determines the lengths "
            "of the raw segments and of the targets: 512 gives 568 and 114.",
            config::Between{8, 65536}),
        field<&C::noise_density>("Fraction of a segment's tokens that the decoder must predict.",
                                 config::Between{0.01, 0.9}),
        field<&C::mean_span_length>(
            "Mean span length in tokens. Determines the number of spans, which is fixed.",
            config::Between{1, 1000}),
        field<&C::sentinels>(
            "Number of sentinel ids, which follow the tokenizer's pieces; the first span has the "
            "highest.",
            config::Between{1, 65536})};
  }
  // Requires a sentinel for each span and a kept token before each.
  static void check(const SpanCorruptionConfig& c, config::Problems& problems);
};
std::unique_ptr<const Objective> make(const SpanCorruptionConfig& config,
                                      std::optional<std::int64_t> sequence_length);

using ObjectiveConfig = std::variant<CausalConfig, SpanCorruptionConfig>;

std::string_view kind_of(const ObjectiveConfig& config);  // "causal_lm"

}  // namespace sluice::data
