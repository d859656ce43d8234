#include "compare/seed_consistency.h"

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/text_format.h"
#include "compare/runner.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;

bool same_micro_batch(const ExecutionEnv& a, const ExecutionEnv& b) {
  return a.micro_batch_sequences == b.micro_batch_sequences || a.micro_batch_sequences == 0 || b.micro_batch_sequences == 0;
}

// A micro-batch that is not known stands in the way of nothing.
bool same_way(ExecutionEnv a, const ExecutionEnv& b) {
  if (same_micro_batch(a, b)) a.micro_batch_sequences = b.micro_batch_sequences;
  return a == b;
}

// Records whose runs have begun, by family.
std::unordered_multimap<std::string, CellRecord> begun_records(const fs::path& folder) {
  std::unordered_multimap<std::string, CellRecord> records;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    try {
      const auto record = read_record(entry.path() / "cell.json");
      std::error_code ignored;
      if (record && fs::exists(entry.path() / "run" / "metrics.jsonl", ignored)) records.emplace(record->family, *record);
    } catch (const UserError&) {  // of another comparison, or to be run again
    }
  }
  return records;
}

struct SeedState {
  std::size_t num_made = 0;  // otherwise than this session would
  ExecutionEnv made_with, now;
  bool has_work = false;
};

// What would let this session go on with the seed, besides the machine.
std::string remedy(const SeedState& state) {
  std::string settings;
  if (state.made_with.cpu == state.now.cpu) {
    if (state.made_with.threads != state.now.threads) settings += cat(" train.threads=", state.made_with.threads);
    if (state.made_with.precision != state.now.precision) settings += cat(" train.precision=", state.made_with.precision);
    if (state.made_with.device != state.now.device) settings += cat(" train.device=", state.made_with.device);
    if (!same_micro_batch(state.made_with, state.now))
      settings += cat(" train.micro_batch_sequences=", state.made_with.micro_batch_sequences);
  }
  return settings.empty() ? "other seeds (--seeds) here, and this one on that machine" : cat("other seeds (--seeds), or --set", settings);
}

}  // namespace

std::string describe(const ExecutionEnv& maker) {
  return cat(maker.cpu, ", ", count_of(maker.threads, "thread"), ", ", maker.device, ", ", maker.precision,
             maker.micro_batch_sequences > 0 ? cat(", micro-batches of ", maker.micro_batch_sequences) : "");
}

void refuse_mixed_seeds(std::span<const Cell> cells, const fs::path& folder, bool more_to_come) {
  const auto records = begun_records(folder);
  std::map<std::uint64_t, SeedState> seeds;
  for (const Cell& cell : cells) {
    SeedState& state = seeds[cell.seed];
    const CellRecord own = record_of(cell);
    state.has_work = state.has_work || more_to_come || !is_settled(cell, own);
    const auto [first, last] = records.equal_range(cell.family);
    for (auto it = first; it != last; ++it) {
      if (it->second.seed != cell.seed || same_way(it->second.maker, cell.facts.maker)) continue;
      ++state.num_made;
      state.made_with = it->second.maker;
      state.now = cell.facts.maker;
    }
  }
  std::string message;
  for (const auto& [seed, state] : seeds) {
    if (state.num_made == 0 || !state.has_work) continue;
    message += cat(message.empty() ? "" : "\n", "seed ", seed, ": ", state.num_made, state.num_made == 1 ? " run" : " runs", " made with ",
                   describe(state.made_with), ", but this session would use ", describe(state.now), "; a seed never mixes them: needs ",
                   remedy(state));
  }
  if (!message.empty()) throw UserError(ExitCode::kUsage, message);
}

}  // namespace sluice::compare
