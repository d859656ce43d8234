// Strict parser for SentencePiece .model files (a protobuf message ModelProto).
//
// The SentencePiece library trusts its models: damaged ones make it read out of bounds, loop or
// abort. A model is therefore fully validated here before the library loads it. Format:
// https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::text {

// The trainer setting max_sentence_length of all models trained by Sluice.
inline constexpr std::uint64_t kMaxTrainingSentence = 8000;

enum class PieceType {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

struct Piece {
  std::string_view text;
  float score = 0;
  PieceType type = PieceType::kNormal;
};

struct NormalizerRules {
  std::string_view charsmap;  // empty: no normalization
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
};

// Contains views into the serialized model, which must outlive it.
struct SentencePieceModel {
  enum class Type { kUnigram = 1, kBpe = 2, kWord = 3, kChar = 4 };
  std::vector<Piece> pieces;
  Type type = Type::kUnigram;
  bool byte_fallback = false;
  bool whitespace_as_suffix = false;
  std::string_view eos_piece = "</s>", pad_piece = "<pad>";
  // Ours, an extension field of the message (200 and above are free for those): the control piece
  // before each text of an imported model. Empty if there is none.
  std::string_view start_piece;
  NormalizerRules normalizer, denormalizer;
  bool has_self_tests = false;
  bool trained_by_sluice = false;  // detected by trainer settings (sentencepiece_training.cpp)
};

// Parses and validates a model: wire format without groups, piece texts (valid UTF-8, no NUL, not
// empty, unique), exactly one unknown piece, types, finite scores, all 256 byte pieces or none,
// in-bounds normalization tables, sizes. kBadData if invalid; `name` is the subject of the message.
SentencePieceModel check_model(std::string_view serialized, std::string_view name);

// A valid model with another start piece; with none, and byte for byte the original model, if it is
// empty.
std::string with_start_piece(std::string_view serialized, std::string_view piece);

// The value of a byte piece ("<0x0A>"); -1 for any other text.
int byte_of_piece(std::string_view text);

}  // namespace sluice::text
