#include "compare/cell.h"

#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/text_format.h"
#include "base/version.h"
#include "compare/grid.h"

namespace sluice::compare {
namespace {

constexpr std::uint64_t kMaxRecordBytes = 1 << 20;

// No part contains a NUL, so a NUL after each part makes the hashed bytes unambiguous.
Hasher& add(Hasher& hasher, std::string_view part) {
  return hasher.update(part).update(std::string_view("\0", 1));
}

Hasher family_of(const RunFacts& facts) {
  Hasher hasher;
  add(add(add(hasher, "sluice cell"), facts.identity), facts.data_fingerprint)
      .update_number(kNumericsVersion);
  return hasher;
}

}  // namespace

std::string family_hash(const RunFacts& facts) { return family_of(facts).digest().hex(); }

std::string cell_hash(const RunFacts& facts) {
  Hasher hasher = family_of(facts);
  add(hasher, facts.env.precision);
  if (!facts.averaged_steps.empty()) add(hasher, facts.averaged_steps);
  return hasher.digest().hex();
}

std::string cell_name(const report::Settings& settings, const report::Settings& candidate,
                      std::uint64_t seed, std::string_view hash) {
  report::Settings all = settings;
  all.insert(all.end(), candidate.begin(), candidate.end());
  return cat(stem_of(all), "-seed-", seed, '-', hash.substr(0, 8));
}

std::string Cell::label() const {
  report::Settings all = settings;
  all.insert(all.end(), candidate.begin(), candidate.end());
  return cat(report::label_of(all), ", seed ", seed);
}

std::optional<CellRecord> read_record(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return std::nullopt;
  return config::from_json<CellRecord>(read_file(path, kMaxRecordBytes), path.string());
}

void write_record(const CellRecord& record, const std::filesystem::path& path) {
  real_files().write_atomically(path, config::to_json(record));
}

CellRecord record_of(const Cell& cell) {
  try {
    std::optional<CellRecord> record = read_record(cell.record_file());
    if (record && record->hash == cell.hash) return *record;
  } catch (const UserError& error) {
    if (error.code() != ExitCode::kBadData) throw;
  }
  return {.settings = cell.settings,
          .candidate = cell.candidate,
          .seed = cell.seed,
          .hash = cell.hash,
          .family = cell.family,
          .env = cell.facts.env};
}

}  // namespace sluice::compare
