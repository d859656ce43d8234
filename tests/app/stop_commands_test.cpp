// Stop signals by command: ignored signals, a closed terminal, long steps, truncated text,
// interrupted waits.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "tests/app/stop_support.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class StopCommands : public ProgramTest {
 protected:
  void SetUp() override {
    write_english();
    write_tiny_config();
  }
  std::vector<std::string> program(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), SLUICE_PROGRAM);
    return arguments;
  }
  // Starts the program with these signals ignored, as after `trap '' HUP` in a shell.
  std::vector<std::string> ignoring(const std::string& signals,
                                    std::vector<std::string> arguments) const {
    std::vector<std::string> words{"/bin/sh", "-c", "trap '' " + signals + "; exec \"$0\" \"$@\"",
                                   SLUICE_PROGRAM};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return words;
  }
  bool is_training(const std::string& run) const { return training_lines(path(run)).size() >= 2; }
};

const std::vector<std::string> kEndless{"train", "tiny.yaml", "--set", "train.steps=1000000",
                                        "evaluate.every_steps=never"};

// Steps of several seconds with small micro-batches and several epochs per step.
const std::vector<std::string> kLongSteps{"train",
                                          "tiny.yaml",
                                          "--set",
                                          "train.batch_sequences=16384",
                                          "train.micro_batch_sequences=64",
                                          "train.steps=4"};

TEST_F(StopCommands, SignalsIgnoredAtStartStayIgnored) {
  for (const StopSignal& ignored : kStopSignals) {
    const std::string run = "run-" + std::string(ignored.name);
    std::vector<std::string> arguments = kEndless;
    arguments.insert(arguments.end(), {"--run-dir", run});
    Process process(directory_.path(), ignoring(std::string(ignored.name.substr(3)), arguments));
    ASSERT_TRUE(wait_until(process, [&] { return is_training(run); })) << process.err();
    process.signal(ignored.number);
    const std::size_t num_lines = training_lines(path(run)).size();
    ASSERT_TRUE(wait_until(process, [&] {
      return training_lines(path(run)).size() > num_lines + 2;
    })) << ignored.name;
    const StopSignal& other = ignored.number == SIGTERM ? kStopSignals[0] : kStopSignals[1];
    process.signal(other.number);
    const Outcome outcome = process.wait();
    EXPECT_EQ(outcome.exit_code, 75) << outcome.err;
    const auto reports = [&](const std::string& text) {
      return outcome.err.find(text) != std::string::npos;
    };
    EXPECT_TRUE(reports("stopped by " + std::string(other.name))) << outcome.err;
    EXPECT_FALSE(reports(std::string(ignored.name) + " received")) << outcome.err;
    EXPECT_EQ(reports(std::string(ignored.name) + " ignored, as set by the parent process"),
              ignored.number != SIGHUP)
        << outcome.err;
  }
}

// Under `nohup sluice compare ...`, the runs survive the terminal too; other signals stop them.
TEST_F(StopCommands, RunsOfAComparisonInheritIgnoredSignals) {
  write(
      "two.yaml",
      "extends: [tiny.yaml]\nrun: {dir: " + path("two").string() +
          "}\ntrain: {steps: 1000000}\ncompare: {vary: {model.ffn: [relu, geglu]}, seeds: [1]}\n");
  Process process(directory_.path(), ignoring("HUP TERM", {"compare", "two.yaml", "--jobs", "2"}));
  const auto all_train = [&](std::size_t least) {
    std::size_t num_training = 0;
    std::error_code error;
    for (fs::directory_iterator it(path("two/cells"), error), end; !error && it != end;
         it.increment(error))
      num_training += training_lines(it->path() / "run").size() >= least;
    return num_training == 2;
  };
  ASSERT_TRUE(wait_until(process, [&] { return all_train(2); })) << process.err();
  const std::vector<pid_t> children = processes("train", path("two").string());
  ASSERT_EQ(children.size(), 2U);
  for (const int number : {SIGHUP, SIGTERM}) {
    process.signal(number);
    for (const pid_t child : children) ::kill(child, number);
  }
  std::this_thread::sleep_for(300ms);
  ASSERT_TRUE(process.running());
  EXPECT_EQ(processes("train", path("two").string()), children);
  process.signal(SIGINT);
  const Outcome outcome = process.wait();
  EXPECT_EQ(outcome.exit_code, 75) << outcome.err;
  EXPECT_NE(outcome.err.find("SIGINT received: stopping 2 runs after their current steps"),
            std::string::npos)
      << outcome.err;
  EXPECT_NE(outcome.err.find("stopped by SIGINT, everything is saved"), std::string::npos)
      << outcome.err;
}

TEST_F(StopCommands, ALaterSignalIsNotAnEcho) {
  std::vector<std::string> arguments = kLongSteps;
  Process process(directory_.path(), program(arguments));
  ASSERT_TRUE(wait_until(process, [&] {
    return process.err().find("each step reads the training text") != std::string::npos;
  })) << process.err();
  process.signal(SIGINT);
  ASSERT_TRUE(wait_until(process, [&] {
    return process.err().find("SIGINT received: finishing this step") != std::string::npos;
  })) << process.err();
  process.signal(SIGINT);  // an echo of the first one
  std::this_thread::sleep_for(std::chrono::milliseconds(kStopEcho_ms + 100));
  ASSERT_TRUE(process.running());
  const auto sent = Clock::now();
  process.signal(SIGTERM);
  const Outcome outcome = process.wait();
  EXPECT_EQ(outcome.exit_code, 128 + SIGTERM) << outcome.err;
  EXPECT_LT(Clock::now() - sent, 2s);
  EXPECT_EQ(newest_step(path("run")), 0);
  EXPECT_EQ(outcome.err.find("saved"), std::string::npos) << outcome.err;
}

TEST_F(StopCommands, ALongStepIsAcknowledgedAndFinished) {
  std::vector<std::string> arguments = kLongSteps;
  arguments[3] = "train.batch_sequences=2048";
  Process process(directory_.path(), program(arguments));
  ASSERT_TRUE(wait_until(process, [&] {
    return process.err().find("each step reads the training text") != std::string::npos;
  })) << process.err();
  process.signal(SIGHUP);
  std::this_thread::sleep_for(300ms);
  process.signal(SIGHUP);
  const Outcome outcome = process.wait();
  EXPECT_EQ(outcome.exit_code, 75) << outcome.err;
  EXPECT_NE(outcome.err.find("SIGHUP received: finishing this step, then saving"),
            std::string::npos)
      << outcome.err;
  const auto lines = training_lines(path("run"));
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(newest_step(path("run")), lines.back().at("step").get<std::int64_t>());
}

TEST_F(StopCommands, PlanWarnsOfAStepOfSeveralEpochs) {
  ASSERT_EQ(sluice({"prepare", "tiny.yaml"}).exit_code, 0);
  const Outcome long_step =
      sluice({"plan", "tiny.yaml", "--json", "--set", "train.batch_sequences=1024"});
  ASSERT_EQ(long_step.exit_code, 0) << long_step.err;
  const double epochs = long_step.json().at("tokens_per_step").get<double>() /
                        long_step.json().at("tokens_per_epoch").get<double>();
  EXPECT_GT(epochs, 1);
  char times[32];
  std::snprintf(times, sizeof times, " %.1f times", epochs);
  EXPECT_NE(long_step.err.find("each step reads the training text" + std::string(times)),
            std::string::npos)
      << long_step.err;
  EXPECT_EQ(sluice({"plan", "tiny.yaml"}).err.find("each step reads"), std::string::npos);
}

// Closing the terminal sends SIGHUP, and all later writes to it fail.
TEST_F(StopCommands, AClosedTerminalSavesTheRun) {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  ASSERT_GE(terminal, 0);
  ASSERT_TRUE(::grantpt(terminal) == 0 && ::unlockpt(terminal) == 0);
  const std::string name = ::ptsname(terminal);
  const std::string directory = directory_.path().string();
  std::vector<std::string> words = program(kEndless);
  words.emplace_back("train.log_interval=1s");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::setsid();
    ::signal(SIGHUP, SIG_DFL);
    ::setenv("TERM", "xterm", 1);
    // Becomes the controlling terminal of the session.
    const int slave = ::open(name.c_str(), O_RDWR);
    if (slave < 0 || ::dup2(slave, 0) < 0 || ::dup2(slave, 1) < 0 || ::dup2(slave, 2) < 0 ||
        ::chdir(directory.c_str()) != 0)
      ::_exit(126);
    if (slave > 2) ::close(slave);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  // Drain the terminal, so that the program does not block, until the run is training.
  std::string shown;
  const auto end = Clock::now() + 120s;
  ::fcntl(terminal, F_SETFL, O_NONBLOCK);
  while (Clock::now() < end && training_lines(path("run")).size() < 5) {
    char piece[4096];
    const ssize_t got = ::read(terminal, piece, sizeof piece);
    if (got > 0) shown.append(piece, static_cast<std::size_t>(got));
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_GE(training_lines(path("run")).size(), 5U) << shown;
  ::close(terminal);
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), 75);
  EXPECT_EQ(newest_step(path("run")),
            training_lines(path("run")).back().at("step").get<std::int64_t>());
}

TEST_F(StopCommands, AFirstSignalEndsEveryWait) {
  // Waits for another process that prepares the same data.
  const std::string fingerprint =
      sluice({"prepare", "tiny.yaml", "--json"}).json().at("fingerprint");
  const HeldLock lock(path("other/cache") / (fingerprint + ".lock"));
  Process preparing(directory_.path(),
                    program({"prepare", "tiny.yaml", "--set", "corpus.prepared_dir=other"}));
  ASSERT_TRUE(wait_until(preparing, [&] {
    return preparing.err().find("waiting for it") != std::string::npos;
  })) << preparing.err();
  // Waits for a writer of the FIFO.
  ASSERT_EQ(::mkfifo(path("fifo.yaml").c_str(), 0600), 0);
  Process reading(directory_.path(), program({"config", "check", "fifo.yaml"}));
  ASSERT_TRUE(wait_until(reading, [&] { return handles(reading.pid(), SIGTERM); }));
  for (Process* process : {&preparing, &reading}) {
    const auto sent = Clock::now();
    process->signal(SIGTERM);
    EXPECT_EQ(process->wait().exit_code, 75) << process->err();
    EXPECT_LT(Clock::now() - sent, 3s);
  }
}

TEST_F(StopCommands, AStoppedEvaluationPrintsNothing) {
  ASSERT_EQ(sluice({"train", "tiny.yaml", "--set", "train.steps=2"}).exit_code, 0);
  std::string text;
  for (int i = 0; i < 200; ++i) text += read("text.txt");
  write("long.txt", text);
  Process process(directory_.path(),
                  program({"eval", "run", "--data", "long.txt", "--stride", "1", "--json"}));
  ASSERT_TRUE(wait_until(process, [&] { return handles(process.pid(), SIGTERM); }));
  process.signal(SIGTERM);
  const Outcome outcome = process.wait();
  EXPECT_EQ(outcome.exit_code, 75) << outcome.err;
  EXPECT_EQ(outcome.out, "");
}

class StopGenerate : public StopCommands, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    StopCommands::SetUp();
    write("run.yaml", !fills() ? "extends: [tiny.yaml]\ntrain: {steps: 2}\n"
                               : R"(run:        {name: spans, dir: run}
corpus:     {train: [text.txt], holdout: 0.2, prepared_dir: prepared, separator: none}
tokenizer:  {type: bytes}
model:      {type: encoder_decoder, num_layers: 1, d_model: 32, num_heads: 2, d_ff: 64}
objective:  {type: span_corruption, input_length: 64}
train:      {steps: 2, batch_sequences: 4, threads: 1, precision: fp32}
)");
    ASSERT_EQ(sluice({"train", "run.yaml"}).exit_code, 0);
  }
  bool fills() const { return GetParam(); }
  // Greedy decoding: a shorter text is a prefix of a longer one.
  std::vector<std::string> arguments(const char* num_tokens) const {
    return {"generate",      "run", "--prompt", fills() ? "The ___ of" : "The",
            "--temperature", "0",   "--tokens", num_tokens};
  }
};

TEST_P(StopGenerate, ReportsTruncatedText) {
  std::vector<std::string> whole = arguments("5"), endless = arguments("1000000");
  whole.emplace_back("--json");
  EXPECT_EQ(sluice(whole).json().at("interrupted"), false);
  std::vector<std::string> texts;
  for (const bool json : {false, true}) {
    if (json) endless.emplace_back("--json");
    Process process(directory_.path(), program(endless));
    ASSERT_TRUE(wait_until(process, [&] { return handles(process.pid(), SIGTERM); }));
    std::this_thread::sleep_for(1s);  // generate some tokens
    ASSERT_TRUE(process.running()) << "ended before the signal";
    process.signal(SIGTERM);
    const Outcome outcome = process.wait();
    EXPECT_EQ(outcome.exit_code, 75) << outcome.err;
    EXPECT_NE(outcome.err.find("text is truncated"), std::string::npos) << outcome.err;
    if (json) {
      EXPECT_EQ(outcome.json().at("interrupted"), true);
    }
    std::string text = json ? outcome.json().at("text").get<std::string>() : outcome.out;
    if (fills()) {
      ASSERT_TRUE(text.starts_with("The") && text.find(" of", 3) != std::string::npos) << text;
      text = text.substr(3, text.rfind(" of") - 3);
    } else if (!json) {
      ASSERT_TRUE(text.starts_with("The") && text.ends_with("\n")) << text;
      text = text.substr(3, text.size() - 4);
    }
    EXPECT_FALSE(text.empty());
    texts.push_back(text);
  }
  // Both are prefixes of one text, possibly with an incomplete last character.
  const std::size_t common = std::min(texts[0].size(), texts[1].size());
  EXPECT_EQ(texts[0].substr(0, common - std::min<std::size_t>(common, 3)),
            texts[1].substr(0, common - std::min<std::size_t>(common, 3)));
}

INSTANTIATE_TEST_SUITE_P(Architectures, StopGenerate, ::testing::Bool(), [](const auto& row) {
  return std::string(row.param ? "FillingBlanks" : "Continuing");
});

}  // namespace
}  // namespace sluice::app
