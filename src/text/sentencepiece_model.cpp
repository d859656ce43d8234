#include "text/sentencepiece_model.h"

#include <algorithm>
#include <bitset>
#include <cmath>
#include <cstring>
#include <unordered_set>

#include "base/error.h"
#include "base/text_format.h"
#include "base/wire_format.h"
#include "text/charsmap_check.h"
#include "text/utf8.h"

namespace sluice::text {

namespace {

constexpr std::size_t kMaxModelBytes = 256 << 20;
constexpr std::size_t kMaxPieces = 4 << 20;
constexpr std::size_t kMaxPieceBytes = 64 << 10;
constexpr float kMaxScore = 1e9F;
// Size of the library's array for user-defined pieces that are prefixes of each other.
constexpr int kMaxNestedUserPieces = 64;

// Extension fields start at 200.
constexpr std::uint32_t kStartPieceField = 1000;

using Type = WireField::Type;

class ModelReader {
 public:
  explicit ModelReader(std::string_view name) : name_(name) {}
  SentencePieceModel read(std::string_view serialized);

 private:
  [[noreturn]] void damaged(const std::string& what) const {
    fail(ExitCode::kBadData, name_, what, "an intact SentencePiece model of type bpe or unigram");
  }
  template <class Each>
  void each_field(std::string_view message, const Each& each) const {
    WireReader reader(message);
    while (const auto field = reader.next()) each(*field);
    if (reader.failed()) damaged("an invalid protobuf message");
  }
  void expect(const WireField& field, Type type) const {
    if (field.type != type) damaged(cat("a wrong wire type in field ", field.id));
  }
  std::string_view text_of(const WireField& field) const {
    expect(field, Type::kBytes);
    if (!is_valid_utf8(field.bytes)) damaged(cat("invalid UTF-8 in field ", field.id));
    return field.bytes;
  }
  bool flag_of(const WireField& field) const {
    expect(field, Type::kVarint);
    if (field.number > 1) damaged(cat("a non-boolean value in field ", field.id));
    return field.number == 1;
  }
  Piece read_piece(std::string_view message) const;
  void read_trainer(std::string_view message, SentencePieceModel& model) const;
  NormalizerRules read_normalizer(std::string_view message) const;
  void check_pieces(const SentencePieceModel& model) const;
  void check_user_pieces(const SentencePieceModel& model) const;
  void check_self_tests(std::string_view message) const;

  std::string_view name_;
};

Piece ModelReader::read_piece(std::string_view message) const {
  Piece piece;
  each_field(message, [&](const WireField& field) {
    if (field.id == 1) {
      piece.text = text_of(field);
    } else if (field.id == 2) {
      expect(field, Type::kFixed32);
      const auto bits = static_cast<std::uint32_t>(field.number);
      std::memcpy(&piece.score, &bits, sizeof(bits));
    } else if (field.id == 3) {
      expect(field, Type::kVarint);
      if (field.number < 1 || field.number > 6)
        damaged(cat("a piece with unknown type ", field.number));
      piece.type = static_cast<PieceType>(field.number);
    }
  });
  if (piece.text.empty()) damaged("an empty piece");
  if (piece.text.size() > kMaxPieceBytes)
    damaged(cat("a piece longer than ", human_bytes(kMaxPieceBytes)));
  if (piece.text.find('\0') != std::string_view::npos) damaged("a NUL byte in a piece");
  if (!std::isfinite(piece.score) || std::fabs(piece.score) > kMaxScore)
    damaged("a piece with a non-finite or too large score");
  return piece;
}

void ModelReader::read_trainer(std::string_view message, SentencePieceModel& model) const {
  constexpr std::uint32_t kModelType = 3, kMaxSentenceLength = 18, kSuffix = 24, kByteFallback = 35,
                          kRequiredChars = 36, kUnkSurface = 44, kUnkPiece = 45, kBosPiece = 46,
                          kEosPiece = 47, kPadPiece = 48;
  bool our_length = false, our_chars = false;
  each_field(message, [&](const WireField& field) {
    switch (field.id) {
      case kModelType:
        expect(field, Type::kVarint);
        if (field.number < 1 || field.number > 2)
          damaged(cat("model type ", field.number, " (only unigram and bpe are supported)"));
        model.type = static_cast<SentencePieceModel::Type>(field.number);
        break;
      case kMaxSentenceLength:
        our_length = field.type == Type::kVarint && field.number == kMaxTrainingSentence;
        break;
      case kRequiredChars:
        our_chars = field.type == Type::kBytes && field.bytes == kWordBoundary;
        break;
      case kSuffix:
        model.whitespace_as_suffix = flag_of(field);
        break;
      case kByteFallback:
        model.byte_fallback = flag_of(field);
        break;
      case kUnkSurface:
      case kUnkPiece:
      case kBosPiece:
        text_of(field);
        break;
      case kEosPiece:
        model.eos_piece = text_of(field);
        break;
      case kPadPiece:
        model.pad_piece = text_of(field);
        break;
      default:
        break;  // training settings, unused by the library
    }
  });
  model.trained_by_sluice = our_length && our_chars && model.byte_fallback;
}

NormalizerRules ModelReader::read_normalizer(std::string_view message) const {
  NormalizerRules rules;
  each_field(message, [&](const WireField& field) {
    switch (field.id) {
      case 2:
        expect(field, Type::kBytes);
        rules.charsmap = field.bytes;
        break;
      case 3:
        rules.add_dummy_prefix = flag_of(field);
        break;
      case 4:
        rules.remove_extra_whitespaces = flag_of(field);
        break;
      case 5:
        rules.escape_whitespaces = flag_of(field);
        break;
      default:
        break;
    }
  });
  if (!rules.charsmap.empty()) {
    const std::string_view fault = fault_of_charsmap(rules.charsmap);
    if (!fault.empty()) damaged(std::string(fault));
  }
  return rules;
}

// Samples that the library encodes while loading; their text must be valid UTF-8.
void ModelReader::check_self_tests(std::string_view message) const {
  each_field(message, [&](const WireField& sample) {
    if (sample.id != 1) return;
    expect(sample, Type::kBytes);
    each_field(sample.bytes, [&](const WireField& field) {
      if (field.id == 1 || field.id == 2) text_of(field);
    });
  });
}

void ModelReader::check_pieces(const SentencePieceModel& model) const {
  std::unordered_set<std::string_view> texts;
  std::bitset<256> bytes;
  int num_unknown = 0, num_normal = 0;
  for (const Piece& piece : model.pieces) {
    if (!texts.insert(piece.text).second)
      damaged(cat("duplicate piece `", printable(piece.text), '`'));
    num_unknown += piece.type == PieceType::kUnknown;
    num_normal += piece.type == PieceType::kNormal;
    if (piece.type != PieceType::kByte) continue;
    const int byte = byte_of_piece(piece.text);
    if (byte < 0) damaged(cat("an invalid byte piece `", printable(piece.text), '`'));
    bytes.set(static_cast<std::size_t>(byte));
  }
  if (num_unknown != 1) damaged(cat(num_unknown, " unknown pieces instead of 1"));
  if (num_normal == 0) damaged("no normal pieces");
  if (model.byte_fallback ? !bytes.all() : bytes.any()) {
    damaged(
        cat(bytes.count(), " byte pieces with byte fallback ", model.byte_fallback ? "on" : "off"));
  }
}

void ModelReader::check_user_pieces(const SentencePieceModel& model) const {
  std::unordered_set<std::string_view> user;
  for (const Piece& piece : model.pieces) {
    if (piece.type == PieceType::kUserDefined) user.insert(piece.text);
  }
  if (user.size() <= kMaxNestedUserPieces) return;
  for (const std::string_view text : user) {
    int nested = 0;
    for (std::size_t length = 1; length <= text.size(); ++length)
      nested += static_cast<int>(user.count(text.substr(0, length)));
    if (nested > kMaxNestedUserPieces)
      damaged(cat("more than ", kMaxNestedUserPieces, " nested user-defined pieces"));
  }
}

SentencePieceModel ModelReader::read(std::string_view serialized) {
  if (serialized.size() > kMaxModelBytes)
    damaged(cat("a file larger than ", human_bytes(kMaxModelBytes)));
  SentencePieceModel model;
  // The library would merge repeated messages; valid models have none.
  std::bitset<6> seen;
  each_field(serialized, [&](const WireField& field) {
    if (field.id == kStartPieceField) {
      if (!model.start_piece.empty()) damaged("two start pieces");
      model.start_piece = text_of(field);
    }
    if (field.id < 1 || field.id > 5) return;
    expect(field, Type::kBytes);
    if (field.id != 1 && seen.test(field.id)) damaged(cat("duplicate field ", field.id));
    seen.set(field.id);
    switch (field.id) {
      case 1:
        model.pieces.push_back(read_piece(field.bytes));
        if (model.pieces.size() > kMaxPieces) damaged(cat("more than ", kMaxPieces, " pieces"));
        break;
      case 2:
        read_trainer(field.bytes, model);
        break;
      case 3:
        model.normalizer = read_normalizer(field.bytes);
        break;
      case 4:
        check_self_tests(field.bytes);
        model.has_self_tests = true;
        break;
      default:
        model.denormalizer = read_normalizer(field.bytes);
        break;
    }
  });
  if (model.pieces.empty()) damaged("no pieces");
  check_pieces(model);
  check_user_pieces(model);
  const bool has_start = model.start_piece.empty() ||
                         std::any_of(model.pieces.begin(), model.pieces.end(), [&](const Piece& p) {
                           return p.type == PieceType::kControl && p.text == model.start_piece;
                         });
  if (!has_start) damaged("a start piece that is not a control piece");
  return model;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

int byte_of_piece(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text.back() != '>') return -1;
  const int high = hex_digit(text[3]), low = hex_digit(text[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

std::string with_start_piece(std::string_view serialized, std::string_view piece) {
  // The field is the last one: nothing else changes.
  std::string model(serialized);
  const std::string_view old = check_model(serialized, "tokenizer").start_piece;
  if (!old.empty()) {
    const std::string field = WireWriter().add_bytes(kStartPieceField, old).bytes();
    require(model.ends_with(field), ExitCode::kBadData, "tokenizer",
            "a start piece that is not the last field", "a model written by Sluice");
    model.resize(model.size() - field.size());
  }
  if (!piece.empty()) model += WireWriter().add_bytes(kStartPieceField, piece).bytes();
  return model;
}

SentencePieceModel check_model(std::string_view serialized, std::string_view name) {
  return ModelReader(name).read(serialized);
}

}  // namespace sluice::text
