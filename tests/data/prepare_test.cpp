#include <gtest/gtest.h>
#include <sys/file.h>

#include <algorithm>
#include <fstream>
#include <numeric>
#include <set>
#include <thread>

#include "base/file.h"
#include "base/signals.h"
#include "data/holdout.h"
#include "data/prepared.h"
#include "data/shard.h"
#include "tests/base/temporary_directory.h"
#include "tests/text/text_support.h"

namespace sluice::data {
namespace {

using sluice::testing::message_of;
using sluice::testing::plain_text;
using sluice::testing::TemporaryDirectory;
using sluice::testing::write_text;

std::vector<std::int32_t> all_ids(const TokenStream& stream) {
  std::vector<std::int32_t> ids(stream.num_tokens());
  stream.read(0, ids);
  return ids;
}

// The documents of a stream of bytes.
std::vector<std::string> documents_of(const PreparedData& data, const TokenStream& stream) {
  std::vector<std::string> documents(1);
  for (const std::int32_t id : all_ids(stream)) {
    if (id == *data.tokenizer->eos()) {
      documents.emplace_back();
    } else {
      documents.back() += static_cast<char>(id);
    }
  }
  EXPECT_TRUE(documents.back().empty()) << "no separator at the end";
  documents.pop_back();
  return documents;
}

// Tokens of each document of the stream, by the documents that its tokens belong to.
std::vector<std::uint64_t> lengths_of_documents(const TokenStream& stream) {
  std::vector<std::uint64_t> lengths(stream.num_documents());
  std::vector<std::uint32_t> documents(stream.num_tokens());
  stream.documents(0, documents);
  for (const std::uint32_t document : documents) lengths.at(document) += 1;
  EXPECT_TRUE(std::is_sorted(documents.begin(), documents.end()));
  return lengths;
}

class Prepare : public ::testing::Test {
 protected:
  Prepare() {
    write_text(folder_ / "corpus/a.txt", plain_text(1, 1500));
    write_text(folder_ / "corpus/b.txt", plain_text(2, 500));
    settings_.corpus.train = {(folder_ / "corpus").string()};
    settings_.corpus.prepared_dir = (folder_ / "prepared").string();
    settings_.corpus.holdout = 0.1;
    settings_.tokenizer = text::BytesConfig{};
  }
  ~Prepare() override { clear_stop(); }
  static text::SentencePieceConfig pieces(std::int64_t vocab_size) {
    text::SentencePieceConfig config;
    config.vocab_size = vocab_size;
    return config;
  }
  TemporaryDirectory folder_;
  PrepareSettings settings_;
};

TEST_F(Prepare, SplitsTheDocumentsAndLosesNothing) {
  const PreparedData data = prepare(settings_);
  text::FaultReport report;
  std::vector<std::string> train, valid;
  for (const char* name : {"a.txt", "b.txt"}) {
    text::for_each_document(folder_ / "corpus" / name, settings_.corpus, report, [&](std::string_view document) {
      const bool held_out = Holdout::fraction(0.1).contains(holdout_hash(document));
      (held_out ? valid : train).emplace_back(document);
    });
  }
  EXPECT_GT(valid.size(), 10U);
  EXPECT_EQ(documents_of(data, data.streams[Split::kTrain]), train);
  EXPECT_EQ(documents_of(data, data.streams[Split::kValid]), valid);
  EXPECT_EQ(data.counts[Split::kTrain].num_documents, train.size());
  EXPECT_EQ(data.counts[Split::kTrain].num_tokens, data.streams[Split::kTrain].num_tokens());
  std::uint64_t num_bytes = 0, num_words = 0;
  for (const std::string& document : train) {
    num_bytes += document.size();
    num_words += text::count_words(document);
  }
  EXPECT_EQ(data.counts[Split::kTrain].num_bytes, num_bytes);
  EXPECT_EQ(data.counts[Split::kTrain].num_words, num_words);
  data.streams[Split::kTrain].verify();
}

// Also where nothing stands between documents, the stream says where they end.
TEST_F(Prepare, DocumentEndsAreKept) {
  for (const auto separator : {text::Separator::kEos, text::Separator::kNone}) {
    settings_.corpus.separator = separator;
    const PreparedData data = prepare(settings_);
    const std::size_t num_separators = separator == text::Separator::kEos ? 1 : 0;
    std::vector<std::uint64_t> expected;  // tokens of each held-out document
    text::FaultReport report;
    for (const char* name : {"a.txt", "b.txt"}) {
      text::for_each_document(folder_ / "corpus" / name, settings_.corpus, report, [&](std::string_view document) {
        if (Holdout::fraction(0.1).contains(holdout_hash(document))) expected.push_back(document.size() + num_separators);
      });
    }
    ASSERT_EQ(data.streams[Split::kValid].num_documents(), expected.size());
    EXPECT_EQ(data.streams[Split::kTrain].num_documents(), data.counts[Split::kTrain].num_documents);
    EXPECT_EQ(lengths_of_documents(data.streams[Split::kValid]), expected);
    const EncodedText encoded = encode_files(settings_.corpus.train, settings_.corpus, *data.tokenizer, 2);
    EXPECT_EQ(encoded.stream.num_documents(), encoded.counts.num_documents);
    const auto lengths = lengths_of_documents(encoded.stream);
    EXPECT_EQ(std::accumulate(lengths.begin(), lengths.end(), std::uint64_t{0}), encoded.counts.num_tokens);
    EXPECT_EQ(static_cast<std::uint64_t>(std::count(lengths.begin(), lengths.end(), 0)), 0U);
  }
}

// A document is read in blocks of at most 64 KiB. Without a blank to cut at, a cut falls inside a word, which is one word still.
TEST_F(Prepare, AWordIsCountedOnceWhereverTheTextIsCut) {
  std::string tabs = plain_text(3, 40'000);
  std::replace(tabs.begin(), tabs.end(), ' ', '\t');
  const std::string long_word(190'000, 'x');
  settings_.corpus.format = text::Format::kText;
  for (const std::string& content : {tabs, long_word + " two three", "one " + long_word, long_word + "\t" + long_word}) {
    write_text(folder_ / "words.txt", content);
    const EncodedText encoded = encode_files({(folder_ / "words.txt").string()}, settings_.corpus, *text::make_bytes_tokenizer(), 2);
    EXPECT_EQ(encoded.counts.num_words, text::count_words(content));
    EXPECT_EQ(encoded.counts.num_bytes, content.size());
  }
}

TEST_F(Prepare, TuneTextIsInNoOtherSplitAndMovesNone) {
  const PreparedData without = prepare(settings_);
  EXPECT_EQ(without.streams[Split::kTune].num_tokens(), 0U);
  const auto set_of = [&](const PreparedData& data, const TokenStream& stream) {
    const auto documents = documents_of(data, stream);
    return std::multiset<std::string>(documents.begin(), documents.end());
  };
  const auto whole = set_of(without, without.streams[Split::kTrain]);
  for (const double share : {0.02, 0.3}) {
    settings_.corpus.tune_holdout = share;
    const PreparedData data = prepare(settings_);
    EXPECT_NE(data.fingerprint, without.fingerprint);
    EXPECT_EQ(all_ids(data.streams[Split::kValid]), all_ids(without.streams[Split::kValid])) << "the held-out text moved";
    EXPECT_EQ(data.counts[Split::kTune].num_tokens, data.streams[Split::kTune].num_tokens());
    auto tune = set_of(data, data.streams[Split::kTune]), train = set_of(data, data.streams[Split::kTrain]);
    EXPECT_NEAR(static_cast<double>(tune.size()), share * 500, 40);
    for (const std::string& document : tune) EXPECT_FALSE(train.contains(document));
    train.merge(tune);
    EXPECT_EQ(train, whole);
    const PreparedData opened = open_prepared(settings_.corpus.prepared_dir, data.fingerprint);
    EXPECT_EQ(all_ids(opened.streams[Split::kTune]), all_ids(data.streams[Split::kTune]));
    EXPECT_EQ(opened.counts[Split::kTune], data.counts[Split::kTune]);
  }
}

// A tokenizer that is learnt from the training documents alone, without the others, is the same.
TEST_F(Prepare, TheTokenizerNeverSeesTuneText) {
  settings_.corpus.tune_holdout = 0.3;
  settings_.tokenizer = pieces(400);
  std::string training;
  text::FaultReport report;
  for (const char* name : {"a.txt", "b.txt"}) {
    text::for_each_document(folder_ / "corpus" / name, settings_.corpus, report, [&](std::string_view document) {
      if (!Holdout::fraction(0.4).contains(holdout_hash(document))) training += std::string(document) + "\n\n";
    });
  }
  write_text(folder_ / "training.txt", training);
  const PreparedData data = prepare(settings_);
  PrepareSettings alone = settings_;
  alone.corpus.train = {(folder_ / "training.txt").string()};
  alone.corpus.holdout = alone.corpus.tune_holdout = 0;
  EXPECT_EQ(prepare(alone).tokenizer->hash(), data.tokenizer->hash());
}

// Beside files of their own for the held-out text, tuning takes the lowest hashes of the training text.
TEST_F(Prepare, TuneBesideValidFiles) {
  write_text(folder_ / "valid.txt", "unseen text\n\n" + plain_text(2, 20));
  settings_.corpus.valid = {(folder_ / "valid.txt").string()};
  const PreparedData without = prepare(settings_);
  settings_.corpus.tune_holdout = 0.25;
  const PreparedData data = prepare(settings_);
  EXPECT_EQ(all_ids(data.streams[Split::kValid]), all_ids(without.streams[Split::kValid]));
  const Holdout tune = Holdout::fraction(0.25);
  EXPECT_GT(data.counts[Split::kTune].num_documents, 50U);
  for (const std::string& document : documents_of(data, data.streams[Split::kTune])) EXPECT_TRUE(tune.contains(holdout_hash(document)));
  for (const std::string& document : documents_of(data, data.streams[Split::kTrain])) EXPECT_FALSE(tune.contains(holdout_hash(document)));
  EXPECT_EQ(data.overlap.num_documents, without.overlap.num_documents) << "tuning text is seen too";
}

TEST_F(Prepare, SecondTimeOpensTheSame) {
  const PreparedData first = prepare(settings_);
  const auto time = std::filesystem::last_write_time(first.directory / "prepared.json");
  const PreparedData second = prepare(settings_), opened = open_prepared(settings_.corpus.prepared_dir, first.fingerprint);
  EXPECT_EQ(second.fingerprint, first.fingerprint);
  EXPECT_EQ(std::filesystem::last_write_time(first.directory / "prepared.json"), time);
  EXPECT_EQ(all_ids(opened.streams[Split::kTrain]), all_ids(first.streams[Split::kTrain]));
  EXPECT_EQ(opened.counts[Split::kValid], first.counts[Split::kValid]);
}

TEST_F(Prepare, FingerprintFollowsContentAndSettingsNotPlaces) {
  const std::string before = prepare(settings_).fingerprint;
  std::filesystem::rename(folder_ / "corpus", folder_ / "moved");
  settings_.corpus.train = {(folder_ / "moved/*.txt").string()};
  settings_.num_threads = 3;
  EXPECT_EQ(prepare(settings_).fingerprint, before);
  std::set<std::string> seen{before};
  const auto expect_new = [&](const PrepareSettings& changed) { EXPECT_TRUE(seen.insert(prepare(changed).fingerprint).second); };
  PrepareSettings changed = settings_;
  changed.corpus.holdout = 0.2;
  expect_new(changed);
  changed = settings_;
  changed.corpus.tune_holdout = 0.1;
  expect_new(changed);
  changed = settings_;
  changed.corpus.separator = text::Separator::kNone;
  expect_new(changed);
  changed = settings_;
  changed.corpus.format = text::Format::kLines;
  expect_new(changed);
  changed = settings_;
  changed.tokenizer = pieces(400);
  expect_new(changed);
  write_text(folder_ / "moved/a.txt", plain_text(1, 1500) + "more");
  expect_new(settings_);
}

TEST_F(Prepare, AddingFilesNeverMovesADocument) {
  const auto held_out = [&] {
    const PreparedData data = prepare(settings_);
    const auto documents = documents_of(data, data.streams[Split::kValid]);
    return std::set<std::string>(documents.begin(), documents.end());
  };
  const auto before = held_out();
  write_text(folder_ / "corpus/0.txt", plain_text(3, 800));
  const auto after = held_out();
  EXPECT_GT(after.size(), before.size());
  EXPECT_TRUE(std::includes(after.begin(), after.end(), before.begin(), before.end()));
}

TEST_F(Prepare, HoldoutByCount) {
  settings_.corpus.holdout = 7;
  EXPECT_EQ(prepare(settings_).counts[Split::kValid].num_documents, 7U);
}

// A long document is held out from in blocks; each split has one separator for it.
TEST_F(Prepare, LongDocumentsAreHeldOutInBlocks) {
  settings_.corpus.train = {(folder_ / "long.txt").string()};
  settings_.corpus.format = text::Format::kText;
  settings_.corpus.holdout = 0.3;
  write_text(folder_ / "long.txt", plain_text(4, 40'000));
  const PreparedData data = prepare(settings_);
  EXPECT_EQ(data.counts[Split::kTrain].num_documents, 1U);
  EXPECT_EQ(data.counts[Split::kValid].num_documents, 1U);
  EXPECT_GT(data.counts[Split::kValid].num_bytes, text::kMaxBlockBytes / 2);
  EXPECT_EQ(data.counts[Split::kTrain].num_bytes + data.counts[Split::kValid].num_bytes, std::filesystem::file_size(folder_ / "long.txt"));
  EXPECT_EQ(documents_of(data, data.streams[Split::kTrain]).size(), 1U);
}

TEST_F(Prepare, ValidFilesWinAndCopiesAreCounted) {
  write_text(folder_ / "valid.txt", "unseen text\n\n" + plain_text(2, 20));
  settings_.corpus.valid = {(folder_ / "valid.txt").string()};
  const PreparedData data = prepare(settings_);
  EXPECT_GT(data.overlap.num_documents, 0U);
  EXPECT_LT(data.overlap.num_documents, data.counts[Split::kValid].num_documents);
  std::vector<std::string> valid;
  text::FaultReport report;
  text::for_each_document(folder_ / "valid.txt", settings_.corpus, report,
                          [&](std::string_view document) { valid.emplace_back(document); });
  EXPECT_EQ(documents_of(data, data.streams[Split::kValid]), valid);
}

TEST_F(Prepare, SameIdsForAnyNumberOfThreadsAndAsEncodedAtOnce) {
  settings_.tokenizer = pieces(500);
  const PreparedData one = prepare(settings_);
  const auto expected = all_ids(one.streams[Split::kTrain]);
  settings_.corpus.prepared_dir = (folder_ / "again").string();
  settings_.num_threads = 5;
  const PreparedData five = prepare(settings_);
  EXPECT_EQ(all_ids(five.streams[Split::kTrain]), expected);
  EXPECT_EQ(read_file(one.directory / "prepared.json"), read_file(five.directory / "prepared.json"));
  EXPECT_EQ(read_file(one.directory / "train-00000.tokens"), read_file(five.directory / "train-00000.tokens"));
  const EncodedText encoded = encode_files(settings_.corpus.train, settings_.corpus, *one.tokenizer, 3);
  EXPECT_EQ(encoded.counts.num_tokens, one.counts[Split::kTrain].num_tokens + one.counts[Split::kValid].num_tokens);
  EXPECT_EQ(encoded.stream.num_tokens(), encoded.counts.num_tokens);
}

TEST_F(Prepare, InterruptedAndContinuedGivesTheSame) {
  request_stop(15);
  message_of(ExitCode::kInterrupted, [&] { prepare(settings_); });
  clear_stop();
  const PreparedData whole = prepare(settings_);
  const std::string manifest = read_file(whole.directory / "prepared.json"), shard = read_file(whole.directory / "train-00000.tokens");
  // As after a kill: no manifest, a temporary, a shard of which half is there.
  std::filesystem::remove(whole.directory / "prepared.json");
  write_text(whole.directory / "train-00000.tokens", shard.substr(0, shard.size() / 2));
  write_text(whole.directory / "valid-00000.tokens.tmp-1-1", "rest");
  const PreparedData again = prepare(settings_);
  EXPECT_EQ(read_file(again.directory / "prepared.json"), manifest);
  EXPECT_EQ(read_file(again.directory / "train-00000.tokens"), shard);
  EXPECT_FALSE(std::filesystem::exists(again.directory / "valid-00000.tokens.tmp-1-1"));
}

TEST_F(Prepare, TwoAtOnceTakeTurns) {
  std::vector<std::string> fingerprints(3);
  std::vector<std::thread> threads;
  for (std::string& fingerprint : fingerprints) threads.emplace_back([&] { fingerprint = prepare(settings_).fingerprint; });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::set<std::string>(fingerprints.begin(), fingerprints.end()).size(), 1U);
}

TEST_F(Prepare, FaultsAndTheWordBoundaryAreReported) {
  settings_.tokenizer = pieces(400);
  write_text(folder_ / "corpus/c.txt", "marked \xE2\x96\x81 text \xE2\x96\x81\r\n");
  const PreparedData data = prepare(settings_);
  const std::string manifest = read_file(data.directory / "prepared.json");
  EXPECT_NE(manifest.find("U+2581"), std::string::npos);
  EXPECT_NE(manifest.find("CRLF line ends"), std::string::npos);
}

TEST_F(Prepare, WhatCannotBePrepared) {
  const auto expect = [&](ExitCode code, std::string_view word) {
    const std::string message = message_of(code, [&] { prepare(settings_); });
    EXPECT_NE(message.find(word), std::string::npos) << message;
  };
  settings_.corpus.holdout = 1e6;
  expect(ExitCode::kBadData, "holds out all");
  settings_.corpus.holdout = 1e-9;
  expect(ExitCode::kBadData, "corpus.holdout: 1e-09 of");
  settings_.corpus.holdout = 0.1;
  settings_.corpus.tune_holdout = 1e-9;
  expect(ExitCode::kBadData, "corpus.tune_holdout: 1e-09 of");
  settings_.corpus.tune_holdout = 0;
  settings_.tokenizer = pieces(100'000);
  expect(ExitCode::kUsage, "at most");
  settings_.tokenizer = text::BytesConfig{};
  write_text(folder_ / "empty.txt", "\n\n");
  settings_.corpus.train = {(folder_ / "empty.txt").string()};
  expect(ExitCode::kBadData, "no documents");
  settings_.corpus.train = {(folder_ / "missing.txt").string()};
  expect(ExitCode::kMissingInput, "missing.txt");
  settings_.corpus.train = {(folder_ / "corpus").string()};
  text::SentencePieceConfig given = pieces(300);
  given.model = (folder_ / "corpus/a.txt").string();
  settings_.tokenizer = given;
  expect(ExitCode::kBadData, "a.txt");
}

TEST_F(Prepare, DamagedFoldersAreRefused) {
  const PreparedData data = prepare(settings_);
  for (const char* name : {"prepared.json", "train-00000.tokens", "valid-00000.tokens", "tokenizer.json"}) {
    const std::string good = read_file(data.directory / name);
    write_text(data.directory / name, good.substr(0, good.size() / 2));
    message_of(ExitCode::kBadData, [&] { open_prepared(settings_.corpus.prepared_dir, data.fingerprint); });
    write_text(data.directory / name, good);
  }
  const std::string train = read_file(data.directory / "train-00000.tokens");
  write_text(data.directory / "train-00000.tokens", read_file(data.directory / "valid-00000.tokens"));
  message_of(ExitCode::kBadData, [&] { open_prepared(settings_.corpus.prepared_dir, data.fingerprint); });
  write_text(data.directory / "train-00000.tokens", train);
  EXPECT_EQ(open_prepared(settings_.corpus.prepared_dir, data.fingerprint).counts[Split::kTrain], data.counts[Split::kTrain]);
  std::string older = read_file(data.directory / "prepared.json");
  older.replace(older.find("\"format\": 2"), 11, "\"format\": 1");
  write_text(data.directory / "prepared.json", older);
  const std::string message = message_of(ExitCode::kBadData, [&] { open_prepared(settings_.corpus.prepared_dir, data.fingerprint); });
  EXPECT_NE(message.find("format 1; format 2"), std::string::npos) << message;
  message_of(ExitCode::kMissingInput, [&] { open_prepared(settings_.corpus.prepared_dir, std::string(32, '0')); });
  message_of(ExitCode::kBadData, [&] { open_prepared(settings_.corpus.prepared_dir, "../" + data.fingerprint.substr(3)); });
}

TEST_F(Prepare, DamagedHashCacheOnlyCostsTime) {
  const std::string fingerprint = prepare(settings_).fingerprint;
  for (const char* content : {"", "[]", "{\"x\": 1}", "\xFF"}) {
    write_text(folder_ / "prepared/cache/hashes.json", content);
    EXPECT_EQ(prepare(settings_).fingerprint, fingerprint);
  }
}

}  // namespace
}  // namespace sluice::data
