#include <algorithm>
#include <iostream>
#include <random>
#include <vector>

#include "app/commands.h"
#include "app/compare_outputs.h"
#include "app/comparison_runs.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/scratch_directory.h"
#include "base/stop_notice.h"
#include "base/text_format.h"
#include "compare/audit.h"
#include "compare/runner.h"
#include "config/config.h"
#include "report/tuned_values.h"
#include "run/places.h"
#include "stats/moments.h"
#include "store/run_result.h"
#include "train/checkpoint.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

std::uint64_t random_seed() {
  std::random_device device;
  return device();
}

train::RunConfig config_of_cell(const fs::path& place) {
  return load_comparison({.file = (place / "config.yaml").string(), .overrides = {}}).run;
}

// kBadData if the settings that determine a result differ.
void require_same_settings(const train::RunConfig& received, const std::string& file,
                           const train::RunConfig& expected, std::string_view source) {
  for (const config::Change& change : config::changes(expected, received))
    if (config::rule_of(change.affects).in_identity)
      fail(ExitCode::kBadData, cat(file, ": ", change.path), change.after,
           cat(change.before, ", as in ", source));
}

// The settings of the result, which is sealed. All are read by this program, so that keys added by
// later versions do not matter.
train::RunConfig trained_config(const fs::path& result) {
  return config::parse<train::RunConfig>(store::read_run_result(result).config, result.string());
}

// The settings in config.yaml must be those of the result.
void check_config_of(const report::CellResult& cell, const fs::path& place,
                     const train::RunConfig& trained) {
  const train::RunConfig config = config_of_cell(place);
  const std::string file = (place / "config.yaml").string();
  require(config.run.seed == cell.seed, ExitCode::kBadData, cat(file, ": run.seed"),
          cat(config.run.seed), cat(cell.seed, ", the seed of the cell"));
  require_same_settings(train::portable_config(config), file, trained, "result.json");
}

// The runs that the configuration in comparison.json describes. The device does not belong to a
// run's settings, and this machine may lack it.
class DescribedRuns {
 public:
  DescribedRuns(const report::Comparison& comparison, const fs::path& scratch)
      : comparison_(comparison),
        runs_({.config = written(comparison, scratch), .overrides = {"train.device=cpu"}}) {}

  // A run that was trained with other settings than the comparison describes does not belong to it.
  void check(const report::CellResult& cell, const fs::path& result,
             const train::RunConfig& trained) {
    if (comparison_.config.empty()) return;
    const compare::RunFacts facts = runs_.make(request_of(cell, trained));
    auto described = config::parse<train::RunConfig>(facts.config, "comparison.json: config");
    if (!facts.steps) described.train.steps = trained.train.steps;  // unknown without the data
    require_same_settings(trained, result.string(), train::portable_config(described),
                          "comparison.json");
  }

 private:
  static std::string written(const report::Comparison& comparison, const fs::path& scratch) {
    const fs::path file = scratch / "comparison.yaml";
    real_files().write_atomically(file, comparison.config);
    return file.string();
  }

  compare::RunRequest request_of(const report::CellResult& cell,
                                 const train::RunConfig& trained) const {
    compare::RunRequest request{.settings = cell.settings,
                                .seed = cell.seed,
                                .threads = static_cast<int>(cell.env.threads),
                                .run_dir = "audit",
                                .name = "audit"};
    const std::size_t group =
        compare::group_of(comparison_.seeds, comparison_.seed_groups, cell.seed);
    if (const auto* chosen = report::chosen_point(comparison_, cell.settings, group)) {
      const report::Settings& values = chosen->candidate;
      request.settings.insert(request.settings.end(), values.begin(), values.end());
      request.num_tuned = values.size();
    }
    if (comparison_.equalize == report::Equalize::kTime) request.steps = trained.train.steps;
    return request;
  }

  const report::Comparison& comparison_;
  ComparisonRuns runs_;
};

void check_configs(const report::Comparison& comparison, const fs::path& directory,
                   const fs::path& scratch, std::vector<compare::AuditFinding>& findings) {
  DescribedRuns described(comparison, scratch);
  for (const report::CellResult& cell : comparison.cells) {
    if (cell.state != report::CellState::kFinished) continue;
    const fs::path place = directory / cell.directory;
    try {
      const fs::path result = place / "run" / "result.json";
      const train::RunConfig trained = trained_config(result);
      check_config_of(cell, place, trained);
      described.check(cell, result, trained);
    } catch (const UserError& error) {
      findings.push_back({(place / "config.yaml").string(), error.what()});
    }
  }
}

// The data must be prepared and intact, or the corpus be there to prepare it.
void require_data(const train::RunConfig& config, const store::RunResult& result,
                  const compare::CellRecord& record, const fs::path& config_file) {
  const std::string& fingerprint = result.data_fingerprint;
  if (data::has_prepared(config.corpus.prepared_dir, fingerprint)) {
    const data::PreparedData prepared =
        data::open_prepared(config.corpus.prepared_dir, fingerprint);
    prepared.verify();
    const std::string& held_out = prepared.hashes[train::split_of(config.evaluate.split)];
    if (record.seal && !record.seal->held_out.empty() && record.seal->held_out != held_out)
      fail(ExitCode::kBadData, cat(prepared.directory.string(), ": held-out set"), held_out,
           cat(record.seal->held_out, ", as sealed when the run ended"));
    return;
  }
  try {
    text::expand_paths(config.corpus.train, "corpus.train", text::Notes::kNone);
    text::expand_paths(config.corpus.valid, "corpus.valid", text::Notes::kNone);
  } catch (const UserError& error) {
    fail(ExitCode::kMissingInput, (fs::path(config.corpus.prepared_dir) / fingerprint).string(),
         cat("no prepared data, and ", error.what(),
             "; restore the corpus and prepare it with `sluice prepare ", config_file.string(),
             "`"));
  }
}

struct Repetition {
  std::string label, directory;
  std::vector<std::string> kind_differences, faults;
};

// A cell of the same run in `scratch`.
compare::Cell cell_in(const fs::path& scratch, const report::CellResult& cell,
                      const fs::path& place, const std::string& run_name, ComparisonRuns& runs) {
  compare::Cell repeated{.settings = cell.settings, .seed = cell.seed};
  repeated.name = place.filename().string();
  repeated.directory = scratch / repeated.name;
  const compare::RunRequest request{.seed = cell.seed,
                                    .threads = static_cast<int>(cell.env.threads),
                                    .run_dir = repeated.run_dir(),
                                    .name = run_name};
  runs.prepare(request);
  repeated.facts = runs.make(request);
  repeated.hash = compare::cell_hash(repeated.facts);
  repeated.family = compare::family_hash(repeated.facts);
  return repeated;
}

// The standard deviation over the seeds of a variant; 0 with fewer than two.
double seed_std(const report::Comparison& comparison, const report::Settings& settings) {
  std::vector<double> values;
  for (const report::CellResult& cell : comparison.cells)
    if (cell.settings == settings && cell.log_perplexity) values.push_back(*cell.log_perplexity);
  return stats::sample_std(values).value_or(0);
}

Repetition repeat(const report::Comparison& comparison, const report::CellResult& cell,
                  const fs::path& directory, const fs::path& scratch) {
  const fs::path place = directory / cell.directory;
  const store::RunPaths original{place / "run"};
  const auto record = compare::read_record(place / "cell.json");
  invariant(record.has_value(), "a finished cell has a record");
  const store::RunResult result = store::read_run_result(original.result());
  const train::RunConfig config =
      run::with_resolved_paths(config_of_cell(place), original, result.data_fingerprint);
  require_data(config, result, *record, place / "config.yaml");
  const fs::path config_file = scratch / (place.filename().string() + ".yaml");
  real_files().write_atomically(config_file, config::to_yaml(config, config::Comments::kNone));
  ComparisonRuns runs({.config = config_file.string(), .overrides = {}});
  const std::vector<compare::Cell> cells{cell_in(scratch, cell, place, config.run.name, runs)};
  const compare::Tally tally =
      compare::run_cells(cells, runs, {.log_interval_s = config.train.log_interval.count});
  if (tally.interrupted) fail(ExitCode::kInterrupted, directory.string(), "stopped");
  Repetition repetition{.label = cells[0].label(), .directory = place.string()};
  const auto again = compare::read_record(cells[0].record_file());
  invariant(again.has_value(), "a repeated cell has a record");
  if (tally.num_finished == 0) {
    repetition.faults.push_back(cat("received a run that failed: ", again->remark));
    return repetition;
  }
  const compare::RunPair pair{*record, original.root, *again, cells[0].run_dir(),
                              seed_std(comparison, cell.settings)};
  repetition.kind_differences = compare::kind_differences(pair);
  repetition.faults = compare::reproduction_faults(pair);
  return repetition;
}

std::string list_of(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += cat(text.empty() ? "" : ", ", part);
  return text;
}

void show(const compare::AuditFinding& finding) {
  if (finding.fault.empty()) {
    std::cout << "ok        " << printable(finding.subject, std::string::npos) << "\n";
  } else if (finding.is_note) {
    log::warn(finding.fault);
  } else {
    log::error(finding.fault);
  }
}

void show(const Repetition& repetition) {
  for (const std::string& fault : repetition.faults) log::error(cat(repetition.label, ": ", fault));
  if (!repetition.faults.empty()) return;
  std::cout << "repeated  " << repetition.label << ": "
            << (repetition.kind_differences.empty()
                    ? "the same bits"
                    : cat("within the limits for another kind of machine (",
                          list_of(repetition.kind_differences), ")"))
            << "\n";
}

AuditOutput output_of(const compare::AuditedFiles& files, std::uint64_t seed,
                      const std::vector<Repetition>& repetitions, bool ok) {
  const report::Comparison& comparison = files.comparison;
  AuditOutput output{
      .ok = ok,
      .seal = comparison.seal.empty() ? std::nullopt : std::optional(comparison.seal),
      .unsealed_cells = comparison.num_unsealed,
      .seed = seed};
  for (const compare::AuditFinding& finding : files.findings) {
    AuditOutput::Checked& checked = output.checked.emplace_back();
    checked.subject = finding.subject;
    if (!finding.fault.empty()) (finding.is_note ? checked.note : checked.fault) = finding.fault;
  }
  for (const Repetition& one : repetitions)
    output.repeated.push_back({one.label, one.directory, one.kind_differences, one.faults});
  return output;
}

}  // namespace

void audit_command(const AuditOptions& options) {
  const StopNotice notice("stopping after the current step");
  const std::vector<fs::path> directories(options.directories.begin(), options.directories.end());
  const std::uint64_t seed = options.seed.value_or(options.cells > 0 ? random_seed() : 0);
  compare::AuditedFiles files = compare::audit_files(directories);
  ScratchDirectory scratch("sluice-audit-");  // of the repeated runs
  check_configs(files.comparison, directories[0], scratch.path(), files.findings);
  if (!options.json)
    for (const compare::AuditFinding& finding : files.findings) show(finding);
  std::vector<Repetition> repetitions;
  std::size_t num_faults = 0;
  for (const compare::AuditFinding& finding : files.findings)
    num_faults += !finding.fault.empty() && !finding.is_note;
  for (const std::size_t i :
       compare::choose_cells(files.comparison, static_cast<std::size_t>(options.cells), seed)) {
    repetitions.push_back(
        repeat(files.comparison, files.comparison.cells[i], directories[0], scratch.path()));
    num_faults += !repetitions.back().faults.empty();
    if (!repetitions.back().faults.empty()) scratch.keep();
    if (!options.json) show(repetitions.back());
  }
  const std::string& seal = files.comparison.seal;
  if (options.json) {
    std::cout << config::to_json(output_of(files, seed, repetitions, num_faults == 0));
  } else {
    std::cout << "seal      " << (seal.empty() ? "none" : seal) << "\n";
    if (!repetitions.empty())
      std::cout << "choice    --cells " << repetitions.size() << " --seed " << seed << "\n";
  }
  const bool differs = std::any_of(repetitions.begin(), repetitions.end(),
                                   [](const Repetition& one) { return !one.faults.empty(); });
  if (num_faults > 0)
    fail(ExitCode::kBadData, options.directories.front(),
         cat(count_of(static_cast<std::int64_t>(num_faults), "check"), " failed",
             differs ? cat("; the repeated runs are in ", scratch.path().string()) : ""));
}

}  // namespace sluice::app
