#include "model/decoder_config.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/text_format.h"

namespace sluice::model {
namespace {

void check_heads(const DecoderConfig& c, config::Problems& problems) {
  if (c.head_dim.is_word() && c.d_model % c.num_heads != 0) {
    problems.add("num_heads", cat(c.num_heads), cat("a divisor of d_model ", c.d_model, ", or a head_dim of its own"));
    return;
  }
  if (c.num_heads % c.resolved_kv_heads() != 0) {
    problems.add("num_kv_heads", cat(c.resolved_kv_heads()), cat("a divisor of num_heads ", c.num_heads));
  }
  if (std::holds_alternative<nn::RopeConfig>(c.position) && c.resolved_head_dim() % 2 != 0) {
    problems.add(c.head_dim.is_word() ? "num_heads" : "head_dim", cat("head_dim ", c.resolved_head_dim()),
                 "an even head_dim, since rope turns pairs");
  }
}

bool matches(const DecoderConfig& c) {
  const nn::WidthMatch width = c.resolved_d_ff();
  return std::max(std::abs(width.mismatch), std::abs(width.multiply_add_mismatch)) <= nn::kMaxMismatch;
}

bool valid_heads(const DecoderConfig& c, std::int64_t d_model) {
  if (!c.head_dim.is_word()) return true;
  const bool even = (d_model / c.num_heads) % 2 == 0 || !std::holds_alternative<nn::RopeConfig>(c.position);
  return d_model % c.num_heads == 0 && even;
}

// What to write instead of a d_ff_multiple that is too coarse, or of a d_model too small for any width to fit.
std::string nearest_match(DecoderConfig c) {
  const std::int64_t asked = c.d_ff_multiple;
  while (--c.d_ff_multiple > 0) {  // a divisor keeps what the alignment is for
    if (asked % c.d_ff_multiple == 0 && matches(c)) return cat("at most 1 %: d_ff_multiple ", c.d_ff_multiple, ", or d_ff as a number");
  }
  c.d_ff_multiple = asked;
  for (std::int64_t d_model = c.d_model + 1; d_model <= 2 * c.d_model + 64; ++d_model) {
    DecoderConfig wider = c;
    wider.d_model = d_model;
    if (valid_heads(c, d_model) && matches(wider)) return cat("at most 1 %: d_model ", d_model, ", or d_ff as a number");
  }
  return "at most 1 %: d_ff as a number";
}

}  // namespace

void DecoderConfig::check(const DecoderConfig& c, config::Problems& problems) {
  check_heads(c, problems);
  if (!c.d_ff.is_word() || matches(c)) return;
  const nn::WidthMatch width = c.resolved_d_ff();
  problems.add("d_ff", cat("match, whose nearest width ", width.d_ff, " is off by ", fixed(100 * width.mismatch, 2), " %"),
               nearest_match(c));
}

nn::WidthMatch DecoderConfig::resolved_d_ff() const {
  const nn::WidthRequest request{
      .d_model = d_model, .reference = d_ff_reference.is_word() ? 4 * d_model : *d_ff_reference, .multiple = d_ff_multiple, .bias = bias};
  return d_ff.is_word() ? nn::match_width(*ffn, request) : nn::compare_width(*ffn, request, *d_ff);
}

}  // namespace sluice::model
