#include "data/block_encoder.h"

#include <gtest/gtest.h>

#include "tests/text/text_support.h"

namespace sluice::data {
namespace {

using sluice::testing::message_of;
using sluice::testing::plain_text;

// A bytes tokenizer that fails on one text and has no end token.
class Picky : public text::Tokenizer {
 public:
  void encode(std::string_view text, std::vector<std::int32_t>& out) const override {
    if (text == "bad") fail(ExitCode::kBadData, "picky", "bad", "good");
    bytes_->encode(text, out);
  }
  std::string decode(std::span<const std::int32_t> ids) const override {
    return bytes_->decode(ids);
  }
  std::int64_t vocab_size() const override { return 256; }
  std::optional<std::int32_t> eos() const override { return std::nullopt; }
  std::optional<std::int32_t> pad() const override { return std::nullopt; }
  std::optional<std::int32_t> unk() const override { return 'u'; }
  bool lossless() const override { return true; }
  std::string_view file_name() const override { return "none"; }
  const std::string& serialized() const override { return bytes_->serialized(); }

 private:
  std::unique_ptr<text::Tokenizer> bytes_ = text::make_bytes_tokenizer();
};

TEST(BlockEncoder, PreservesOrderAndCounts) {
  const auto tokenizer = text::make_bytes_tokenizer();
  for (const int num_threads : {1, 2, 7}) {
    std::vector<std::int32_t> ids;
    SplitPosition last;
    BlockEncoder encoder(*tokenizer, text::Separator::kEos, num_threads, {},
                         [&](std::span<const std::int32_t> some, const SplitPosition& after) {
                           ids.insert(ids.end(), some.begin(), some.end());
                           last = after;
                         });
    std::string expected;
    for (std::uint64_t i = 0; i < 300; ++i) {
      const std::string text = plain_text(i, 20 + i % 50);
      expected += text + "|";
      encoder.add({.text = text, .ends_document = false, .num_blocks = i + 1});
      encoder.add({.text = {}, .ends_document = true, .num_blocks = i + 1});
    }
    encoder.finish();
    std::string found;
    for (const std::int32_t id : ids) found += id == 256 ? '|' : static_cast<char>(id);
    EXPECT_EQ(found, expected);
    EXPECT_EQ(last.counts.num_documents, 300U);
    EXPECT_EQ(last.counts.num_tokens, ids.size());
    EXPECT_EQ(last.counts.num_bytes, expected.size() - 300);
    EXPECT_EQ(last.num_blocks, 300U);
    EXPECT_FALSE(last.inside_document);
  }
}

TEST(BlockEncoder, RethrowsWorkerErrorsAndCountsUnknowns) {
  const Picky tokenizer;
  message_of(ExitCode::kUsage, [&] {
    BlockEncoder(tokenizer, text::Separator::kEos, 1, {}, [](auto, const auto&) {});
  });
  std::uint64_t num_unknown = 0;
  BlockEncoder encoder(
      tokenizer, text::Separator::kNone, 2, {},
      [&](auto, const SplitPosition& after) { num_unknown = after.counts.num_unknown; });
  encoder.add({.text = "uxu", .ends_document = false, .num_blocks = 1});
  encoder.finish();
  EXPECT_EQ(num_unknown, 2U);
  encoder.add({.text = "bad", .ends_document = false, .num_blocks = 2});
  message_of(ExitCode::kBadData, [&] { encoder.finish(); });
}

TEST(BlockEncoder, DestructorDiscardsUnfinishedWork) {
  const auto tokenizer = text::make_bytes_tokenizer();
  BlockEncoder encoder(*tokenizer, text::Separator::kNone, 2, {}, [](auto, const auto&) {});
  for (std::uint64_t i = 0; i < 5; ++i)
    encoder.add({.text = std::string(300'000, 'x'), .ends_document = false, .num_blocks = i + 1});
}

}  // namespace
}  // namespace sluice::data
