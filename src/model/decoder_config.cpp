#include "model/decoder_config.h"

#include "base/text_format.h"
#include "config/decide.h"
#include "model/config_checks.h"

namespace sluice::model {
namespace {

void check_heads(const DecoderConfig& c, config::Problems& problems) {
  check_heads_divide(c, problems);
  if (!heads_divide(c)) return;
  if (c.num_heads % c.resolved_kv_heads() != 0) {
    problems.add("num_kv_heads", cat(c.resolved_kv_heads()),
                 cat("a divisor of num_heads ", c.num_heads));
  }
  if (std::holds_alternative<nn::RopeConfig>(c.position) && c.resolved_head_dim() % 2 != 0) {
    problems.add(c.head_dim.value ? "head_dim" : "num_heads",
                 cat("head_dim ", c.resolved_head_dim()),
                 "an even head_dim (rope rotates pairs of elements)");
  }
}

bool valid_heads(const DecoderConfig& c) {
  const bool even =
      c.resolved_head_dim() % 2 == 0 || !std::holds_alternative<nn::RopeConfig>(c.position);
  return c.head_dim.value || (heads_divide(c) && even);
}

}  // namespace

void DecoderConfig::check(const DecoderConfig& c, config::Problems& problems) {
  check_heads(c, problems);
  check_width(c, problems, valid_heads);
}

nn::WidthMatch DecoderConfig::resolved_d_ff() const { return width_of(*this, bias); }

bool shares_positions(const DecoderConfig&) { return true; }

std::optional<LengthLimit> length_limit(const DecoderConfig& c) {
  const auto* learned = std::get_if<nn::LearnedConfig>(&c.position);
  if (learned == nullptr || !learned->max_length.value) return std::nullopt;
  return LengthLimit{"position.max_length", *learned->max_length};
}

void resolve(DecoderConfig& c, const DecoderConfig* stored, const Facts& facts) {
  using config::decide, config::member_of;
  decide(c.num_kv_heads, member_of(stored, &DecoderConfig::num_kv_heads),
         [&] { return c.resolved_kv_heads(); });
  resolve_sizes(c, stored, facts);
  auto* learned = std::get_if<nn::LearnedConfig>(&c.position);
  const auto* stored_learned =
      stored != nullptr ? std::get_if<nn::LearnedConfig>(&stored->position) : nullptr;
  if (learned != nullptr)
    decide(learned->max_length, member_of(stored_learned, &nn::LearnedConfig::max_length),
           [&] { return facts.sequence_length; });
}

// Padded rows are not part of the vocabulary.
std::int64_t vocabulary_rows(const DecoderConfig&, std::int64_t vocab_size) { return vocab_size; }

std::string expected_vocabulary(const DecoderConfig&, std::int64_t rows) {
  return cat(rows, " (the tokenizer's vocabulary) or auto");
}

FlopTerms flop_terms(const DecoderConfig& c, std::int64_t rows, const Sequences& sequences) {
  const auto real = [](std::int64_t n) { return static_cast<double>(n); };
  return {.head = 6.0 * real(rows) * real(c.d_model),
          .attention = 12.0 * real(c.num_layers * c.num_heads * c.resolved_head_dim()) *
                       real(sequences.inputs)};
}

std::string flops_text(const DecoderConfig&) {
  return "6 * (elements of the matrices in attention, ffn and head) + 12 * num_layers * num_heads "
         "* head_dim * sequence_length";
}

ActivationMemory activation_memory(const DecoderConfig& c, const Sequences& sequences,
                                   std::uint64_t element_bytes) {
  const KeptBytes kept = kept_bytes(c, c.resolved_kv_heads(), element_bytes);
  const auto tokens = static_cast<std::uint64_t>(sequences.targets),
             layers = static_cast<std::uint64_t>(c.num_layers);
  return {
      tokens * (layers * (kept.self_attention() + kept.ffn()) + kept.embedding_and_final_norm()),
      tokens * kept.temporary()};
}

std::vector<StackSizes> stacks_of(const DecoderConfig& c, const Sequences& sequences) {
  return {{.num_layers = c.num_layers,
           .length = sequences.inputs,
           .d_model = c.d_model,
           .num_heads = c.num_heads,
           .num_kv_heads = c.resolved_kv_heads(),
           .head_dim = c.resolved_head_dim(),
           .d_ff = c.resolved_d_ff().d_ff,
           .gated = c.ffn->gated,
           .has_dropout = c.dropout > 0}};
}

}  // namespace sluice::model
