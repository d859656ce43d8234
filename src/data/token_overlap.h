// How much of each held-out document is contained in the training text, by tokens.
//
// A 13-gram is 13 consecutive tokens of one document, without its separator. A token of a held-out
// document is contained if it is part of a 13-gram that occurs anywhere in the training tokens; the
// overlap of a document is the share of its tokens that are contained. 13-grams are the unit of
// GPT-3's check (Brown et al. 2020, arXiv 2005.14165, appendix C; words there), the share of tokens
// that of Llama 2 (Touvron et al. 2023, arXiv 2307.09288, appendix A.6). A changed token costs a
// near duplicate little of its overlap unless changes are closer than 13 tokens. A document of
// fewer than 13 tokens has an overlap of 1 if a training document has the same tokens, else 0.
//
// Splits differ by document, so overlap.h finds only equal documents; this finds quotations,
// boilerplate and edited copies. N-grams are compared by 64-bit hash: a wrong match has a
// probability of about 1e-12 per thousand million training tokens and held-out token.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

#include "config/record.h"
#include "data/prepared.h"

namespace sluice::data {

inline constexpr std::size_t kOverlapTokens = 13;
// A document with at least this overlap is called a near duplicate.
inline constexpr double kNearDuplicate = 0.8;

struct DocumentOverlap {
  static constexpr bool as_list = true;
  std::uint64_t num_tokens = 0, num_contained = 0;
  friend bool operator==(const DocumentOverlap&, const DocumentOverlap&) = default;
  double share() const {
    return num_tokens > 0 ? static_cast<double>(num_contained) / static_cast<double>(num_tokens)
                          : 0;
  }
  static constexpr auto fields() {
    using config::field;
    return std::tuple{
        field<&DocumentOverlap::num_tokens>("Tokens of the document without its separator."),
        field<&DocumentOverlap::num_contained>("Those that training text contains.")};
  }
};

// One entry per document of `held_out`. `separator`: the token that ends documents, if any. Time is
// linear in both streams; memory is bounded: larger held-out sets take several passes over the
// training tokens, `max_ngrams` each (18 bytes each). Polls base/signals.h.
struct TokenOverlapSettings {
  std::optional<std::int32_t> separator;
  int num_threads = 1;
  std::uint64_t max_ngrams = std::uint64_t{1} << 23;
};
std::vector<DocumentOverlap> token_overlap(const TokenStream& training, const TokenStream& held_out,
                                           const TokenOverlapSettings& settings);

struct OverlapTotals {
  std::uint64_t num_documents = 0, num_tokens = 0, num_contained = 0;
  std::uint64_t num_near_duplicates = 0;
  double share() const {
    return DocumentOverlap{.num_tokens = num_tokens, .num_contained = num_contained}.share();
  }
};
OverlapTotals totals_of(std::span<const DocumentOverlap> documents);

// PREPARED_DIR/FINGERPRINT/overlap.json, next to the data. Folders of earlier versions have none.
struct OverlapRecord {
  static constexpr config::RecordFormat record{
      .name = "overlap",
      .place = "PREPARED_DIR/FINGERPRINT/overlap.json",
      .summary = "How much of each held-out document is contained in the training text.",
      .expected = "a file written by `sluice prepare`; remove it to compute it again",
      .version = 1,
      .indent = -1,
      .seal = config::RecordFormat::Seal::kRequired};
  std::uint64_t ngram_tokens = kOverlapTokens;
  std::string training;
  std::vector<DocumentOverlap> valid, tune;

  static constexpr auto fields() {
    using config::field;
    using R = OverlapRecord;
    return std::tuple{
        field<&R::ngram_tokens>("Tokens of an n-gram."),
        field<&R::training>("SHA-256 of the lines of shard hashes of the training split."),
        field<&R::valid>("The held-out documents, in order."),
        field<&R::tune>("The documents of corpus.tune_holdout, in order.")};
  }
};

// Reads the file. If it is missing or belongs to other data, computes the overlap and writes the
// file, if the folder is writable. kBadData if it is damaged.
OverlapRecord overlap_of(const PreparedData& prepared, int num_threads);
// kBadData if the folder has a damaged overlap.json.
void verify_overlap(const std::filesystem::path& directory);

}  // namespace sluice::data
