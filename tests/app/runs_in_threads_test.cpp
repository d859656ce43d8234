// `sluice compare --runs-in threads`: several runs as threads of one process give what each gives
// in a process of its own, and stop, fail and crash as those do.
#include <algorithm>
#include <csignal>
#include <fstream>
#include <regex>
#include <set>

#include "tests/app/stop_support.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDecoder = R"(run:        {name: threads, dir: runs}
corpus:     {train: [text.txt], holdout: 0.2, prepared_dir: prepared}
tokenizer:  {type: bytes}
model:      {num_layers: 1, d_model: 32, num_heads: 2, dropout: 0.1}
train:      {steps: 6, batch_sequences: 4, sequence_length: 64, threads: 2, precision: fp32}
evaluate:   {every_steps: 4}
checkpoint: {every_steps: 4}
compare:    {vary: {model.ffn: [relu, geglu, swiglu]}, seeds: [1]}
)";
constexpr const char* kEncoderDecoder = R"(run:        {name: threads, dir: runs}
corpus:     {train: [text.txt], holdout: 0.2, prepared_dir: prepared, separator: none}
tokenizer:  {type: bytes}
model:      {type: encoder_decoder, num_layers: 1, d_model: 32, num_heads: 2, d_ff: 64}
objective:  {type: span_corruption, input_length: 64}
train:      {steps: 6, batch_sequences: 4, threads: 1, precision: bf16}
evaluate:   {every_steps: 4}
checkpoint: {every_steps: 4}
compare:    {vary: {model.ffn: [relu, geglu]}, seeds: [1]}
)";

class RunsInThreads : public ProgramTest {
 protected:
  RunsInThreads() {
    write_english();
    write("decoder.yaml", kDecoder);
    write("encoder_decoder.yaml", kEncoderDecoder);
  }
  static std::vector<std::string> command(const std::string& config, const std::string& directory,
                                          const std::string& runs_in, int jobs,
                                          const std::vector<std::string>& settings = {}) {
    std::vector<std::string> words{SLUICE_PROGRAM,       "compare", config,
                                   "--runs-in",          runs_in,   "--jobs",
                                   std::to_string(jobs), "--set",   "run.dir=" + directory};
    words.insert(words.end(), settings.begin(), settings.end());
    return words;
  }
  // By name; tests compare directories of the same names.
  std::vector<std::string> cells(const std::string& directory) const {
    std::vector<std::string> names;
    for (const fs::directory_entry& entry : fs::directory_iterator(path(directory) / "cells"))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }
  // Lines without times, speeds and sizes.
  std::vector<std::string> lines(const std::string& file, const std::string& directory) const {
    std::string text = read(file);
    text = std::regex_replace(text, std::regex(directory + "/"), "");
    // The JSON of the result has figures of the process.
    text = std::regex_replace(text, std::regex("\\n\\{[^\\n]*\"run_directory\"[^\\n]*"), "\n{}");
    text = std::regex_replace(text, std::regex("[0-9][0-9.,:TZ-]*( h| min| s| ms)?"), "#");
    std::vector<std::string> all;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) all.push_back(line);
    return all;
  }
  void expect_equal_cells(const std::string& directory, const std::string& reference,
                          int steps) const {
    ASSERT_EQ(cells(directory), cells(reference));
    for (const std::string& name : cells(directory)) {
      SCOPED_TRACE(name);
      const fs::path ours = path(directory) / "cells" / name / "run",
                     theirs = path(reference) / "cells" / name / "run";
      EXPECT_FALSE(weights(ours, steps).empty());
      EXPECT_TRUE(weights(ours, steps) == weights(theirs, steps));
      EXPECT_EQ(training_lines(ours), training_lines(theirs));
      for (const char* key : {"step", "log_perplexity", "bits_per_byte", "documents", "num_targets",
                              "threads", "data_fingerprint"}) {
        const auto result = [&](const std::string& where) {
          return nlohmann::json::parse(read(where + "/cells/" + name + "/run/result.json"))
              .value(key, nlohmann::json());
        };
        EXPECT_EQ(result(directory), result(reference)) << key;
      }
    }
  }
  // Output and log have the lines that the run would have alone, and those of no other run.
  void expect_own_lines(const std::string& directory, const std::string& reference) const {
    for (const std::string& name : cells(directory)) {
      for (const char* file : {"/output.txt", "/run/log.txt"}) {
        const std::string place = "/cells/" + name + file;
        EXPECT_EQ(lines(directory + place, directory), lines(reference + place, reference))
            << read(directory + place);
        for (const std::string& other : cells(directory)) {
          if (other != name) {
            EXPECT_EQ(read(directory + place).find(other), std::string::npos) << place;
          }
        }
      }
    }
  }
  // Processes whose parent is `parent`.
  static std::vector<pid_t> children_of(pid_t parent) {
    std::vector<pid_t> found;
    for (const pid_t pid : processes("run-jobs", "")) {
      std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
      std::string text;
      std::getline(file, text);
      std::istringstream fields(text.substr(std::min(text.size(), text.rfind(')') + 2)));
      std::string state;
      pid_t of = 0;
      if (fields >> state >> of && of == parent) found.push_back(pid);
    }
    return found;
  }
  // Whether `count` runs have taken a step.
  bool are_training(const std::string& directory, std::size_t count) const {
    std::error_code error;
    std::size_t num_training = 0;
    for (fs::directory_iterator it(path(directory) / "cells", error), end; !error && it != end;
         it.increment(error))
      num_training += training_lines(it->path() / "run").empty() ? 0 : 1;
    return num_training >= count;
  }
};

TEST_F(RunsInThreads, GiveTheBitsOfProcesses) {
  for (const char* config : {"decoder", "encoder_decoder"}) {
    SCOPED_TRACE(config);
    const std::string file = std::string(config) + ".yaml", alone = std::string(config) + "-alone",
                      together = std::string(config) + "-together";
    const Outcome first = run(command(file, alone, "processes", 1));
    ASSERT_EQ(first.exit_code, 0) << first.err;
    EXPECT_FALSE(fs::exists(path(alone) / "worker.txt"));
    const Outcome second = run(command(file, together, "threads", 3));
    ASSERT_EQ(second.exit_code, 0) << second.err << read(together + "/worker.txt");
    expect_equal_cells(together, alone, 6);
    expect_own_lines(together, alone);
    EXPECT_EQ(read(together + "/worker.txt"), "");
  }
}

// The first run has lost its checkpoints, and the last one diverges.
TEST_F(RunsInThreads, ErrorsAreThoseOfOneRun) {
  std::string config = kDecoder;
  const std::string vary = "model.ffn: [relu, geglu, swiglu]";
  config.replace(config.find(vary), vary.size(), "optimizer.lr: [1e-3, 2e-3, 1e30]");
  write("errors.yaml", config);
  const std::vector<std::string> settings{"train.divergence.policy=halt", "train.threads=1"};
  const auto damaged = [](const std::string& name) { return name.starts_with("1e-3-"); };
  const auto record = [&](const std::string& directory, const std::string& name) {
    auto json = nlohmann::json::parse(read(directory + "/cells/" + name + "/cell.json"));
    json.erase("wall_seconds");
    return json;
  };
  ASSERT_EQ(run(command("errors.yaml", "alone", "processes", 2, settings)).exit_code, 77);
  fs::copy(path("alone"), path("together"), fs::copy_options::recursive);
  for (const std::string& name : cells("alone")) {
    const fs::path run = path("together") / "cells" / name / "run";
    if (!damaged(name)) {
      fs::remove_all(run.parent_path());
      continue;
    }
    fs::remove(run / "result.json");
    for (const fs::directory_entry& entry : fs::directory_iterator(run / "checkpoints"))
      std::ofstream(entry.path() / "model.safetensors") << "damaged";
  }
  const Outcome outcome = run(command("errors.yaml", "together", "threads", 3, settings));
  EXPECT_EQ(outcome.exit_code, 78) << outcome.err;
  EXPECT_NE(outcome.err.find("1 run finished, 1 diverged, 1 failed"), std::string::npos)
      << outcome.err;
  ASSERT_EQ(cells("together"), cells("alone"));
  for (const std::string& name : cells("alone")) {
    const fs::path cell = path("together") / "cells" / name;
    const nlohmann::json found = record("together", name);
    if (!damaged(name)) {
      EXPECT_EQ(found, record("alone", name));
      EXPECT_EQ(training_lines(cell / "run"), training_lines(path("alone/cells") / name / "run"));
      continue;
    }
    EXPECT_EQ(found.at("state"), "failed");
    EXPECT_NE(found.at("remark").get<std::string>().find("all damaged"), std::string::npos);
    EXPECT_NE(read("together/cells/" + name + "/output.txt").find("\nerror: "), std::string::npos);
  }
}

// Stopped, continued and killed, continued to the end.
TEST_F(RunsInThreads, SurviveAStopSignalAndACrashOfTheirProcess) {
  const std::vector<std::string> settings{"train.steps=120", "train.threads=1",
                                          "evaluate.every_steps=60", "checkpoint.every_steps=60"};
  const std::vector<std::string> words =
      command("decoder.yaml", "together", "threads", 2, settings);
  const auto result_exists = [&](const std::string& name) {
    return fs::exists(path("together/cells") / name / "run/result.json");
  };
  Process stopped(directory_.path(), words);
  ASSERT_TRUE(wait_until(stopped, [&] { return are_training("together", 2); }));
  stopped.signal(SIGTERM);
  const Outcome saved = stopped.wait();
  EXPECT_EQ(saved.exit_code, 75) << saved.err;
  std::size_t num_stopped = 0;
  for (const std::string& name : cells("together")) {
    const fs::path run = path("together/cells") / name / "run";
    if (result_exists(name) || training_lines(run).empty()) continue;
    ++num_stopped;
    EXPECT_EQ(newest_step(run), training_lines(run).back().at("step").get<std::int64_t>());
    const std::string output = read("together/cells/" + name + "/output.txt");
    const std::size_t notice = output.find("SIGTERM received: finishing this step, then saving");
    // Missing if the step ends within 50 ms.
    if (notice != std::string::npos) {
      EXPECT_EQ(output.find("SIGTERM received", notice + 1), std::string::npos) << output;
    }
  }
  EXPECT_GE(num_stopped, 1U);

  Process killed(directory_.path(), words);
  ASSERT_TRUE(wait_until(killed, [&] { return !children_of(killed.pid()).empty(); }));
  const std::vector<pid_t> workers = children_of(killed.pid());
  ASSERT_EQ(workers.size(), 1U);
  ::kill(workers[0], SIGKILL);
  const Outcome crashed = killed.wait();
  EXPECT_EQ(crashed.exit_code, 1) << crashed.err;
  std::size_t num_failed = 0;
  for (const std::string& name : cells("together")) {
    const auto record = nlohmann::json::parse(read("together/cells/" + name + "/cell.json"));
    if (record.at("state") == "finished") continue;
    ++num_failed;
    EXPECT_EQ(record.at("state"), "failed");
    EXPECT_EQ(record.at("remark"), "killed by SIGKILL, possibly out of memory");
  }
  EXPECT_TRUE(num_failed == 1 || num_failed == 2) << crashed.err;  // the third had a new process

  ASSERT_EQ(run(words).exit_code, 0);
  ASSERT_EQ(run(command("decoder.yaml", "alone", "processes", 2, settings)).exit_code, 0);
  expect_equal_cells("together", "alone", 120);
}

// The marks of the last measurement, of two runs, are of one process and two threads.
TEST_F(RunsInThreads, AreMeasuredAsThreads) {
  std::vector<std::string> words{"/usr/bin/env",  "OMP_NUM_THREADS=2",
                                 SLUICE_PROGRAM,  "compare",
                                 "decoder.yaml",  "--runs-in",
                                 "threads",       "--jobs",
                                 "auto",          "--only",
                                 "relu,geglu",    "--set",
                                 "train.steps=2", "train.threads=auto"};
  const Outcome outcome = run(words);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("2 x 1 thread: "), std::string::npos) << outcome.err;
  std::set<std::string> pids, threads;
  for (const fs::directory_entry& mark :
       fs::directory_iterator(path("runs") / "measured/rendezvous")) {
    const std::string name = mark.path().filename();
    if (!name.starts_with("ready-")) continue;
    threads.insert(name);
    pids.insert(name.substr(0, name.rfind('-')));
  }
  EXPECT_EQ(threads.size(), 2U);
  EXPECT_EQ(pids.size(), 1U);
}

}  // namespace
}  // namespace sluice::app
