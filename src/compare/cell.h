// A cell is one run of a comparison. Files in DIRECTORY/cells/NAME/, with NAME like
// geglu-seed-1-0a1b2c3d (variant, seed, first digits of the hash):
//
//   cell.json    CellRecord, written before the child process starts and after it ends
//   config.yaml  configuration of the child
//   output.txt   output of all its starts
//   run/         run directory
//
// Tuning runs (compare.tune) use the same layout in DIRECTORY/tune/NAME/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "compare/run_factory.h"
#include "compare/seal.h"
#include "config/record.h"

namespace sluice::compare {

// Hash of everything that determines the result: settings, precision, data, kNumericsVersion and
// which evaluations are averaged, but not the build or the machine.
std::string cell_hash(const RunFacts& facts);
// The same without precision and evaluations: equal for cells whose models differ only in how they
// are computed.
std::string family_hash(const RunFacts& facts);

using report::CellState;
using report::has_ended;

struct CellRecord {
  static constexpr config::RecordFormat record{
      .name = "cell",
      .place = "DIR/cells/NAME/cell.json",
      .summary = "One run of a comparison and its state. Tuning runs are in DIR/tune/NAME.",
      .expected = "a cell record written by `sluice compare`; repeat the command to rerun the cell",
      .version = 1};
  report::Settings settings, candidate;
  std::uint64_t seed = 0;
  CellState state = CellState::kWaiting;
  std::string remark;
  std::string hash, family;
  ExecutionEnv env;
  std::string build;
  std::string plan;
  double wall_seconds = 0;
  std::optional<CellSeal> seal;

  static constexpr auto fields() {
    using config::field;
    using R = CellRecord;
    return std::tuple{
        field<&R::settings>("Values of the varied keys."),
        field<&R::candidate>("Values of the tuned keys; tuning runs only."),
        field<&R::seed>("Seed of the run."),
        field<&R::state>("State of the run."),
        field<&R::remark>("Why the run failed or diverged."),
        field<&R::hash>("Hash of everything that determines the result."),
        field<&R::family>("The same hash without precision and averaged evaluations."),
        field<&R::env>("Processor, device, precision, threads.", config::Key{"maker"}),
        field<&R::build>("Program version of the last start.", config::MayBeMissing{}),
        field<&R::plan>("What was fixed for the verdict before the run had a result; empty for "
                        "tuning runs.",
                        config::MayBeMissing{}),
        field<&R::wall_seconds>("Duration of the last start in seconds."),
        field<&R::seal>("Hashes of the ended run; missing if an earlier version ran it.",
                        config::MayBeMissing{})};
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

std::string cell_name(const report::Settings& settings, const report::Settings& candidate,
                      std::uint64_t seed, std::string_view hash);

// nullopt if there is no file; kBadData if it is damaged.
std::optional<CellRecord> read_record(const std::filesystem::path& path);
void write_record(const CellRecord& record, const std::filesystem::path& path);

// The record of `cell`; a new one if it is missing, damaged or has another hash.
CellRecord record_of(const Cell& cell);

}  // namespace sluice::compare
