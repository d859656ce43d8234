// Descriptors 0 to 2 closed at start, as by daemons and job managers.
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>

#include "tests/app/program.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kTrain{"train", "closed.yaml", "--resume"};

class ClosedStreams : public ProgramTest {
 protected:
  void SetUp() override {
    for (const char* place : {"usual", "closed"}) {
      fs::create_directory(path(place));
      fs::copy_file(fs::path(SLUICE_SOURCE_DIR) / "LICENSE", path(place) / "text.txt");
      write(std::string(place) + "/closed.yaml", R"(run:        {name: tiny, dir: run, seed: 1}
corpus:     {train: [text.txt], holdout: 0.2, prepared_dir: prepared}
tokenizer:  {type: bytes}
model:      {num_layers: 1, d_model: 32, num_heads: 2}
train:      {steps: 8, batch_sequences: 4, sequence_length: 64, threads: 1, precision: fp32}
evaluate:   {every_steps: 4}
checkpoint: {every_steps: 4}
)");
    }
  }

  // The command with the streams in `closed` (bit 0: stdin, ...) closed.
  static std::vector<std::string> command(unsigned closed,
                                          const std::vector<std::string>& arguments) {
    std::string line = "exec \"$0\" \"$@\"";
    if ((closed & 1U) != 0) line += " 0<&-";
    if ((closed & 2U) != 0) line += " 1>&-";
    if ((closed & 4U) != 0) line += " 2>&-";
    std::vector<std::string> words{"/bin/sh", "-c", line, SLUICE_PROGRAM};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return words;
  }

  // Trains, deletes the last checkpoint and resumes from the previous one.
  void train_and_resume(const std::string& place, unsigned closed) const {
    for (int start = 0; start < 2; ++start) {
      const Outcome outcome = Process(path(place), command(closed, kTrain)).wait();
      ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
      EXPECT_EQ(outcome.out.empty(), (closed & 2U) != 0) << outcome.out;
      EXPECT_EQ(outcome.err.empty(), (closed & 4U) != 0) << outcome.err;
      if (start == 0) fs::remove_all(path(place) / "run/checkpoints/step-8");
    }
  }

  // All files of the run and the prepared data, without times, process ids and directories.
  std::map<std::string, std::string> files(const std::string& place) const {
    std::map<std::string, std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(path(place))) {
      const std::string name = fs::relative(entry.path(), path(place)).string();
      if (!entry.is_regular_file() || name.starts_with(".process-") ||
          name == "prepared/cache/hashes.json")
        continue;
      std::ifstream file(entry.path(), std::ios::binary);
      std::string text{std::istreambuf_iterator<char>(file), {}};
      // Binary, with times; made of metrics.jsonl.
      if (name.find("/events.out.tfevents.") != std::string::npos) text.clear();
      const std::string extension = entry.path().extension();
      if (extension == ".jsonl" || extension == ".txt" || extension == ".json" ||
          name == "run/lock") {
        text = std::regex_replace(text, std::regex(R"("time":\{[^}]*\})"), "");
        text = std::regex_replace(
            text, std::regex(R"("training_seconds": ?[0-9.e-]+|"seal_xxh3_128": ?"[0-9a-f]+")"),
            "");
        text = std::regex_replace(text, std::regex(R"("working_directory": "[^"]*")"), "");
        text = std::regex_replace(text, std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)"), "");
        text = std::regex_replace(
            text, std::regex(R"(in \d[0-9.]* m?s\b|[0-9,]+ tokens/s|ETA .*|pid \d+)"), "");
      }
      found[name] = std::move(text);
    }
    return found;
  }
};

class EverySubset : public ClosedStreams, public ::testing::WithParamInterface<unsigned> {};

TEST_P(EverySubset, TrainsAndResumesAsUsual) {
  train_and_resume("usual", 0);
  train_and_resume("closed", GetParam());
  const auto usual = files("usual"), closed = files("closed");
  ASSERT_GE(usual.size(), 15U);
  for (const auto& [name, text] : usual) {
    ASSERT_TRUE(closed.contains(name)) << name;
    EXPECT_TRUE(closed.at(name) == text) << name << "\n"
                                         << text.substr(0, 2000) << "\n"
                                         << closed.at(name).substr(0, 2000);
  }
  EXPECT_EQ(closed.size(), usual.size());
}

INSTANTIATE_TEST_SUITE_P(All, EverySubset, ::testing::Range(1U, 8U));

TEST_F(ClosedStreams, ClosedDescriptorsAreTheNullDevice) {
  Process process(path("closed"), command(7, {"train", "closed.yaml", "--set", "train.steps=100000",
                                              "evaluate.every_steps=never"}));
  while (process.running() && !fs::exists(path("closed/run/checkpoints/step-0"))) {
  }
  for (const char* stream : {"0", "1", "2"}) {
    std::error_code error;
    EXPECT_EQ(
        fs::read_symlink(fs::path("/proc") / std::to_string(process.pid()) / "fd" / stream, error),
        "/dev/null")
        << stream;
  }
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait().exit_code, 75);
}

// Output to a closed stdout is discarded; a closed stderr does not affect the result.
TEST_F(ClosedStreams, ResultsGoToOpenDescriptors) {
  train_and_resume("closed", 0);
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"eval", "run", "--json"},
        {"generate", "run", "--prompt", "A", "--tokens", "3", "--json"}}) {
    const Outcome dropped = Process(path("closed"), command(3, arguments)).wait();
    EXPECT_EQ(dropped.exit_code, 0) << dropped.err;
    const Outcome kept = Process(path("closed"), command(5, arguments)).wait();
    EXPECT_EQ(kept.exit_code, 0);
    EXPECT_EQ(kept.json().at("step"), 8);
  }
  EXPECT_EQ(Process(path("closed"), command(7, {"eval", "nowhere"})).wait().exit_code, 66);
}

TEST_F(ClosedStreams, ComparesWithClosedDescriptors) {
  write("closed/two.yaml",
        "extends: [closed.yaml]\nrun: {dir: two}\ncompare: {vary: {model.ffn: [relu, geglu]}, "
        "seeds: [1]}\n");
  const Outcome outcome =
      Process(path("closed"), command(7, {"compare", "two.yaml", "--jobs", "2"})).wait();
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.out + outcome.err, "");
  std::size_t num_finished = 0;
  for (const auto& cell : fs::directory_iterator(path("closed/two/cells"))) {
    std::ifstream file(cell.path() / "output.txt");
    const std::string output{std::istreambuf_iterator<char>(file), {}};
    num_finished += output.find("finished 8 steps") != std::string::npos;
    EXPECT_EQ(Process(path("closed"), {SLUICE_PROGRAM, "verify", (cell.path() / "run").string()})
                  .wait()
                  .exit_code,
              0);
  }
  EXPECT_EQ(num_finished, 2U);
  EXPECT_TRUE(fs::exists(path("closed/two/report.html")));
}

}  // namespace
}  // namespace sluice::app
