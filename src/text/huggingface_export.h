// Writes a tokenizer as the files that transformers' AutoTokenizer loads without remote code.
//
// SentencePiece and byte tokenizers become a pipeline of the `tokenizers` library with the same
// ids: normalizer, added tokens, model (BPE or Unigram), decoder. The merges of a SentencePiece BPE
// model are all splits of its pieces into two pieces, by descending score of the merged piece.
// Format: https://huggingface.co/docs/tokenizers/api/tokenizer
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace sluice::text {

struct HuggingFaceTokenizerOptions {
  // Ids vocab_size() … vocab_size() + num_sentinels - 1 become `<extra_id_N>` with descending N:
  // `<extra_id_0>` has the largest id, as in data/span_rules.h and in T5.
  std::int64_t num_sentinels = 0;
  std::int64_t context_length = 0;  // `model_max_length`; 0: unlimited
  bool append_eos = false;          // calls of the tokenizer append its end token, as T5's do
};

struct TokenizerFile {
  std::string name;  // without directory
  std::string content;
};

// tokenizer.json, tokenizer_config.json, special_tokens_map.json and, for SentencePiece models,
// tokenizer.model. kUsage if the `tokenizers` library cannot express the tokenizer; the message
// names the field of the model.
std::vector<TokenizerFile> huggingface_tokenizer_files(const Tokenizer& tokenizer,
                                                       const HuggingFaceTokenizerOptions& options);

}  // namespace sluice::text
