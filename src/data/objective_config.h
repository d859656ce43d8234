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

class Objective;  // data/objective.h: what an objective does; made by its make()

// Every token is predicted from those before it.
struct CausalConfig {
  static constexpr std::string_view kind = "causal_lm";
  static constexpr auto fields() { return std::tuple{}; }
};
std::unique_ptr<const Objective> make(const CausalConfig& config, std::optional<std::int64_t> sequence_length);

// An encoder-decoder writes the spans that its input has lost (data/span_corruption.h).
struct SpanCorruptionConfig {
  static constexpr std::string_view kind = "span_corruption";
  std::int64_t input_length = 512;
  double noise_density = 0.15;
  double mean_span_length = 3.0;
  std::int64_t sentinels = 100;

  static constexpr auto fields() {
    using config::field;
    using C = SpanCorruptionConfig;
    return std::tuple{field<&C::input_length>(
                          "Tokens that the encoder reads, sentinels and end token included. The length of the raw segments and of the "
                          "targets follows: 512 gives 568 and 114.",
                          config::Between{8, 65536}),
                      field<&C::noise_density>("Share of a segment's tokens that the decoder has to write.", config::Between{0.01, 0.9}),
                      field<&C::mean_span_length>("Mean length of a span, in tokens. It gives the number of spans, which is fixed.",
                                                  config::Between{1, 1000}),
                      field<&C::sentinels>("Ids behind the tokenizer's pieces that stand for spans; the first span has the highest.",
                                           config::Between{1, 65536})};
  }
  // As many sentinels as there are spans, and a kept token before each.
  static void check(const SpanCorruptionConfig& c, config::Problems& problems);
};
std::unique_ptr<const Objective> make(const SpanCorruptionConfig& config, std::optional<std::int64_t> sequence_length);

using ObjectiveConfig = std::variant<CausalConfig, SpanCorruptionConfig>;

std::string_view kind_of(const ObjectiveConfig& config);  // "causal_lm"

}  // namespace sluice::data
