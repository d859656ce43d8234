#include "train/checkpoint_state.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tests/train/train_support.h"

namespace sluice::train {
namespace {

CheckpointState some_state() {
  CheckpointState state;
  state.fingerprint = "0123456789abcdef0123456789abcdef";
  state.best = BestEvaluation{100, 3.25};
  Progress& p = state.progress;
  p.step = 123;
  p.data_step = 130;
  p.tokens = 503808;
  p.num_events = 1;
  p.loss_mean = 1.0 / 3;
  p.norm_mean = 0.1;
  p.num_means = 120;
  p.pending = {{3.1, 0.7, true}, {std::nan(""), HUGE_VAL, false}, {2.9, 0.1, true}};
  return state;
}

std::string written(const CheckpointState& state) { return config::to_json(state); }
CheckpointState read(const std::string& text, const std::string& source) {
  return config::from_json<CheckpointState>(text, source);
}

TEST(TrainState, RoundTripsExactly) {
  const CheckpointState state = some_state(), back = read(written(state), "a file");
  EXPECT_EQ(written(back), written(state));
  EXPECT_EQ(back.progress.loss_mean, 1.0 / 3);
  EXPECT_EQ(back.progress.data_step, 130u);
  ASSERT_EQ(back.progress.pending.size(), 3u);
  EXPECT_EQ(back.progress.pending[0].loss, 3.1);
  EXPECT_TRUE(std::isnan(back.progress.pending[1].loss));
  EXPECT_FALSE(back.progress.pending[1].applied);
  ASSERT_TRUE(back.best);
  EXPECT_EQ(back.best->step, 100);
  EXPECT_EQ(back.best->log_perplexity, 3.25);
  EXPECT_FALSE(read(written(CheckpointState{}), "a file").best);
}

TEST(TrainState, RejectsInvalidFiles) {
  const auto good = nlohmann::json::parse(written(some_state()));
  std::vector<std::string> bad{"", "{", "[]", "null", "3", written(some_state()) + "x"};
  for (const auto& [key, value] : good.items()) {
    nlohmann::json missing = good;
    missing.erase(key);
    bad.push_back(missing.dump());
    for (const nlohmann::json& other : {nlohmann::json("text"), nlohmann::json(true),
                                        nlohmann::json::object(), nlohmann::json::array({1})}) {
      nlohmann::json changed = good;
      if (key == "data_fingerprint" && other.is_string()) continue;
      changed[key] = other;
      bad.push_back(changed.dump());
    }
  }
  const auto with = [&](const char* key, const nlohmann::json& value) {
    nlohmann::json changed = good;
    changed[key] = value;
    bad.push_back(changed.dump());
  };
  with("step", -1);
  with("step", 1.5);
  with("step", std::uint64_t{1} << 63);
  with("more", 1);
  with("best", {1, 2, 3});
  with("best", {-1, 2.0});
  with("unjudged", {{1.0, 2.0}});
  with("unjudged", {{1.0, 2.0, 3.0}});
  with("unjudged", nlohmann::json(std::vector<nlohmann::json>(8, {1.0, 2.0, true})));
  for (const std::string& text : bad) {
    const std::string message = test::error_of(ExitCode::kBadData, [&] { read(text, "a file"); });
    EXPECT_NE(message.find("a file"), std::string::npos) << message << "\n" << text;
  }
}

}  // namespace
}  // namespace sluice::train
