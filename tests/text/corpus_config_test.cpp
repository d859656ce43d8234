#include "text/corpus_config.h"

#include <gtest/gtest.h>

namespace sluice::text {
namespace {

class Collected : public config::Problems {
 public:
  void add(std::string_view field, std::string_view, std::string_view) override {
    fields.emplace_back(field);
  }
  std::vector<std::string> fields;
};

std::vector<std::string> problems_of(const CorpusConfig& corpus) {
  Collected problems;
  CorpusConfig::check(corpus, problems);
  return problems.fields;
}

CorpusConfig with_train() {
  CorpusConfig corpus;
  corpus.train = {"a.txt"};
  return corpus;
}

using Fields = std::vector<std::string>;

TEST(CorpusConfig, DefaultsRequireOnlyTrain) {
  EXPECT_EQ(problems_of({}), Fields{"train"});
  EXPECT_EQ(problems_of(with_train()), Fields{});
}

TEST(CorpusConfig, HoldoutIsAFractionOrAWholeNumber) {
  CorpusConfig corpus = with_train();
  for (const double good : {0.0, 0.5, 0.999, 1.0, 20.0}) {
    corpus.holdout = good;
    EXPECT_EQ(problems_of(corpus), Fields{}) << good;
  }
  corpus.holdout = 1.5;
  EXPECT_EQ(problems_of(corpus), Fields{"holdout"});
}

TEST(CorpusConfig, TuneHoldoutLeavesTextToTrainOn) {
  CorpusConfig corpus = with_train();
  const auto expect = [&](double holdout, double tune, const Fields& fields) {
    corpus.holdout = holdout;
    corpus.tune_holdout = tune;
    EXPECT_EQ(problems_of(corpus), fields) << holdout << ", " << tune;
  };
  expect(0.05, 0.05, {});
  expect(0.5, 0.4, {});
  expect(0, 0.5, {});
  expect(0.5, 0.5, {"tune_holdout"});
  expect(0.05, 3, {"tune_holdout"});
  expect(20, 0, {});
  expect(20, 0.05, {"tune_holdout"});  // a share cannot be combined with a number
  corpus.valid = {"b.txt"};            // `holdout` is ignored
  expect(20, 0.05, {});
  expect(0.6, 0.6, {});
  expect(0.6, 1, {"tune_holdout"});
}

TEST(CorpusConfig, MaxLineHasBounds) {
  CorpusConfig corpus = with_train();
  for (const std::int64_t bad :
       {std::int64_t{0}, std::int64_t{-1}, std::int64_t{8}, std::int64_t{1} << 40}) {
    corpus.max_line.count = bad;
    EXPECT_EQ(problems_of(corpus), Fields{"max_line"}) << bad;
  }
}

}  // namespace
}  // namespace sluice::text
