// Compares span corruption with an independent NumPy implementation (span_corruption_oracle.py).
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/random.h"
#include "data/span_corruption.h"
#include "tests/base/temporary_directory.h"

namespace sluice::data {
namespace {

constexpr std::int64_t kBegin = 8, kEnd = 2049;

SpanCorruptionConfig config_of(double density, double mean) {
  SpanCorruptionConfig config;
  config.noise_density = density;
  config.mean_span_length = mean;
  return config;
}

// The paper's settings, and others with different rounding. At most as many spans as kept tokens.
std::vector<SpanCorruptionConfig> configs() {
  return {config_of(0.15, 3),  config_of(0.15, 1),  config_of(0.1, 2.5), config_of(0.25, 2),
          config_of(0.5, 1.5), config_of(0.01, 10), config_of(0.9, 30)};
}

// Segments of many lengths, each with the spans of one random key.
nlohmann::json some_rows(const SpanCorruptionConfig& config) {
  nlohmann::json rows = nlohmann::json::array();
  for (std::int64_t length = kBegin; length < kEnd; length += 1 + length / 8) {
    const Spans spans = random_spans(span_shape(length, config),
                                     random_key(3, "test", {static_cast<std::uint64_t>(length)}));
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(length));
    for (std::size_t i = 0; i < tokens.size(); ++i)
      tokens[i] = static_cast<std::int32_t>(random_below(9, i, 32'000));
    rows.push_back({{"tokens", tokens},
                    {"kept", spans.kept},
                    {"noise", spans.noise},
                    {"pieces", 32'000},
                    {"sentinels", 5000},
                    {"eos", 1}});
  }
  return rows;
}

nlohmann::json ask_numpy(const nlohmann::json& request) {
  const sluice::testing::TemporaryDirectory directory;
  std::ofstream(directory.path() / "in.json") << request;
  const std::string command = std::string("'") + SLUICE_PYTHON + "' '" + SLUICE_SOURCE_DIR +
                              "/tests/data/span_corruption_oracle.py' < '" +
                              (directory.path() / "in.json").string() + "' > '" +
                              (directory.path() / "out.json").string() + "'";
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  std::ifstream out(directory.path() / "out.json");
  return nlohmann::json::parse(out);
}

void expect_shapes(const SpanCorruptionConfig& config, const nlohmann::json& shapes,
                   const nlohmann::json& segments) {
  SpanCorruptionConfig wanted = config;
  for (std::int64_t n = kBegin; n < kEnd; ++n) {
    const SpanShape shape = span_shape(n, config);
    const nlohmann::json found = {shape.num_noise, shape.num_spans, shape.input_length(),
                                  shape.target_length()};
    ASSERT_EQ(found, shapes[static_cast<std::size_t>(n - kBegin)]) << "segment length " << n;
    wanted.input_length = n;
    ASSERT_EQ(segment_length_for(wanted), segments[static_cast<std::size_t>(n - kBegin)])
        << "input length " << n;
  }
}

void expect_row(const SpanCorruptionConfig& config, const nlohmann::json& row,
                const nlohmann::json& expected) {
  const auto tokens = row["tokens"].get<std::vector<std::int32_t>>();
  const SpanRules rules{.shape = span_shape(static_cast<std::int64_t>(tokens.size()), config),
                        .num_pieces = 32'000,
                        .num_sentinels = 5000,
                        .eos = 1};
  std::vector<std::int32_t> inputs(static_cast<std::size_t>(rules.shape.input_length()));
  std::vector<std::int32_t> targets(static_cast<std::size_t>(rules.shape.target_length()));
  corrupt(tokens, {.kept = row["kept"], .noise = row["noise"]}, rules, inputs, targets);
  EXPECT_EQ(nlohmann::json(inputs), expected[0]) << tokens.size();
  EXPECT_EQ(nlohmann::json(targets), expected[1]) << tokens.size();
}

TEST(SpanCorruptionOracle, LengthsAndRowsMatchNumPy) {
  if (std::system(
          (std::string("'") + SLUICE_PYTHON + "' -c 'import numpy' 2> /dev/null").c_str()) != 0)
    GTEST_SKIP() << "no NumPy";
  nlohmann::json request = {{"settings", nlohmann::json::array()},
                            {"rows", nlohmann::json::array()}};
  std::vector<SpanCorruptionConfig> of_rows;
  for (const SpanCorruptionConfig& config : configs()) {
    request["settings"].push_back({{"density", config.noise_density},
                                   {"mean", config.mean_span_length},
                                   {"begin", kBegin},
                                   {"end", kEnd}});
    for (auto& row : some_rows(config)) {
      request["rows"].push_back(row);
      of_rows.push_back(config);
    }
  }
  const nlohmann::json answer = ask_numpy(request);
  for (std::size_t i = 0; i < configs().size(); ++i)
    expect_shapes(configs()[i], answer["shapes"][i], answer["segments"][i]);
  ASSERT_GT(of_rows.size(), 200U);
  for (std::size_t i = 0; i < of_rows.size(); ++i)
    expect_row(of_rows[i], request["rows"][i], answer["rows"][i]);
}

}  // namespace
}  // namespace sluice::data
