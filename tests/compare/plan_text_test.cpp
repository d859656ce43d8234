// The plan as one line, and how two of them differ.
#include "compare/plan_text.h"

#include <gtest/gtest.h>

namespace sluice::compare {
namespace {

TEST(PlanText, DifferencesAreNamed) {
  report::ComparisonInfo info;
  info.seeds = {1, 2, 3, 4, 5, 6};
  const report::Settings relu{{"model.ffn", "relu"}}, geglu{{"model.ffn", "geglu"}};
  const std::vector<report::Settings> both{relu, geglu};
  const std::string plan = plan_text(info, both, 0);
  EXPECT_EQ(plan,
            "metric log_perplexity; average_last 1; baseline relu; margin none; groups 1; looks "
            "none; seeds [1, 2, 3, 4, 5, 6]; variants relu | geglu; tuning none");
  const auto change = [&](const std::string& other) { return compare_plans(plan, other).change; };
  EXPECT_EQ(change(plan), "");
  EXPECT_EQ(compare_plans("", plan).change, "") << "of an earlier version";
  EXPECT_EQ(compare_plans("metric log_perplexity; margin 0.1", plan).change,
            "margin 0.1 instead of none");
  EXPECT_EQ(change(plan_text(info, both, 1)), "baseline relu instead of geglu");
  EXPECT_EQ(change(plan_text(info, {geglu, relu}, 1)), "") << "the order is free";
  EXPECT_EQ(change(plan_text(info, {relu}, 0)), "variants relu | geglu instead of relu");
  report::ComparisonInfo other = info;
  other.seeds = {6, 5, 4, 3, 2, 1};
  EXPECT_EQ(change(plan_text(other, both, 0)), "");
  other.seeds.push_back(7);
  EXPECT_EQ(change(plan_text(other, both, 0)),
            "seeds [1, 2, 3, 4, 5, 6] instead of [6, 5, 4, 3, 2, 1, 7]");
  other = info;
  other.tuning_plan = "optimizer.lr from 1, 2 over seeds [101]";
  EXPECT_EQ(change(plan_text(other, both, 0)),
            "tuning none instead of optimizer.lr from 1, 2 over seeds [101]");
}

// A path may contain the characters that separate the parts of a plan.
TEST(PlanText, LabelsDoNotBreakThePlan) {
  report::ComparisonInfo info;
  info.seeds = {1, 2};
  const std::vector<report::Settings> variants{{{"a", "p; q r"}}, {{"a", "x | y"}}};
  const std::string plan = plan_text(info, variants, 0);
  info.seeds = {2, 1};
  EXPECT_EQ(compare_plans(plan, plan_text(info, variants, 0)).change, "");
  EXPECT_NE(plan.find("; variants p,q r | x,y; tuning none"), std::string::npos) << plan;
}

// A look judges the first seeds; groups of seeds are consecutive.
TEST(PlanText, TheOrderOfSeedsCountsWithLooksAndGroups) {
  const std::vector<report::Settings> variants{{{"model.ffn", "relu"}}, {{"model.ffn", "geglu"}}};
  for (const bool has_looks : {true, false}) {
    report::ComparisonInfo info;
    info.seeds = {1, 2, 3, 4};
    if (has_looks) info.looks = {2, 4};
    if (!has_looks) info.seed_groups = 2;
    const std::string plan = plan_text(info, variants, 0);
    info.seeds = {2, 1, 3, 4};
    EXPECT_EQ(compare_plans(plan, plan_text(info, variants, 0)).change,
              "seeds [1, 2, 3, 4] instead of [2, 1, 3, 4]");
    info.seeds = {1, 2, 3, 4, 5, 6};
    EXPECT_EQ(compare_plans(plan, plan_text(info, variants, 0)).extended, "");
  }
}

// Too few seeds for a verdict: more may be added, but none removed.
TEST(PlanText, SmallPlansMayBeExtended) {
  const std::vector<report::Settings> variants{{{"model.ffn", "relu"}}, {{"model.ffn", "geglu"}}};
  report::ComparisonInfo info;
  info.seeds = {1, 2};
  const std::string plan = plan_text(info, variants, 0);
  info.seeds = {1, 2, 3};
  PlanDifference difference = compare_plans(plan, plan_text(info, variants, 0));
  EXPECT_EQ(difference.extended, "seeds [1, 2]");
  EXPECT_EQ(difference.change, "");
  info.seeds = {2, 3};
  difference = compare_plans(plan, plan_text(info, variants, 0));
  EXPECT_EQ(difference.extended, "");
  EXPECT_EQ(difference.change, "seeds [1, 2] instead of [2, 3]");
}

}  // namespace
}  // namespace sluice::compare
