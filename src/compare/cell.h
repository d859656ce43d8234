// One run of a comparison: what it is, what is known about it on disk.
//
//   DIRECTORY/cells/NAME/cell.json    this record: written before the child starts and when it has ended
//   DIRECTORY/cells/NAME/config.yaml  what the child reads       DIRECTORY/cells/NAME/output.txt  what it printed, all starts
//   DIRECTORY/cells/NAME/run/         the run directory          NAME = geglu-seed-1-0a1b2c3d, with the start of the hash
//
// Runs that choose values (compare.tune) lie in DIRECTORY/tune/ in the same way.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "compare/run_factory.h"
#include "config/record.h"

namespace sluice::compare {

// Of everything that determines the result: settings, precision, data, and kNumericsVersion. Not the build, nor the machine.
std::string cell_hash(const RunFacts& facts);
// The same without the precision: cells that differ in nothing but how they are computed.
std::string family_hash(const RunFacts& facts);

enum class CellState { kWaiting, kStarted, kFinished, kDiverged, kFailed };
constexpr auto names_of(CellState) {
  using enum CellState;
  using Name = std::pair<CellState, std::string_view>;
  return std::array{Name{kWaiting, "waiting"}, Name{kStarted, "started"}, Name{kFinished, "finished"}, Name{kDiverged, "diverged"},
                    Name{kFailed, "failed"}};
}

struct CellRecord {
  static constexpr config::RecordFormat record{
      .name = "cell",
      .place = "DIR/cells/NAME/cell.json",
      .summary = "One run of a comparison: what it is, and what became of it. Runs that choose values lie in DIR/tune/NAME.",
      .expected = "what `sluice compare` wrote; the same command runs the cell again",
      .version = 1};
  report::Settings settings, candidate;
  std::uint64_t seed = 0;
  CellState state = CellState::kWaiting;
  std::string remark;
  std::string hash, family;
  ExecutionEnv maker;
  std::string build;
  double wall_seconds = 0;

  static constexpr auto fields() {
    using config::field;
    using R = CellRecord;
    return std::tuple{field<&R::settings>("Values of the varied keys."),
                      field<&R::candidate>("Values of the tuned keys, where the run chooses them."),
                      field<&R::seed>("Seed of the run."),
                      field<&R::state>("What became of the run."),
                      field<&R::remark>("Why it failed or diverged."),
                      field<&R::hash>("Hash of everything that determines the result."),
                      field<&R::family>("The same without the precision."),
                      field<&R::maker>("On what it runs."),
                      field<&R::build>("Program and revision of the last start.", config::MayBeMissing{}),
                      field<&R::wall_seconds>("Seconds of the last start.")};
  }
};

// A cell of this comparison.
struct Cell {
  report::Settings settings, candidate;
  std::uint64_t seed = 0;
  RunFacts facts;
  std::string hash, family, name;
  std::filesystem::path directory;

  std::filesystem::path record_file() const { return directory / "cell.json"; }
  std::filesystem::path config_file() const { return directory / "config.yaml"; }
  std::filesystem::path output_file() const { return directory / "output.txt"; }
  std::filesystem::path run_dir() const { return directory / "run"; }
  std::string label() const;  // "geglu, seed 1"; "geglu, 3e-3, seed 101" while tuning
};

// NAME of a cell.
std::string cell_name(const report::Settings& settings, const report::Settings& candidate, std::uint64_t seed, std::string_view hash);

// Nothing where there is none; kBadData where it is damaged or cannot be read.
std::optional<CellRecord> read_record(const std::filesystem::path& path);
void write_record(const CellRecord& record, const std::filesystem::path& path);

// The record of this very cell: one that is damaged, or has another hash, counts as none.
CellRecord record_of(const Cell& cell);

}  // namespace sluice::compare
