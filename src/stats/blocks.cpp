#include "stats/blocks.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/error.h"

namespace sluice::stats {
namespace {

using Seeds = std::vector<bool>;

Seeds finished_seeds(const Table& table, std::size_t variant) {
  Seeds seeds(table.num_seeds());
  for (std::size_t j = 0; j < seeds.size(); ++j) seeds[j] = table.value(variant, j).has_value();
  return seeds;
}

Seeds intersection(const Seeds& a, const Seeds& b) {
  Seeds seeds(a.size());
  for (std::size_t j = 0; j < seeds.size(); ++j) seeds[j] = a[j] && b[j];
  return seeds;
}

// The intersections of the finished seeds of any variants. There are usually few, since sessions
// proceed seed by seed; the limit bounds the running time otherwise.
std::set<Seeds> intersections(const std::vector<Seeds>& finished) {
  constexpr std::size_t kMaxSets = 4096;
  std::set<Seeds> sets;
  for (const Seeds& own : finished) {
    std::set<Seeds> more = {own};
    for (const Seeds& other : sets) more.insert(intersection(own, other));
    if (sets.size() + more.size() > kMaxSets) more = {own};
    sets.merge(more);
  }
  return sets;
}

// Greater is better.
using Score = std::array<std::size_t, 4>;
Score score_of(const BlockChoice& block, bool has_baseline) {
  const std::size_t v = block.variants.size(), s = block.seeds.size(),
                    df = v > 1 && s > 1 ? (v - 1) * (s - 1) : 0;
  return {df > 0 ? 1U : 0U, has_baseline ? 1U : 0U, df, df > 0 ? s : v};
}

std::vector<std::size_t> indices_of(const std::vector<bool>& flags) {
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < flags.size(); ++i)
    if (flags[i]) indices.push_back(i);
  return indices;
}

}  // namespace

BlockChoice choose_block(const Table& table, const std::vector<bool>& eligible,
                         std::size_t baseline) {
  invariant(eligible.size() == table.num_variants(), "choose_block: expected one flag per variant");
  const std::vector<std::size_t> variants = indices_of(eligible);
  std::vector<Seeds> finished;
  for (const std::size_t variant : variants) finished.push_back(finished_seeds(table, variant));
  BlockChoice best{.variants = variants, .seeds = {}};
  Score best_score{};
  for (const Seeds& seeds : intersections(finished)) {
    BlockChoice block{.variants = {}, .seeds = indices_of(seeds)};
    for (std::size_t i = 0; i < variants.size(); ++i)
      if (intersection(finished[i], seeds) == seeds) block.variants.push_back(variants[i]);
    if (block.seeds.empty() || block.variants.size() < 2) continue;
    const bool has_baseline =
        std::find(block.variants.begin(), block.variants.end(), baseline) != block.variants.end();
    const Score score = score_of(block, has_baseline);
    // On a tie the later set wins: it has the earlier seeds.
    if (score < best_score) continue;
    best = std::move(block);
    best_score = score;
  }
  return best;
}

}  // namespace sluice::stats
