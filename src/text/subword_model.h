// The model of a pipeline of the `tokenizers` library: divides a part of the text, normalized and
// pre-tokenized, into pieces of the vocabulary.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/json_field.h"

namespace sluice::text {

inline constexpr std::int64_t kMaxTokenId = (4 << 20) - 1;

class SubwordModel {
 public:
  virtual ~SubwordModel() = default;
  // Appends the ids of `part` (valid UTF-8, not empty). Thread-safe.
  virtual void encode(std::string_view part, std::vector<std::int32_t>& out) const = 0;
  // The pieces by id; ids without a piece are empty.
  virtual const std::vector<std::string>& pieces() const = 0;
  virtual std::optional<std::int32_t> unk() const = 0;  // nullopt if no text becomes unknown
  // Length of the prefix of `text` that can be encoded separately from the rest, without changing
  // the ids; at least 1.
  virtual std::size_t independent_prefix(std::string_view text) const { return text.size(); }
};

// `model`: the member `model` of tokenizer.json. kBadData if it is invalid.
//
// BPE: the pair with the lowest rank is merged first, leftmost first. Unigram: the segmentation
// with the highest sum of scores (Kudo 2018), in double precision.
std::unique_ptr<SubwordModel> make_bpe_model(const JsonField& model);
std::unique_ptr<SubwordModel> make_unigram_model(const JsonField& model);

// Ids of "<0x00>" … "<0xFF>"; empty unless all are in the vocabulary.
std::vector<std::int32_t> byte_pieces(const std::vector<std::string>& pieces);

}  // namespace sluice::text
