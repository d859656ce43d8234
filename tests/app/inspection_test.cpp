// `eval`, `generate`, `verify` and `prepare`: damaged runs, other working directories, other text,
// wrong arguments.
#include <unistd.h>

#include <functional>

#include "tests/app/program.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

class Inspection : public ProgramTest {
 protected:
  Inspection() {
    write_english();
    write_tiny_config();
  }
  void flip(const std::string& name, std::size_t at) const {
    std::string content = read(name);
    ASSERT_LT(at, content.size()) << name;
    content[at] = static_cast<char>(content[at] ^ 1);
    write(name, content);
  }
  fs::path prepared() const {
    for (const auto& entry : fs::directory_iterator(path("prepared")))
      if (fs::exists(entry.path() / "prepared.json")) return fs::relative(entry.path(), path("."));
    return {};
  }
  // Runs sluice in another directory.
  Outcome from(const std::string& directory, const std::string& arguments) const {
    return run(
        {"/bin/sh", "-c", "cd \"$1\" && exec \"$0\" " + arguments, SLUICE_PROGRAM, directory});
  }
  static void expect(const Outcome& outcome, int code, std::initializer_list<const char*> words) {
    EXPECT_EQ(outcome.exit_code, code) << outcome.err;
    for (const char* word : words)
      EXPECT_NE(outcome.err.find(word), std::string::npos) << word << " in: " << outcome.err;
  }
};

TEST_F(Inspection, VerifyFindsAFlippedBitInEveryFileThatTheRunDependsOn) {
  ASSERT_EQ(sluice({"train", "tiny.yaml", "--set", "corpus.tune_holdout=0.2"}).exit_code, 0);
  const Outcome good = sluice({"verify", "run", "--json"});
  ASSERT_EQ(good.exit_code, 0) << good.err;
  EXPECT_EQ(good.json().at("step"), 30);
  const std::string data = prepared().string();
  struct Case {
    std::string file, near;  // flips the byte after `near`, or the middle one if empty
  };
  for (const Case& one :
       {Case{data + "/train-00000.tokens", ""}, Case{data + "/valid-00000.tokens", ""},
        Case{data + "/tune-00000.tokens", ""}, Case{data + "/tokenizer.json", ""},
        Case{data + "/prepared.json", "\"settings\": \"ver"}, Case{"run/result.json", ""},
        Case{"run/config.yaml", "d_model: "}, Case{"run/run.json", "\"fingerprint\": \""},
        Case{"run/metrics.jsonl", "{\"step\":17,\"tokens\":4352,\"loss\":"},
        Case{"run/metrics.jsonl", "\"log_perplexity\":"},
        Case{"run/checkpoints/step-20/train_state.json", ""}}) {
    const std::string content = read(one.file);
    const std::size_t found = content.find(one.near);
    ASSERT_NE(found, std::string::npos) << one.near << " in " << one.file << content.substr(0, 300);
    flip(one.file, one.near.empty() ? content.size() / 2 : found + one.near.size());
    if (one.near.starts_with("{\"step\":17"))
      write(one.file, std::string(content).erase(content.find("{\"step\":17"), 8));
    const Outcome outcome = sluice({"verify", "run"});
    EXPECT_EQ(outcome.exit_code, 65) << one.file << ": " << outcome.out << outcome.err;
    write(one.file, content);
  }
  // Commands that read damaged text report it too.
  flip(data + "/valid-00000.tokens", 200);
  expect(sluice({"eval", "run"}), 65, {"valid-00000.tokens"});
  flip(data + "/valid-00000.tokens", 200);
  flip(data + "/train-00000.tokens", 200);
  expect(sluice({"train", "tiny.yaml", "--set", "corpus.tune_holdout=0.2", "--run-dir", "other"}),
         65, {"train-00000.tokens"});
}

TEST_F(Inspection, OnlyResumeFallsBackToAnOlderCheckpoint) {
  ASSERT_EQ(sluice({"train", "tiny.yaml"}).exit_code, 0);
  fs::copy(path("run"), path("whole"), fs::copy_options::recursive);
  const std::string newest = "run/checkpoints/step-30";
  const std::vector<std::function<void()>> damages = {
      [&] { flip(newest + "/model.safetensors", 5000); },
      [&] { fs::remove(path(newest + "/manifest.json")); }, [&] { fs::remove_all(path(newest)); },
      [&] { fs::rename(path(newest), path(newest + ".tmp-77")); }};
  for (const auto& damage : damages) {
    fs::remove_all(path("run"));
    fs::copy(path("whole"), path("run"), fs::copy_options::recursive);
    damage();
    expect(sluice({"eval", "run"}), 78, {"step 30", "--allow-older-checkpoint", "step 20"});
    const Outcome text = sluice({"generate", "run", "--prompt", "The"});
    expect(text, 78, {"--allow-older-checkpoint"});
    EXPECT_EQ(text.out, "");
    expect(sluice({"verify", "run"}), 65, {"step-30", "--allow-older-checkpoint"});
  }
  const Outcome eval = sluice({"eval", "run", "--json", "--allow-older-checkpoint"});
  ASSERT_EQ(eval.exit_code, 0) << eval.err;
  EXPECT_EQ(eval.json().at("step"), 20);
  EXPECT_EQ(sluice({"generate", "run", "--prompt", "The", "--json", "--allow-older-checkpoint"})
                .json()
                .at("step"),
            20);
  const Outcome verified = sluice({"verify", "run", "--json", "--allow-older-checkpoint"});
  EXPECT_EQ(verified.exit_code, 0) << verified.err;
  EXPECT_EQ(verified.json().at("step"), 20);
  const Outcome resumed = sluice({"train", "tiny.yaml", "--resume", "--json"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(resumed.json().at("step"), 30);
  EXPECT_TRUE(read("run/checkpoints/step-30/model.safetensors") ==
              read("whole/checkpoints/step-30/model.safetensors"));
}

TEST_F(Inspection, EveryOutputContainsTheStep) {
  ASSERT_EQ(sluice({"train", "tiny.yaml"}).exit_code, 0);
  for (const auto& [place, step] :
       {std::pair{"run", "30"}, std::pair{"run/checkpoints/step-20", "20"}}) {
    EXPECT_NE(sluice({"eval", place}).out.find(std::string("step             ") + step),
              std::string::npos);
    EXPECT_NE(sluice({"generate", place, "--prompt", "The", "--tokens", "2"})
                  .err.find(std::string("step ") + step),
              std::string::npos);
    EXPECT_NE(sluice({"verify", place}).out.find(std::string("step     ") + step),
              std::string::npos);
    for (const char* command : {"eval", "verify"})
      EXPECT_EQ(std::to_string(sluice({command, place, "--json"}).json().at("step").get<int>()),
                step);
    const auto text =
        sluice({"generate", place, "--prompt", "The", "--tokens", "2", "--json"}).json();
    EXPECT_EQ(std::to_string(text.at("step").get<int>()), step);
    EXPECT_EQ(text.at("stop"), "length");
  }
}

TEST_F(Inspection, ARunWorksFromAnyWorkingDirectory) {
  fs::create_directories(path("work"));
  for (const char* name : {"text.txt", "tiny.yaml"}) fs::rename(path(name), path("work") / name);
  ASSERT_EQ(from("work", "train tiny.yaml").exit_code, 0);
  ASSERT_EQ(from("work", "train tiny.yaml --run-dir ../apart").exit_code, 0);
  const std::string expected = from("work", "eval run --json").out;
  for (const char* argument : {"work/run", "work/run/checkpoints/step-30", "apart"}) {
    const Outcome eval = sluice({"eval", argument, "--json"});
    EXPECT_EQ(eval.exit_code, 0) << eval.err;
    EXPECT_EQ(eval.out, expected);
    EXPECT_EQ(sluice({"verify", argument}).exit_code, 0);
  }
  fs::copy(path("work/run"), path("work/again"), fs::copy_options::recursive);
  const Outcome resumed = sluice({"train", "work/tiny.yaml", "--run-dir", "work/again", "--resume",
                                  "--set", "train.steps=35"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_FALSE(fs::exists(path("prepared"))) << "prepared a second time";
  EXPECT_EQ(from("/", "eval '" + path("work/again").string() + "'").exit_code, 0)
      << "after a resume from elsewhere";

  // A file of the same name in the current directory is not used.
  fs::copy(path("work/run"), path("work/third"), fs::copy_options::recursive);
  fs::create_directories(path("elsewhere"));
  write("elsewhere/text.txt", "Other text.\n\nOf another project.\n");
  const Outcome elsewhere = from("elsewhere", "train --resume ../work/third --set train.steps=35");
  EXPECT_EQ(elsewhere.exit_code, 0) << elsewhere.err;

  // A moved tree: the recorded working directory no longer exists.
  fs::rename(path("work"), path("moved"));
  EXPECT_EQ(from("moved", "eval run").exit_code, 0);
  EXPECT_EQ(sluice({"eval", "moved/run"}).exit_code, 0) << "the tree is located by run.dir";
  EXPECT_EQ(from("moved", "eval ../apart").exit_code, 0);
  // Runs of earlier versions did not record a working directory.
  auto record = nlohmann::ordered_json::parse(read("moved/run/run.json"));
  record.erase("working_directory");
  write("moved/run/run.json", record.dump());
  EXPECT_EQ(sluice({"eval", "moved/run"}).exit_code, 0);
}

TEST_F(Inspection, ReadsOtherTextInTheGivenFormat) {
  std::string lines, others;
  for (int i = 0; i < 200; ++i) {
    lines += "{\"text\": \"line number " + std::to_string(i) +
             " of the text, followed by some more words\"}\n";
    others += "{\"body\": \"line number " + std::to_string(i) + "\"}\n";
  }
  write("text.jsonl", lines);
  write("other.jsonl", others);
  ASSERT_EQ(
      sluice({"train", "tiny.yaml", "--set", "corpus.train=[text.jsonl]", "corpus.format=jsonl"})
          .exit_code,
      0);
  expect(sluice({"eval", "run", "--data", "text.txt"}), 65, {"--format text", "jsonl"});
  const Outcome plain = sluice({"eval", "run", "--data", "text.txt", "--format", "text", "--json"});
  ASSERT_EQ(plain.exit_code, 0) << plain.err;
  EXPECT_EQ(plain.json().at("num_bytes"), fs::file_size(path("text.txt")));
  EXPECT_EQ(sluice({"eval", "run", "--data", "text.jsonl"}).exit_code, 0);
  const Outcome field =
      sluice({"eval", "run", "--data", "other.jsonl", "--text-field", "body", "--json"});
  EXPECT_EQ(field.exit_code, 0) << field.err;
  expect(sluice({"eval", "run", "--data", "text.txt", "--format", "txt"}), 2,
         {"--format", "paragraphs"});
  expect(sluice({"eval", "run", "--data", "text.txt", "--format", "text", "--text-field", "body"}),
         2, {"--text-field"});
  expect(sluice({"eval", "run", "--format", "text"}), 2, {"--data"});
}

TEST_F(Inspection, IdentifiesPathsThatAreNotRuns) {
  ASSERT_EQ(sluice({"train", "tiny.yaml", "--set", "train.steps=2"}).exit_code, 0);
  ASSERT_EQ(sluice({"train", "tiny.yaml", "--set", "train.steps=2", "--fresh"}).exit_code, 0);
  write("cmp.yaml",
        "extends: [tiny.yaml]\nrun: {dir: cmp}\ntrain: {steps: 2}\ncompare: {vary: {model.ffn: "
        "[relu, geglu]}, seeds: [1]}\n");
  ASSERT_EQ(sluice({"compare", "cmp.yaml"}).exit_code, 0);
  fs::rename(path("run"), path("gone"));
  const std::string data = prepared().string();
  for (const char* command : {"eval", "verify", "generate"}) {
    const auto ask = [&](const std::string& argument) {
      std::vector<std::string> words{command, argument};
      if (words[0] == "generate") words.insert(words.end(), {"--prompt", "x"});
      return sluice(words);
    };
    expect(ask("cmp"), 66, {"a comparison of 2 runs", "cmp/cells/relu-seed-1", "/run", "--report"});
    expect(ask("cmp/cells"), 66, {"received a directory without a run or checkpoint; expected"});
    expect(ask("tiny.yaml"), 66, {"a configuration", "run.dir"});
    expect(ask("cmp.yaml"), 66, {"a configuration"});
    expect(ask("text.txt"), 66, {"a file", "a run directory"});
    expect(ask("gone/checkpoints"), 66, {"the checkpoint directory of a run", "step-2"});
    expect(ask("gone/checkpoints/step-2/model.safetensors"), 66,
           {"a file of a checkpoint", "gone/checkpoints/step-2"});
    expect(ask("prepared"), 66, {"a directory of prepared data"});
    expect(ask(data), 66, {"prepared data"});
    expect(ask("run"), 66, {"run: not found; runs renamed by --fresh: ", "run.old-1"});
    EXPECT_EQ(ask("run.old-1").exit_code, 0);
    EXPECT_EQ(ask("gone/").exit_code, 0);
  }
}

TEST_F(Inspection, ExplainsAnEmptyText) {
  std::string letters;
  for (int i = 0; i < 3000; ++i) letters += "a\n";
  write("text.txt", letters);
  ASSERT_EQ(sluice({"train", "tiny.yaml", "--set", "corpus.format=lines", "corpus.holdout=0",
                    "train.steps=100", "optimizer.lr=1e-3"})
                .exit_code,
            0);
  const Outcome empty = sluice({"generate", "run", "--prompt", "a", "--temperature", "0"});
  expect(empty, 0, {"ended immediately"});
  EXPECT_EQ(empty.out, "a\n") << "stdout contains only the text";
  const auto json =
      sluice({"generate", "run", "--prompt", "a", "--temperature", "0", "--json"}).json();
  EXPECT_EQ(json.at("text"), "");
  EXPECT_EQ(json.at("stop"), "eos");
}

TEST_F(Inspection, RejectsOrCountsHeldOutTextContainedInTrainingText) {
  fs::copy_file(path("text.txt"), path("copy.txt"));
  for (const char* command : {"prepare", "train", "plan"})
    expect(sluice({command, "tiny.yaml", "--set", "corpus.valid=[copy.txt]"}), 65,
           {"corpus.valid", "corpus.holdout"});
  EXPECT_FALSE(fs::exists(path("run/checkpoints")));
  write("more.txt", "One separate paragraph.\n\n" + read("text.txt"));
  const Outcome prepared =
      sluice({"prepare", "tiny.yaml", "--json", "--set", "corpus.valid=[more.txt]"});
  expect(prepared, 0,
         {" documents (", " % of the bytes", "held-out perplexity will be optimistic"});
  EXPECT_EQ(prepared.json().at("num_documents_in_both").get<int>() + 1,
            prepared.json().at("valid").at("num_documents").get<int>());
  EXPECT_EQ(prepared.json().at("num_bytes_in_both").get<int>() + 23,
            prepared.json().at("valid").at("num_bytes").get<int>());
  expect(sluice({"train", "tiny.yaml", "--set", "corpus.valid=[more.txt]", "train.steps=2"}), 0,
         {"optimistic"});
  expect(sluice({"eval", "run"}), 0, {"optimistic"});
}

TEST_F(Inspection, WarnsOfFewDocumentsWithTheLikelyCause) {
  const Outcome usual = sluice({"prepare", "tiny.yaml"});
  EXPECT_EQ(usual.exit_code, 0);
  std::string pages;
  for (int i = 0; i < 7; ++i) {
    write("pages/" + std::to_string(i) + ".txt", read("text.txt") + std::to_string(i));
  }
  const Outcome few = sluice({"prepare", "tiny.yaml", "--set", "corpus.train=[pages]",
                              "corpus.format=text", "corpus.holdout=2"});
  expect(few, 0,
         {"5 training documents, 2 held-out documents", "`text`, each file is one document"});
  EXPECT_EQ(few.err.find("held-out documents, fewer"), few.err.rfind("held-out documents, fewer"))
      << "one warning";
}

// Runs as a user without write permission for the data; root switches to such a user.
TEST_F(Inspection, ReadsPreparedDataOfAnotherUser) {
  ASSERT_EQ(sluice({"prepare", "tiny.yaml"}).exit_code, 0);
  fs::remove(path("prepared/cache/hashes.json"));
  fs::create_directory(path("mine"));
  fs::permissions(path("mine"), fs::perms::all);
  const bool is_root = geteuid() == 0;
  if (is_root) fs::permissions(path("."), fs::perms(0755));
  const std::string prefix =
      is_root ? "exec setpriv --reuid=65534 --regid=65534 --clear-groups " : "exec ";
  if (is_root && run({"/bin/sh", "-c", prefix + "test -x \"$0\"", SLUICE_PROGRAM}).exit_code != 0)
    GTEST_SKIP() << "another user cannot run the program from here";
  const auto read_only = [&](bool on) {
    for (const auto& entry : fs::recursive_directory_iterator(path("prepared")))
      fs::permissions(entry.path(), on ? (entry.is_directory() ? fs::perms(0555) : fs::perms(0444))
                                       : fs::perms(0755));
    fs::permissions(path("prepared"), on ? fs::perms(0555) : fs::perms(0755));
  };
  read_only(true);
  const Outcome outcome = run(
      {"/bin/sh", "-c", prefix + "\"$0\" train tiny.yaml --run-dir mine/run --set train.steps=2",
       SLUICE_PROGRAM});
  const Outcome eval = run({"/bin/sh", "-c", prefix + "\"$0\" eval mine/run", SLUICE_PROGRAM});
  read_only(false);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(eval.exit_code, 0) << eval.err;
}

}  // namespace
}  // namespace sluice::app
