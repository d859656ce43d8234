#include "store/metrics_log.h"

#include <bit>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "tests/store/store_support.h"

namespace sluice::store {
namespace {

std::string line(std::int64_t step) {
  nlohmann::ordered_json json;
  json["step"] = step;
  json["loss"] = 1.0 / static_cast<double>(step + 1);
  return json.dump();
}

std::string lines(std::int64_t first, std::int64_t last) {
  std::string text;
  for (std::int64_t step = first; step <= last; ++step) text += line(step) + "\n";
  return text;
}

class MetricsLogTest : public ::testing::Test {
 protected:
  // The file after truncate_after(step), starting from `content`.
  std::string truncated(const std::string& content, std::int64_t step) {
    write_text(path_, content);
    MetricsLog log(path_);
    log.truncate_after(step);
    return read_file(path_);
  }
  std::vector<std::int64_t> steps_read() {
    std::vector<std::int64_t> steps;
    read_metrics(path_, [&](std::int64_t step, const nlohmann::ordered_json& json) {
      EXPECT_EQ(json.at("step").get<std::int64_t>(), step);
      steps.push_back(step);
    });
    return steps;
  }

  ScratchDirectory scratch_;
  fs::path path_ = scratch_ / "metrics.jsonl";
};

TEST_F(MetricsLogTest, AppendsLines) {
  {
    MetricsLog log(path_);
    log.append(line(1));
    EXPECT_EQ(read_file(path_), lines(1, 1));  // even without flush: a killed process loses no line
    log.append(line(2));
    log.flush();
  }
  MetricsLog log(path_);
  log.append(line(3));
  EXPECT_EQ(read_file(path_), lines(1, 3));
  EXPECT_EQ(steps_read(), (std::vector<std::int64_t>{1, 2, 3}));
}

TEST_F(MetricsLogTest, ContinuesAfterTruncation) {
  write_text(path_, lines(1, 10));
  MetricsLog log(path_);
  log.truncate_after(6);
  for (std::int64_t step = 7; step <= 10; ++step) log.append(line(step));
  EXPECT_EQ(read_file(path_), lines(1, 10));
  log.truncate_after(10);
  log.append(line(11));
  EXPECT_EQ(read_file(path_), lines(1, 11));
}

TEST_F(MetricsLogTest, RepairsEveryTornEnd) {
  const std::string whole = lines(1, 4);
  const std::size_t synced = lines(1, 2).size();
  for (std::size_t size = synced; size <= whole.size(); ++size) {
    EXPECT_EQ(truncated(whole.substr(0, size), 2), lines(1, 2)) << size;
  }
}

TEST_F(MetricsLogTest, CompletesALastLineWithoutNewline) {
  const std::string text = lines(1, 2);
  EXPECT_EQ(truncated(text.substr(0, text.size() - 1), 2), text);
}

TEST_F(MetricsLogTest, DropsGarbageAfterAPowerLoss) {
  EXPECT_EQ(truncated(lines(1, 2) + std::string(4096, '\0'), 2), lines(1, 2));
  EXPECT_EQ(truncated(lines(1, 2) + std::string(100, '\0') + "\n" + lines(4, 5), 2), lines(1, 2));
  EXPECT_EQ(truncated(lines(1, 2) + "{\"step\": 3", 7), lines(1, 2));
}

TEST_F(MetricsLogTest, ReportsDamageBeforeAKeptLine) {
  const std::string message =
      error_of(ExitCode::kBadData, [&] { truncated(lines(1, 2) + "damage\n" + lines(4, 5), 4); });
  EXPECT_NE(message.find("metrics.jsonl:3: received `damage`"), std::string::npos) << message;
  EXPECT_EQ(read_file(path_), lines(1, 2) + "damage\n" + lines(4, 5));
}

TEST_F(MetricsLogTest, FiltersKindsAndRepeatedStepsByStep) {
  const std::string eval = "{\"step\":2,\"kind\":\"eval\"}\n";
  EXPECT_EQ(truncated(lines(1, 2) + eval + lines(3, 3) + lines(1, 1), 2),
            lines(1, 2) + eval + lines(1, 1));
}

TEST_F(MetricsLogTest, TruncatesToNothing) {
  EXPECT_EQ(truncated(lines(1, 5), 0), "");
  EXPECT_EQ(truncated("", 5), "");
}

TEST_F(MetricsLogTest, ReaderSkipsOnlyATornLastLine) {
  write_text(path_, lines(1, 2) + "{\"step\":3,\"lo");
  EXPECT_EQ(steps_read(), (std::vector<std::int64_t>{1, 2}));
  for (const char* bad : {"{\"step\":3,\"lo\n", "[]\n", "{}\n", "{\"step\":-1}\n",
                          "{\"step\":1.5}\n", "{\"step\":\"1\"}\n", "\n", "1\n{\"step\":2}"}) {
    write_text(path_, lines(1, 1) + bad);
    const std::string message = error_of(ExitCode::kBadData, [&] { steps_read(); });
    EXPECT_NE(message.find("metrics.jsonl:2: "), std::string::npos) << message;
  }
  fs::remove(path_);
  error_of(ExitCode::kMissingInput, [&] { steps_read(); });
}

TEST_F(MetricsLogTest, RejectsAnythingButOneLine) {
  MetricsLog log(path_);
  EXPECT_THROW(log.append("{\"step\":1}\n"), InvariantError);
  EXPECT_THROW(log.append("{\n}"), InvariantError);
  EXPECT_THROW(log.append(""), InvariantError);
  EXPECT_EQ(read_file(path_), "");
}

TEST_F(MetricsLogTest, MissingDirectoryIsAnError) {
  error_of(ExitCode::kIo, [&] { MetricsLog(scratch_ / "gone/metrics.jsonl"); });
  write_text(scratch_ / "file", "x");
  error_of(ExitCode::kIo, [&] { MetricsLog(scratch_ / "file/metrics.jsonl"); });
}

// As documented in metrics_log.h.
TEST(MetricsNumbers, RoundTripExactly) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) {
    const double value = std::bit_cast<double>(random());
    const std::string text = nlohmann::ordered_json(value).dump();
    if (!std::isfinite(value)) {
      EXPECT_EQ(text, "null");
    } else {
      EXPECT_EQ(std::bit_cast<std::uint64_t>(std::strtod(text.c_str(), nullptr)),
                std::bit_cast<std::uint64_t>(value))
          << text;
    }
  }
  EXPECT_EQ(nlohmann::ordered_json(0.1).dump(), "0.1");
  EXPECT_EQ(nlohmann::ordered_json(std::numeric_limits<double>::infinity()).dump(), "null");
}

}  // namespace
}  // namespace sluice::store
