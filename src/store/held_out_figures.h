// The metrics of a held-out set (definitions in docs/metrics.md), shared by result.json,
// metrics.jsonl and the output of commands.
//
// To add a metric: a member and its row here, and its value in eval/perplexity.cpp.
#pragma once

#include <optional>
#include <tuple>

#include "config/field.h"
#include "stats/held_out_error.h"

namespace sluice::store {

using stats::DocumentLoss;

struct HeldOutFigures {
  std::optional<double> log_perplexity, perplexity, bits_per_byte, word_perplexity;

  static constexpr auto fields() {
    using F = HeldOutFigures;
    return std::tuple{
        config::field<&F::log_perplexity>(
            "Held-out cross-entropy in nats per target token; null without held-out data."),
        config::field<&F::perplexity>("The exponential of `log_perplexity`."),
        config::field<&F::bits_per_byte>("Bits per byte of the raw text; null if the targets are "
                                         "not text or only part of the set was scored."),
        config::field<&F::word_perplexity>("Perplexity per word (maximal runs of non-whitespace); "
                                           "null if `bits_per_byte` is null.")};
  }
};

}  // namespace sluice::store
