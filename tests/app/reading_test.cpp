// Accepted and rejected input: file names, compressed files, JSON lines, pipes, small vocabularies.
#include <sys/stat.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "tests/app/program.h"

namespace sluice::app {
namespace {

using Strings = std::vector<std::string>;

class Reading : public ProgramTest {
 protected:
  void SetUp() override {
    write_english();
    write_tiny_config();
  }
  Outcome prepare(Strings settings) const {
    Strings arguments = {"prepare", "tiny.yaml", "--json", "--set", "corpus.format=lines"};
    arguments.insert(arguments.end(), settings.begin(), settings.end());
    return sluice(arguments);
  }
  static std::uint64_t num_documents(const Outcome& outcome) {
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    const auto json = outcome.json();
    return json.at("train").at("num_documents").get<std::uint64_t>() +
           json.at("valid").at("num_documents").get<std::uint64_t>();
  }
  static void expect_refused(const Outcome& outcome, int exit_code, const std::string& part) {
    EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  }
};

std::string lines(const std::string& name, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += name + " line " + std::to_string(i) + "\n";
  return text;
}

TEST_F(Reading, ReadsEveryFileOfAGlobOnce) {
  for (const char* name :
       {"d/a.txt", "d/x/b.txt", "d/x/y/c.txt", "d/z/e.txt", "d/.hidden/f.txt", "d/x/.g.txt"})
    write(name, lines(name, 30));
  std::filesystem::create_directory_symlink("..", path("d/x/loop"));
  std::filesystem::create_hard_link(path("d/a.txt"), path("d/z/a-again.txt"));
  EXPECT_EQ(num_documents(prepare({"corpus.train=[d/**/*.txt]"})), 120U);
  const Outcome directory = prepare({"corpus.train=[d, ./d/a.txt]"});
  EXPECT_EQ(num_documents(directory), 120U);
  EXPECT_NE(directory.err.find("corpus.train: skipping 2 duplicate paths (e.g. "),
            std::string::npos)
      << directory.err;
  expect_refused(prepare({"corpus.train=[d/**.txt]"}), 66,
                 "corpus.train: received `d/**.txt` (`**` must be a whole path component");
  expect_refused(prepare({"corpus.train=['d/{a,b}.txt']"}), 66, "braces are not expanded");
}

// Reading any of these could block forever.
TEST_F(Reading, AcceptsOnlyRegularFilesAsCorpusAndTokenizer) {
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  expect_refused(prepare({"corpus.train=[fifo]"}), 66, "corpus.train: received `fifo` (a FIFO)");
  expect_refused(prepare({"corpus.valid=[fifo]"}), 66, "corpus.valid: received `fifo` (a FIFO)");
  expect_refused(prepare({"corpus.train=['*']"}), 66, "`fifo` (a FIFO)");
  expect_refused(prepare({"corpus.train=[/dev/zero]"}), 66, "`/dev/zero` (a device)");
  expect_refused(prepare({"tokenizer={type: sentencepiece, model: fifo}"}), 66,
                 "fifo: received a FIFO");
  expect_refused(prepare({"tokenizer={type: sentencepiece, model: /dev/zero}"}), 66,
                 "/dev/zero: received a device");
  expect_refused(run({"bash", "-c",
                      std::string(SLUICE_PROGRAM) +
                          " prepare tiny.yaml --set corpus.train=[<(cat text.txt)]"}),
                 66, "` (a FIFO)");
}

// A configuration is read only once.
TEST_F(Reading, AConfigurationMayComeFromAPipe) {
  const Outcome outcome =
      run({"bash", "-c",
           std::string(SLUICE_PROGRAM) + " config check <(cat tiny.yaml) && cat tiny.yaml | " +
               SLUICE_PROGRAM + " config check /dev/stdin"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

TEST_F(Reading, EvaluatesGlobsButNoFifo) {
  ASSERT_EQ(sluice({"train", "tiny.yaml", "--set", "train.steps=2"}).exit_code, 0);
  write("e/a.txt", lines("a", 30));
  write("e/x/b.txt", lines("b", 30));
  const Outcome deep = sluice({"eval", "run", "--data", "e/**/*.txt", "--json"}),
                flat = sluice({"eval", "run", "--data", "e", "--json"});
  ASSERT_EQ(deep.exit_code, 0) << deep.err;
  EXPECT_EQ(deep.json().at("num_bytes"), flat.json().at("num_bytes"));
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  for (const char* name : {"fifo", "/dev/stdin"}) {
    const Outcome outcome =
        run({"bash", "-c",
             "cat text.txt | " + std::string(SLUICE_PROGRAM) + " eval run --data " + name});
    expect_refused(outcome, 66, std::string("--data: received `") + name + "` (a FIFO)");
  }
}

// The format of `zstd --long=31`, with stored blocks.
TEST_F(Reading, ReadsZstdWithALongWindow) {
  const std::string text = lines("long", 50);
  const auto frame = [&](char window) {
    const std::size_t header = text.size() << 3 | 1;
    std::string out = std::string("\x28\xB5\x2F\xFD\x00", 5) + window;
    for (const int shift : {0, 8, 16}) out += static_cast<char>(header >> shift & 0xFF);
    return out + text;
  };
  write("long.zst", frame('\xA8') + frame('\xA8'));
  EXPECT_EQ(num_documents(prepare({"corpus.train=[long.zst]"})), 100U);
  write("longer.zst", frame('\xA9'));
  expect_refused(prepare({"corpus.train=[longer.zst]"}), 65,
                 "longer.zst: received zstd data with a window above 2 GiB");
  write("more.zst", frame('\x50') + "more");
  expect_refused(prepare({"corpus.train=[more.zst]"}), 65,
                 "more.zst: trailing bytes after the zstd data");
}

TEST_F(Reading, ReadsJsonLinesAsWrittenByPython) {
  const Strings jsonl = {"corpus.format=jsonl", "corpus.train=[c.jsonl]"};
  std::string text;
  for (int i = 0; i < 60; ++i)
    text += "{\"score\": NaN, \"low\": -Infinity, \"text\": \"line " + std::to_string(i) + "\"}\n";
  write("c.jsonl", text);
  EXPECT_EQ(num_documents(prepare(jsonl)), 60U);
  write("c.jsonl", "{\"content\": \"a\", \"id\": 7}\n");
  expect_refused(prepare(jsonl), 65,
                 "received an object without field `text` (fields: `content` a string, `id` a "
                 "number); expected the name of the text field in corpus.text_field");
  write("c.jsonl", "{\"text\": null}\n");
  expect_refused(prepare(jsonl), 65, "c.jsonl, byte 0: received null in field `text`");
  write("c.jsonl", "{\"text\": \"half \\ud83d\"}\n");
  expect_refused(prepare(jsonl), 65,
                 "c.jsonl, byte 15: received a lone surrogate; expected surrogate pairs, or "
                 "corpus.invalid_utf8");
  write("c.jsonl", text + "{\"text\": \"half \\ud83d\"}\n\xEF\xBB\xBF{\"text\": \"mark\"}\n");
  const Outcome replaced =
      prepare({"corpus.format=jsonl", "corpus.train=[c.jsonl]", "corpus.invalid_utf8=replace"});
  EXPECT_EQ(num_documents(replaced), 62U);
  EXPECT_NE(replaced.err.find("half surrogate pairs, "), std::string::npos) << replaced.err;
  EXPECT_NE(replaced.err.find("byte order mark, "), std::string::npos) << replaced.err;
}

// 1,200 characters, most of them rare. The suggested coverage must work.
TEST_F(Reading, RejectsAVocabularyTooSmallForItsCharacters) {
  std::string text;
  for (int i = 0; i < 1200; ++i) {
    const int code = 0x4E00 + i;
    std::string character = {static_cast<char>(0xE0 | code >> 12),
                             static_cast<char>(0x80 | (code >> 6 & 0x3F)),
                             static_cast<char>(0x80 | (code & 0x3F))};
    for (int times = 0; times < (i < 400 ? 90 : 1); ++times) text += character;
    text += '\n';
  }
  write("han.txt", text);
  const Strings settings = {"corpus.train=[han.txt]", "corpus.holdout=0",
                            "tokenizer={type: sentencepiece, vocab_size: 1000}",
                            "evaluate.every_steps=never"};
  const Outcome refused = prepare(settings);
  expect_refused(refused, 2, "tokenizer.vocab_size: received 1000; expected at least ");
  const std::size_t coverage = refused.err.find("tokenizer.character_coverage ");
  ASSERT_NE(coverage, std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("tokenizer: {type: bytes}"), std::string::npos) << refused.err;
  const std::string number =
      refused.err.substr(coverage + 29, refused.err.find(' ', coverage + 29) - coverage - 29);
  Strings lower = settings;
  lower.push_back("tokenizer.character_coverage=" + number);
  EXPECT_EQ(prepare(lower).exit_code, 0) << number;
}

}  // namespace
}  // namespace sluice::app
