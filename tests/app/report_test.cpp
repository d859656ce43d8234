// `sluice report` of real runs.
#include "tests/app/program.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

class ReportOfRuns : public ShortRunTest {
 protected:
  void expect_valid(const std::string& page) const {
    const Outcome outcome =
        run({SLUICE_PYTHON, SLUICE_SOURCE_DIR "/tests/report/check_page.py", page});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  }
};

TEST_F(ReportOfRuns, OneAndTwoRuns) {
  train({"tiny.yaml"});
  train({"tiny.yaml", "--run-dir", "relu", "--set", "model.ffn=relu", "run.name=relu"});
  const Outcome one = sluice({"report", "run"});
  ASSERT_EQ(one.exit_code, 0) << one.err;
  EXPECT_EQ(one.out, "report  run/report.html\n");
  expect_valid("run/report.html");
  const auto result = nlohmann::json::parse(read("run/result.json"));
  const std::string figure = std::to_string(result.at("log_perplexity").get<double>()).substr(0, 5);
  EXPECT_NE(read("run/report.html").find(figure), std::string::npos) << figure;

  ASSERT_EQ(sluice({"report", "run", "relu", "--out", "pages/two.html"}).exit_code, 0);
  expect_valid("pages/two.html");
  const std::string two = read("pages/two.html");
  for (const char* part : {"model.ffn", ">relu<", ">swiglu<", "2 runs side by side"})
    EXPECT_NE(two.find(part), std::string::npos) << part;
  EXPECT_EQ(sluice({"report", "run", "relu"}).out, "report  report.html\n");
  EXPECT_TRUE(fs::exists(path("report.html")));
  // Writing a page leaves a run that can be resumed.
  train({"--resume", "run", "--set", "train.steps=6"});
  ASSERT_EQ(sluice({"report", "run"}).exit_code, 0);
  EXPECT_NE(read("run/report.html").find("finished, 6 steps"), std::string::npos);
}

// The samples of the evaluations are those of `generate`, and nothing else in the run changes.
TEST_F(ReportOfRuns, ShowsSamplesOverTime) {
  train({"tiny.yaml"});
  const auto with_samples = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--set", "evaluate.samples.prompts=[The, \"<&>\"]",
                                       "evaluate.samples.tokens=7"});
    return arguments;
  };
  train(with_samples({"tiny.yaml", "--run-dir", "shown"}));
  EXPECT_EQ(read("shown/checkpoints/step-4/model.safetensors"),
            read("run/checkpoints/step-4/model.safetensors"));
  std::vector<nlohmann::json> samples;
  std::istringstream lines(read("shown/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line);
    if (json.contains("eval")) samples.push_back(json.at("samples"));
  }
  ASSERT_GE(samples.size(), 2u);
  EXPECT_NE(samples.front(), samples.back());
  for (const auto& sample : samples.back()) {
    const Outcome generated =
        sluice({"generate", "shown", "--json", "--prompt", sample.at("prompt"), "--tokens", "7",
                "--temperature", "0.8"});
    EXPECT_EQ(generated.json().at("text"), sample.at("text"));
  }
  ASSERT_EQ(sluice({"report", "shown", "run", "--out", "samples.html"}).exit_code, 0);
  expect_valid("samples.html");
  EXPECT_NE(read("samples.html").find("<h3>&lt;&amp;&gt;</h3>"), std::string::npos);
  EXPECT_EQ(read("run/report.html").find("id=\"samples\""), std::string::npos);
}

TEST_F(ReportOfRuns, RefusesWhatIsNoRun) {
  train({"tiny.yaml"});
  for (const auto& [run, part] :
       {std::pair{"nowhere", "not found"}, std::pair{"run/checkpoints/step-4", "checkpoint"},
        std::pair{"tiny.yaml", "configuration"}}) {
    const Outcome outcome = sluice({"report", run});
    EXPECT_EQ(outcome.exit_code, 66) << outcome.err;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  }
  write("run/metrics.jsonl", "{\"step\": 1}\nnonsense\n{\"step\": 2}\n");
  EXPECT_EQ(sluice({"report", "run"}).exit_code, 65);
}

}  // namespace
}  // namespace sluice::app
