#include "compare/seed_consistency.h"

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/text_format.h"
#include "compare/part.h"
#include "compare/runner.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrecision = "train.precision", kReproducible = "train.reproducible";

bool same_micro_batch(const ExecutionEnv& a, const ExecutionEnv& b) {
  return a.micro_batch_sequences == b.micro_batch_sequences || a.micro_batch_sequences == 0 ||
         b.micro_batch_sequences == 0;
}

// By family.
std::unordered_multimap<std::string, CellRecord> records_of_started_runs(const fs::path& folder) {
  std::unordered_multimap<std::string, CellRecord> records;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    try {
      const auto record = read_record(entry.path() / "cell.json");
      std::error_code ignored;
      if (record && fs::exists(entry.path() / "run" / "metrics.jsonl", ignored))
        records.emplace(record->family, *record);
    } catch (const UserError&) {  // damaged: will be rerun, or belongs to another comparison
    }
  }
  return records;
}

struct SeedState {
  std::size_t num_different = 0;  // existing runs with another environment than this session's
  ExecutionEnv used, current;
  bool has_work = false;
};

// How to continue the seed.
std::string remedy(const SeedState& state) {
  std::string settings;
  if (state.used.cpu == state.current.cpu && state.used.gpu == state.current.gpu) {
    if (state.used.threads != state.current.threads)
      settings += cat(" train.threads=", state.used.threads);
    if (state.used.precision != state.current.precision)
      settings += cat(" train.precision=", state.used.precision);
    if (state.used.device != state.current.device)
      settings += cat(" train.device=", state.used.device);
    if (state.used.portable != state.current.portable)
      settings += cat(" train.reproducible=", state.used.portable ? "portable" : "machine");
    if (!same_micro_batch(state.used, state.current))
      settings += cat(" train.micro_batch_sequences=", state.used.micro_batch_sequences);
    if (state.used.repeatable != state.current.repeatable)
      settings += cat(" train.deterministic=", state.used.repeatable ? "true" : "false");
  }
  return settings.empty()
             ? "choose other seeds (--seeds) here and continue this one on the original machine"
             : cat("choose other seeds (--seeds) or pass --set", settings);
}

std::string message_of(std::uint64_t seed, const SeedState& state) {
  return cat("seed ", seed, ": ", state.num_different, state.num_different == 1 ? " run" : " runs",
             " used ", describe(state.used), ", but this session would use ",
             describe(state.current),
             "; all runs of a seed need the same environment: ", remedy(state));
}

// Whether the run of another cell has begun, here or in another session.
bool has_begun(const Cell& other, const CellRecord& record, const Cell& cell) {
  std::error_code ignored;
  if (record.state == CellState::kWaiting) return false;
  return fs::exists(other.run_dir() / "metrics.jsonl", ignored) ||
         (record.state == CellState::kStarted && other.directory != cell.directory &&
          !try_lock(other.directory));
}

}  // namespace

bool same_env(ExecutionEnv a, const ExecutionEnv& b, const report::Settings& settings) {
  const auto varies = [&](std::string_view key) {
    return std::any_of(settings.begin(), settings.end(),
                       [key](const auto& one) { return one.first == key; });
  };
  if (varies(kPrecision)) a.precision = b.precision;
  if (varies(kReproducible)) a.portable = b.portable;
  if (a.portable && b.portable) {
    a.cpu = b.cpu;
    a.threads = b.threads;
  }
  if (same_micro_batch(a, b)) a.micro_batch_sequences = b.micro_batch_sequences;
  return a == b;
}

std::string describe(const ExecutionEnv& env) {
  return cat(
      env.cpu, ", ", count_of(env.threads, "thread"), ", ", env.gpu.empty() ? env.device : env.gpu,
      ", ", env.precision,
      env.micro_batch_sequences > 0 ? cat(", micro-batches of ", env.micro_batch_sequences) : "",
      env.repeatable ? "" : ", not repeatable", env.portable ? ", portable" : "");
}

void require_consistent_seeds(std::span<const Cell> cells, const fs::path& folder,
                              bool more_cells_follow) {
  const auto records = records_of_started_runs(folder);
  std::map<std::uint64_t, SeedState> seeds;
  for (const Cell& cell : cells) {
    SeedState& state = seeds[cell.seed];
    const CellRecord own = record_of(cell);
    state.has_work = state.has_work || more_cells_follow || !is_done(cell, own);
    const auto [first, last] = records.equal_range(cell.family);
    for (auto it = first; it != last; ++it) {
      if (it->second.seed != cell.seed || same_env(it->second.env, cell.facts.env, cell.settings))
        continue;
      ++state.num_different;
      state.used = it->second.env;
      state.current = cell.facts.env;
    }
  }
  std::string message;
  for (const auto& [seed, state] : seeds) {
    if (state.num_different == 0 || !state.has_work) continue;
    message += cat(message.empty() ? "" : "\n", message_of(seed, state));
  }
  if (!message.empty()) throw UserError(ExitCode::kUsage, message);
}

std::string environment_conflict(const Cell& cell, std::span<const Cell> block) {
  SeedState state;
  for (const Cell& other : block) {
    const CellRecord record = record_of(other);
    if (same_env(record.env, other.facts.env, other.settings) || !has_begun(other, record, cell))
      continue;
    ++state.num_different;
    state.used = record.env;
    state.current = other.facts.env;
  }
  return state.num_different == 0 ? "" : message_of(cell.seed, state);
}

}  // namespace sluice::compare
