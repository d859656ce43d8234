// `sluice train --resume`: kept settings, accepted and rejected changes; a failed start changes
// nothing.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "tests/app/program.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

class Resume : public ShortRunTest {
 protected:
  // Expects a message with all `parts` and an unchanged run.
  void expect_refused(std::vector<std::string> arguments, int exit_code,
                      const std::vector<std::string>& parts) const {
    const std::string config = read("run/config.yaml"), result = read("run/result.json"),
                      record = read("run/run.json");
    arguments.insert(arguments.begin(), "train");
    const Outcome outcome = sluice(arguments);
    EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err;
    for (const std::string& part : parts)
      EXPECT_NE(outcome.err.find(part), std::string::npos) << part << "\n" << outcome.err;
    EXPECT_EQ(read("run/config.yaml"), config);
    EXPECT_EQ(read("run/result.json"), result);
    EXPECT_EQ(read("run/run.json"), record);
  }
  std::int64_t steps_of(const std::string& run) const {
    return nlohmann::json::parse(read(run + "/result.json")).at("step");
  }
  // The line of `text` that contains `part`.
  static std::string line_with(const std::string& text, const std::string& part) {
    const std::size_t at = text.find(part);
    if (at == std::string::npos) return "";
    const std::size_t begin = text.rfind('\n', at);
    return text.substr(begin == std::string::npos ? 0 : begin + 1,
                       text.find('\n', at) - (begin == std::string::npos ? 0 : begin + 1));
  }
};

// ---- text and tokenizer ----

TEST_F(Resume, RejectsDifferentTextByNameWhateverItsPath) {
  fs::copy_file(path("text.txt"), path("same.txt"));
  write("other.txt", read("text.txt") + "\nOne more paragraph.\n");
  train({"tiny.yaml"});
  const auto with = [](const std::string& what) {
    return std::vector<std::string>{"tiny.yaml", "--resume", "--set", what, "train.steps=6"};
  };
  expect_refused(with("corpus.train=[other.txt]"), 65,
                 {"corpus.train", "other.txt", "text.txt", "--fresh"});
  expect_refused(with("corpus.train=[nowhere.txt]"), 66,
                 {"corpus.train", "nowhere.txt", "text.txt"});
  expect_refused(with("corpus.train=[text.txt, other.txt]"), 65, {"corpus.train"});
  expect_refused(with("corpus.valid=[other.txt]"), 2, {"corpus.valid"});
  expect_refused(with("corpus.holdout=0.3"), 2, {"corpus.holdout", "0.2"});

  train({"tiny.yaml", "--resume", "--set", "corpus.train=[same.txt]", "train.steps=6"});
  EXPECT_EQ(steps_of("run"), 6);
  EXPECT_NE(read("run/config.yaml").find("same.txt"), std::string::npos);

  // The same name with different text.
  write("same.txt", read("other.txt"));
  expect_refused({"tiny.yaml", "--resume"}, 65,
                 {"corpus.train", "same.txt", "content has changed"});
  // A missing text is not needed while its prepared data exists.
  fs::remove(path("same.txt"));
  const Outcome gone = sluice({"train", "tiny.yaml", "--resume", "--set", "train.steps=8"});
  EXPECT_EQ(gone.exit_code, 0) << gone.err;
  EXPECT_NE(gone.err.find("same.txt"), std::string::npos) << gone.err;
  fs::remove_all(path("prepared"));
  expect_refused({"tiny.yaml", "--resume"}, 66, {"corpus.train", "same.txt"});
}

TEST_F(Resume, RejectsDifferentHeldOutTextByName) {
  write(
      "held.txt",
      "A held-out paragraph that is not trained on.\n\nAnd a second one, long enough for a window "
      "of thirty-two bytes.\n");
  fs::copy_file(path("held.txt"), path("held2.txt"));
  write("other.txt", "Another held-out paragraph that is not trained on either, of some length.\n");
  train({"tiny.yaml", "--set", "corpus.valid=[held.txt]"});
  expect_refused({"tiny.yaml", "--resume", "--set", "corpus.valid=[other.txt]"}, 65,
                 {"corpus.valid", "other.txt", "held.txt"});
  train({"tiny.yaml", "--resume", "--set", "corpus.valid=[held2.txt]", "train.steps=6"});
  EXPECT_EQ(steps_of("run"), 6);
}

TEST_F(Resume, RejectsADifferentTokenizerByName) {
  const auto tokenizer_of = [&](const std::string& size) {
    const Outcome outcome =
        sluice({"prepare", "tiny.yaml", "--set",
                "tokenizer={type: sentencepiece, vocab_size: " + size + "}", "--json"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return fs::path(outcome.json().at("directory").get<std::string>()) / "tokenizer.model";
  };
  fs::copy_file(path(tokenizer_of("330")), path("a.model"));
  fs::copy_file(path(tokenizer_of("340")), path("b.model"));
  fs::copy_file(path("a.model"), path("c.model"));
  const std::string given = "tokenizer={type: sentencepiece, model: ";
  train({"tiny.yaml", "--set", given + "a.model}"});
  const auto with = [&](const std::string& model) {
    return std::vector<std::string>{"tiny.yaml", "--resume", "--set", given + model + "}"};
  };
  expect_refused(with("b.model"), 65, {"tokenizer.model", "b.model", "a.model"});
  expect_refused(with("nowhere.model"), 66, {"nowhere.model"});
  train({"tiny.yaml", "--resume", "--set", given + "c.model}", "train.steps=6"});
  EXPECT_EQ(steps_of("run"), 6);
  write("c.model", read("b.model"));
  expect_refused({"tiny.yaml", "--resume"}, 65, {"tokenizer.model", "content has changed"});
}

// ---- missing files ----

TEST_F(Resume, AFailedStartCreatesNoDirectory) {
  EXPECT_EQ(sluice({"train", "tiny.yaml", "--set", "corpus.train=[nowhere.txt]"}).exit_code, 66);
  EXPECT_FALSE(fs::exists(path("run")));
  EXPECT_EQ(sluice({"train", "tiny.yaml", "--set", "train.sequence_length=100000"}).exit_code, 65);
  EXPECT_FALSE(fs::exists(path("run")));
}

TEST_F(Resume, ReportsALostNewestCheckpoint) {
  train({"tiny.yaml"});
  fs::remove_all(path("run/checkpoints/step-4"));
  const Outcome outcome = sluice({"train", "--resume", "run"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("going back to step 2: result.json reports step 4"), std::string::npos)
      << outcome.err;
}

TEST_F(Resume, DoesNotReportADamagedCheckpointAsMissing) {
  train({"tiny.yaml"});
  write("run/checkpoints/step-4/config.yaml", "damaged");
  const Outcome outcome = sluice({"train", "--resume", "run"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("going back to step 2: "), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find("but it is missing"), std::string::npos) << outcome.err;
}

TEST_F(Resume, ShowsPathsAsWritten) {
  write(
      "held.txt",
      "A held-out paragraph that is not trained on.\n\nAnd a second one, long enough for a window "
      "of thirty-two bytes.\n");
  train({"tiny.yaml", "--set", "corpus.valid=[held.txt]"});
  expect_refused({"tiny.yaml", "--resume", "--set", "corpus.valid=[]"}, 2,
                 {"corpus.valid: received []; expected [held.txt]"});
}

// ---- the length ----

TEST_F(Resume, RejectsFewerStepsThanDoneAndAcceptsAsMany) {
  train({"tiny.yaml"});
  const auto with = [](const std::string& length) {
    return std::vector<std::string>{"tiny.yaml", "--resume", "--set",
                                    "train={steps: null, " + length + "}"};
  };
  expect_refused({"tiny.yaml", "--resume", "--set", "train.steps=3"}, 2,
                 {"train.steps: ", "3", "at least 4", "--fresh"});
  expect_refused(with("tokens: 64"), 2, {"train.tokens: ", "64 (1 step);", "4"});
  expect_refused(with("epochs: 0.001"), 2, {"train.epochs: ", "0.001 (1 step);", "4"});
  const std::string result = read("run/result.json");
  train({"tiny.yaml", "--resume"});
  train({"--resume", "run"});
  EXPECT_EQ(read("run/result.json"), result);
  // The existing result is kept.
  train({"tiny.yaml", "--resume", "--set", "evaluate.every_steps=never"});
  EXPECT_EQ(read("run/result.json"), result);
}

// ---- the settings of the first start ----

TEST_F(Resume, DoesNotStartOverIfFilesAreMissing) {
  EXPECT_EQ(sluice({"train", "tiny.yaml", "--set", "run.dir=null"}).exit_code, 2);
  EXPECT_FALSE(fs::exists(path("null")));
  train({"tiny.yaml"});
  expect_refused({"--resume", "run", "--set", "run.dir=other"}, 2, {"run.dir=other"});
  fs::rename(path("run/metrics.jsonl"), path("kept"));
  EXPECT_EQ(sluice({"verify", "run"}).exit_code, 65);
  fs::rename(path("kept"), path("run/metrics.jsonl"));
  EXPECT_EQ(sluice({"verify", "run"}).exit_code, 0);
  fs::remove_all(path("run/checkpoints"));
  expect_refused({"--resume", "run"}, 78, {"no checkpoint", "4 steps", "--fresh"});
}

TEST_F(Resume, AnyLengthKeyExtendsARun) {
  train({"tiny.yaml", "--set", "train={steps: null, tokens: 256}"});
  EXPECT_EQ(steps_of("run"), 4);
  train({"--resume", "run", "--set", "train.tokens=384"});
  EXPECT_EQ(steps_of("run"), 6);
  train({"--resume", "run", "--set", "train.steps=8"});
  EXPECT_EQ(steps_of("run"), 8);
}

TEST_F(Resume, ARunKeepsItsSettings) {
  train({"tiny.yaml", "--set", "train.steps=6", "model.d_model=24", "checkpoint.every_steps=3"});
  // From the same file without the --set, which alone would have a different model.d_model and too
  // few train.steps.
  const Outcome again = sluice({"train", "tiny.yaml", "--resume"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_NE(again.err.find("train.steps=6"), std::string::npos) << again.err;
  EXPECT_EQ(steps_of("run"), 6);
  // Without a file, with another --set.
  train({"--resume", "run", "--set", "train.steps=8"});
  EXPECT_EQ(steps_of("run"), 8);
  // It is kept from then on.
  train({"tiny.yaml", "--resume", "--set", "run.name=longer"});
  EXPECT_EQ(steps_of("run"), 8);
  EXPECT_NE(read("run/config.yaml").find("name: longer"), std::string::npos);
  EXPECT_NE(read("run/config.yaml").find("every_steps: 3"), std::string::npos);
  // The run's own file, as a configuration.
  train({"run/config.yaml", "--resume"});
  EXPECT_EQ(steps_of("run"), 8);
  // A later edit of the file overrides the --set.
  std::string edited = read("tiny.yaml");
  edited.replace(edited.find("steps: 4"), 8, "steps: 9");
  write("tiny.yaml", edited);
  const Outcome longer = sluice({"train", "tiny.yaml", "--resume"});
  ASSERT_EQ(longer.exit_code, 0) << longer.err;
  EXPECT_NE(longer.err.find("train.steps: 8 -> 9"), std::string::npos) << longer.err;
  EXPECT_EQ(steps_of("run"), 9);
  EXPECT_NE(read("run/config.yaml").find("d_model: 24"), std::string::npos)
      << "the other --set are kept";
  // A new run starts from the file.
  train({"tiny.yaml", "--fresh"});
  EXPECT_NE(read("run/config.yaml").find("d_model: 16"), std::string::npos);
}

TEST_F(Resume, AnEditedLengthReplacesOneSetByAnotherKey) {
  train({"tiny.yaml", "--set", "train.steps=null", "train.tokens=384"});
  EXPECT_EQ(steps_of("run"), 6);
  std::string edited = read("tiny.yaml");
  edited.replace(edited.find("steps: 4"), 8, "steps: 9");
  write("tiny.yaml", edited);
  train({"tiny.yaml", "--resume"});
  EXPECT_EQ(steps_of("run"), 9);
}

TEST_F(Resume, AcceptsARunDirectory) {
  train({"tiny.yaml"});
  expect_refused({"run"}, 2, {"a run directory without --resume", "train --resume run"});
  expect_refused({"--resume", "nowhere"}, 66, {"nowhere", "run directory"});
  expect_refused({"--resume", "nowhere.yaml"}, 66, {"nowhere.yaml"});
  expect_refused({"--resume", "prepared"}, 66, {"prepared", "a directory without a run"});
  expect_refused({"--resume", "run", "--run-dir", "elsewhere"}, 2, {"--run-dir"});
  expect_refused({"--resume", "run", "--set", "optimizer.lr=1"}, 2, {"optimizer.lr"});
  expect_refused({"--resume"}, 2, {"CONFIG", "run directory"});
  expect_refused({"tiny.yaml"}, 2, {"train --resume run`", "--fresh"});
  fs::rename(path("run"), path("moved"));
  train({"--resume", "moved/", "--set", "train.steps=6"});
  EXPECT_EQ(steps_of("moved"), 6);
  EXPECT_FALSE(fs::exists(path("run")));
}

// ---- suggested commands ----

TEST_F(Resume, ThePrintedCommandContinuesTheRun) {
  for (const std::string name : {"my runs/it's x", "-x", "r\xC3\xA9sum\xC3\xA9 $HOME", "a\nb"}) {
    Process process(path("."), {SLUICE_PROGRAM, "train", "tiny.yaml", "--run-dir=" + name, "--set",
                                "train.steps=100000"});
    while (process.running() && !fs::exists(path(name) / "metrics.jsonl"))
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    process.signal(SIGINT);
    const Outcome stopped = process.wait();
    ASSERT_EQ(stopped.exit_code, 75) << stopped.err;
    const std::string line = line_with(stopped.err, "train --resume");
    const std::size_t begin = line.find('`') + 1, end = line.rfind('`');
    ASSERT_LT(begin, end) << stopped.err;
    const nlohmann::json state = nlohmann::json::parse(read(name + "/run.json"));
    EXPECT_EQ(state.at("settings").at("set").at(0), "train.steps=100000");
    // Runs the printed command for one more step.
    std::int64_t steps = 0;
    for (const auto& entry : fs::directory_iterator(path(name) / "checkpoints"))
      steps = std::max<std::int64_t>(
          steps, std::atoll(entry.path().filename().string().substr(5).c_str()));
    const std::string command =
        line.substr(begin, end - begin) + " --set train.steps=" + std::to_string(steps + 1);
    const Outcome resumed = run({"/bin/bash", "-c", command});
    EXPECT_EQ(resumed.exit_code, 0) << command << "\n" << resumed.err;
    // The last line of a finished run.
    const std::string sample = line_with(resumed.out, "sample ");
    ASSERT_NE(sample, "") << resumed.out;
    const Outcome generated = run({"/bin/bash", "-c", sample.substr(12) + " --tokens 3"});
    EXPECT_EQ(generated.exit_code, 0) << sample << "\n" << generated.err;
  }
}

TEST_F(Resume, SuggestsAPromptFromTheHeldOutText) {
  write("held.txt",
        "Quuxly words begin here and go on.\n\nMore text that is long enough for a window.\n");
  const Outcome outcome = sluice({"train", "tiny.yaml", "--set", "corpus.valid=[held.txt]"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("--prompt 'Quuxly words begin here and'"), std::string::npos)
      << outcome.out;
  const Outcome none =
      sluice({"train", "tiny.yaml", "--run-dir", "none", "--set", "corpus.holdout=0"});
  ASSERT_EQ(none.exit_code, 0) << none.err;
  EXPECT_NE(none.out.find("--prompt 'Some text to continue'"), std::string::npos) << none.out;
}

// ---- --fresh ----

TEST_F(Resume, FreshRenamesTheOldRunLast) {
  train({"tiny.yaml"});
  write("short.txt", "x");
  write("broken.model", "no model");
  const std::vector<std::pair<std::string, int>> wrong = {
      {"corpus.train=[nowhere.txt]", 66},
      {"corpus.train=[short.txt]", 65},
      {"train.device=cuda:99", 2},
      {"tokenizer={type: sentencepiece, model: broken.model}", 65},
      {"tokenizer={type: sentencepiece, vocab_size: 100000}", 2},
      {"model.d_model=nonsense", 2},
      {"train.sequence_length=1000000", 65}};
  for (const auto& [set, code] : wrong)
    expect_refused(
        {"tiny.yaml", "--fresh", "--set", set}, code,
        {set.find("broken.model") != std::string::npos ? "broken.model"
                                                       : set.substr(0, set.find_first_of(".="))});
  expect_refused({"nowhere.yaml", "--fresh"}, 66, {"nowhere.yaml"});
  EXPECT_FALSE(fs::exists(path("run.old-1")));
  EXPECT_EQ(steps_of("run"), 4);
  EXPECT_EQ(sluice({"verify", "run"}).exit_code, 0);
  train({"tiny.yaml", "--fresh", "--set", "train.steps=2"});
  EXPECT_EQ(steps_of("run"), 2);
  EXPECT_EQ(steps_of("run.old-1"), 4);
}

}  // namespace
}  // namespace sluice::app
