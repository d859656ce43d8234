// End-to-end runs of the shipped program: train, interrupt, resume, evaluate, generate, verify, and
// their failures.
#include <chrono>
#include <cmath>
#include <csignal>
#include <fstream>
#include <random>
#include <thread>

#include "tests/app/program.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class Training : public ProgramTest {
 protected:
  void SetUp() override {
    write_english();
    write_tiny_config();
  }
  Process start(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), SLUICE_PROGRAM);
    return Process(directory_.path(), arguments);
  }
  std::size_t num_metrics_lines(const std::string& run) const {
    const std::string text = read(run + "/metrics.jsonl");
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }
  // metrics.jsonl without times.
  std::vector<nlohmann::json> metrics(const std::string& run) const {
    std::vector<nlohmann::json> lines;
    std::ifstream file(path(run) / "metrics.jsonl");
    for (std::string line; std::getline(file, line);) {
      lines.push_back(nlohmann::json::parse(line));
      lines.back().erase("time");
    }
    return lines;
  }
  std::string model(const std::string& run, int step = 30) const {
    return read(run + "/checkpoints/step-" + std::to_string(step) + "/model.safetensors");
  }
  std::string optimizer(const std::string& run, int step = 30) const {
    return read(run + "/checkpoints/step-" + std::to_string(step) + "/optimizer.safetensors");
  }
  void expect_equal_runs(const std::string& a, const std::string& b, int step = 30) const {
    EXPECT_FALSE(model(a, step).empty());
    EXPECT_TRUE(model(a, step) == model(b, step)) << "weights differ";
    EXPECT_TRUE(optimizer(a, step) == optimizer(b, step)) << "optimizer states differ";
    EXPECT_EQ(metrics(a), metrics(b));
  }
  bool saving(const std::string& run) const {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(path(run) / "checkpoints", ignored)) {
      if (entry.path().filename().string().find(".tmp-") != std::string::npos) return true;
    }
    return false;
  }
};

TEST_F(Training, LearnsAndWritesMetrics) {
  const Outcome outcome = sluice({"train", "tiny.yaml", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto result = outcome.json();
  EXPECT_EQ(result.at("step"), 30);
  EXPECT_LT(result.at("log_perplexity").get<double>(),
            result.at("initial_log_perplexity").get<double>() - 0.5);
  for (const char* name : {"config.yaml", "run.json", "log.txt", "metrics.jsonl"})
    EXPECT_TRUE(fs::exists(path("run") / name)) << name;

  const auto lines = metrics("run");
  std::vector<int> steps;
  for (const auto& line : lines) {
    if (!line.contains("loss")) continue;
    steps.push_back(line.at("step"));
    for (const char* key : {"tokens", "loss", "log_perplexity", "perplexity", "grad_norm", "lr"})
      EXPECT_TRUE(line.at(key).is_number()) << key;
    // Steps before this one; five of warm-up, then a cosine decay to a tenth.
    const int s = line.at("step").get<int>() - 1;
    const double factor =
        s < 5 ? (s + 1) / 5.0 : 0.1 + 0.9 * (1 + std::cos(std::acos(-1.0) * (s - 5) / 25.0)) / 2;
    EXPECT_NEAR(line.at("lr").get<double>(), 2e-3 * factor, 1e-12);
  }
  ASSERT_EQ(steps.size(), 30u);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(steps[i], i + 1);
}

TEST_F(Training, EvaluationAgreesWithTrainingAndWithItself) {
  const auto trained = sluice({"train", "tiny.yaml", "--json"}).json();
  const Outcome outcome = sluice({"eval", "run", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto result = outcome.json();
  EXPECT_EQ(result.at("log_perplexity"), trained.at("log_perplexity"));
  EXPECT_NEAR(result.at("perplexity").get<double>(),
              std::exp(result.at("log_perplexity").get<double>()), 1e-9);
  EXPECT_EQ(result.at("step"), 30);
  // With byte tokens and one end token per document, bits per byte = nats / (ln 2 · bytes).
  const double nats =
      result.at("log_perplexity").get<double>() * result.at("num_tokens").get<double>();
  EXPECT_NEAR(result.at("bits_per_byte").get<double>(),
              nats / std::log(2.0) / result.at("num_bytes").get<double>(), 1e-9);
  EXPECT_GT(result.at("word_perplexity").get<double>(), result.at("perplexity").get<double>());
  EXPECT_EQ(result.at("lossless"), true);

  const auto strided = sluice({"eval", "run", "--stride", "16", "--json"}).json();
  EXPECT_EQ(strided.at("num_tokens"), result.at("num_tokens"));
  EXPECT_NE(strided.at("log_perplexity"), result.at("log_perplexity"));
  const auto other =
      sluice({"eval", "run/checkpoints/step-30", "--data", "text.txt", "--json"}).json();
  EXPECT_EQ(other.at("num_bytes").get<std::size_t>() > 10'000, true);
}

TEST_F(Training, TheResultAgreesWithEval) {
  ASSERT_EQ(sluice({"train", "tiny.yaml"}).exit_code, 0);
  const auto eval = sluice({"eval", "run", "--json"}).json(),
             result = nlohmann::json::parse(read("run/result.json"));
  for (const char* key :
       {"log_perplexity", "perplexity", "bits_per_byte", "word_perplexity", "step"})
    EXPECT_EQ(result.at(key), eval.at(key)) << key;
  EXPECT_EQ(result.at("num_targets"), eval.at("num_tokens"));
  const auto plan = sluice({"plan", "tiny.yaml", "--json"}).json();
  EXPECT_EQ(result.at("num_parameters"), plan.at("num_parameters"));
  EXPECT_EQ(result.at("flops_per_token"), plan.at("flops_per_token"));
  EXPECT_EQ(result.at("tokens"), 30 * plan.at("tokens_per_step").get<int>());
}

TEST_F(Training, ALimitedEvaluationReportsNoBytesOrWords) {
  ASSERT_EQ(sluice({"train", "tiny.yaml"}).exit_code, 0);
  const std::int64_t all = sluice({"eval", "run", "--json"}).json().at("num_tokens");
  const auto limited =
      sluice({"eval", "run", "--max-tokens", std::to_string(all - 1), "--json"}).json();
  EXPECT_EQ(limited.at("num_tokens"), all - 1);
  EXPECT_TRUE(limited.at("bits_per_byte").is_null());
  EXPECT_TRUE(limited.at("word_perplexity").is_null());
}

TEST_F(Training, DumpsFiftyBatchesByDefault) {
  ASSERT_EQ(sluice({"train", "tiny.yaml", "--dump-batches", "batches.safetensors", "--set",
                    "train.steps=2"})
                .exit_code,
            0);
  EXPECT_NE(read("batches.safetensors").find(R"("shape":[50,4,64])"), std::string::npos);
}

TEST_F(Training, RejectsAnExistingRunWithAlternatives) {
  ASSERT_EQ(sluice({"train", "tiny.yaml"}).exit_code, 0);
  const std::string before = model("run");
  const Outcome refused = sluice({"train", "tiny.yaml"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("--resume"), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("--fresh"), std::string::npos) << refused.err;
  // Already finished: a no-op.
  EXPECT_EQ(sluice({"train", "tiny.yaml", "--resume"}).exit_code, 0);
  EXPECT_TRUE(model("run") == before);
  ASSERT_EQ(sluice({"train", "tiny.yaml", "--fresh"}).exit_code, 0);
  EXPECT_TRUE(model("run") == before) << "same seed, same build, same weights";
  EXPECT_TRUE(model("run.old-1") == before);
  write("not-a-run/precious.txt", "keep me");
  EXPECT_EQ(sluice({"train", "tiny.yaml", "--fresh", "--run-dir", "not-a-run"}).exit_code, 2);
  EXPECT_EQ(read("not-a-run/precious.txt"), "keep me");
}

TEST_F(Training, ResumingAfterASignalEqualsAnUninterruptedRun) {
  ASSERT_EQ(sluice({"train", "tiny.yaml", "--run-dir", "unbroken"}).exit_code, 0);
  for (const int number : {SIGTERM, SIGINT, SIGUSR1}) {
    const std::string run = "run-" + std::to_string(number);
    Process process = start({"train", "tiny.yaml", "--run-dir", run});
    while (process.running() && num_metrics_lines(run) < 8) std::this_thread::sleep_for(1ms);
    process.signal(number);
    const Outcome stopped = process.wait();
    EXPECT_EQ(stopped.exit_code, 75) << stopped.err;
    EXPECT_NE(stopped.err.find("--resume"), std::string::npos) << stopped.err;
    EXPECT_EQ(sluice({"train", "tiny.yaml", "--run-dir", run, "--resume"}).exit_code, 0);
    expect_equal_runs(run, "unbroken");
  }
}

// 20 kills, at least 5 of them during a save; then the runs are finished and compared with an
// uninterrupted one.
TEST_F(Training, KillsAtRandomMomentsLeaveNoTrace) {
  constexpr int kSteps = 60, kKillsPerRun = 4;
  const auto arguments = [&](int run) {
    return std::vector<std::string>{"train",
                                    "tiny.yaml",
                                    "--run-dir",
                                    "run-" + std::to_string(run),
                                    "--resume",
                                    "--set",
                                    "train.steps=" + std::to_string(kSteps),
                                    "checkpoint.every_steps=2",
                                    "model.d_model=96"};
  };
  constexpr int kUnbroken = 0;
  ASSERT_EQ(sluice(arguments(kUnbroken)).exit_code, 0);
  std::mt19937 random(1);
  int num_kills = 0, num_inside_save = 0, kills_of_run = 0, run = 1;
  for (int round = 0; (num_kills < 20 || num_inside_save < 5) && round < 80; ++round) {
    const std::string name = "run-" + std::to_string(run);
    Process process = start(arguments(run));
    if (round % 2 == 0) {
      while (process.running() && !saving(name)) std::this_thread::yield();
    } else {
      // Between start-up and any step, whatever the speed of the machine.
      const auto start_up = std::chrono::milliseconds(random() % 200);
      std::this_thread::sleep_for(start_up);
      const std::size_t lines = num_metrics_lines(name) + random() % (kSteps / kKillsPerRun);
      while (process.running() && num_metrics_lines(name) < lines) std::this_thread::sleep_for(1ms);
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 20000));
    }
    const bool finished = !process.running();
    process.signal(SIGKILL);
    process.wait();
    if (!finished) {
      num_kills += 1;
      num_inside_save += saving(name);
    }
    kills_of_run = finished || kills_of_run + 1 == kKillsPerRun ? 0 : kills_of_run + 1;
    run += kills_of_run == 0;
  }
  ASSERT_GE(num_kills, 20);
  ASSERT_GE(num_inside_save, 5);
  for (int i = 1; i < run + (kills_of_run > 0); ++i) {
    const Outcome finished = sluice(arguments(i));
    ASSERT_EQ(finished.exit_code, 0) << finished.err;
    expect_equal_runs("run-" + std::to_string(i), "run-0", kSteps);
    EXPECT_FALSE(saving("run-" + std::to_string(i))) << "temporary files remain";
  }
}

TEST_F(Training, DetectsDamageAndUsesTheOlderCheckpoint) {
  ASSERT_EQ(sluice({"train", "tiny.yaml"}).exit_code, 0);
  EXPECT_EQ(sluice({"verify", "run"}).exit_code, 0);
  std::string damaged = model("run");
  damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 1);
  write("run/checkpoints/step-30/model.safetensors", damaged);
  const Outcome found = sluice({"verify", "run"});
  EXPECT_EQ(found.exit_code, 65);
  EXPECT_NE(found.err.find("model.safetensors"), std::string::npos) << found.err;
  EXPECT_EQ(sluice({"eval", "run/checkpoints/step-30"}).exit_code, 65);
  const Outcome refused = sluice({"eval", "run", "--json"});
  EXPECT_EQ(refused.exit_code, 78) << refused.out;
  EXPECT_NE(refused.err.find("--allow-older-checkpoint"), std::string::npos) << refused.err;
  const Outcome eval = sluice({"eval", "run", "--json", "--allow-older-checkpoint"});
  EXPECT_EQ(eval.exit_code, 0) << eval.err;
  EXPECT_EQ(eval.json().at("step"), 20);
  EXPECT_NE(eval.err.find("step-30"), std::string::npos)
      << "a warning names the skipped checkpoint";

  write("run/checkpoints/step-20/optimizer.safetensors", "");
  EXPECT_EQ(sluice({"eval", "run", "--allow-older-checkpoint"}).exit_code, 78);
  EXPECT_EQ(sluice({"train", "tiny.yaml", "--resume"}).exit_code, 78);
}

TEST_F(Training, ARunSurvivesMovingItsDirectoryAndItsCorpus) {
  ASSERT_EQ(sluice({"train", "tiny.yaml", "--run-dir", "unbroken"}).exit_code, 0);
  ASSERT_EQ(sluice({"train", "tiny.yaml", "--run-dir", "a", "--set", "train.steps=30"}).exit_code,
            0);
  Process process = start({"train", "tiny.yaml", "--run-dir", "b"});
  while (process.running() && num_metrics_lines("b") < 12) std::this_thread::sleep_for(1ms);
  process.signal(SIGTERM);
  ASSERT_EQ(process.wait().exit_code, 75);
  fs::create_directory(path("elsewhere"));
  fs::rename(path("b"), path("elsewhere/c"));
  fs::rename(path("text.txt"), path("elsewhere/text.txt"));
  const Outcome resumed =
      sluice({"train", "elsewhere/c/config.yaml", "--run-dir", "elsewhere/c", "--resume"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  expect_equal_runs("elsewhere/c", "unbroken");
  EXPECT_EQ(sluice({"eval", "elsewhere/c"}).exit_code, 0);
}

TEST_F(Training, ResumeRejectsFixedSettingsByName) {
  ASSERT_EQ(sluice({"train", "tiny.yaml"}).exit_code, 0);
  const Outcome refused =
      sluice({"train", "tiny.yaml", "--resume", "--set", "optimizer.lr=1e-3", "train.steps=40"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("optimizer.lr"), std::string::npos) << refused.err;
  const Outcome longer =
      sluice({"train", "tiny.yaml", "--resume", "--set", "train.steps=40", "--json"});
  EXPECT_EQ(longer.exit_code, 0) << longer.err;
  EXPECT_EQ(longer.json().at("step"), 40);
  EXPECT_NE(longer.err.find("train.steps"), std::string::npos) << "the difference is shown";
}

TEST_F(Training, RejectsTwoWritersInOneDirectory) {
  Process first =
      start({"train", "tiny.yaml", "--set", "train.steps=100000", "checkpoint.every_steps=100000"});
  while (first.running() && num_metrics_lines("run") < 3) std::this_thread::sleep_for(1ms);
  const Outcome second = sluice({"train", "tiny.yaml", "--resume", "--set", "train.steps=100000"});
  EXPECT_EQ(second.exit_code, 2);
  EXPECT_NE(second.err.find("run: in use by pid "), std::string::npos) << second.err;
  first.signal(SIGKILL);
  first.wait();
  EXPECT_EQ(sluice({"train", "tiny.yaml", "--resume", "--set", "train.steps=12"}).exit_code, 0)
      << "the lock of a dead process is released";
}

TEST_F(Training, AVanishedDirectoryIsNotRecreated) {
  Process process = start({"train", "tiny.yaml", "--set", "train.steps=100000"});
  while (process.running() && num_metrics_lines("run") < 3) std::this_thread::sleep_for(1ms);
  fs::rename(path("run"), path("moved"));
  const Outcome outcome = process.wait();
  EXPECT_EQ(outcome.exit_code, 74) << outcome.err;
  EXPECT_NE(outcome.err.find("run: moved or deleted"), std::string::npos) << outcome.err;
  EXPECT_FALSE(fs::exists(path("run")));
  EXPECT_EQ(sluice({"verify", "moved"}).exit_code, 0);
}

TEST_F(Training, GenerationIsReproducible) {
  ASSERT_EQ(sluice({"train", "tiny.yaml"}).exit_code, 0);
  const Outcome first =
      sluice({"generate", "run", "--prompt", "The License", "--tokens", "40", "--seed", "7"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_FALSE(first.out.empty());
  EXPECT_EQ(
      sluice({"generate", "run", "--prompt", "The License", "--tokens", "40", "--seed", "7"}).out,
      first.out);
  EXPECT_NE(
      sluice({"generate", "run", "--prompt", "The License", "--tokens", "40", "--seed", "8"}).out,
      first.out);
  const Outcome refused = sluice({"generate", "run", "--prompt", "The \xFF"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_EQ(refused.out, "");
  const auto json =
      sluice({"generate", "run", "--prompt", "A", "--tokens", "5", "--temperature", "0", "--json"})
          .json();
  EXPECT_TRUE(json.at("text").is_string());
}

TEST_F(Training, AFullDiskIsOneLineAndExitCode74) {
  const Outcome outcome =
      run({"/bin/sh", "-c",
           "ulimit -f 40; trap '' XFSZ; exec \"$0\" train tiny.yaml --set model.d_model=96",
           SLUICE_PROGRAM});
  EXPECT_EQ(outcome.exit_code, 74) << outcome.err;
  EXPECT_NE(outcome.err.find("File too large"), std::string::npos) << outcome.err;
  EXPECT_FALSE(saving("run")) << "temporary files remain";
}

}  // namespace
}  // namespace sluice::app
