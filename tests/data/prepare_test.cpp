#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "base/file.h"
#include "data/holdout.h"
#include "tests/data/prepare_support.h"

namespace sluice::data {
namespace {

using sluice::testing::all_ids;
using sluice::testing::documents_of;
using sluice::testing::plain_text;
using sluice::testing::Prepare;
using sluice::testing::write_text;

// The number of tokens of each document, according to TokenStream::documents().
std::vector<std::uint64_t> lengths_of_documents(const TokenStream& stream) {
  std::vector<std::uint64_t> lengths(stream.num_documents());
  std::vector<std::uint32_t> documents(stream.num_tokens());
  stream.documents(0, documents);
  for (const std::uint32_t document : documents) lengths.at(document) += 1;
  EXPECT_TRUE(std::is_sorted(documents.begin(), documents.end()));
  return lengths;
}

TEST_F(Prepare, SplitsDocumentsWithoutLoss) {
  const PreparedData data = prepare(settings_);
  text::FaultReport report;
  std::vector<std::string> train, valid;
  for (const char* name : {"a.txt", "b.txt"}) {
    text::for_each_document(
        folder_ / "corpus" / name, settings_.corpus, report, [&](std::string_view document) {
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

// The stream has the document ends even without separators.
TEST_F(Prepare, KeepsDocumentEnds) {
  for (const auto separator : {text::Separator::kEos, text::Separator::kNone}) {
    settings_.corpus.separator = separator;
    const PreparedData data = prepare(settings_);
    const std::size_t num_separators = separator == text::Separator::kEos ? 1 : 0;
    std::vector<std::uint64_t> expected;  // tokens of each held-out document
    text::FaultReport report;
    for (const char* name : {"a.txt", "b.txt"}) {
      text::for_each_document(folder_ / "corpus" / name, settings_.corpus, report,
                              [&](std::string_view document) {
                                if (Holdout::fraction(0.1).contains(holdout_hash(document)))
                                  expected.push_back(document.size() + num_separators);
                              });
    }
    ASSERT_EQ(data.streams[Split::kValid].num_documents(), expected.size());
    EXPECT_EQ(data.streams[Split::kTrain].num_documents(),
              data.counts[Split::kTrain].num_documents);
    EXPECT_EQ(lengths_of_documents(data.streams[Split::kValid]), expected);
    const EncodedText encoded =
        encode_files(settings_.corpus.train, settings_.corpus, *data.tokenizer, 2);
    EXPECT_EQ(encoded.stream.num_documents(), encoded.counts.num_documents);
    const auto lengths = lengths_of_documents(encoded.stream);
    EXPECT_EQ(std::accumulate(lengths.begin(), lengths.end(), std::uint64_t{0}),
              encoded.counts.num_tokens);
    EXPECT_EQ(static_cast<std::uint64_t>(std::count(lengths.begin(), lengths.end(), 0)), 0U);
  }
}

// A document is read in blocks of at most 64 KiB. Without blanks, a cut is inside a word, which is
// still one word.
TEST_F(Prepare, CountsAWordOnceAcrossCuts) {
  std::string tabs = plain_text(3, 40'000);
  std::replace(tabs.begin(), tabs.end(), ' ', '\t');
  const std::string long_word(190'000, 'x');
  settings_.corpus.format = text::Format::kText;
  for (const std::string& content :
       {tabs, long_word + " two three", "one " + long_word, long_word + "\t" + long_word}) {
    write_text(folder_ / "words.txt", content);
    const EncodedText encoded = encode_files({(folder_ / "words.txt").string()}, settings_.corpus,
                                             *text::make_bytes_tokenizer(), 2);
    EXPECT_EQ(encoded.counts.num_words, text::count_words(content));
    EXPECT_EQ(encoded.counts.num_bytes, content.size());
  }
}

TEST_F(Prepare, TuningTextIsDisjointAndMovesNoHeldOutText) {
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
    EXPECT_EQ(all_ids(data.streams[Split::kValid]), all_ids(without.streams[Split::kValid]))
        << "the held-out text changed";
    EXPECT_EQ(data.counts[Split::kTune].num_tokens, data.streams[Split::kTune].num_tokens());
    auto tune = set_of(data, data.streams[Split::kTune]),
         train = set_of(data, data.streams[Split::kTrain]);
    EXPECT_NEAR(static_cast<double>(tune.size()), share * 500, 40);
    for (const std::string& document : tune) EXPECT_FALSE(train.contains(document));
    train.merge(tune);
    EXPECT_EQ(train, whole);
    const PreparedData opened = open_prepared(settings_.corpus.prepared_dir, data.fingerprint);
    EXPECT_EQ(all_ids(opened.streams[Split::kTune]), all_ids(data.streams[Split::kTune]));
    EXPECT_EQ(opened.counts[Split::kTune], data.counts[Split::kTune]);
  }
}

// A tokenizer trained only on a file of the training documents is the same.
TEST_F(Prepare, TokenizerNeverSeesTuningText) {
  settings_.corpus.tune_holdout = 0.3;
  settings_.tokenizer = pieces(400);
  std::string training;
  text::FaultReport report;
  for (const char* name : {"a.txt", "b.txt"}) {
    text::for_each_document(folder_ / "corpus" / name, settings_.corpus, report,
                            [&](std::string_view document) {
                              if (!Holdout::fraction(0.4).contains(holdout_hash(document)))
                                training += std::string(document) + "\n\n";
                            });
  }
  write_text(folder_ / "training.txt", training);
  const PreparedData data = prepare(settings_);
  PrepareSettings alone = settings_;
  alone.corpus.train = {(folder_ / "training.txt").string()};
  alone.corpus.holdout = alone.corpus.tune_holdout = 0;
  EXPECT_EQ(prepare(alone).tokenizer->hash(), data.tokenizer->hash());
}

// With separate files for the held-out text, tuning takes the lowest hashes of the training text.
TEST_F(Prepare, TuningTextWithValidFiles) {
  write_text(folder_ / "valid.txt", "unseen text\n\n" + plain_text(2, 20));
  settings_.corpus.valid = {(folder_ / "valid.txt").string()};
  const PreparedData without = prepare(settings_);
  settings_.corpus.tune_holdout = 0.25;
  const PreparedData data = prepare(settings_);
  EXPECT_EQ(all_ids(data.streams[Split::kValid]), all_ids(without.streams[Split::kValid]));
  const Holdout tune = Holdout::fraction(0.25);
  EXPECT_GT(data.counts[Split::kTune].num_documents, 50U);
  for (const std::string& document : documents_of(data, data.streams[Split::kTune]))
    EXPECT_TRUE(tune.contains(holdout_hash(document)));
  for (const std::string& document : documents_of(data, data.streams[Split::kTrain]))
    EXPECT_FALSE(tune.contains(holdout_hash(document)));
  EXPECT_EQ(data.overlap.num_documents, without.overlap.num_documents)
      << "overlap includes tuning text";
}

TEST_F(Prepare, FingerprintDependsOnContentAndSettingsNotPaths) {
  const std::string before = prepare(settings_).fingerprint;
  std::filesystem::rename(folder_ / "corpus", folder_ / "moved");
  settings_.corpus.train = {(folder_ / "moved/*.txt").string()};
  settings_.num_threads = 3;
  EXPECT_EQ(prepare(settings_).fingerprint, before);
  std::set<std::string> seen{before};
  const auto expect_new = [&](const PrepareSettings& changed) {
    EXPECT_TRUE(seen.insert(prepare(changed).fingerprint).second);
  };
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

TEST_F(Prepare, HoldsOutByCount) {
  settings_.corpus.holdout = 7;
  EXPECT_EQ(prepare(settings_).counts[Split::kValid].num_documents, 7U);
}

// Blocks of a long document are held out; each split has one separator for it.
TEST_F(Prepare, HoldsOutBlocksOfLongDocuments) {
  settings_.corpus.train = {(folder_ / "long.txt").string()};
  settings_.corpus.format = text::Format::kText;
  settings_.corpus.holdout = 0.3;
  write_text(folder_ / "long.txt", plain_text(4, 40'000));
  const PreparedData data = prepare(settings_);
  EXPECT_EQ(data.counts[Split::kTrain].num_documents, 1U);
  EXPECT_EQ(data.counts[Split::kValid].num_documents, 1U);
  EXPECT_GT(data.counts[Split::kValid].num_bytes, text::kMaxBlockBytes / 2);
  EXPECT_EQ(data.counts[Split::kTrain].num_bytes + data.counts[Split::kValid].num_bytes,
            std::filesystem::file_size(folder_ / "long.txt"));
  EXPECT_EQ(documents_of(data, data.streams[Split::kTrain]).size(), 1U);
}

TEST_F(Prepare, ValidFilesReplaceTheHoldoutAndOverlapIsCounted) {
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

TEST_F(Prepare, SameIdsForAnyNumberOfThreadsAndForEncodeFiles) {
  settings_.tokenizer = pieces(500);
  const PreparedData one = prepare(settings_);
  const auto expected = all_ids(one.streams[Split::kTrain]);
  settings_.corpus.prepared_dir = (folder_ / "again").string();
  settings_.num_threads = 5;
  const PreparedData five = prepare(settings_);
  EXPECT_EQ(all_ids(five.streams[Split::kTrain]), expected);
  EXPECT_EQ(read_file(one.directory / "prepared.json"),
            read_file(five.directory / "prepared.json"));
  EXPECT_EQ(read_file(one.directory / "train-00000.tokens"),
            read_file(five.directory / "train-00000.tokens"));
  const EncodedText encoded =
      encode_files(settings_.corpus.train, settings_.corpus, *one.tokenizer, 3);
  EXPECT_EQ(encoded.counts.num_tokens,
            one.counts[Split::kTrain].num_tokens + one.counts[Split::kValid].num_tokens);
  EXPECT_EQ(encoded.stream.num_tokens(), encoded.counts.num_tokens);
}

TEST_F(Prepare, ReportsFaultsAndWordBoundaries) {
  settings_.tokenizer = pieces(400);
  write_text(folder_ / "corpus/c.txt", "marked \xE2\x96\x81 text \xE2\x96\x81\r\n");
  const PreparedData data = prepare(settings_);
  const std::string manifest = read_file(data.directory / "prepared.json");
  EXPECT_NE(manifest.find("U+2581"), std::string::npos);
  EXPECT_NE(manifest.find("CRLF line ends"), std::string::npos);
}

}  // namespace
}  // namespace sluice::data
