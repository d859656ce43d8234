#include "model/decoder_config.h"

#include "base/text_format.h"
#include "model/config_checks.h"

namespace sluice::model {
namespace {

void check_heads(const DecoderConfig& c, config::Problems& problems) {
  check_heads_divide(c, problems);
  if (!heads_divide(c)) return;
  if (c.num_heads % c.resolved_kv_heads() != 0) {
    problems.add("num_kv_heads", cat(c.resolved_kv_heads()), cat("a divisor of num_heads ", c.num_heads));
  }
  if (std::holds_alternative<nn::RopeConfig>(c.position) && c.resolved_head_dim() % 2 != 0) {
    problems.add(c.head_dim.is_word() ? "num_heads" : "head_dim", cat("head_dim ", c.resolved_head_dim()),
                 "an even head_dim, since rope turns pairs");
  }
}

bool valid_heads(const DecoderConfig& c) {
  const bool even = c.resolved_head_dim() % 2 == 0 || !std::holds_alternative<nn::RopeConfig>(c.position);
  return !c.head_dim.is_word() || (heads_divide(c) && even);
}

}  // namespace

void DecoderConfig::check(const DecoderConfig& c, config::Problems& problems) {
  check_heads(c, problems);
  check_width(c, problems, valid_heads);
}

nn::WidthMatch DecoderConfig::resolved_d_ff() const { return width_of(*this, bias); }

// Padded rows take no part in anything.
std::int64_t vocabulary_rows(const DecoderConfig&, std::int64_t vocab_size) { return vocab_size; }

std::string expected_vocabulary(const DecoderConfig&, std::int64_t rows) { return cat("the tokenizer's ", rows, ", or auto"); }

FlopsBesideMatrices flops_beside_matrices(const DecoderConfig& c, std::int64_t rows, const Sequences& sequences) {
  const auto real = [](std::int64_t n) { return static_cast<double>(n); };
  return {.head = 6.0 * real(rows) * real(c.d_model),
          .attention = 12.0 * real(c.num_layers * c.num_heads * c.resolved_head_dim()) * real(sequences.inputs)};
}

std::string flops_text(const DecoderConfig&) {
  return "6 * (elements of the matrices in attention, ffn and head) + 12 * num_layers * num_heads * head_dim * sequence_length";
}

}  // namespace sluice::model
