// Shared by all architectures: checks of heads and widths, and resolution of `auto` and `match`.
// C: the configuration of an architecture, e.g. DecoderConfig.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "base/text_format.h"
#include "config/decide.h"
#include "config/field.h"
#include "model/architecture.h"
#include "nn/match_width.h"

namespace sluice::model {

template <class C>
nn::WidthMatch width_of(const C& c, bool bias) {
  const nn::WidthRequest request{.d_model = c.d_model,
                                 .reference = c.d_ff_reference.value_or(4 * c.d_model),
                                 .multiple = c.d_ff_multiple,
                                 .bias = bias};
  return c.d_ff.value ? nn::compare_width(*c.ffn, request, *c.d_ff)
                      : nn::match_width(*c.ffn, request);
}

template <class C>
bool heads_divide(const C& c) {
  return c.head_dim.value || c.d_model % c.num_heads == 0;
}

template <class C>
void check_heads_divide(const C& c, config::Problems& problems) {
  if (heads_divide(c)) return;
  problems.add("num_heads", cat(c.num_heads),
               cat("a divisor of d_model ", c.d_model, ", or an explicit head_dim"));
}

template <class C>
bool width_matches(const C& c) {
  const nn::WidthMatch width = c.resolved_d_ff();
  return std::max(std::abs(width.mismatch), std::abs(width.multiply_add_mismatch)) <=
         nn::kMaxMismatch;
}

// The expected value after a failed match: suggests a smaller d_ff_multiple or, if none helps, a
// larger d_model. `valid_heads(config)`: whether the heads allow this d_model.
template <class C, class ValidHeads>
std::string nearest_match(C c, const ValidHeads& valid_heads) {
  const std::int64_t asked = c.d_ff_multiple;
  while (--c.d_ff_multiple > 0) {  // only divisors, which preserve part of the alignment
    if (asked % c.d_ff_multiple == 0 && width_matches(c))
      return cat("at most 1 % in each; use d_ff_multiple ", c.d_ff_multiple, " or a numeric d_ff");
  }
  c.d_ff_multiple = asked;
  for (std::int64_t d_model = c.d_model + 1; d_model <= 2 * c.d_model + 64; ++d_model) {
    C wider = c;
    wider.d_model = d_model;
    if (valid_heads(wider) && width_matches(wider))
      return cat("at most 1 % in each; use d_model ", d_model, " or a numeric d_ff");
  }
  return "at most 1 % in each; use a numeric d_ff";
}

template <class C, class ValidHeads>
void check_width(const C& c, config::Problems& problems, const ValidHeads& valid_heads) {
  if (c.d_ff.value || width_matches(c)) return;
  const nn::WidthMatch width = c.resolved_d_ff();
  const auto percent = [](double share) {
    return cat(share > 0 ? "+" : "", fixed(100 * share, 2), " %");
  };
  const bool parameters = std::abs(width.mismatch) > nn::kMaxMismatch;
  const bool multiply_adds = std::abs(width.multiply_add_mismatch) > nn::kMaxMismatch;
  problems.add(
      "d_ff",
      cat("match, nearest width ", width.d_ff, " with mismatch ", percent(width.mismatch),
          " in parameters and ", percent(width.multiply_add_mismatch), " in multiply-adds (",
          parameters && multiply_adds ? "both exceed"
          : parameters                ? "the parameters exceed"
                                      : "the multiply-adds exceed",
          " the tolerance)"),
      nearest_match(c, valid_heads));
}

template <class C>
void resolve_sizes(C& c, const C* stored, const Facts& facts) {
  using config::decide, config::member_of;
  decide(c.vocab_size, member_of(stored, &C::vocab_size),
         [&] { return vocabulary_rows(c, facts.vocab_size); });
  decide(c.head_dim, member_of(stored, &C::head_dim), [&] { return c.resolved_head_dim(); });
  const std::int64_t d_ff = c.resolved_d_ff().d_ff;  // before d_ff_reference is resolved
  decide(c.d_ff_reference, member_of(stored, &C::d_ff_reference), [&] { return 4 * c.d_model; });
  decide(c.d_ff, member_of(stored, &C::d_ff), [&] { return d_ff; });
}

}  // namespace sluice::model
