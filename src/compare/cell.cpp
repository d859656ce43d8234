#include "compare/cell.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/text_format.h"
#include "base/version.h"
#include "compare/grid.h"
#include "compare/json_forms.h"

namespace sluice::compare {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kMaxRecordBytes = 1 << 20;
constexpr std::int64_t kFormat = 1;

constexpr std::array<std::string_view, 5> kStates = {"waiting", "started", "finished", "diverged", "failed"};  // by CellState

// Each part ends with a NUL, which none of them holds: no two lists of parts give the same bytes.
Hasher& add(Hasher& hasher, std::string_view part) { return hasher.update(part).update(std::string_view("\0", 1)); }

Hasher family_of(const RunFacts& facts) {
  Hasher hasher;
  add(add(add(hasher, "sluice cell"), facts.identity), facts.data_fingerprint).update_number(kNumericsVersion);
  return hasher;
}

// Nothing for a state that this version does not know.
std::optional<CellRecord> from_json(const Json& json) {
  CellRecord record{.settings = settings_from(json.at("settings")), .candidate = settings_from(json.at("candidate"))};
  record.seed = json.at("seed").get<std::uint64_t>();
  record.hash = json.at("hash").get<std::string>();
  record.family = json.at("family").get<std::string>();
  record.maker = maker_from(json.at("maker"));
  record.build = json.value("build", "");
  const auto state = std::find(kStates.begin(), kStates.end(), json.at("state").get<std::string>());
  if (state == kStates.end()) return std::nullopt;
  record.state = static_cast<CellState>(state - kStates.begin());
  record.remark = json.at("remark").get<std::string>();
  record.wall_seconds = json.at("wall_seconds").get<double>();
  return record;
}

}  // namespace

std::string family_hash(const RunFacts& facts) { return family_of(facts).digest().hex(); }

std::string cell_hash(const RunFacts& facts) {
  Hasher hasher = family_of(facts);
  return add(hasher, facts.maker.precision).digest().hex();
}

std::string cell_name(const report::Settings& settings, const report::Settings& candidate, std::uint64_t seed, std::string_view hash) {
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
  const Json tree = Json::parse(read_file(path, kMaxRecordBytes), nullptr, /*allow_exceptions=*/false);
  try {
    if (tree.is_object() && tree.at("format").get<std::int64_t>() == kFormat) {
      if (auto record = from_json(tree)) return record;
    }
  } catch (const nlohmann::json::exception&) {  // falls through to the message
  }
  fail(ExitCode::kBadData, path.string(), "no record of a cell", "what `sluice compare` wrote; the same command runs the cell again");
}

void write_record(const CellRecord& record, const std::filesystem::path& path) {
  const Json json = {{"format", kFormat},
                     {"settings", to_json(record.settings)},
                     {"candidate", to_json(record.candidate)},
                     {"seed", record.seed},
                     {"state", kStates[static_cast<std::size_t>(record.state)]},
                     {"remark", record.remark},
                     {"hash", record.hash},
                     {"family", record.family},
                     {"maker", to_json(record.maker)},
                     {"build", record.build},
                     {"wall_seconds", record.wall_seconds}};
  real_files().write_atomically(path, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
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
          .maker = cell.facts.maker};
}

}  // namespace sluice::compare
