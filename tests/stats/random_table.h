// Random tables of the additive model: y_ij = 2 + effect_i + seed_j + σ_i · normal, keyed by `key`.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "base/random.h"
#include "stats/table.h"

namespace sluice::stats::testing {

struct Truth {
  std::vector<double> effects;  // of the variants
  std::vector<double> stds;     // of the variants
  double seed_std = 0.01;
  std::size_t num_seeds = 5;
};

// [variants, seeds], row-major.
inline std::vector<double> random_values(const Truth& truth, std::uint64_t key) {
  std::vector<double> values;
  for (std::size_t i = 0; i < truth.effects.size(); ++i)
    for (std::size_t j = 0; j < truth.num_seeds; ++j) {
      const double seed = truth.seed_std * random_normal(key, j),
                   noise = random_normal(key, 1000 + i * truth.num_seeds + j);
      values.push_back(2 + truth.effects[i] + seed + truth.stds[i] * noise);
    }
  return values;
}

inline Table table_of(std::size_t num_variants, const std::vector<double>& values) {
  Table table(num_variants, values.size() / num_variants);
  for (std::size_t i = 0; i < values.size(); ++i)
    table.set(i / table.num_seeds(), i % table.num_seeds(), values[i]);
  return table;
}

inline Table random_table(const Truth& truth, std::uint64_t key) {
  return table_of(truth.effects.size(), random_values(truth, key));
}

}  // namespace sluice::stats::testing
