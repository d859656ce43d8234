#include "text/tokenizer.h"

#include <gtest/gtest.h>
#include <sentencepiece_processor.h>

#include <cstdlib>
#include <thread>

#include "base/file.h"
#include "tests/base/temporary_directory.h"
#include "tests/text/text_support.h"

namespace sluice::text {
namespace {

using sluice::testing::message_of;
using sluice::testing::plain_text;
using sluice::testing::random_text;
using sluice::testing::TemporaryDirectory;

using Ids = std::vector<std::int32_t>;

Ids encode(const Tokenizer& tokenizer, std::string_view text) {
  Ids ids;
  tokenizer.encode(text, ids);
  return ids;
}

std::unique_ptr<Tokenizer> train(Algorithm algorithm, std::int64_t vocab_size,
                                 std::vector<std::string> sample) {
  SentencePieceConfig config;
  config.algorithm = algorithm;
  config.vocab_size = vocab_size;
  return train_sentencepiece(config, sample);
}

constexpr std::string_view kOddTexts[] = {
    "",
    " ",
    "  ",
    "\n",
    "\n\n \n",
    " leading",
    "trailing ",
    "a  b   c",
    "\ttabs\t",
    "\r\n",
    "\x01\x02\x7F",
    "<s>",
    "</s> <unk> <0x41>",
    "\xF0\x9F\x98\x80\xE2\x80\x8D\xF0\x9F\x91\xA9",
    "\xEF\xBB\xBFmark",
    "e\xCC\x81 \xEF\xAC\x81 \xC2\xA0",
    "\xE2\x96\x85 block",
    "a\nb\n",
    "\xEF\xBF\xBF\xF4\x8F\xBF\xBF",
};

class Trained : public ::testing::TestWithParam<Algorithm> {
 protected:
  static const Tokenizer& tokenizer(Algorithm algorithm) {
    static const auto bpe = train(Algorithm::kBpe, 700, {plain_text(1, 1500)});
    static const auto unigram = train(Algorithm::kUnigram, 360, {plain_text(1, 1500)});
    return algorithm == Algorithm::kBpe ? *bpe : *unigram;
  }
  const Tokenizer& tokenizer_ = tokenizer(GetParam());
};
INSTANTIATE_TEST_SUITE_P(Algorithms, Trained,
                         ::testing::Values(Algorithm::kBpe, Algorithm::kUnigram),
                         [](const auto& row) {
                           return row.param == Algorithm::kBpe ? "bpe" : "unigram";
                         });

TEST_P(Trained, HasTheConfiguredProperties) {
  EXPECT_EQ(tokenizer_.vocab_size(), GetParam() == Algorithm::kBpe ? 700 : 360);
  EXPECT_TRUE(tokenizer_.lossless());
  EXPECT_EQ(tokenizer_.unk(), std::nullopt);
  EXPECT_EQ(tokenizer_.file_name(), "tokenizer.model");
  ASSERT_TRUE(tokenizer_.eos().has_value());
  EXPECT_EQ(tokenizer_.decode(Ids{*tokenizer_.eos()}), "");
  EXPECT_EQ(tokenizer_.pad(), std::nullopt);
}

TEST_P(Trained, CompressesItsText) {
  const std::string text = plain_text(2, 100);
  EXPECT_LT(encode(tokenizer_, text).size(), text.size() / 2);
}

TEST_P(Trained, RoundTripsEveryText) {
  for (const std::string_view text : kOddTexts)
    EXPECT_EQ(tokenizer_.decode(encode(tokenizer_, text)), text);
  EXPECT_EQ(tokenizer_.decode(encode(tokenizer_, std::string_view("a\0b", 3))),
            std::string_view("a\0b", 3));
  std::mt19937_64 random(17);
  for (int i = 0; i < 400; ++i) {
    const std::string text = random_text(random, random() % 60);
    ASSERT_EQ(tokenizer_.decode(encode(tokenizer_, text)), text);
  }
}

TEST_P(Trained, EveryIdIsInTheVocabularyAndEveryPieceDecodes) {
  std::mt19937_64 random(18);
  for (const std::int32_t id : encode(tokenizer_, random_text(random, 5000))) {
    ASSERT_GE(id, 0);
    ASSERT_LT(id, tokenizer_.vocab_size());
  }
  for (std::int32_t id = 0; id < tokenizer_.vocab_size(); ++id)
    EXPECT_NO_THROW(tokenizer_.decode(Ids{id}));
  EXPECT_THROW(tokenizer_.decode(Ids{static_cast<std::int32_t>(tokenizer_.vocab_size())}),
               InvariantError);
  EXPECT_THROW(tokenizer_.decode(Ids{-1}), InvariantError);
}

// Encoding word by word must give the library's ids for every text, also after U+2581, which the
// library treats as a blank.
TEST_P(Trained, SameIdsAsTheLibrary) {
  sentencepiece::SentencePieceProcessor library;
  ASSERT_TRUE(library.LoadFromSerializedProto(tokenizer_.serialized()).ok());
  std::mt19937_64 random(19);
  std::vector<std::string> texts(std::begin(kOddTexts), std::end(kOddTexts));
  for (int i = 0; i < 300; ++i) {
    std::string text = random_text(random, random() % 80);
    if (i % 3 == 0) text += plain_text(static_cast<std::uint64_t>(i), 3);
    if (i % 5 == 0)
      text.insert(text.size() / 2 & ~std::size_t{7},
                  i % 2 == 0 ? "\xE2\x96\x81 a" : " \xE2\x96\x81\xE2\x96\x81 ");
    texts.push_back(std::move(text));
  }
  texts.push_back(plain_text(3, 2000));
  for (const std::string& text : texts) {
    std::vector<int> expected;
    ASSERT_TRUE(library.Encode(text, &expected).ok());
    ASSERT_EQ(encode(tokenizer_, text), expected) << text;
  }
}

TEST_P(Trained, SeveralThreadsAtOnce) {
  const std::string text = plain_text(4, 300);
  const Ids expected = encode(tokenizer_, text);
  std::vector<Ids> found(4);
  std::vector<std::thread> threads;
  for (Ids& ids : found)
    threads.emplace_back([&ids, &text, this] { tokenizer_.encode(text, ids); });
  for (std::thread& thread : threads) thread.join();
  for (const Ids& ids : found) EXPECT_EQ(ids, expected);
}

TEST_P(Trained, SaveAndLoad) {
  const TemporaryDirectory folder;
  real_files().write_atomically(folder / "tokenizer.model", tokenizer_.serialized());
  const auto loaded = load_tokenizer(folder / "tokenizer.model");
  EXPECT_EQ(loaded->hash(), tokenizer_.hash());
  const std::string text = plain_text(5, 50);
  EXPECT_EQ(encode(*loaded, text), encode(tokenizer_, text));
}

TEST_P(Trained, SameSampleSameBytes) {
  const std::vector<std::string> sample{plain_text(6, 400), plain_text(7, 400)};
  EXPECT_EQ(train(GetParam(), 320, sample)->serialized(),
            train(GetParam(), 320, sample)->serialized());
  EXPECT_NE(train(GetParam(), 320, sample)->serialized(),
            train(GetParam(), 320, {sample[0]})->serialized());
}

TEST_P(Trained, TooLargeVocabularyReportsTheMaximum) {
  for (const std::string& text : {plain_text(8, 12), std::string("a"), std::string("aaaa"),
                                  std::string("x y z  \n"), std::string(5000, 'q')}) {
    const std::string message =
        message_of(ExitCode::kUsage, [&] { train(GetParam(), 100'000, {text}); });
    EXPECT_NE(message.find("tokenizer.vocab_size"), std::string::npos) << message;
    const std::size_t at = message.find("at most ");
    ASSERT_NE(at, std::string::npos) << message;
    const std::int64_t largest = std::stoll(message.substr(at + 8));
    EXPECT_EQ(train(GetParam(), largest, {text})->vocab_size(), largest);
    message_of(ExitCode::kUsage, [&] { train(GetParam(), largest + 1, {text}); });
  }
}

TEST_P(Trained, TooSmallVocabularyReportsTheMinimum) {
  std::string many;
  for (std::uint32_t code = 0x4E00; code < 0x4E00 + 300; ++code)
    many += sluice::testing::utf8_of(code);
  const std::string message = message_of(ExitCode::kUsage, [&] { train(GetParam(), 300, {many}); });
  // The blank counts once, even if the text has none.
  EXPECT_NE(
      message.find("tokenizer.vocab_size: received 300; expected at least 560 (300 characters at "
                   "character_coverage 0.9995, the blank, "),
      std::string::npos)
      << message;
  EXPECT_NE(message.find("type: bytes"), std::string::npos) << message;
  EXPECT_EQ(message.find("tokenizer.character_coverage"), std::string::npos)
      << "no allowed coverage suffices: " << message;
}

// Rare characters may become bytes: the suggested coverage works, a slightly larger one does not.
TEST_P(Trained, TooSmallVocabularyReportsTheCoverage) {
  std::string text;
  for (std::uint32_t i = 0; i < 400; ++i) {
    for (std::uint32_t times = 0; times < (i < 100 ? 200 : 1); ++times)
      text += sluice::testing::utf8_of(0x4E00 + i);
    text += '\n';
  }
  SentencePieceConfig config{.algorithm = GetParam(), .vocab_size = 450, .model = {}};
  const std::vector<std::string> sample = {text};
  const std::string message =
      message_of(ExitCode::kUsage, [&] { train_sentencepiece(config, sample); });
  const std::size_t at = message.find("tokenizer.character_coverage ");
  ASSERT_NE(at, std::string::npos) << message;
  const std::size_t smallest_at = message.find("at least ");
  const double coverage = std::stod(message.substr(at + 29));
  EXPECT_GE(coverage, 0.98);
  config.character_coverage = coverage + 0.0002;
  message_of(ExitCode::kUsage, [&] { train_sentencepiece(config, sample); });
  config.character_coverage = coverage;
  const auto tokenizer = train_sentencepiece(config, sample);
  EXPECT_EQ(tokenizer->vocab_size(), 450);
  EXPECT_EQ(tokenizer->decode(encode(*tokenizer, text)), text);
  // The suggested vocabulary size works at the default coverage.
  config = {.algorithm = GetParam(),
            .vocab_size = std::stoll(message.substr(smallest_at + 9)),
            .model = {}};
  EXPECT_EQ(train_sentencepiece(config, sample)->vocab_size(), config.vocab_size);
  config.vocab_size -= 1;
  message_of(ExitCode::kUsage, [&] { train_sentencepiece(config, sample); });
}

TEST_P(Trained, SamplesWithoutText) {
  for (const std::string_view text :
       {"", "\n\n", "\t", "\xE2\x96\x81\xE2\x96\x81", "\xE2\x96\x85"}) {
    message_of(ExitCode::kBadData, [&] { train(GetParam(), 300, {std::string(text)}); });
  }
  message_of(ExitCode::kBadData, [&] { train(GetParam(), 300, {}); });
}

// Blanks must be lossless even if the sample contains none.
TEST_P(Trained, LosslessForCharactersMissingInTheSample) {
  std::mt19937_64 random(20);
  for (const std::string& sample : {std::string("abcabcabcabc"), std::string(3000, 'x'),
                                    random_text(random, 3000), std::string("\n \n \n a")}) {
    std::unique_ptr<Tokenizer> tokenizer;
    std::int64_t vocab_size = 1 << 20;
    while (tokenizer == nullptr) {
      try {
        tokenizer = train(GetParam(), vocab_size, {sample});
      } catch (const UserError& error) {
        const std::string message = error.what();
        const std::size_t at = message.find("at most ");
        ASSERT_NE(at, std::string::npos) << message;
        vocab_size = std::stoll(message.substr(at + 8));
      }
    }
    for (const std::string_view text : kOddTexts)
      EXPECT_EQ(tokenizer->decode(encode(*tokenizer, text)), text);
  }
}

TEST(BytesTokenizer, RoundTripsAllBytes) {
  const auto tokenizer = make_bytes_tokenizer();
  EXPECT_EQ(tokenizer->vocab_size(), 257);
  EXPECT_EQ(tokenizer->eos(), 256);
  EXPECT_EQ(tokenizer->pad(), std::nullopt);
  EXPECT_EQ(tokenizer->unk(), std::nullopt);
  EXPECT_TRUE(tokenizer->lossless());
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  const Ids ids = encode(*tokenizer, all);
  for (int byte = 0; byte < 256; ++byte) EXPECT_EQ(ids[static_cast<std::size_t>(byte)], byte);
  EXPECT_EQ(tokenizer->decode(ids), all);
  EXPECT_EQ(tokenizer->decode(Ids{'a', 256, 'b'}), "ab");
  EXPECT_THROW(tokenizer->decode(Ids{257}), InvariantError);
}

TEST(BytesTokenizer, ReadFromItsFile) {
  const auto tokenizer = make_bytes_tokenizer();
  EXPECT_EQ(parse_tokenizer(tokenizer->serialized(), "t")->hash(), tokenizer->hash());
  for (const std::string& bad :
       {std::string("{"), std::string("{}"), std::string(R"({"type": "bytes"})"),
        std::string(R"({"type": "bytes", "version": 2, "vocab_size": 257, "eos": 256})"),
        tokenizer->serialized() + "x", "{\"a\":" + std::string(100'000, '[')}) {
    EXPECT_NE(message_of(ExitCode::kBadData, [&] { parse_tokenizer(bad, "some.json"); })
                  .find("some.json"),
              std::string::npos);
  }
  message_of(ExitCode::kMissingInput, [] { load_tokenizer("/nowhere/tokenizer.json"); });
}

// T5's original model, if SLUICE_T5_MODEL gives its path.
TEST(GivenModel, OfT5) {
  const char* path = std::getenv("SLUICE_T5_MODEL");
  if (path == nullptr) GTEST_SKIP() << "SLUICE_T5_MODEL is not set";
  const auto t5 = load_tokenizer(path);
  EXPECT_EQ(t5->vocab_size(), 32'000);
  EXPECT_EQ(t5->pad(), 0);
  EXPECT_EQ(t5->eos(), 1);
  EXPECT_EQ(t5->unk(), 2);
}

TEST(StartToken, IsPartOfTheSerializedForm) {
  const auto plain = train(Algorithm::kBpe, 300, {plain_text(1, 2000)});
  EXPECT_EQ(plain->bos(), std::nullopt);
  EXPECT_EQ(plain->start(), plain->eos());
  const auto started =
      with_start_token(parse_tokenizer(plain->serialized(), "a"), "<s>", "start_token");
  const auto again = parse_tokenizer(started->serialized(), "b");
  sentencepiece::SentencePieceProcessor library;
  ASSERT_TRUE(library.LoadFromSerializedProto(started->serialized()).ok());
  EXPECT_EQ(again->start(), library.PieceToId("<s>"));
  EXPECT_EQ(again->eos(), plain->eos());
  EXPECT_NE(again->hash().hex(), plain->hash().hex());
  std::mt19937_64 random(3);
  const std::string text = random_text(random, 200);
  EXPECT_EQ(encode(*again, text), encode(*plain, text));
  EXPECT_EQ(again->decode(Ids{*again->start()}), "");
  // Not stored twice; the end token needs no mark.
  EXPECT_EQ(with_start_token(parse_tokenizer(started->serialized(), "c"), "<s>", "start_token")
                ->serialized(),
            started->serialized());
  EXPECT_EQ(with_start_token(parse_tokenizer(plain->serialized(), "d"), "</s>", "start_token")
                ->serialized(),
            plain->serialized());
}

TEST(StartToken, RejectsWhatIsNotAControlPiece) {
  for (const char* token : {"<unk>", "a", "<none>"})
    EXPECT_NE(message_of(ExitCode::kUsage,
                         [&] {
                           with_start_token(train(Algorithm::kBpe, 300, {plain_text(1, 2000)}),
                                            token, "tokenizer.start_token");
                         })
                  .find("expected a control piece of the tokenizer"),
              std::string::npos);
  EXPECT_NE(message_of(ExitCode::kUsage,
                       [] { with_start_token(make_bytes_tokenizer(), "</s>", "start_token"); })
                .find("start_token: received </s>"),
            std::string::npos);
  EXPECT_NE(message_of(ExitCode::kUsage,
                       [] { load_given_tokenizer(SentencePieceConfig{.start_token = "<s>"}); })
                .find("tokenizer.start_token: received <s>; expected null"),
            std::string::npos);
  // A damaged file: the field names no piece.
  const auto plain = train(Algorithm::kBpe, 300, {plain_text(1, 2000)});
  const std::string damaged = plain->serialized() + std::string("\xC2\x3E\x01x", 4);
  message_of(ExitCode::kBadData, [&] { parse_tokenizer(damaged, "damaged"); });
}

}  // namespace
}  // namespace sluice::text
