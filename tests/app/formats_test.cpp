// What the program writes and prints fits the JSON Schemas that it publishes, as Python's jsonschema judges.
#include <fstream>

#include "tests/app/program.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

class Formats : public ProgramTest {
 protected:
  // A text fits the schema NAME of `sluice schema`. Judged all at once at the end.
  void expect_fits(const std::string& name, const std::string& text) {
    const std::string folder = "instances/" + std::to_string(num_++);
    fs::create_directories(path(folder));
    const Outcome schema = sluice({"schema", name});
    EXPECT_EQ(schema.exit_code, 0) << name << schema.err;
    write(folder + "/schema.json", schema.out);
    write(folder + "/instance.json", text);
    write(folder + "/name.txt", name);
    seen_.insert(name);
  }
  void expect_file_fits(const std::string& name, const std::string& file) { expect_fits(name, read(file)); }
  void expect_output_fits(const std::string& name, const std::vector<std::string>& arguments) {
    const Outcome outcome = sluice(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << name << outcome.err;
    expect_fits(name, outcome.out);
  }
  std::string first_line_with(const std::string& file, const std::string& key) const {
    std::istringstream lines(read(file));
    for (std::string line; std::getline(lines, line);)
      if (line.find(key) != std::string::npos) return line;
    return "";
  }

  int num_ = 0;
  std::set<std::string> seen_;
};

// A validator that knows nothing of us; each instance must also fail once a key is renamed.
constexpr const char* kJudge = R"(
import json, pathlib
from jsonschema import Draft202012Validator
for folder in sorted(pathlib.Path('instances').iterdir()):
    schema, instance = (json.loads((folder / f).read_text()) for f in ('schema.json', 'instance.json'))
    Draft202012Validator.check_schema(schema)
    name = (folder / 'name.txt').read_text()
    for error in Draft202012Validator(schema).iter_errors(instance):
        print(name, error.json_path, error.message[:300])
    key = list(instance)[-1]
    instance[key + 'x'] = instance.pop(key)
    if schema['additionalProperties'] is False and Draft202012Validator(schema).is_valid(instance):
        print(name, 'takes any key')
)";

TEST_F(Formats, EverythingFitsItsSchema) {
  if (run({SLUICE_PYTHON, "-c", "import jsonschema"}).exit_code != 0) GTEST_SKIP() << SLUICE_PYTHON << " has no jsonschema";
  write_english();
  write_tiny_config();
  expect_output_fits("prepare", {"prepare", "tiny.yaml", "--json"});
  expect_output_fits("plan", {"plan", "tiny.yaml", "--json"});
  expect_output_fits("plan-measured", {"plan", "tiny.yaml", "--measure", "--json"});
  expect_output_fits("train", {"train", "tiny.yaml", "--json"});
  expect_output_fits("eval", {"eval", "run", "--json"});
  expect_output_fits("generate", {"generate", "run", "--prompt", "The", "--tokens", "4", "--json"});
  expect_output_fits("verify", {"verify", "run", "--json"});
  expect_output_fits("doctor", {"doctor", "--json"});
  expect_file_fits("result", "run/result.json");
  expect_file_fits("run", "run/run.json");
  expect_fits("metrics-step", first_line_with("run/metrics.jsonl", "\"loss\""));
  expect_fits("metrics-evaluation", first_line_with("run/metrics.jsonl", "\"eval\""));
  for (const auto& entry : fs::directory_iterator(path("run/checkpoints"))) {
    const std::string checkpoint = "run/checkpoints/" + entry.path().filename().string();
    expect_file_fits("manifest", checkpoint + "/manifest.json");
    expect_file_fits("train-state", checkpoint + "/train_state.json");
  }
  for (const auto& entry : fs::recursive_directory_iterator(path("prepared")))
    if (entry.path().filename() == "prepared.json") expect_file_fits("prepared", fs::relative(entry.path(), path("")).string());
  write("compare.yaml", R"(extends: [tiny.yaml]
run:        {name: two, dir: two}
model:      {num_layers: 1, d_model: 32}
train:      {steps: 4}
compare:
  vary:  {model.ffn: [relu, geglu]}
  seeds: [1, 2]
  tune:  {optimizer.lr: [1e-3, 2e-3], seeds: [101], split: tune}
corpus: {tune_holdout: 0.2}
)");
  expect_output_fits("compare-dry-run", {"compare", "compare.yaml", "--dry-run", "--json"});
  expect_output_fits("compare", {"compare", "compare.yaml", "--json"});
  expect_file_fits("comparison", "two/comparison.json");
  expect_file_fits("results", "two/results.json");
  for (const auto& entry : fs::directory_iterator(path("two/cells")))
    expect_file_fits("cell", "two/cells/" + entry.path().filename().string() + "/cell.json");
  write("step_times.json", R"({"0123": {"variant": "relu", "seconds_per_step": 0.5, "cpu": "x"}})");
  write("jobs.json", R"({"x, 2 processors": 2})");
  expect_file_fits("step-times", "step_times.json");
  expect_file_fits("jobs", "jobs.json");

  std::istringstream list(sluice({"schema"}).out);
  for (std::string line; std::getline(list, line);) {
    const std::string name = line.substr(0, line.find(' '));
    EXPECT_TRUE(seen_.contains(name)) << name << " is not tried";
  }
  write("judge.py", kJudge);
  const Outcome judged = run({SLUICE_PYTHON, "judge.py"});
  EXPECT_EQ(judged.exit_code, 0) << judged.err;
  EXPECT_EQ(judged.out, "");
}

TEST_F(Formats, AnUnknownNameIsRefused) {
  const Outcome outcome = sluice({"schema", "results.json"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("one of result, "), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace sluice::app
