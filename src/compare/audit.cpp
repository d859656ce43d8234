#include "compare/audit.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "base/version.h"
#include "compare/audit_report.h"
#include "compare/collect.h"
#include "compare/tuning.h"
#include "report/tuned_values.h"
#include "store/metrics_log.h"
#include "store/run_directory.h"
#include "store/run_result.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;
using ResultsJson = nlohmann::ordered_json;

// ---- cells ----

void require_equal(std::string_view subject, const std::string& received,
                   const std::string& expected) {
  require(received == expected, ExitCode::kBadData, subject,
          received.empty() ? "none" : printable(received, 200),
          expected.empty() ? "none" : printable(expected, 200));
}

// The last evaluation in metrics.jsonl must be the one in result.json.
void check_last_evaluation(const store::RunPaths& paths) {
  const store::RunResult result = store::read_run_result(paths.result());
  std::optional<double> last;
  std::int64_t last_step = 0;
  store::read_metrics(paths.metrics(), [&](std::int64_t step, const ResultsJson& line) {
    last_step = std::max(last_step, step);
    const auto eval = line.find("eval");
    if (step != result.step || eval == line.end() || !eval->is_object()) return;
    const auto value = eval->find("log_perplexity");
    if (value != eval->end() && value->is_number()) last = value->get<double>();
  });
  const std::string file = paths.metrics().string();
  require(last_step == result.step, ExitCode::kBadData, file, cat("last step ", last_step),
          cat(result.step, ", as in result.json"));
  if (!last || !result.figures.log_perplexity || *last == *result.figures.log_perplexity) return;
  fail(ExitCode::kBadData, file, cat("log_perplexity ", shortest(*last), " of step ", result.step),
       cat(shortest(*result.figures.log_perplexity), ", as in result.json"));
}

void check_seal(const CellRecord& record, const fs::path& place) {
  const std::vector<std::string> faults = seal_faults(record, place / "run");
  if (!faults.empty()) throw UserError(ExitCode::kBadData, cat(place.string(), "/", faults[0]));
}

void check_cell(const report::CellResult& cell, const CellRecord& record, const fs::path& place) {
  const std::string file = (place / "cell.json").string();
  require_equal(cat(file, ": hash"), record.hash, cell.hash);
  require_equal(cat(file, ": seed"), std::to_string(record.seed), std::to_string(cell.seed));
  require_equal(cat(file, ": settings"), report::label_of(record.settings),
                report::label_of(cell.settings));
  check_seal(record, place);
  if (record.state == CellState::kFinished) check_last_evaluation({place / "run"});
}

struct CellAudit {
  std::vector<AuditFinding> findings;
  std::map<std::uint64_t, std::map<std::string, std::string>> programs;  // by seed: executables
  std::size_t num_unsealed = 0, num_ended = 0;
};

// Notes the program of an ended run. kBadData if it is a version that computes something else, or
// the seal is missing although its program makes one.
void audit_program(const CellRecord& record, const fs::path& place, CellAudit& audit) {
  ++audit.num_ended;
  audit.num_unsealed += !record.seal;
  const std::string executable = record.seal ? record.seal->executable : record.build;
  audit.programs[record.seed].emplace(executable, record.build);
  const std::string file = cat(place.string(), "/cell.json");
  if (record.seal && record.seal->numerics != kNumericsVersion)
    fail(ExitCode::kBadData, cat(file, ": numerics"),
         cat(record.seal->numerics, ", of ", record.build),
         cat(kNumericsVersion, ", that of this program"));
  if (!record.seal && (record.build == build_name() || !record.plan.empty()))
    fail(ExitCode::kBadData, cat(file, ": seal"), "none",
         cat("one, since ", record.build, " seals its runs"));
}

void audit_cell(const report::CellResult& cell, const fs::path& directory, CellAudit& audit) {
  const fs::path place = directory / cell.directory;
  try {
    const auto record = read_record(place / "cell.json");
    if (!record && cell.state == CellState::kWaiting) return;
    require(record.has_value(), ExitCode::kBadData, (place / "cell.json").string(),
            "file not found");
    if (has_ended(record->state)) audit_program(*record, place, audit);
    check_cell(cell, *record, place);
    audit.findings.push_back({place.string(), ""});
  } catch (const UserError& error) {
    audit.findings.push_back({place.string(), error.what()});
  }
}

std::vector<fs::path> folders_in(const fs::path& directory) {
  std::error_code error;
  std::vector<fs::path> folders;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error))
    folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  return folders;
}

void add_other_runs(std::int64_t count, const fs::path& directory,
                    std::vector<AuditFinding>& findings) {
  if (count > 0)
    findings.push_back({directory.string(),
                        cat(directory.string(), ": ", count_of(count, "ended run"),
                            " of other settings, not part of the comparison"),
                        /*is_note=*/true});
}

// Ended runs that the comparison does not contain. Those of a variant or seed that it does not list
// may have been removed from it; those of other settings are worth knowing.
void audit_other_cells(const report::Comparison& comparison, std::span<const fs::path> directories,
                       std::vector<AuditFinding>& findings) {
  std::set<std::pair<report::Settings, std::uint64_t>> listed;
  std::set<std::string> hashes;
  for (const report::CellResult& cell : comparison.cells) {
    listed.emplace(cell.settings, cell.seed);
    hashes.insert(cell.hash);
  }
  for (const fs::path& directory : directories) {
    std::int64_t num_others = 0;
    for (const fs::path& place : folders_in(directory / "cells")) {
      const std::string file = (place / "cell.json").string();
      try {
        const auto record = read_record(file);
        if (!record || !has_ended(record->state)) continue;
        num_others += hashes.contains(record->hash) ? 0 : 1;
        if (!listed.contains({record->settings, record->seed}))
          findings.push_back(
              {place.string(),
               cat(file, ": received a result of ", report::label_of(record->settings), ", seed ",
                   record->seed,
                   "; expected only variants and seeds of the comparison (delete the run if it "
                   "belongs to another one)")});
      } catch (const UserError&) {  // damaged, and of no effect unless it is listed
      }
    }
    add_other_runs(num_others, directory / "cells", findings);
  }
}

// ---- tuning ----

using TuningKey = std::pair<report::Settings, report::Settings>;  // variant, candidate

struct TuningRun {
  std::optional<double> log_perplexity;  // none: diverged
  CellRecord record;
  fs::path place;
};

// All ended tuning runs on disk; checks their seals.
std::map<TuningKey, std::vector<TuningRun>> audit_tuning_cells(
    std::span<const fs::path> directories, std::vector<AuditFinding>& findings) {
  std::map<TuningKey, std::vector<TuningRun>> runs;
  for (const fs::path& directory : directories) {
    for (const fs::path& place : folders_in(directory / "tune")) {
      try {
        const auto record = read_record(place / "cell.json");
        if (!record || !has_ended(record->state)) continue;
        check_seal(*record, place);
        TuningRun run{.log_perplexity = {}, .record = *record, .place = place};
        if (record->state == CellState::kFinished)
          run.log_perplexity = store::read_run_result(store::RunPaths{place / "run"}.result())
                                   .figures.log_perplexity;
        runs[{record->settings, record->candidate}].push_back(std::move(run));
        findings.push_back({place.string(), ""});
      } catch (const UserError& fault) {
        findings.push_back({place.string(), fault.what()});
      }
    }
  }
  return runs;
}

// Checks the program of the run with this result; false if there is none.
bool audit_tuning_run(const std::vector<TuningRun>& runs, std::optional<double> value,
                      CellAudit& audit) {
  const auto run = std::find_if(runs.begin(), runs.end(),
                                [&](const TuningRun& one) { return one.log_perplexity == value; });
  if (run == runs.end()) return false;
  try {
    audit_program(run->record, run->place, audit);
  } catch (const UserError& fault) {
    audit.findings.push_back({run->place.string(), fault.what()});
  }
  return true;
}

// What the report says of tuning must be the results on disk, and the lowest mean must be chosen.
void audit_tuning(const report::Comparison& comparison, std::span<const fs::path> directories,
                  CellAudit& audit) {
  if (comparison.tuning.empty()) return;
  auto runs = audit_tuning_cells(directories, audit.findings);
  std::set<TuningKey> tried;
  const std::string file = (directories[0] / "comparison.json").string();
  const auto add = [&](const report::TuningPoint& point, const std::string& fault) {
    audit.findings.push_back({file, cat(file, ": tuning of ", report::label_of(point.settings),
                                        " at ", report::label_of(point.candidate), ": ", fault)});
  };
  for (const report::TuningPoint& point : comparison.tuning) {
    const std::vector<TuningRun>& ours = runs[{point.settings, point.candidate}];
    for (const double value : point.log_perplexity)
      if (!audit_tuning_run(ours, value, audit))
        add(point, cat("received ", shortest(value), "; expected the result of a run in tune/"));
    if (point.diverged && !audit_tuning_run(ours, std::nullopt, audit))
      add(point, "received diverged; expected a run in tune/ that has diverged");
    const report::TuningPoint* chosen =
        report::chosen_point(comparison, point.settings, point.group);
    if (chosen != nullptr && !point.diverged && point.remark.empty() &&
        !point.log_perplexity.empty() && !chosen->log_perplexity.empty() &&
        rank_of(point) < rank_of(*chosen))
      add(point, cat("better than the chosen ", report::label_of(chosen->candidate)));
    tried.insert({point.settings, point.candidate});
  }
  std::int64_t num_others = 0;
  for (const auto& [key, others] : runs)
    if (!tried.contains(key)) num_others += static_cast<std::int64_t>(others.size());
  add_other_runs(num_others, directories[0] / "tune", audit.findings);
}

// Runs of a seed are compared with each other, so one program must have run them.
void audit_programs(CellAudit& audit) {
  std::set<std::string> all;
  for (const auto& [seed, programs] : audit.programs) {
    std::string names;
    for (const auto& [executable, build] : programs) {
      names += cat(names.empty() ? "" : " and by ", build);
      all.insert(build);
    }
    if (programs.size() > 1)
      audit.findings.push_back(
          {cat("seed ", seed), cat("seed ", seed, ": received runs by ", names,
                                   "; expected one program for all runs of a seed")});
  }
  if (all.size() == 1 && *all.begin() == build_name()) return;
  std::string builds;
  for (const std::string& build : all)
    builds += cat(builds.empty() ? "" : ", ", build.empty() ? "an unknown version" : build);
  if (!all.empty())
    audit.findings.push_back(
        {"programs", cat("programs: the runs are by ", builds, ", the audit by ", build_name()),
         /*is_note=*/true});
}

}  // namespace

bool AuditedFiles::has_faults() const {
  return std::any_of(findings.begin(), findings.end(), [](const AuditFinding& finding) {
    return !finding.fault.empty() && !finding.is_note;
  });
}

AuditedFiles audit_files(std::span<const fs::path> directories) {
  AuditedFiles files{.findings = {}, .comparison = collect(directories)};
  CellAudit audit;
  for (const report::CellResult& cell : files.comparison.cells) {
    throw_if_stopped("audit");
    if (!cell.directory.empty()) audit_cell(cell, directories[0], audit);
  }
  audit_other_cells(files.comparison, directories, audit.findings);
  audit_tuning(files.comparison, directories, audit);
  audit_programs(audit);
  files.findings = std::move(audit.findings);
  if (audit.num_unsealed > 0)
    files.findings.push_back({"seals",
                              cat("seals: ", audit.num_unsealed, " of ", audit.num_ended,
                                  " ended runs have none, being from an earlier version"),
                              /*is_note=*/true});
  audit_seal(files.comparison, directories[0], files.findings);
  // A changed cell changes the whole report; it is named above.
  if (!files.has_faults()) audit_report(files.comparison, directories[0], files.findings);
  return files;
}

std::vector<std::size_t> choose_cells(const report::Comparison& comparison, std::size_t count,
                                      std::uint64_t seed) {
  std::vector<std::pair<std::string, std::size_t>> ranks;
  for (std::size_t i = 0; i < comparison.cells.size(); ++i) {
    const report::CellResult& cell = comparison.cells[i];
    if (cell.state == CellState::kFinished)
      ranks.emplace_back(sha256_of(cat(seed, ' ', cell.hash)), i);
  }
  std::sort(ranks.begin(), ranks.end());
  ranks.resize(std::min(count, ranks.size()));
  std::vector<std::size_t> chosen;
  for (const auto& [rank, i] : ranks) chosen.push_back(i);
  return chosen;
}

}  // namespace sluice::compare
