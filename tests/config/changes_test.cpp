// Changed fields and their rules.
#include <gtest/gtest.h>

#include "tests/config/sample.h"

namespace sluice::config {
namespace {

using sample::Root;

std::vector<std::string> lines(const Root& before, const Root& after) {
  std::vector<std::string> out;
  for (const Change& c : changes(before, after)) {
    out.push_back(c.path + ": " + c.before + " -> " + c.after +
                  std::array{" (refused)", " (allowed)",
                             " (exact)"}[static_cast<std::size_t>(rule_of(c.affects).on_resume)]);
  }
  return out;
}
using Lines = std::vector<std::string>;

TEST(Changes, NoneBetweenEqualValues) { EXPECT_TRUE(changes(Root{}, Root{}).empty()); }

TEST(Changes, AppliesRulesOfRowsAndSections) {
  Root after;
  after.run.name = "x y";
  after.run.wait.count = 60;
  after.model.d_model = 64;
  after.model.bias = true;
  EXPECT_EQ(lines(Root{}, after),
            (Lines{"run.name: run -> \"x y\" (exact)", "run.wait: 30s -> 1min (exact)",
                   "model.d_model: 192 -> 64 (refused)", "model.bias: false -> true (allowed)"}));
}

TEST(Changes, AChangedTypeIsOneChange) {
  Root after;
  after.optimizer = sample::Muon{};
  EXPECT_EQ(lines(Root{}, after), (Lines{"optimizer.type: adamw -> muon (refused)"}));
  after.optimizer = sample::AdamW{.lr = 1};
  EXPECT_EQ(lines(Root{}, after), (Lines{"optimizer.lr: 3e-04 -> 1 (refused)"}));
}

TEST(Changes, ComparesWordsListsAndNull) {
  Root before;
  Root after;
  after.model.d_ff = 100;
  after.run.files = {"a", "b"};
  after.run.extra = sample::Muon{.lr = 1, .momentum = 0.5};
  EXPECT_EQ(lines(before, after), (Lines{"run.files: [] -> [a, b] (exact)",
                                         "run.extra: null -> {lr: 1, momentum: 0.5} (exact)",
                                         "model.d_ff: match -> 100 (refused)"}));
  before.run.extra = sample::Muon{.lr = 2, .momentum = 0.5};
  before.run.files = {"a", "b"};
  before.model.d_ff = 100;
  EXPECT_EQ(lines(before, after), (Lines{"run.extra.lr: 2 -> 1 (exact)"}));
}

TEST(Changes, DistinguishesTheSignOfZero) {
  Root before;
  Root after;
  std::get<sample::AdamW>(before.optimizer).betas[0] = 0.0;
  std::get<sample::AdamW>(after.optimizer).betas[0] = -0.0;
  EXPECT_EQ(changes(before, after).size(), 1U);
}

}  // namespace
}  // namespace sluice::config
