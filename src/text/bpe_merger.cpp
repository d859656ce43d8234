#include "text/bpe_merger.h"

#include <bit>
#include <queue>

namespace sluice::text {

namespace {

constexpr std::int32_t kNone = -1;
constexpr std::size_t kShortWord = 24;  // symbols; up to here, scanning is faster than a queue

struct Symbol {
  std::int32_t id = 0;
  std::int32_t previous = kNone, next = kNone;
  bool is_removed = false;
};

struct Candidate {
  std::uint32_t rank = 0;
  std::int32_t position = 0, merged = 0;
  bool operator<(const Candidate& other) const {  // the largest is merged first
    return rank != other.rank ? rank > other.rank : position > other.position;
  }
};

void merge_short(const PairRanks& ranks, std::vector<std::int32_t>& symbols) {
  while (symbols.size() > 1) {
    const PairRanks::Merge* best = nullptr;
    std::size_t at = 0;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto* merge = ranks.find(symbols[i], symbols[i + 1]);
      if (merge == nullptr || (best != nullptr && merge->rank >= best->rank)) continue;
      best = merge;
      at = i;
    }
    if (best == nullptr) return;
    symbols[at] = best->merged;
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

class LongMerger {
 public:
  LongMerger(const PairRanks& ranks, const std::vector<std::int32_t>& ids) : ranks_(ranks) {
    const auto size = static_cast<std::int32_t>(ids.size());
    symbols_.reserve(ids.size());
    for (std::int32_t i = 0; i < size; ++i)
      symbols_.push_back({.id = ids[static_cast<std::size_t>(i)],
                          .previous = i - 1,
                          .next = i + 1 < size ? i + 1 : kNone});
    for (std::int32_t i = 0; i + 1 < size; ++i) add(i);
  }

  void run(std::vector<std::int32_t>& out) {
    while (!candidates_.empty()) {
      const Candidate top = candidates_.top();
      candidates_.pop();
      merge(top);
    }
    out.clear();
    for (std::int32_t i = 0; i != kNone; i = symbol(i).next) out.push_back(symbol(i).id);
  }

 private:
  Symbol& symbol(std::int32_t position) { return symbols_[static_cast<std::size_t>(position)]; }

  void add(std::int32_t position) {
    const std::int32_t next = symbol(position).next;
    if (next == kNone) return;
    const auto* merge = ranks_.find(symbol(position).id, symbol(next).id);
    if (merge != nullptr) candidates_.push({merge->rank, position, merge->merged});
  }

  void merge(const Candidate& candidate) {
    Symbol& left = symbol(candidate.position);
    if (left.is_removed || left.next == kNone) return;
    Symbol& right = symbol(left.next);
    // The pair may have changed since.
    const auto* current = ranks_.find(left.id, right.id);
    if (current == nullptr || current->merged != candidate.merged) return;
    left.id = candidate.merged;
    right.is_removed = true;
    left.next = right.next;
    if (left.next != kNone) symbol(left.next).previous = candidate.position;
    if (left.previous != kNone) add(left.previous);
    add(candidate.position);
  }

  const PairRanks& ranks_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Candidate> candidates_;
};

}  // namespace

PairRanks::PairRanks(std::size_t num_merges) : slots_(std::bit_ceil(2 * num_merges + 2)) {}

std::size_t PairRanks::slot_of(std::uint64_t pair) const {
  const std::size_t mask = slots_.size() - 1;
  std::uint64_t hash = pair * 0x9E3779B97F4A7C15ULL;
  std::size_t at = static_cast<std::size_t>(hash ^ hash >> 32) & mask;
  while (slots_[at].pair != kFree && slots_[at].pair != pair) at = (at + 1) & mask;
  return at;
}

void PairRanks::set(std::int32_t left, std::int32_t right, Merge merge) {
  const auto pair = static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
  slots_[slot_of(pair)] = {pair, merge};
}

const PairRanks::Merge* PairRanks::find(std::int32_t left, std::int32_t right) const {
  const auto pair = static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
  const Slot& slot = slots_[slot_of(pair)];
  return slot.pair == kFree ? nullptr : &slot.merge;
}

void merge_pairs(const PairRanks& ranks, std::vector<std::int32_t>& symbols) {
  if (symbols.size() <= kShortWord) return merge_short(ranks, symbols);
  std::vector<std::int32_t> merged;
  LongMerger(ranks, symbols).run(merged);
  symbols = std::move(merged);
}

}  // namespace sluice::text
