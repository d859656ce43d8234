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

Seeds common(const Seeds& a, const Seeds& b) {
  Seeds seeds(a.size());
  for (std::size_t j = 0; j < seeds.size(); ++j) seeds[j] = a[j] && b[j];
  return seeds;
}

// What some of the variants have in common. As a rule there are few such sets, since sessions go seed by seed; the limit bounds the time where
// there are many.
std::set<Seeds> common_sets(const std::vector<Seeds>& finished) {
  constexpr std::size_t kMaxSets = 4096;
  std::set<Seeds> sets;
  for (const Seeds& own : finished) {
    std::set<Seeds> more = {own};
    for (const Seeds& other : sets) more.insert(common(own, other));
    if (sets.size() + more.size() > kMaxSets) more = {own};
    sets.merge(more);
  }
  return sets;
}

// Greater is better.
using Score = std::array<std::size_t, 4>;
Score score_of(const BlockChoice& block, bool has_baseline) {
  const std::size_t v = block.variants.size(), s = block.seeds.size(), df = v > 1 && s > 1 ? (v - 1) * (s - 1) : 0;
  return {df > 0 ? 1U : 0U, has_baseline ? 1U : 0U, df, df > 0 ? s : v};
}

std::vector<std::size_t> places_of(const std::vector<bool>& flags) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < flags.size(); ++i)
    if (flags[i]) places.push_back(i);
  return places;
}

}  // namespace

BlockChoice choose_block(const Table& table, const std::vector<bool>& eligible, std::size_t baseline) {
  invariant(eligible.size() == table.num_variants(), "choose_block: not one flag for each variant");
  const std::vector<std::size_t> variants = places_of(eligible);
  std::vector<Seeds> finished;
  for (const std::size_t variant : variants) finished.push_back(finished_seeds(table, variant));
  BlockChoice best{.variants = variants, .seeds = {}};
  Score best_score{};
  for (const Seeds& seeds : common_sets(finished)) {
    BlockChoice block{.variants = {}, .seeds = places_of(seeds)};
    for (std::size_t i = 0; i < variants.size(); ++i)
      if (common(finished[i], seeds) == seeds) block.variants.push_back(variants[i]);
    if (block.seeds.empty() || block.variants.size() < 2) continue;
    const bool has_baseline = std::find(block.variants.begin(), block.variants.end(), baseline) != block.variants.end();
    const Score score = score_of(block, has_baseline);
    if (score < best_score) continue;  // of equals the set that comes last, which has the earlier seeds
    best = std::move(block);
    best_score = score;
  }
  return best;
}

}  // namespace sluice::stats
