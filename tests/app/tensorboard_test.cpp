// Event files of real runs, read by TensorBoard and imported by trackio. scripts/setup.sh --tests
// installs both.
#include <chrono>
#include <cmath>
#include <csignal>
#include <map>
#include <thread>

#include "tests/app/program.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using Points = std::map<std::pair<std::string, std::int64_t>, double>;

constexpr const char* kPython = SLUICE_SOURCE_DIR "/build/tensorboard/python3";
constexpr const char* kEvents = "events.out.tfevents.0.sluice";

class EventFiles : public ShortRunTest {
 protected:
  void SetUp() override {
    if (!fs::exists(kPython)) GTEST_SKIP() << "run scripts/setup.sh --tests";
  }
  // One process for all, because importing TensorBoard takes seconds.
  Json read_events(const std::vector<std::string>& directories) const {
    std::vector<std::string> command = {kPython, SLUICE_SOURCE_DIR "/tests/app/read_events.py"};
    command.insert(command.end(), directories.begin(), directories.end());
    const Outcome outcome = run(command);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.json();
  }
  // What metrics.jsonl says, by (tag, step).
  Points points_of_metrics(const std::string& run) const {
    Points points;
    std::istringstream lines(read(run + "/metrics.jsonl"));
    for (std::string text; std::getline(lines, text);) {
      const Json line = Json::parse(text);
      const std::int64_t step = line.at("step");
      const auto add = [&](const std::string& group, const Json& figures) {
        for (const auto& [key, value] : figures.items())
          if (value.is_number() && key != "step" && key != "tokens")
            points[{group + key, step}] = value.get<double>();
      };
      if (line.contains("eval")) {
        add("held_out/", line.at("eval"));
        points.erase({"held_out/num_dropped_tokens", step});
        continue;
      }
      add("train/", line);
      for (const char* key : {"tokens_per_s", "step_seconds", "mfu"})
        points[{std::string("speed/") + key, step}] = line.at("time").at(key);
      points[{"memory/resident_bytes", step}] = line.at("time").at("resident_bytes");
    }
    return points;
  }
  // TensorBoard sees exactly these points, each once, in order.
  void expect_points(const Json& events, const Points& expected) const {
    std::size_t num_points = 0;
    for (const auto& [tag, series] : events.at("scalars").items()) {
      std::int64_t last = -1;
      for (const Json& point : series) {
        const std::int64_t step = point.at(0);
        EXPECT_GT(step, last) << tag;
        last = step;
        const auto found = expected.find({tag, step});
        ASSERT_NE(found, expected.end()) << tag << " " << step;
        EXPECT_FLOAT_EQ(point.at(1).get<float>(), static_cast<float>(found->second)) << tag;
        ++num_points;
      }
    }
    EXPECT_EQ(num_points, expected.size());
  }
  std::string weights(const std::string& run, int step) const {
    return read(run + "/checkpoints/step-" + std::to_string(step) + "/model.safetensors");
  }
};

TEST_F(EventFiles, TensorBoardReadsWhatMetricsSay) {
  train({"tiny.yaml"});
  const Json events = read_events({"run"})[0];
  expect_points(events, points_of_metrics("run"));
  ASSERT_EQ(events.at("text").size(), 1u);
  const std::string text = events.at("text").at(0).at(1);
  EXPECT_NE(text.find("  num_layers: 1\n"), std::string::npos) << text;
  EXPECT_EQ(events.at("hparams").at("model.ffn"), "swiglu");
  EXPECT_EQ(events.at("hparams").at("optimizer.lr"), 2e-3);
  EXPECT_EQ(events.at("hparams").at("model.tie_embeddings"), true);
  const Json& embedding = events.at("histograms").at("weights/embedding.weight");
  for (const char* step : {"0", "2", "4"}) {
    const Json& one = embedding.at(step);
    EXPECT_EQ(one.at(0), 257 * 16);
    EXPECT_EQ(one.at(4), 257 * 16);
    EXPECT_LT(one.at(1), one.at(2));
  }
  EXPECT_EQ(embedding.size(), 3u);
}

TEST_F(EventFiles, TheRunIsTheSameWithoutThem) {
  train({"tiny.yaml"});
  train({"tiny.yaml", "--run-dir", "off", "--set", "train.tensorboard=false"});
  EXPECT_TRUE(fs::exists(path("run") / kEvents));
  EXPECT_FALSE(fs::exists(path("off") / kEvents));
  EXPECT_FALSE(weights("run", 4).empty());
  EXPECT_TRUE(weights("run", 4) == weights("off", 4));
}

TEST_F(EventFiles, ARunWithoutThemIsExportedLater) {
  train({"tiny.yaml", "--set", "train.tensorboard=false"});
  const Outcome exported = sluice({"export", "run", "--to", "tensorboard", "--out", "a/b"});
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  const Points before = points_of_metrics("run");
  // A run that has them is exported with its histograms.
  train({"tiny.yaml", "--resume", "--set", "train.tensorboard=true", "train.steps=6"});
  ASSERT_EQ(sluice({"export", "run", "--to", "tensorboard", "--out", "c"}).exit_code, 0);
  const Json contents = read_events({"a/b", "c", "run"});
  expect_points(contents[0], before);
  EXPECT_TRUE(contents[0].at("histograms").empty());
  expect_points(contents[1], points_of_metrics("run"));
  EXPECT_EQ(contents[1], contents[2]);
  EXPECT_FALSE(contents[1].at("histograms").empty());
}

TEST_F(EventFiles, RefusesWhatCannotBeExported) {
  train({"tiny.yaml"});
  const auto expect = [&](const std::vector<std::string>& arguments, int code,
                          const std::string& part) {
    const Outcome outcome = sluice(arguments);
    EXPECT_EQ(outcome.exit_code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  };
  expect({"export", "run", "--to", "tensorboard", "--out", "run"}, 2, "file exists");
  expect({"export", "run/checkpoints/step-4", "--to", "tensorboard", "--out", "x"}, 66, "run");
  expect({"export", "run", "--to", "onnx", "--out", "x"}, 2, "tensorboard");
  fs::remove(path("run/metrics.jsonl"));
  expect({"export", "run", "--to", "tensorboard", "--out", "x"}, 66, "metrics.jsonl");
  EXPECT_FALSE(fs::exists(path("x")));
}

// kill -9 at any moment, and a file whose last record is torn.
TEST_F(EventFiles, CurvesDoNotDoubleAfterAKill) {
  const std::vector<std::string> steps = {"--set", "train.steps=400", "checkpoint.every_steps=50",
                                          "evaluate.every_steps=25"};
  std::vector<std::string> command = {SLUICE_PROGRAM, "train", "tiny.yaml"};
  command.insert(command.end(), steps.begin(), steps.end());
  {
    Process process(directory_.path(), command);
    const auto is_past = [&] {
      return read("run/metrics.jsonl").find("\"step\":130,") != std::string::npos;
    };
    while (process.running() && !is_past())
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    process.signal(SIGKILL);
    EXPECT_EQ(process.wait().exit_code, 128 + SIGKILL);
  }
  const std::string events = read(std::string("run/") + kEvents);
  write(std::string("run/") + kEvents, events.substr(0, events.size() - 5));
  train({"--resume", "run"});
  const Json read_back = read_events({"run"})[0];
  expect_points(read_back, points_of_metrics("run"));
  EXPECT_EQ(read_back.at("scalars").at("train/loss").size(), 400u);
}

TEST_F(EventFiles, TrackioImportsThem) {
  train({"tiny.yaml"});
  write("import.py", R"(
import json, os, pathlib
os.environ["TRACKIO_DIR"] = str(pathlib.Path("trackio").absolute())
import trackio
from trackio.sqlite_storage import SQLiteStorage
trackio.import_tf_events(".", project="sluice", name="x")
logs = {run: SQLiteStorage.get_logs("sluice", run) for run in SQLiteStorage.get_runs("sluice")}
[(run, lines)] = logs.items()
pathlib.Path("imported.json").write_text(json.dumps(
    [[line["step"], line["train/loss"]] for line in lines if "train/loss" in line]))
)");
  const Outcome outcome = run({kPython, "import.py"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  const Points expected = points_of_metrics("run");
  const Json imported = Json::parse(read("imported.json"));
  ASSERT_EQ(imported.size(), 4u);
  for (const Json& one : imported)
    EXPECT_FLOAT_EQ(one.at(1).get<float>(),
                    static_cast<float>(expected.at({"train/loss", one.at(0)})));
}

TEST_F(EventFiles, RunsOfAComparisonHaveNone) {
  write("compare.yaml", R"(extends: [tiny.yaml]
run:     {name: two, dir: two}
train:   {steps: 2}
compare: {vary: {model.ffn: [relu, geglu]}, seeds: [1]}
)");
  ASSERT_EQ(sluice({"compare", "compare.yaml"}).exit_code, 0);
  for (const auto& entry : fs::recursive_directory_iterator(path("two")))
    EXPECT_NE(entry.path().filename(), kEvents);
  ASSERT_EQ(sluice({"compare", "compare.yaml", "--set", "train.tensorboard=true", "run.dir=three"})
                .exit_code,
            0);
  std::size_t num_files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path("three")))
    num_files += entry.path().filename() == kEvents;
  EXPECT_EQ(num_files, 2u);
}

}  // namespace
}  // namespace sluice::app
