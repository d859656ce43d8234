// What `sluice train` keeps, takes and refuses when it goes on, and what it leaves alone when something is wrong.
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

class Resume : public ProgramTest {
 protected:
  Resume() {
    write_english();
    write("tiny.yaml", R"(run:        {name: tiny, dir: run, seed: 1}
corpus:     {train: [text.txt], holdout: 0.2, prepared_dir: prepared}
tokenizer:  {type: bytes}
model:      {num_layers: 1, d_model: 16, num_heads: 2}
train:      {steps: 4, batch_sequences: 2, sequence_length: 32, threads: 1, precision: fp32}
evaluate:   {every_steps: 2}
checkpoint: {every_steps: 2}
)");
  }
  void train(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "train");
    const Outcome outcome = sluice(arguments);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }
  // With its message, which holds each of `parts`; the run is as it was.
  void expect_refused(std::vector<std::string> arguments, int exit_code, const std::vector<std::string>& parts) const {
    const std::string config = read("run/config.yaml"), result = read("run/result.json"), record = read("run/run.json");
    arguments.insert(arguments.begin(), "train");
    const Outcome outcome = sluice(arguments);
    EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err;
    for (const std::string& part : parts) EXPECT_NE(outcome.err.find(part), std::string::npos) << part << "\n" << outcome.err;
    EXPECT_EQ(read("run/config.yaml"), config);
    EXPECT_EQ(read("run/result.json"), result);
    EXPECT_EQ(read("run/run.json"), record);
  }
  std::int64_t steps_of(const std::string& run) const { return nlohmann::json::parse(read(run + "/result.json")).at("step"); }
  // The line of `text` that holds `part`.
  static std::string line_with(const std::string& text, const std::string& part) {
    const std::size_t at = text.find(part);
    if (at == std::string::npos) return "";
    const std::size_t begin = text.rfind('\n', at);
    return text.substr(begin == std::string::npos ? 0 : begin + 1, text.find('\n', at) - (begin == std::string::npos ? 0 : begin + 1));
  }
};

// ---- text and tokenizer ----

TEST_F(Resume, OtherTextIsRefusedByNameUnderAnyPath) {
  fs::copy_file(path("text.txt"), path("same.txt"));
  write("other.txt", read("text.txt") + "\nOne more paragraph.\n");
  train({"tiny.yaml"});
  const auto with = [](const std::string& what) {
    return std::vector<std::string>{"tiny.yaml", "--resume", "--set", what, "train.steps=6"};
  };
  expect_refused(with("corpus.train=[other.txt]"), 65, {"corpus.train", "other.txt", "text.txt", "--fresh"});
  expect_refused(with("corpus.train=[nowhere.txt]"), 66, {"corpus.train", "nowhere.txt", "text.txt"});
  expect_refused(with("corpus.train=[text.txt, other.txt]"), 65, {"corpus.train"});
  expect_refused(with("corpus.valid=[other.txt]"), 2, {"corpus.valid"});
  expect_refused(with("corpus.holdout=0.3"), 2, {"corpus.holdout", "0.2"});

  train({"tiny.yaml", "--resume", "--set", "corpus.train=[same.txt]", "train.steps=6"});
  EXPECT_EQ(steps_of("run"), 6);
  EXPECT_NE(read("run/config.yaml").find("same.txt"), std::string::npos);

  // The same name, other text.
  write("same.txt", read("other.txt"));
  expect_refused({"tiny.yaml", "--resume"}, 65, {"corpus.train", "same.txt", "content has changed"});
  // Gone, while the prepared data is there: not missed.
  fs::remove(path("same.txt"));
  const Outcome gone = sluice({"train", "tiny.yaml", "--resume", "--set", "train.steps=8"});
  EXPECT_EQ(gone.exit_code, 0) << gone.err;
  EXPECT_NE(gone.err.find("same.txt"), std::string::npos) << gone.err;
  fs::remove_all(path("prepared"));
  expect_refused({"tiny.yaml", "--resume"}, 66, {"corpus.train", "same.txt"});
}

TEST_F(Resume, OtherHeldOutTextIsRefusedByName) {
  write("held.txt", "A held-out paragraph that nobody trains on.\n\nAnd a second one, long enough for a window of thirty-two bytes.\n");
  fs::copy_file(path("held.txt"), path("held2.txt"));
  write("other.txt", "Another held-out paragraph that nobody trains on either, of some length.\n");
  train({"tiny.yaml", "--set", "corpus.valid=[held.txt]"});
  expect_refused({"tiny.yaml", "--resume", "--set", "corpus.valid=[other.txt]"}, 65, {"corpus.valid", "other.txt", "held.txt"});
  train({"tiny.yaml", "--resume", "--set", "corpus.valid=[held2.txt]", "train.steps=6"});
  EXPECT_EQ(steps_of("run"), 6);
}

TEST_F(Resume, AnotherTokenizerIsRefusedByName) {
  const auto tokenizer_of = [&](const std::string& size) {
    const Outcome outcome =
        sluice({"prepare", "tiny.yaml", "--set", "tokenizer={type: sentencepiece, vocab_size: " + size + "}", "--json"});
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

// ---- what is not there ----

TEST_F(Resume, ARefusedStartLeavesNoDirectory) {
  EXPECT_EQ(sluice({"train", "tiny.yaml", "--set", "corpus.train=[nowhere.txt]"}).exit_code, 66);
  EXPECT_FALSE(fs::exists(path("run")));
  EXPECT_EQ(sluice({"train", "tiny.yaml", "--set", "train.sequence_length=100000"}).exit_code, 65);
  EXPECT_FALSE(fs::exists(path("run")));
}

TEST_F(Resume, ALostNewestCheckpointIsMentioned) {
  train({"tiny.yaml"});
  fs::remove_all(path("run/checkpoints/step-4"));
  const Outcome outcome = sluice({"train", "--resume", "run"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("going back to step 2: result.json says that step 4"), std::string::npos) << outcome.err;
}

TEST_F(Resume, ADamagedNewestCheckpointIsNotCalledMissing) {
  train({"tiny.yaml"});
  write("run/checkpoints/step-4/config.yaml", "damaged");
  const Outcome outcome = sluice({"train", "--resume", "run"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("going back to step 2: "), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find("not there"), std::string::npos) << outcome.err;
}

TEST_F(Resume, PathsAreShownAsTheyAreWritten) {
  write("held.txt", "A held-out paragraph that nobody trains on.\n\nAnd a second one, long enough for a window of thirty-two bytes.\n");
  train({"tiny.yaml", "--set", "corpus.valid=[held.txt]"});
  expect_refused({"tiny.yaml", "--resume", "--set", "corpus.valid=[]"}, 2, {"corpus.valid: received []; expected [held.txt]"});
}

// ---- the length ----

TEST_F(Resume, FewerStepsThanAreDoneAreRefusedAndAsManyAreNothingToDo) {
  train({"tiny.yaml"});
  const auto with = [](const std::string& length) {
    return std::vector<std::string>{"tiny.yaml", "--resume", "--set", "train={steps: null, " + length + "}"};
  };
  expect_refused({"tiny.yaml", "--resume", "--set", "train.steps=3"}, 2, {"train.steps: ", "3", "at least 4", "--fresh"});
  expect_refused(with("tokens: 64"), 2, {"train.tokens: ", "64, which is 1 step;", "4"});
  expect_refused(with("epochs: 0.001"), 2, {"train.epochs: ", "0.001, which is 1 step;", "4"});
  const std::string result = read("run/result.json");
  train({"tiny.yaml", "--resume"});
  train({"--resume", "run"});
  EXPECT_EQ(read("run/result.json"), result);
  train({"tiny.yaml", "--resume", "--set", "evaluate.every_steps=never"});  // nothing better than the figure that is there
  EXPECT_EQ(read("run/result.json"), result);
}

// ---- the settings of the first start ----

TEST_F(Resume, WhatIsMissingIsNotStartedOver) {
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

TEST_F(Resume, ALongerRunIsAskedForByAnyOfTheLengths) {
  train({"tiny.yaml", "--set", "train={steps: null, tokens: 256}"});
  EXPECT_EQ(steps_of("run"), 4);
  train({"--resume", "run", "--set", "train.tokens=384"});
  EXPECT_EQ(steps_of("run"), 6);
  train({"--resume", "run", "--set", "train.steps=8"});
  EXPECT_EQ(steps_of("run"), 8);
}

TEST_F(Resume, ARunKeepsItsSettings) {
  train({"tiny.yaml", "--set", "train.steps=6", "model.d_model=24", "checkpoint.every_steps=3"});
  // Without the --set, from the same file: model.d_model would be refused, train.steps would be too small.
  const Outcome again = sluice({"train", "tiny.yaml", "--resume"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_NE(again.err.find("train.steps=6"), std::string::npos) << again.err;
  EXPECT_EQ(steps_of("run"), 6);
  // Without a file, and with more on top.
  train({"--resume", "run", "--set", "train.steps=8"});
  EXPECT_EQ(steps_of("run"), 8);
  // That holds from then on.
  train({"tiny.yaml", "--resume", "--set", "run.name=longer"});
  EXPECT_EQ(steps_of("run"), 8);
  EXPECT_NE(read("run/config.yaml").find("name: longer"), std::string::npos);
  EXPECT_NE(read("run/config.yaml").find("every_steps: 3"), std::string::npos);
  // The run's own file, as a configuration.
  train({"run/config.yaml", "--resume"});
  EXPECT_EQ(steps_of("run"), 8);
  // An edit of the file comes later than the --set.
  std::string edited = read("tiny.yaml");
  edited.replace(edited.find("steps: 4"), 8, "steps: 9");
  write("tiny.yaml", edited);
  const Outcome longer = sluice({"train", "tiny.yaml", "--resume"});
  ASSERT_EQ(longer.exit_code, 0) << longer.err;
  EXPECT_NE(longer.err.find("train.steps: 8 -> 9"), std::string::npos) << longer.err;
  EXPECT_EQ(steps_of("run"), 9);
  EXPECT_NE(read("run/config.yaml").find("d_model: 24"), std::string::npos) << "the other --set hold on";
  // A new run starts from the file.
  train({"tiny.yaml", "--fresh"});
  EXPECT_NE(read("run/config.yaml").find("d_model: 16"), std::string::npos);
}

TEST_F(Resume, AnEditedLengthReplacesOneThatWasSetByAnotherKey) {
  train({"tiny.yaml", "--set", "train.steps=null", "train.tokens=384"});
  EXPECT_EQ(steps_of("run"), 6);
  std::string edited = read("tiny.yaml");
  edited.replace(edited.find("steps: 4"), 8, "steps: 9");
  write("tiny.yaml", edited);
  train({"tiny.yaml", "--resume"});
  EXPECT_EQ(steps_of("run"), 9);
}

TEST_F(Resume, ARunIsNamedByItsDirectory) {
  train({"tiny.yaml"});
  expect_refused({"run"}, 2, {"a run directory without --resume", "train --resume run"});
  expect_refused({"--resume", "nowhere"}, 66, {"nowhere", "run directory"});
  expect_refused({"--resume", "nowhere.yaml"}, 66, {"nowhere.yaml"});
  expect_refused({"--resume", "prepared"}, 66, {"prepared", "no run"});
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

TEST_F(Resume, TheCommandAfterAStopContinues) {
  for (const std::string name : {"my runs/it's x", "-x", "r\xC3\xA9sum\xC3\xA9 $HOME", "a\nb"}) {
    Process process(path("."), {SLUICE_PROGRAM, "train", "tiny.yaml", "--run-dir=" + name, "--set", "train.steps=100000"});
    while (process.running() && !fs::exists(path(name) / "metrics.jsonl")) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    process.signal(SIGINT);
    const Outcome stopped = process.wait();
    ASSERT_EQ(stopped.exit_code, 75) << stopped.err;
    const std::string line = line_with(stopped.err, "train --resume");
    const std::size_t begin = line.find('`') + 1, end = line.rfind('`');
    ASSERT_LT(begin, end) << stopped.err;
    const nlohmann::json state = nlohmann::json::parse(read(name + "/run.json"));
    EXPECT_EQ(state.at("settings").at("set").at(0), "train.steps=100000");
    // A second start of the same command, with an end that is near.
    std::int64_t steps = 0;
    for (const auto& entry : fs::directory_iterator(path(name) / "checkpoints"))
      steps = std::max<std::int64_t>(steps, std::atoll(entry.path().filename().string().substr(5).c_str()));
    const std::string command = line.substr(begin, end - begin) + " --set train.steps=" + std::to_string(steps + 1);
    const Outcome resumed = run({"/bin/bash", "-c", command});
    EXPECT_EQ(resumed.exit_code, 0) << command << "\n" << resumed.err;
    // The last line of a finished run.
    const std::string sample = line_with(resumed.out, "sample ");
    ASSERT_NE(sample, "") << resumed.out;
    const Outcome generated = run({"/bin/bash", "-c", sample.substr(12) + " --tokens 3"});
    EXPECT_EQ(generated.exit_code, 0) << sample << "\n" << generated.err;
  }
}

TEST_F(Resume, TheSuggestedPromptIsOfTheHeldOutText) {
  write("held.txt", "Quuxly words begin here and go on.\n\nMore text that is long enough for a window.\n");
  const Outcome outcome = sluice({"train", "tiny.yaml", "--set", "corpus.valid=[held.txt]"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("--prompt 'Quuxly words begin here and'"), std::string::npos) << outcome.out;
  const Outcome none = sluice({"train", "tiny.yaml", "--run-dir", "none", "--set", "corpus.holdout=0"});
  ASSERT_EQ(none.exit_code, 0) << none.err;
  EXPECT_NE(none.out.find("--prompt 'Some text to continue'"), std::string::npos) << none.out;
}

// ---- nothing is moved before all is well ----

TEST_F(Resume, FreshRenamesTheOldRunLast) {
  train({"tiny.yaml"});
  write("short.txt", "x");
  write("broken.model", "no model");
  const std::vector<std::pair<std::string, int>> wrong = {{"corpus.train=[nowhere.txt]", 66},
                                                          {"corpus.train=[short.txt]", 65},
                                                          {"train.device=cuda:99", 2},
                                                          {"tokenizer={type: sentencepiece, model: broken.model}", 65},
                                                          {"tokenizer={type: sentencepiece, vocab_size: 100000}", 2},
                                                          {"model.d_model=nonsense", 2},
                                                          {"train.sequence_length=1000000", 65}};
  for (const auto& [set, code] : wrong)
    expect_refused({"tiny.yaml", "--fresh", "--set", set}, code,
                   {set.find("broken.model") != std::string::npos ? "broken.model" : set.substr(0, set.find_first_of(".="))});
  expect_refused({"nowhere.yaml", "--fresh"}, 66, {"nowhere.yaml"});
  EXPECT_FALSE(fs::exists(path("run.old-1")));
  EXPECT_EQ(steps_of("run"), 4);
  EXPECT_EQ(sluice({"verify", "run"}).exit_code, 0);
  train({"tiny.yaml", "--fresh", "--set", "train.steps=2"});
  EXPECT_EQ(steps_of("run"), 2);
  EXPECT_EQ(steps_of("run.old-1"), 4);
}

// ---- places and space ----

TEST_F(Resume, ATildeIsTheHomeDirectoryEverywhere) {
  ASSERT_EQ(::setenv("HOME", path("home").c_str(), 1), 0);
  fs::create_directories(path("home"));
  fs::copy_file(path("text.txt"), path("home/text.txt"));
  train({"tiny.yaml", "--set", "run.dir=~/run", "corpus.train=[~/text.txt]", "corpus.prepared_dir=~/prepared"});
  EXPECT_TRUE(fs::exists(path("home/run/result.json")));
  EXPECT_TRUE(fs::exists(path("home/prepared")));
  EXPECT_FALSE(fs::exists(path("~")));
  train({"--resume", "~/run", "--set", "train.steps=6"});
  train({"tiny.yaml", "--run-dir=~/second"});
  EXPECT_TRUE(fs::exists(path("home/second/result.json")));
  EXPECT_EQ(sluice({"eval", "~/run", "--data", "~/text.txt"}).exit_code, 0);
  EXPECT_EQ(sluice({"verify", "~/run"}).exit_code, 0);
  for (const char* set : {"run.dir=~root/x", "corpus.train=[~root/x]", "corpus.prepared_dir=~root/x"}) {
    const Outcome refused = sluice({"train", "tiny.yaml", "--set", set});
    EXPECT_EQ(refused.exit_code, 2) << set << refused.err;
    EXPECT_NE(refused.err.find("~root/x"), std::string::npos) << refused.err;
  }
}

TEST_F(Resume, NamesThatAreNotUtf8WorkOrAreRefusedFirst) {
  const Outcome refused = sluice({"train", "tiny.yaml", "--run-dir", "caf\xE9"});
  EXPECT_EQ(refused.exit_code, 2) << refused.err;
  EXPECT_NE(refused.err.find("UTF-8"), std::string::npos) << refused.err;
  EXPECT_FALSE(fs::exists(path("caf\xE9")));
  train({"tiny.yaml"});
  fs::rename(path("run"), path("caf\xE9"));
  for (const std::vector<std::string>& command : {std::vector<std::string>{"eval", "caf\xE9", "--json"},
                                                  {"verify", "caf\xE9", "--json"},
                                                  {"generate", "caf\xE9", "--prompt", "a", "--tokens", "2", "--json"}}) {
    const Outcome outcome = sluice(command);
    EXPECT_EQ(outcome.exit_code, 0) << command[0] << outcome.err;
    EXPECT_TRUE(outcome.json().is_object());
  }
  EXPECT_EQ(sluice({"train", "--resume", "caf\xE9"}).exit_code, 2);
}

TEST_F(Resume, SpaceIsAskedForWhatWillLieThere) {
  for (const char* keep :
       {"checkpoint.keep_last=1000000", "checkpoint.keep_last=9000000000000000000", "checkpoint.keep_last=9223372036854775807"}) {
    const Outcome outcome = sluice({"train", "tiny.yaml", "--fresh", "--set", keep, "checkpoint.every_steps=2"});
    EXPECT_EQ(outcome.exit_code, 0) << keep << outcome.err;
    const auto plan = sluice({"plan", "tiny.yaml", "--set", keep, "checkpoint.every_steps=2", "--json"}).json();
    EXPECT_EQ(plan.at("disk_bytes").get<std::uint64_t>(), 3 * plan.at("checkpoint_bytes").get<std::uint64_t>()) << keep;
  }
}

TEST_F(Resume, ThreadsAutoHonoursTheVariable) {
  write("auto.yaml", "extends: [tiny.yaml]\ntrain: {threads: auto}\n");
  ASSERT_EQ(::setenv("OMP_NUM_THREADS", "3,2", 1), 0);
  EXPECT_EQ(sluice({"plan", "auto.yaml", "--json"}).json().at("threads"), 3);
  EXPECT_EQ(sluice({"plan", "tiny.yaml", "--json"}).json().at("threads"), 1);
  ASSERT_EQ(::setenv("OMP_NUM_THREADS", "many", 1), 0);
  const Outcome garbage = sluice({"plan", "auto.yaml", "--json"});
  EXPECT_EQ(garbage.exit_code, 0);
  EXPECT_NE(garbage.err.find("OMP_NUM_THREADS"), std::string::npos) << garbage.err;
  ASSERT_EQ(::unsetenv("OMP_NUM_THREADS"), 0);
}

TEST_F(Resume, OneIsSingularAndNoFigureIsInfinite) {
  const Outcome outcome = sluice({"train", "tiny.yaml", "--set", "train.steps=1"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("finished 1 step;"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.out.find("after 1 step ("), std::string::npos) << outcome.out;
  const double per_word = nlohmann::json::parse(read("run/result.json")).at("word_perplexity");
  ASSERT_GT(per_word, 1e6);
  EXPECT_NE(outcome.out.find(", e^"), std::string::npos) << outcome.out;
  // A document without a blank: one word of thousands of bytes.
  write("long.txt", std::string(3000, 'a') + std::string(3000, 'b') + "\n");
  const Outcome eval = sluice({"eval", "run", "--data", "long.txt"});
  ASSERT_EQ(eval.exit_code, 0) << eval.err;
  EXPECT_EQ(eval.out.find("inf"), std::string::npos) << eval.out;
  EXPECT_TRUE(sluice({"eval", "run", "--data", "long.txt", "--json"}).json().at("word_perplexity").is_null());
}

}  // namespace
}  // namespace sluice::app
