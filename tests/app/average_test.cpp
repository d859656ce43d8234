// compare.average_last.
#include <fstream>

#include "tests/app/program.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

class AverageTest : public TwoVariantsTest {};

TEST_F(AverageTest, ComparesTheMeanOfTheLastEvaluations) {
  const std::vector<std::string> settings{"evaluate.every_steps=2",
                                          "compare.metric={log_perplexity, average_last: 2}",
                                          "compare.seeds=[1]"};
  std::vector<std::string> command{"compare", "compare.yaml", "--set"};
  command.insert(command.end(), settings.begin(), settings.end());
  const Outcome outcome = sluice(command);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto results = nlohmann::json::parse(read("two/results.json"));
  EXPECT_EQ(results["average_last"], 2);
  for (const auto& cell : results["cells"]) {
    std::vector<double> figures;
    std::ifstream metrics(
        path("two/" + cell["directory"].get<std::string>() + "/run/metrics.jsonl"));
    for (std::string line; std::getline(metrics, line);)
      if (const auto json = nlohmann::json::parse(line); json.contains("eval"))
        figures.push_back(json["eval"]["log_perplexity"]);
    ASSERT_EQ(figures.size(), 4U);  // steps 0, 2, 4, 6
    EXPECT_EQ(cell["log_perplexity"].get<double>(), (figures[2] + figures[3]) / 2);
  }
  EXPECT_NE(read("two/table.md").find("the mean over the last 2 evaluations"), std::string::npos);
  EXPECT_EQ(sluice({"audit", "two", "--seed", "1"}).exit_code, 0);
}

// Evaluations at other steps give other means, so their interval is part of the runs' identity.
TEST_F(AverageTest, EvaluationsAtOtherStepsAreOtherRuns) {
  const auto compare = [&](const std::string& every, const std::string& only) {
    const Outcome outcome =
        sluice({"compare", "compare.yaml", "--set", "compare.average_last=2", "compare.seeds=[1]",
                "evaluate.every_steps=" + every, "--only", only});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  };
  compare("2", "relu");
  compare("3", "geglu");
  for (const auto& cell : nlohmann::json::parse(read("two/results.json"))["cells"])
    EXPECT_EQ(cell["status"], cell["settings"]["model.ffn"] == "geglu" ? "finished" : "waiting");
}

// The same models give other results, so the average is fixed once there are some.
TEST_F(AverageTest, IsFixedByTheFirstResult) {
  const std::vector<std::string> plain{"compare", "compare.yaml", "--set", "compare.seeds=[1]",
                                       "evaluate.every_steps=2"};
  ASSERT_EQ(sluice(plain).exit_code, 0);
  std::vector<std::string> averaged = plain;
  averaged.emplace_back("compare.average_last=2");
  const Outcome outcome = sluice(averaged);
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("compare.average_last: received 2; expected 1, as fixed before"),
            std::string::npos)
      << outcome.err;
  averaged.back() = "compare.average_last=1";  // the same as none
  const Outcome same = sluice(averaged);
  EXPECT_EQ(same.exit_code, 0);
  EXPECT_EQ(std::distance(fs::directory_iterator(path("two/cells")), {}), 2);
}

TEST_F(AverageTest, RefusesTooFewOrOtherEvaluations) {
  const Outcome few = sluice({"compare", "compare.yaml", "--set", "compare.average_last=2"});
  EXPECT_EQ(few.exit_code, 2);
  EXPECT_NE(few.err.find("compare.average_last: received 2; expected at most 1"), std::string::npos)
      << few.err;
  const Outcome other = sluice({"compare", "compare.yaml", "--set", "compare.average_last=2",
                                "evaluate.every_steps=2", "evaluate.max_tokens=128"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_NE(other.err.find("evaluate.max_tokens: received 128; expected all"), std::string::npos)
      << other.err;
}

}  // namespace
}  // namespace sluice::app
