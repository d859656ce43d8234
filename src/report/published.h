// Published held-out log-perplexities: "GLU Variants Improve Transformer" (Shazeer 2020, arXiv
// 2002.05202), Table 1. T5 base, span corruption on C4, nats per target token: mean and sample
// standard deviation of 4 runs of 65,536 steps, and one run of 524,288 steps.
//
// Absolute values depend on data, tokenizer and model size; only differences between variants are
// comparable.
#pragma once

#include <array>
#include <string_view>

#include "report/comparison.h"

namespace sluice::report {

struct Published {
  std::string_view ffn;
  double mean = 0, std = 0;  // 65,536 steps
  double long_run = 0;       // 524,288 steps
};

inline constexpr std::array<Published, 8> kPublished = {{{"relu", 1.997, 0.005, 1.677},
                                                         {"gelu", 1.983, 0.005, 1.679},
                                                         {"swish", 1.994, 0.003, 1.683},
                                                         {"glu", 1.982, 0.006, 1.663},
                                                         {"bilinear", 1.960, 0.005, 1.648},
                                                         {"geglu", 1.942, 0.004, 1.633},
                                                         {"swiglu", 1.944, 0.010, 1.636},
                                                         {"reglu", 1.953, 0.003, 1.645}}};

// nullptr if the paper has no such result: another objective or metric, or a feed-forward layer not
// in the paper.
const Published* published_result(const Comparison& comparison, const Variant& variant);
bool has_published(const Comparison& comparison);  // for any variant

}  // namespace sluice::report
