#include "data/fingerprint.h"

#include "base/text_format.h"
#include "config/names.h"

namespace sluice::data {

namespace {

// Incremented whenever the same settings and text would produce different tokens or files.
constexpr int kPreparedVersion = 2;

using config::name_of;

std::string line(std::string_view key, const auto& value) { return cat(key, ": ", value, "\n"); }

}  // namespace

std::optional<GivenModel> given_model_of(const text::TokenizerConfig& tokenizer) {
  if (text::model_path(tokenizer) == nullptr) return std::nullopt;
  const auto given = text::load_given_tokenizer(tokenizer);
  return GivenModel{.hash = given->hash(), .joins_blocks = given->joins_blocks()};
}

std::string token_settings(const PrepareSettings& settings,
                           const std::optional<GivenModel>& given_model) {
  const text::CorpusConfig& corpus = settings.corpus;
  std::string out = line("version", kPreparedVersion);
  out += line("corpus.format", name_of(corpus.format)) +
         line("corpus.separator", name_of(corpus.separator));
  out += line("corpus.invalid_utf8", name_of(corpus.invalid_utf8)) +
         line("corpus.nul_bytes", name_of(corpus.nul_bytes));
  out += line("corpus.long_lines", name_of(corpus.long_lines)) +
         line("corpus.max_line", corpus.max_line.count);
  // Defaults are omitted: data prepared before these keys existed keeps its fingerprint.
  if (corpus.byte_order_mark != text::CorpusConfig{}.byte_order_mark)
    out += line("corpus.byte_order_mark", name_of(corpus.byte_order_mark));
  if (corpus.crlf != text::CorpusConfig{}.crlf) out += line("corpus.crlf", name_of(corpus.crlf));
  if (corpus.valid.empty()) out += line("corpus.holdout", shortest(corpus.holdout));
  if (corpus.tune_holdout > 0) out += line("corpus.tune_holdout", shortest(corpus.tune_holdout));
  if (corpus.format == text::Format::kJsonl) {
    out += line("corpus.text_field", corpus.text_field) +
           line("corpus.broken_json", name_of(corpus.broken_json));
  }
  out += std::visit([](const auto& tokenizer) { return line("tokenizer.type", tokenizer.kind); },
                    settings.tokenizer);
  const auto* pieces = std::get_if<text::SentencePieceConfig>(&settings.tokenizer);
  if (given_model.has_value()) {
    out += line("tokenizer.model", given_model->hash.hex());
    // Data prepared before blocks were joined may have other ids in documents above one block.
    return given_model->joins_blocks ? out + line("blocks", "joined") : out;
  }
  if (pieces == nullptr) return out;
  if (pieces->character_coverage != text::SentencePieceConfig{}.character_coverage)
    out += line("tokenizer.character_coverage", shortest(pieces->character_coverage));
  return out + line("tokenizer.algorithm", name_of(pieces->algorithm)) +
         line("tokenizer.vocab_size", pieces->vocab_size) +
         line("tokenizer.max_sample", pieces->max_sample.count);
}

std::string fingerprint_of(const std::string& token_settings, const std::vector<InputFile>& train,
                           const std::vector<InputFile>& valid) {
  Hasher hasher;
  hasher.update_number(token_settings.size()).update(token_settings);
  for (const auto* files : {&train, &valid}) {
    hasher.update_number(files->size());
    for (const InputFile& file : *files)
      hasher.update_number(file.hash.high).update_number(file.hash.low);
  }
  return hasher.digest().hex();
}

}  // namespace sluice::data
