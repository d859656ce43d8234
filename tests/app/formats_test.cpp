// Files and output match the published JSON Schemas, checked with Python's jsonschema.
#include <fstream>

#include "tests/app/program.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

class Formats : public ProgramTest {
 protected:
  // Expects that `text` matches the schema NAME of `sluice schema`; all are checked at the end.
  void expect_match(const std::string& name, const std::string& text) {
    const std::string folder = "instances/" + std::to_string(num_++);
    fs::create_directories(path(folder));
    const Outcome schema = sluice({"schema", name});
    EXPECT_EQ(schema.exit_code, 0) << name << schema.err;
    write(folder + "/schema.json", schema.out);
    write(folder + "/instance.json", text);
    write(folder + "/name.txt", name);
    seen_.insert(name);
  }
  void expect_file_matches(const std::string& name, const std::string& file) {
    expect_match(name, read(file));
  }
  // Each source starts from the first seed; only its own stream changes.
  void expect_noise_by_source() const {
    const auto noise = nlohmann::json::parse(read("two/noise/noise.json"));
    std::vector<std::string> names;
    for (const auto& source : noise.at("sources")) {
      names.push_back(source.at("source"));
      const auto values = source.at("values").get<std::vector<double>>();
      ASSERT_EQ(values.size(), 2u) << names.back();
      EXPECT_EQ(values[0], noise["sources"][0]["values"][0]) << names.back();
      if (names.back() != "rounding") {
        EXPECT_NE(values[0], values[1]) << names.back();
      }
    }
    EXPECT_EQ(names.front(), "initial_values");
    EXPECT_EQ(names.back(), "all");
    EXPECT_GE(names.size(), 3u);
  }
  void expect_output_matches(const std::string& name, const std::vector<std::string>& arguments,
                             int exit_code = 0) {
    const Outcome outcome = sluice(arguments);
    EXPECT_EQ(outcome.exit_code, exit_code) << name << outcome.err;
    expect_match(name, outcome.out);
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

// Independent validation. Each instance must also fail with a renamed key.
constexpr const char* kValidator = R"(
import json, pathlib
from jsonschema import Draft202012Validator
for folder in sorted(pathlib.Path('instances').iterdir()):
    files = ('schema.json', 'instance.json')
    schema, instance = (json.loads((folder / file).read_text()) for file in files)
    Draft202012Validator.check_schema(schema)
    name = (folder / 'name.txt').read_text()
    for error in Draft202012Validator(schema).iter_errors(instance):
        print(name, error.json_path, error.message[:300])
    key = list(instance)[-1]
    instance[key + 'x'] = instance.pop(key)
    if schema['additionalProperties'] is False and Draft202012Validator(schema).is_valid(instance):
        print(name, 'accepts any key')
)";

TEST_F(Formats, EveryRecordMatchesItsSchema) {
  if (run({SLUICE_PYTHON, "-c", "import jsonschema"}).exit_code != 0)
    GTEST_SKIP() << SLUICE_PYTHON << " has no jsonschema";
  write_english();
  write_tiny_config();
  expect_output_matches("prepare", {"prepare", "tiny.yaml", "--json"});
  expect_output_matches("plan", {"plan", "tiny.yaml", "--json"});
  expect_output_matches("plan-measured", {"plan", "tiny.yaml", "--measure", "--json"});
  expect_output_matches("train", {"train", "tiny.yaml", "--json"});
  expect_output_matches("eval", {"eval", "run", "--json"});
  expect_output_matches("generate",
                        {"generate", "run", "--prompt", "The", "--tokens", "4", "--json"});
  expect_output_matches("export", {"export", "run", "--to", "hf", "--out", "hf", "--json"});
  expect_output_matches("import", {"import", "hf", "--out", "imported", "--json"});
  expect_output_matches("score", {"score", "run", "--text", "The", "--json"});
  write("prompts.jsonl", R"({"prompt": "a", "seed": 3})");
  expect_file_matches("generate-input", "prompts.jsonl");
  write("texts.jsonl", R"({"context": "a", "continuation": "b"})");
  expect_file_matches("score-input", "texts.jsonl");
  expect_output_matches("verify", {"verify", "run", "--json"});
  expect_output_matches("doctor", {"doctor", "--json"});
  expect_file_matches("result", "run/result.json");
  expect_file_matches("run", "run/run.json");
  expect_match("metrics-step", first_line_with("run/metrics.jsonl", "\"loss\""));
  expect_match("metrics-evaluation", first_line_with("run/metrics.jsonl", "\"eval\""));
  for (const auto& entry : fs::directory_iterator(path("run/checkpoints"))) {
    const std::string checkpoint = "run/checkpoints/" + entry.path().filename().string();
    expect_file_matches("manifest", checkpoint + "/manifest.json");
    expect_file_matches("train-state", checkpoint + "/train_state.json");
  }
  for (const auto& entry : fs::recursive_directory_iterator(path("prepared")))
    for (const std::string name : {"prepared", "overlap"})
      if (entry.path().filename() == name + ".json")
        expect_file_matches(name, fs::relative(entry.path(), path("")).string());
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
  expect_output_matches("compare-dry-run", {"compare", "compare.yaml", "--dry-run", "--json"});
  expect_output_matches("compare", {"compare", "compare.yaml", "--json"});
  expect_output_matches("noise", {"compare", "compare.yaml", "--noise", "--json"});
  expect_noise_by_source();
  expect_output_matches("audit", {"audit", "two", "--json"});
  expect_output_matches("verdict", {"verdict", "two", "--json"}, 82);  // undecided
  expect_file_matches("comparison", "two/comparison.json");
  expect_file_matches("results", "two/results.json");
  for (const auto& entry : fs::directory_iterator(path("two/cells")))
    expect_file_matches("cell", "two/cells/" + entry.path().filename().string() + "/cell.json");
  write("step_times.json", R"({"0123": {"variant": "relu", "seconds_per_step": 0.5, "cpu": "x"}})");
  write("jobs.json", R"({"x, 2 processors": 2})");
  expect_file_matches("step-times", "step_times.json");
  expect_file_matches("jobs", "jobs.json");

  std::istringstream list(sluice({"schema"}).out);
  for (std::string line; std::getline(list, line);) {
    const std::string name = line.substr(0, line.find(' '));
    EXPECT_TRUE(seen_.contains(name)) << name << " is not tested";
  }
  write("validate.py", kValidator);
  const Outcome validated = run({SLUICE_PYTHON, "validate.py"});
  EXPECT_EQ(validated.exit_code, 0) << validated.err;
  EXPECT_EQ(validated.out, "");
}

TEST_F(Formats, RejectsAnUnknownName) {
  const Outcome outcome = sluice({"schema", "results.json"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("one of result, "), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace sluice::app
