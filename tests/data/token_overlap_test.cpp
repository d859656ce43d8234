// Overlap of held-out documents with training tokens, against a search by std::search.
#include "data/token_overlap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <random>

#include "base/error.h"
#include "tests/data/prepare_support.h"

namespace sluice::data {
namespace {

constexpr std::int32_t kEnd = 99;
using Documents = std::vector<std::vector<std::int32_t>>;

TokenStream stream_of(const Documents& documents, bool with_separator = true) {
  std::vector<std::int32_t> ids;
  std::vector<std::uint64_t> ends;
  for (const auto& document : documents) {
    ids.insert(ids.end(), document.begin(), document.end());
    if (with_separator) ids.push_back(kEnd);
    ends.push_back(ids.size());
  }
  return TokenStream(std::move(ids), std::move(ends));
}

std::vector<DocumentOverlap> measure(const Documents& training, const Documents& held_out,
                                     int num_threads = 1, std::uint64_t max_ngrams = 1 << 20) {
  return token_overlap(stream_of(training), stream_of(held_out),
                       {.separator = kEnd, .num_threads = num_threads, .max_ngrams = max_ngrams});
}

// The definition, word by word.
std::vector<DocumentOverlap> searched(const Documents& training, const Documents& held_out) {
  std::vector<DocumentOverlap> overlaps;
  for (const auto& document : held_out) {
    std::vector<bool> contained(document.size(), false);
    for (std::size_t i = 0; i + kOverlapTokens <= document.size(); ++i) {
      const auto begin = document.begin() + static_cast<std::ptrdiff_t>(i), end = begin + 13;
      const bool found = std::any_of(training.begin(), training.end(), [&](const auto& text) {
        return std::search(text.begin(), text.end(), begin, end) != text.end();
      });
      for (std::size_t k = 0; found && k < kOverlapTokens; ++k) contained[i + k] = true;
    }
    if (!document.empty() && document.size() < kOverlapTokens &&
        std::find(training.begin(), training.end(), document) != training.end())
      contained.assign(document.size(), true);
    overlaps.push_back({document.size(), static_cast<std::uint64_t>(std::count(
                                             contained.begin(), contained.end(), true))});
  }
  return overlaps;
}

// Two tokens, so that 13-grams recur by chance and documents are equal by chance.
Documents random_documents(std::mt19937& random, std::size_t count, std::size_t longest) {
  Documents documents(count);
  for (auto& document : documents)
    for (std::size_t length = random() % (longest + 1); length > 0; --length)
      document.push_back(static_cast<std::int32_t>(random() % 2));
  return documents;
}

TEST(TokenOverlap, AgreesWithASearch) {
  std::mt19937 random(1);
  std::size_t num_partial = 0, num_short = 0;
  for (int round = 0; round < 60; ++round) {
    const Documents training = random_documents(random, 25, 90),
                    held_out = random_documents(random, 20, 40);
    const auto expected = searched(training, held_out);
    EXPECT_EQ(measure(training, held_out), expected) << round;
    EXPECT_EQ(measure(training, held_out, 1, 7), expected) << "several passes, " << round;
    for (const DocumentOverlap& one : expected) {
      num_partial += one.num_contained > 0 && one.num_contained < one.num_tokens;
      num_short += one.num_contained > 0 && one.num_tokens < kOverlapTokens;
    }
  }
  EXPECT_GT(num_partial, 50U);
  EXPECT_GT(num_short, 5U);
}

// Parts of different threads overlap by 12 tokens. Long enough that each has one.
TEST(TokenOverlap, ThreadsDoNotChangeIt) {
  std::mt19937 random(2);
  Documents training(40);
  for (auto& document : training)
    for (int i = 0; i < 40'000; ++i) document.push_back(static_cast<std::int32_t>(random() % 50));
  Documents held_out;
  for (std::size_t begin = 0; begin + 30 < 40'000; begin += 977)
    held_out.emplace_back(training[begin % 40].begin() + static_cast<std::ptrdiff_t>(begin),
                          training[begin % 40].begin() + static_cast<std::ptrdiff_t>(begin + 30));
  const auto overlaps = measure(training, held_out);
  for (const DocumentOverlap& one : overlaps) EXPECT_EQ(one, (DocumentOverlap{30, 30}));
  EXPECT_EQ(measure(training, held_out, 3), overlaps);
}

TEST(TokenOverlap, AChangedTokenCostsANearDuplicateLittle) {
  Documents training(1), held_out(1);
  for (std::int32_t i = 0; i < 90; ++i) training[0].push_back(i);
  held_out[0] = training[0];
  held_out[0][45] = 98;
  EXPECT_EQ(measure(training, held_out)[0], (DocumentOverlap{90, 89}));
  EXPECT_EQ(totals_of(measure(training, held_out)).num_near_duplicates, 1U);
  for (std::size_t i = 12; i < 90; i += 13) held_out[0][i] = 98;  // no 13-gram is left
  EXPECT_EQ(measure(training, held_out)[0], (DocumentOverlap{90, 0}));
}

TEST(TokenOverlap, DocumentsAreNotJoined) {
  Documents training(1);
  for (std::int32_t i = 0; i < 26; ++i) training[0].push_back(i);
  const Documents halves{{training[0].begin(), training[0].begin() + 12},
                         {training[0].begin() + 12, training[0].begin() + 24}};
  for (const DocumentOverlap& one : measure(training, halves)) EXPECT_EQ(one.num_contained, 0U);
  EXPECT_TRUE(measure(training, {}).empty());
}

class PreparedOverlap : public sluice::testing::Prepare {
 protected:
  // Half of the held-out text is a copy from the training text.
  PreparedOverlap() {
    using sluice::testing::plain_text, sluice::testing::write_text;
    const std::string copied = plain_text(1, 300), own = plain_text(7, 300);
    write_text(folder_ / "valid.txt", copied.substr(0, 5000) + "\n" + own);
    settings_.corpus.valid = {(folder_ / "valid.txt").string()};
  }
  static std::string text_of(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

TEST_F(PreparedOverlap, IsStoredWithTheData) {
  const PreparedData prepared = prepare(settings_);
  const std::filesystem::path file = prepared.directory / "overlap.json";
  const std::string stored = text_of(file);
  const OverlapRecord record = overlap_of(prepared, 1);
  ASSERT_EQ(record.valid.size(), prepared.counts[Split::kValid].num_documents);
  const OverlapTotals totals = totals_of(record.valid);
  EXPECT_GT(totals.share(), 0.1);
  EXPECT_LT(totals.share(), 0.9);
  EXPECT_GT(totals.num_near_duplicates, 0U);
  EXPECT_EQ(totals.num_tokens + totals.num_documents, prepared.valid().num_tokens());

  // A folder of an earlier version has no such file and is used as it is.
  std::filesystem::remove(file);
  EXPECT_EQ(prepare(settings_).fingerprint, prepared.fingerprint);
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_EQ(overlap_of(prepared, 2).valid, record.valid);
  EXPECT_EQ(text_of(file), stored);

  std::string edited = stored;
  edited[edited.find("[[") + 2] ^= 1;
  std::ofstream(file, std::ios::binary) << edited;
  try {
    overlap_of(prepared, 1);
    FAIL() << "accepted";
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), ExitCode::kBadData);
  }
}

TEST_F(PreparedOverlap, MaxOverlapRefuses) {
  const PreparedData prepared = prepare(settings_);
  const double share = totals_of(overlap_of(prepared, 1).valid).share();
  settings_.corpus.max_overlap = share;
  EXPECT_EQ(prepare(settings_).fingerprint, prepared.fingerprint);
  settings_.corpus.max_overlap = share - 0.01;
  try {
    prepare(settings_);
    FAIL() << "accepted";
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), ExitCode::kBadData);
    EXPECT_NE(std::string(error.what()).find("corpus.max_overlap: received "), std::string::npos);
    EXPECT_NE(std::string(error.what()).find(" % of the held-out tokens are also"),
              std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace sluice::data
