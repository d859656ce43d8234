#include "data/token_overlap.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/error.h"
#include "base/file.h"
#include "base/signals.h"

namespace sluice::data {
namespace {

constexpr std::uint64_t kPiece = 1 << 18;  // tokens read at once
constexpr std::uint64_t kBase = 0x9e3779b97f4a7c15;
constexpr std::string_view kOverlapFile = "overlap.json";

// kBase^n modulo 2^64.
constexpr std::uint64_t power_of_base(std::size_t n) {
  std::uint64_t power = 1;
  for (std::size_t i = 0; i < n; ++i) power *= kBase;
  return power;
}

// Finalizer of MurmurHash3 (public domain); never 0, which marks an empty slot.
std::uint64_t mixed(std::uint64_t hash) {
  hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccd;
  hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53;
  hash ^= hash >> 33;
  return hash == 0 ? 1 : hash;
}

// Polynomial hash of the last kOverlapTokens tokens.
class RollingHash {
 public:
  void add(std::int32_t token) {
    const std::size_t slot = count_ % kOverlapTokens;
    if (count_ >= kOverlapTokens) sum_ -= value(window_[slot]) * power_of_base(kOverlapTokens - 1);
    sum_ = sum_ * kBase + value(token);
    window_[slot] = token;
    ++count_;
  }
  void clear() { *this = {}; }
  bool is_full() const { return count_ >= kOverlapTokens; }
  std::uint64_t hash() const { return mixed(sum_); }

 private:
  static std::uint64_t value(std::int32_t token) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(token)) + 1;
  }
  std::array<std::int32_t, kOverlapTokens> window_{};
  std::size_t count_ = 0;
  std::uint64_t sum_ = 0;
};

// Hashes of n-grams, each with a mark; several threads may mark at once. Open addressing, at most
// half full.
class MarkedSet {
 public:
  explicit MarkedSet(std::uint64_t capacity)
      : mask_(std::bit_ceil(std::max<std::uint64_t>(2 * capacity, 16)) - 1),
        hashes_(mask_ + 1, 0),
        marks_(std::make_unique<std::atomic<std::uint8_t>[]>(mask_ + 1)) {}
  void insert(std::uint64_t hash) { hashes_[slot_of(hash)] = hash; }
  void mark(std::uint64_t hash) {
    const std::uint64_t slot = slot_of(hash);
    if (hashes_[slot] == hash) marks_[slot].store(1, std::memory_order_relaxed);
  }
  bool is_marked(std::uint64_t hash) const {
    const std::uint64_t slot = slot_of(hash);
    return hashes_[slot] == hash && marks_[slot].load(std::memory_order_relaxed) != 0;
  }

 private:
  std::uint64_t slot_of(std::uint64_t hash) const {
    std::uint64_t slot = hash & mask_;
    while (hashes_[slot] != 0 && hashes_[slot] != hash) slot = (slot + 1) & mask_;
    return slot;
  }
  std::uint64_t mask_;
  std::vector<std::uint64_t> hashes_;
  std::unique_ptr<std::atomic<std::uint8_t>[]> marks_;
};

// Calls each(position, token, document) for the tokens from `begin` to `end`.
template <class Each>
void each_token(const TokenStream& stream, std::uint64_t begin, std::uint64_t end,
                const Each& each) {
  std::vector<std::int32_t> ids(std::min(kPiece, end - begin));
  std::vector<std::uint32_t> documents(ids.size());
  for (std::uint64_t at = begin; at < end; at += kPiece) {
    throw_if_stopped("measuring overlap");
    const std::size_t count = std::min(kPiece, end - at);
    stream.read(at, std::span(ids).first(count));
    stream.documents(at, std::span(documents).first(count));
    for (std::size_t i = 0; i < count; ++i) each(at + i, ids[i], documents[i]);
  }
}

// Calls each(position of the last token, hash) for every n-gram of the tokens from `begin` to
// `end`, across documents.
template <class Each>
void each_ngram(const TokenStream& stream, std::uint64_t begin, std::uint64_t end,
                const Each& each) {
  std::vector<std::int32_t> ids(std::min(kPiece, end - begin));
  RollingHash hash;
  for (std::uint64_t at = begin; at < end; at += kPiece) {
    throw_if_stopped("measuring overlap");
    const std::size_t count = std::min(kPiece, end - at);
    stream.read(at, std::span(ids).first(count));
    for (std::size_t i = 0; i < count; ++i) {
      hash.add(ids[i]);
      if (hash.is_full()) each(at + i, hash.hash());
    }
  }
}

// Marks the n-grams of the training tokens, each thread in a part of them.
void mark_training(const TokenStream& training, int num_threads, MarkedSet& ngrams) {
  const std::uint64_t total = training.num_tokens();
  const auto count = std::clamp<std::uint64_t>(
      total / kPiece, 1, static_cast<std::uint64_t>(std::max(num_threads, 1)));
  std::exception_ptr error;
  std::mutex error_mutex;
  const auto work = [&](std::uint64_t part) {
    try {
      const std::uint64_t begin = total * part / count, end = total * (part + 1) / count;
      each_ngram(training, begin, std::min(total, end + kOverlapTokens - 1),
                 [&](std::uint64_t, std::uint64_t hash) { ngrams.mark(hash); });
    } catch (...) {
      const std::lock_guard lock(error_mutex);
      error = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::uint64_t part = 1; part < count; ++part) threads.emplace_back(work, part);
    work(0);
  }
  if (error) std::rethrow_exception(error);
}

class OverlapMeter {
 public:
  OverlapMeter(const TokenStream& training, const TokenStream& held_out,
               const TokenOverlapSettings& settings)
      : training_(training),
        held_out_(held_out),
        settings_(settings),
        documents_(held_out.num_documents()),
        contained_(held_out.num_tokens()) {}

  std::vector<DocumentOverlap> measure() {
    each_token(held_out_, 0, held_out_.num_tokens(),
               [&](std::uint64_t, std::int32_t token, std::uint32_t document) {
                 documents_.at(document).num_tokens += !is_separator(token);
               });
    const std::uint64_t step = std::max<std::uint64_t>(settings_.max_ngrams, 1);
    for (std::uint64_t begin = 0; begin < held_out_.num_tokens(); begin += step)
      add_pass(begin, std::min(begin + step, held_out_.num_tokens()));
    each_token(held_out_, 0, held_out_.num_tokens(),
               [&](std::uint64_t position, std::int32_t, std::uint32_t document) {
                 documents_[document].num_contained += contained_[position];
               });
    add_short_documents();
    return std::move(documents_);
  }

 private:
  bool is_separator(std::int32_t token) const { return settings_.separator == token; }

  // The held-out n-grams whose last token is from `begin` to `end`.
  template <class Each>
  void each_held_out(std::uint64_t begin, std::uint64_t end, const Each& each) const {
    const std::uint64_t start = begin - std::min<std::uint64_t>(begin, kOverlapTokens - 1);
    RollingHash hash;
    std::uint32_t current = 0;
    each_token(held_out_, start, end,
               [&](std::uint64_t position, std::int32_t token, std::uint32_t document) {
                 if (document != current || is_separator(token)) hash.clear();
                 current = document;
                 if (is_separator(token)) return;
                 hash.add(token);
                 if (hash.is_full() && position >= begin) each(position, hash.hash());
               });
  }

  void add_pass(std::uint64_t begin, std::uint64_t end) {
    MarkedSet ngrams(end - begin);
    each_held_out(begin, end, [&](std::uint64_t, std::uint64_t hash) { ngrams.insert(hash); });
    mark_training(training_, settings_.num_threads, ngrams);
    each_held_out(begin, end, [&](std::uint64_t position, std::uint64_t hash) {
      if (!ngrams.is_marked(hash)) return;
      for (std::uint64_t i = 0; i < kOverlapTokens; ++i) contained_[position - i] = true;
    });
  }

  // Calls each(document, hash) for the documents with 1 to 12 tokens.
  template <class Each>
  void each_short(const TokenStream& stream, const Each& each) const {
    std::uint32_t current = 0;
    std::uint64_t sum = 0, count = 0;
    const auto end_document = [&] {
      if (count > 0 && count < kOverlapTokens) each(current, mixed(sum + count * kBase));
      sum = count = 0;
    };
    each_token(stream, 0, stream.num_tokens(),
               [&](std::uint64_t, std::int32_t token, std::uint32_t document) {
                 if (document != current) end_document();
                 current = document;
                 if (is_separator(token)) return;
                 ++count;
                 sum = mixed(sum * kBase + static_cast<std::uint32_t>(token) + 1);
               });
    end_document();
  }

  void add_short_documents() {
    std::unordered_map<std::uint64_t, bool> is_in_training;
    each_short(held_out_,
               [&](std::uint32_t, std::uint64_t hash) { is_in_training.emplace(hash, false); });
    if (is_in_training.empty()) return;
    each_short(training_, [&](std::uint32_t, std::uint64_t hash) {
      if (const auto found = is_in_training.find(hash); found != is_in_training.end())
        found->second = true;
    });
    each_short(held_out_, [&](std::uint32_t document, std::uint64_t hash) {
      DocumentOverlap& overlap = documents_[document];
      if (is_in_training.at(hash)) overlap.num_contained = overlap.num_tokens;
    });
  }

  const TokenStream &training_, &held_out_;
  const TokenOverlapSettings& settings_;
  std::vector<DocumentOverlap> documents_;
  std::vector<bool> contained_;  // by position in held_out_
};

// nullopt if there is none.
std::optional<OverlapRecord> read_overlap(const std::filesystem::path& directory) {
  constexpr std::uint64_t kMaxOverlapBytes = std::uint64_t{1} << 32;
  const std::filesystem::path path = directory / kOverlapFile;
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return std::nullopt;
  return config::from_json<OverlapRecord>(read_file(path, kMaxOverlapBytes), path.string());
}

bool belongs_to(const OverlapRecord& record, const PreparedData& prepared) {
  return record.ngram_tokens == kOverlapTokens &&
         record.training == prepared.hashes[Split::kTrain] &&
         record.valid.size() == prepared.streams[Split::kValid].num_documents() &&
         record.tune.size() == prepared.streams[Split::kTune].num_documents();
}

}  // namespace

std::vector<DocumentOverlap> token_overlap(const TokenStream& training, const TokenStream& held_out,
                                           const TokenOverlapSettings& settings) {
  if (held_out.num_tokens() == 0) return std::vector<DocumentOverlap>(held_out.num_documents());
  return OverlapMeter(training, held_out, settings).measure();
}

OverlapTotals totals_of(std::span<const DocumentOverlap> documents) {
  OverlapTotals totals;
  for (const DocumentOverlap& document : documents) {
    totals.num_documents += 1;
    totals.num_tokens += document.num_tokens;
    totals.num_contained += document.num_contained;
    totals.num_near_duplicates += document.num_tokens > 0 && document.share() >= kNearDuplicate;
  }
  return totals;
}

OverlapRecord overlap_of(const PreparedData& prepared, int num_threads) {
  if (auto found = read_overlap(prepared.directory); found && belongs_to(*found, prepared))
    return *std::move(found);
  const TokenOverlapSettings settings{.separator = prepared.tokenizer->eos(),
                                      .num_threads = num_threads};
  OverlapRecord record{
      .training = prepared.hashes[Split::kTrain],
      .valid = token_overlap(prepared.train(), prepared.streams[Split::kValid], settings),
      .tune = token_overlap(prepared.train(), prepared.streams[Split::kTune], settings)};
  try {
    real_files().write_atomically(prepared.directory / kOverlapFile, config::to_json(record));
  } catch (const UserError& error) {  // read permission suffices for prepared data
    if (error.code() != ExitCode::kIo) throw;
  }
  return record;
}

void verify_overlap(const std::filesystem::path& directory) { read_overlap(directory); }

}  // namespace sluice::data
