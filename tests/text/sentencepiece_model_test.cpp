#include "text/sentencepiece_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "tests/text/text_support.h"
#include "text/tokenizer.h"

namespace sluice::text {
namespace {

using sluice::testing::message_of;
using sluice::testing::plain_text;

// A minimal protobuf writer, to construct models with arbitrary faults.
std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 128; value >>= 7) out += static_cast<char>(value % 128 + 128);
  return out + static_cast<char>(value);
}
std::string number_field(std::uint32_t id, std::uint64_t value) {
  return varint(id << 3) + varint(value);
}
std::string bytes_field(std::uint32_t id, std::string_view value) {
  return varint(id << 3 | 2) + varint(value.size()) + std::string(value);
}
std::string float_field(std::uint32_t id, float value) {
  char bytes[4];
  std::memcpy(bytes, &value, 4);
  return varint(id << 3 | 5) + std::string(bytes, 4);
}
std::string piece(std::string_view text, int type = 1, float score = -1) {
  return bytes_field(1, bytes_field(1, text) + float_field(2, score) +
                            number_field(3, static_cast<std::uint64_t>(type)));
}
std::string byte_pieces() {
  std::string out;
  for (int byte = 0; byte < 256; ++byte) {
    char text[8];
    std::snprintf(text, sizeof(text), "<0x%02X>", byte);
    out += piece(text, 6);
  }
  return out;
}
const std::string kMeta = piece("<unk>", 2) + piece("<s>", 3) + piece("</s>", 3);
std::string trainer(std::uint64_t type = 2, bool byte_fallback = true) {
  return bytes_field(2, number_field(3, type) + number_field(35, byte_fallback ? 1 : 0));
}
const std::string kIdentity = bytes_field(3, number_field(3, 0) + number_field(4, 0));

TEST(CheckModel, ParsesPiecesAndSettings) {
  const std::string serialized = kMeta + byte_pieces() + piece("a", 1, -2.5F) +
                                 piece("\xE2\x96\x81", 1) + trainer() + kIdentity;
  const SentencePieceModel model = check_model(serialized, "m");
  ASSERT_EQ(model.pieces.size(), 261U);
  EXPECT_EQ(model.pieces[259].text, "a");
  EXPECT_EQ(model.pieces[259].score, -2.5F);
  EXPECT_EQ(model.pieces[0].type, PieceType::kUnknown);
  EXPECT_EQ(model.type, SentencePieceModel::Type::kBpe);
  EXPECT_TRUE(model.byte_fallback);
  EXPECT_FALSE(model.normalizer.add_dummy_prefix);
  EXPECT_TRUE(model.normalizer.escape_whitespaces);
  EXPECT_TRUE(parse_tokenizer(serialized, "m")->lossless());
}

// Field 47 names the end piece, 48 the padding piece; the named piece must be a control piece.
TEST(CheckModel, EndAndPaddingPieces) {
  const std::string pieces = byte_pieces() + piece("a") + piece("\xE2\x96\x81");
  const auto named = [](std::string_view eos, std::string_view pad) {
    return bytes_field(
        2, number_field(3, 2) + number_field(35, 1) + bytes_field(47, eos) + bytes_field(48, pad));
  };
  EXPECT_EQ(parse_tokenizer(kMeta + pieces + trainer() + kIdentity, "m")->pad(), std::nullopt);
  const auto t5 = parse_tokenizer(piece("<pad>", 3) + kMeta + pieces + trainer() + kIdentity, "m");
  EXPECT_EQ(t5->pad(), 0);
  EXPECT_EQ(t5->eos(), 3);
  const auto other =
      parse_tokenizer(kMeta + pieces + piece("[PAD]", 3) + named("<s>", "[PAD]") + kIdentity, "m");
  EXPECT_EQ(other->pad(), 261);
  EXPECT_EQ(other->eos(), 1);
  EXPECT_EQ(parse_tokenizer(kMeta + pieces + piece("<pad>", 1) + trainer() + kIdentity, "m")->pad(),
            std::nullopt);
}

TEST(CheckModel, DetectsLossyModels) {
  const std::string good = kMeta + byte_pieces() + piece("a") + piece("\xE2\x96\x81");
  const std::string lossy[] = {
      // removes extra blanks
      good + trainer() + bytes_field(3, number_field(3, 0)),
      // blanks are not escaped
      good + trainer() + bytes_field(3, number_field(4, 0) + number_field(5, 0)),
      // unknown characters
      kMeta + piece("a") + piece("\xE2\x96\x81") + trainer(2, false) + kIdentity,
      // blanks are decoded as U+2581
      kMeta + byte_pieces() + piece("a") + trainer() + kIdentity,
      good + piece("b", 5) + trainer() + kIdentity,
  };
  for (const std::string& serialized : lossy)
    EXPECT_FALSE(parse_tokenizer(serialized, "m")->lossless());
  EXPECT_EQ(parse_tokenizer(lossy[2], "m")->unk(), 0);
  std::vector<std::int32_t> ids;
  parse_tokenizer(lossy[2], "m")->encode("aXa", ids);
  EXPECT_EQ(ids, (std::vector<std::int32_t>{3, 0, 3}));
}

struct Fault {
  const char* name;
  std::string serialized;
};

class Faults : public ::testing::TestWithParam<Fault> {};

std::vector<Fault> faults() {
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              infinite = std::numeric_limits<float>::infinity();
  const std::string rest = piece("a") + trainer(2, false) + kIdentity, body = kMeta + rest;
  std::string nested;
  for (std::size_t length = 1; length <= 70; ++length) nested += piece(std::string(length, 'u'), 4);
  return {
      {"empty", ""},
      {"text", "this is no model"},
      {"no_pieces", trainer(2, false)},
      {"only_meta", kMeta + trainer(2, false)},
      {"no_unknown", piece("</s>", 3) + rest},
      {"two_unknown", kMeta + piece("<unk2>", 2) + rest},
      {"empty_piece", kMeta + piece("") + rest},
      {"piece_without_text", kMeta + bytes_field(1, float_field(2, 0)) + rest},
      {"nul_in_piece", kMeta + piece(std::string_view("a\0b", 3)) + rest},
      {"not_utf8", kMeta + piece("\xFF") + rest},
      {"twice", kMeta + piece("a") + rest},
      {"twice_across_types", kMeta + piece("a", 3) + rest},
      {"type_0", kMeta + piece("b", 0) + rest},
      {"type_7", kMeta + piece("b", 7) + rest},
      {"nan_score", kMeta + piece("b", 1, nan) + rest},
      {"infinite_score", kMeta + piece("b", 1, infinite) + rest},
      {"huge_score", kMeta + piece("b", 1, 1e30F) + rest},
      {"some_bytes", kMeta + piece("<0x00>", 6) + piece("a") + trainer() + kIdentity},
      {"no_bytes", kMeta + piece("a") + trainer() + kIdentity},
      {"bytes_without_fallback", kMeta + byte_pieces() + rest},
      {"wrong_byte",
       kMeta + byte_pieces() + piece("<0xGG>", 6) + piece("a") + trainer() + kIdentity},
      {"model_type_word", kMeta + piece("a") + trainer(3, false) + kIdentity},
      {"model_type_0", kMeta + piece("a") + trainer(0, false) + kIdentity},
      {"model_type_huge", kMeta + piece("a") + trainer(~std::uint64_t{0}, false) + kIdentity},
      {"two_trainers", body + trainer(2, false)},
      {"group", body + std::string("\x0B\x0C", 2)},
      {"field_0", body + std::string("\x00\x00", 2)},
      {"long_varint", body + varint(6 << 3) + std::string(10, '\xFF') + "\x01"},
      {"length_too_large", body + varint(6 << 3 | 2) + varint(1000)},
      {"wrong_wire_type", number_field(1, 5) + body},
      {"nested_user_pieces", kMeta + nested + rest},
      {"tiny_charsmap",
       kMeta + piece("a") + trainer(2, false) + bytes_field(3, bytes_field(2, "abc"))},
      {"charsmap_size", kMeta + piece("a") + trainer(2, false) +
                            bytes_field(3, bytes_field(2, std::string("\xFF\xFF\0\0abc", 7)))},
  };
}
INSTANTIATE_TEST_SUITE_P(Each, Faults, ::testing::ValuesIn(faults()),
                         [](const auto& row) { return std::string(row.param.name); });

TEST_P(Faults, RejectedWithAOneLineMessage) {
  const std::string message =
      message_of(ExitCode::kBadData, [] { parse_tokenizer(GetParam().serialized, "given.model"); });
  EXPECT_TRUE(message.starts_with("given.model: ")) << message;
}

TEST(CheckModel, AcceptsUnknownFields) {
  const std::string newer = bytes_field(
      2, number_field(3, 2) + bytes_field(53, "x") + bytes_field(54, "y") + number_field(200, 1));
  EXPECT_EQ(check_model(kMeta + piece("a") + newer + kIdentity + bytes_field(2000, "z"), "m")
                .pieces.size(),
            4U);
}

// The library fails on a control piece with ordinary text: an error, not a crash.
TEST(CheckModel, ControlPieceThatIsACharacter) {
  const auto tokenizer =
      parse_tokenizer(kMeta + piece("x", 3) + piece("a") + trainer(2, false) + kIdentity, "m");
  std::vector<std::int32_t> ids;
  message_of(ExitCode::kBadData, [&] { tokenizer->encode("axa", ids); });
}

// A mutated model is either rejected or works without a crash.
class Mutations : public ::testing::TestWithParam<Algorithm> {};
INSTANTIATE_TEST_SUITE_P(Algorithms, Mutations,
                         ::testing::Values(Algorithm::kBpe, Algorithm::kUnigram));

std::string mutated(std::string model, std::mt19937_64& random) {
  // Most of a model is pieces: half the mutations hit the two ends, which contain the settings.
  const auto position = [&] {
    const std::size_t end = std::min<std::size_t>(model.size(), 200);
    switch (random() % 4) {
      case 0:
        return random() % end;
      case 1:
        return model.size() - 1 - random() % end;
      default:
        return random() % model.size();
    }
  };
  switch (random() % 5) {
    case 0:
      model.resize(random() % model.size());
      break;
    case 1:
      model.insert(position(), 1 + random() % 4, static_cast<char>(random()));
      break;
    case 2:
      model.erase(position(), 1 + random() % 8);
      break;
    case 3:
      model[position()] = static_cast<char>(random());
      [[fallthrough]];
    default:
      model[position()] ^= static_cast<char>(1 << random() % 8);
      break;
  }
  return model;
}

TEST_P(Mutations, NeverCrash) {
  SentencePieceConfig config;
  config.algorithm = GetParam();
  config.vocab_size = 330;
  const std::vector<std::string> sample{plain_text(1, 300)};
  const std::string model = train_sentencepiece(config, sample)->serialized();
  const std::string probe =
      "the singing  \xC3\xA9t\xC3\xA9\n<s>\xF0\x9F\x98\x80 " + plain_text(2, 3);
  std::mt19937_64 random(21);
  int refused = 0, accepted = 0;
  for (int i = 0; i < 1500; ++i) {
    try {
      const auto tokenizer = parse_tokenizer(mutated(model, random), "m");
      accepted += 1;
      std::vector<std::int32_t> ids;
      tokenizer->encode(probe, ids);
      tokenizer->decode(ids);
    } catch (const UserError& error) {
      refused += 1;
      ASSERT_EQ(static_cast<int>(error.code()), static_cast<int>(ExitCode::kBadData))
          << error.what();
    }
  }
  EXPECT_GT(refused, 100);
  EXPECT_GT(accepted, 20) << "too few mutations reach the library";
}

}  // namespace
}  // namespace sluice::text
