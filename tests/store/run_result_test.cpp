#include "store/run_result.h"

#include <bit>
#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "store/run_directory.h"
#include "tests/store/store_support.h"

namespace sluice::store {
namespace {

RunResult example() {
  RunResult r;
  r.step = 4200;
  r.tokens = std::numeric_limits<std::uint64_t>::max();
  r.figures.log_perplexity = 1.0 / 3;
  r.figures.perplexity = std::exp(1.0 / 3);
  r.figures.bits_per_byte = std::nextafter(0.1, 1);
  r.num_targets = 7;
  r.num_dropped_tokens = 33;
  r.documents = {{0.1 + 0.2, 3}, {5e-324, 0}, {-0.0, 4}};
  r.num_parameters = 222'903'552;
  r.flops_per_token = 1.7976931348623157e308;
  r.multiply_adds_per_token = 12345678.9;
  r.training_seconds = 1e-3 / 7;
  r.config = "run: {name: \"blåbär\"}\n";
  r.data_fingerprint = std::string(32, 'a');
  r.tokenizer_hash = std::string(32, 'b');
  r.build = "0.1.0 (9ce2175)";
  r.libtorch = "2.13.0+cpu";
  r.cpu = "A \"processor\"";
  r.device = "cpu";
  r.precision = "bf16";
  r.threads = 2;
  return r;
}

std::string written(const RunResult& result) {
  const ScratchDirectory scratch;
  write_run_result(result, scratch / "result.json");
  return read_file(scratch / "result.json");
}

// Reads `text` as a result file, which must fail; returns the error message.
std::string fault_of(const std::string& text) {
  const ScratchDirectory scratch;
  write_text(scratch / "result.json", text);
  return error_of(ExitCode::kBadData, [&] { read_run_result(scratch / "result.json"); });
}

TEST(RunResult, RoundTripsEveryFieldExactly) {
  const ScratchDirectory scratch;
  const RunResult r = example();
  const fs::path path = RunPaths{scratch.path()}.result();
  EXPECT_EQ(path, scratch / "result.json");
  write_run_result(r, path);
  const RunResult back = read_run_result(path);
  EXPECT_EQ(back.step, r.step);
  EXPECT_EQ(back.tokens, r.tokens);
  EXPECT_EQ(back.figures.log_perplexity, r.figures.log_perplexity);
  EXPECT_EQ(back.figures.perplexity, r.figures.perplexity);
  EXPECT_EQ(back.figures.bits_per_byte, r.figures.bits_per_byte);
  EXPECT_FALSE(back.figures.word_perplexity.has_value());
  EXPECT_EQ(back.num_targets, r.num_targets);
  EXPECT_EQ(back.num_dropped_tokens, r.num_dropped_tokens);
  ASSERT_EQ(back.documents.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(back.documents[i].nats, r.documents[i].nats);
    EXPECT_EQ(back.documents[i].num_targets, r.documents[i].num_targets);
  }
  EXPECT_TRUE(std::signbit(back.documents[2].nats));
  EXPECT_EQ(back.num_parameters, r.num_parameters);
  EXPECT_EQ(back.flops_per_token, r.flops_per_token);
  EXPECT_EQ(back.multiply_adds_per_token, r.multiply_adds_per_token);
  EXPECT_EQ(back.training_seconds, r.training_seconds);
  EXPECT_EQ(back.config, r.config);
  EXPECT_EQ(back.data_fingerprint, r.data_fingerprint);
  EXPECT_EQ(back.tokenizer_hash, r.tokenizer_hash);
  EXPECT_EQ(back.build, r.build);
  EXPECT_EQ(back.libtorch, r.libtorch);
  EXPECT_EQ(back.cpu, r.cpu);
  EXPECT_EQ(back.device, r.device);
  EXPECT_EQ(back.precision, r.precision);
  EXPECT_EQ(back.threads, r.threads);
  EXPECT_EQ(written(back), written(r));
}

// Revision 4257f81 wrote this result without num_dropped_tokens; its seal covers every byte.
TEST(RunResult, ReadsAnEarlierVersionAndKeepsItsHash) {
  RunResult r = example();
  r.num_dropped_tokens.reset();
  const std::string earlier = written(r);
  EXPECT_NE(earlier.find("\"seal_xxh3_128\":\"4f27c8f866472680b0ef0421fb2296b2\""),
            std::string::npos)
      << earlier;
  const ScratchDirectory scratch;
  write_text(scratch / "r", earlier);
  const RunResult back = read_run_result(scratch / "r");
  EXPECT_FALSE(back.num_dropped_tokens.has_value());
  EXPECT_EQ(back.num_targets, r.num_targets);
  EXPECT_EQ(written(back), earlier);
}

TEST(RunResult, RoundTripsUniformAndInitialLogPerplexity) {
  RunResult r = example();
  r.uniform_log_perplexity = std::log(4096);
  r.initial_log_perplexity = 8.3295;
  const ScratchDirectory scratch;
  write_run_result(r, scratch / "r");
  const RunResult back = read_run_result(scratch / "r");
  EXPECT_EQ(back.uniform_log_perplexity, r.uniform_log_perplexity);
  EXPECT_EQ(back.initial_log_perplexity, r.initial_log_perplexity);
  EXPECT_EQ(written(back), written(r));
}

TEST(RunResult, DetectsAModelThatDidNotLearn) {
  const double guess = std::log(4096);  // 8.3178
  const auto learned = [&](std::int64_t step, double figure, std::optional<double> initial) {
    RunResult r = example();
    r.step = step;
    r.figures.log_perplexity = figure;
    r.uniform_log_perplexity = guess;
    r.initial_log_perplexity = initial;
    EXPECT_EQ(learned_nothing_warning(r).empty(), !*learned_nothing(r));
    return !*learned_nothing(r);
  };
  EXPECT_FALSE(learned(400, guess, 8.3295));       // dead: the same for every token
  EXPECT_FALSE(learned(5, guess + 1e-5, 8.3295));  // even early
  EXPECT_FALSE(learned(5, 20, 8.3295));            // worse than both
  EXPECT_FALSE(learned(400, 8.3295, 8.3295));      // unchanged
  EXPECT_FALSE(learned(1, 8.32955, 8.3295));       // unchanged to four digits
  EXPECT_FALSE(learned(400, 11.5, 11.5));          // unchanged from a large initial value
  EXPECT_FALSE(learned(400, 7.5, 7.5));
  EXPECT_FALSE(learned(50, 8.32, 8.3295));  // many steps, still above the guess
  EXPECT_FALSE(learned(50, 8.32, std::nullopt));
  EXPECT_TRUE(learned(5, 8.32, 8.3295));  // short, but improving
  EXPECT_TRUE(learned(1, 8.3290, 8.3295));
  EXPECT_TRUE(learned(5, 8.32, std::nullopt));
  EXPECT_TRUE(learned(50, 8.31, 8.3295));
  EXPECT_TRUE(learned(400, 3.8, 8.3295));
  EXPECT_TRUE(learned(400, 6.9, 8.3295));  // no better than token frequencies, but learned those
  RunResult unknown = example();
  EXPECT_FALSE(learned_nothing(unknown).has_value());  // from an earlier version
  EXPECT_EQ(learned_nothing_warning(unknown), "");
  unknown.uniform_log_perplexity = guess;
  unknown.figures.log_perplexity.reset();
  EXPECT_FALSE(learned_nothing(unknown).has_value());
}

TEST(RunResult, RoundTripsRandomDoubles) {
  const ScratchDirectory scratch;
  std::mt19937_64 random(3);
  RunResult r = example();
  while (r.documents.size() < 2000) {
    const auto value = std::bit_cast<double>(random());
    if (std::isfinite(value)) r.documents.push_back({value, random() >> 11});
  }
  write_run_result(r, scratch / "r");
  const RunResult back = read_run_result(scratch / "r");
  for (std::size_t i = 0; i < r.documents.size(); ++i)
    EXPECT_EQ(back.documents[i].nats, r.documents[i].nats);
}

TEST(RunResult, OnlyNonFiniteValuesBecomeNull) {
  const ScratchDirectory scratch;
  RunResult r = example();
  r.documents[0].nats = std::numeric_limits<double>::quiet_NaN();
  r.figures.perplexity = std::numeric_limits<double>::infinity();
  write_run_result(r, scratch / "r");
  const RunResult back = read_run_result(scratch / "r");
  EXPECT_TRUE(std::isnan(back.documents[0].nats));
  EXPECT_FALSE(back.figures.perplexity.has_value());
  EXPECT_EQ(back.figures.log_perplexity, r.figures.log_perplexity);
}

TEST(RunResult, IsOneJsonObject) {
  const auto json = nlohmann::json::parse(written(example()));
  EXPECT_EQ(json.at("step"), 4200);
  EXPECT_EQ(json.at("log_perplexity"), 1.0 / 3);
  EXPECT_TRUE(json.at("word_perplexity").is_null());
  EXPECT_EQ(json.at("documents").at(0).at(1), 3);
}

TEST(RunResult, NewResultReplacesTheOld) {
  const ScratchDirectory scratch;
  RunResult r = example();
  write_run_result(r, scratch / "r");
  r.step = 4201;
  r.documents.clear();
  write_run_result(r, scratch / "r");
  EXPECT_EQ(read_run_result(scratch / "r").step, 4201);
  EXPECT_EQ(content_of_tree(scratch.path()).size(), 1u) << "temporaries left over";
}

TEST(RunResult, DetectsEveryFlippedBitAndTruncation) {
  const ScratchDirectory scratch;
  const std::string text = written(example());
  const auto refuses = [&](const std::string& damaged) {
    write_text(scratch / "r", damaged);
    EXPECT_THROW(read_run_result(scratch / "r"), UserError) << damaged;
  };
  for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
    std::string flipped = text;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    refuses(flipped);
  }
  for (std::size_t size = 0; size < text.size(); ++size) refuses(text.substr(0, size));
  refuses(text + "\n");
}

TEST(RunResult, ReportsTheError) {
  EXPECT_NE(fault_of("").find("result.json: not a JSON object"), std::string::npos) << fault_of("");
  EXPECT_NE(fault_of("{}").find(": format: "), std::string::npos);
  EXPECT_NE(fault_of(R"({"format": 2})").find("result format 2; expected format 1"),
            std::string::npos)
      << fault_of(R"({"format": 2})");
  std::string edited = written(example());
  edited.replace(edited.find("4200"), 4, "4201");
  EXPECT_NE(fault_of(edited).find("hash mismatch"), std::string::npos);
  const ScratchDirectory scratch;
  error_of(ExitCode::kMissingInput, [&] { read_run_result(scratch / "nothing"); });
}

TEST(RunResult, RejectsFuzzedText) {
  const ScratchDirectory scratch;
  const std::string text = written(example());
  fuzz(5'000, [&](std::mt19937_64& random) {
    const std::string damaged = mutated(text, random);
    if (damaged == text) return;
    write_text(scratch / "r", damaged);
    error_of(ExitCode::kBadData, [&] { read_run_result(scratch / "r"); });
  });
}

}  // namespace
}  // namespace sluice::store
