#include "data/objective_config.h"

#include <gtest/gtest.h>

#include "config/config.h"
#include "tests/text/text_support.h"

namespace sluice::data {
namespace {

using sluice::testing::message_of;

struct Root {
  ObjectiveConfig objective;
  static constexpr auto fields() {
    return std::tuple{config::field<&Root::objective>("Training objective.")};
  }
};

ObjectiveConfig parse(const std::string& section) {
  return config::parse<Root>("objective: " + section, "test").objective;
}

TEST(ObjectiveConfig, DefaultsToCausal) {
  EXPECT_TRUE(std::holds_alternative<CausalConfig>(Root().objective));
  EXPECT_TRUE(std::holds_alternative<CausalConfig>(parse("{type: causal_lm}")));
  const auto defaults = std::get<SpanCorruptionConfig>(parse("{type: span_corruption}"));
  EXPECT_EQ(defaults.input_length, 512);
  EXPECT_EQ(defaults.noise_density, 0.15);
  EXPECT_EQ(defaults.mean_span_length, 3);
  EXPECT_EQ(defaults.sentinels, 100);
  const auto given = std::get<SpanCorruptionConfig>(
      parse("{type: span_corruption, input_length: 128, noise_density: 0.2, mean_span_length: 4, "
            "sentinels: 20}"));
  EXPECT_EQ(given.input_length, 128);
  EXPECT_EQ(given.sentinels, 20);
}

TEST(ObjectiveConfig, RejectsInvalidValuesByName) {
  const std::pair<const char*, const char*> bad[] = {
      {"{type: span}", "objective.type"},
      {"{type: causal_lm, sentinels: 3}", "objective.sentinels"},
      {"{type: span_corruption, input_length: 7}", "objective.input_length"},
      {"{type: span_corruption, input_length: 100000}", "objective.input_length"},
      {"{type: span_corruption, noise_density: 0}", "objective.noise_density"},
      {"{type: span_corruption, noise_density: 1}", "objective.noise_density"},
      {"{type: span_corruption, mean_span_length: 0.5}", "objective.mean_span_length"},
      {"{type: span_corruption, sentinels: 0}", "objective.sentinels"},
      {"{type: span_corruption, sentinels: 27}",
       "objective.sentinels: received 27; expected at least 28"},
      {"{type: span_corruption, input_length: 65536}",
       "objective.sentinels: received 100; expected at least"},
      {"{type: span_corruption, noise_density: 0.9, mean_span_length: 1, sentinels: 9999}",
       "objective.mean_span_length: received 1;"},
  };
  for (const auto& [section, path] : bad) {
    const std::string message = message_of(ExitCode::kUsage, [&, text = section] { parse(text); });
    EXPECT_NE(message.find(path), std::string::npos) << section << "\n" << message;
  }
}

}  // namespace
}  // namespace sluice::data
