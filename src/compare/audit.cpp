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
#include "compare/collect.h"
#include "compare/tuning.h"
#include "report/report.h"
#include "report/tuned_values.h"
#include "store/metrics_log.h"
#include "store/run_directory.h"
#include "store/run_result.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;
using ResultsJson = nlohmann::ordered_json;

constexpr std::size_t kMaxListed = 3;  // differences per file
constexpr std::uint64_t kMaxReportBytes = std::uint64_t{1} << 30;

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

void check_cell(const report::CellResult& cell, const CellRecord& record, const fs::path& place) {
  const std::string file = (place / "cell.json").string();
  require_equal(cat(file, ": hash"), record.hash, cell.hash);
  require_equal(cat(file, ": seed"), std::to_string(record.seed), std::to_string(cell.seed));
  require_equal(cat(file, ": settings"), report::label_of(record.settings),
                report::label_of(cell.settings));
  const std::vector<std::string> faults = seal_faults(record, place / "run");
  if (!faults.empty()) throw UserError(ExitCode::kBadData, cat(place.string(), "/", faults[0]));
  if (record.state == CellState::kFinished) check_last_evaluation({place / "run"});
}

struct CellAudit {
  std::vector<AuditFinding> findings;
  std::map<std::uint64_t, std::map<std::string, std::string>> programs;  // by seed: executables
  std::size_t num_unsealed = 0, num_ended = 0;
};

void audit_cell(const report::CellResult& cell, const fs::path& directory, CellAudit& audit) {
  const fs::path place = directory / cell.directory;
  try {
    const auto record = read_record(place / "cell.json");
    const bool has_ended =
        record && (record->state == CellState::kFinished || record->state == CellState::kDiverged);
    if (!record && cell.state == CellState::kWaiting) return;
    require(record.has_value(), ExitCode::kBadData, (place / "cell.json").string(),
            "file not found");
    if (has_ended) {
      ++audit.num_ended;
      audit.num_unsealed += !record->seal;
      const std::string executable = record->seal ? record->seal->executable : record->build;
      audit.programs[record->seed].emplace(executable, record->build);
      if (record->seal && record->seal->numerics != kNumericsVersion)
        fail(ExitCode::kBadData, cat(place.string(), "/cell.json: numerics"),
             cat(record->seal->numerics, ", of ", record->build),
             cat(kNumericsVersion, ", that of this program"));
    }
    check_cell(cell, *record, place);
    audit.findings.push_back({place.string(), ""});
  } catch (const UserError& error) {
    audit.findings.push_back({place.string(), error.what()});
  }
}

// ---- tuning ----

using TuningKey = std::pair<report::Settings, report::Settings>;  // variant, candidate

// The results of all tuning runs on disk; checks their seals.
std::map<TuningKey, std::vector<double>> audit_tuning_cells(std::span<const fs::path> directories,
                                                            std::vector<AuditFinding>& findings) {
  std::map<TuningKey, std::vector<double>> results;
  for (const fs::path& directory : directories) {
    std::error_code error;
    std::vector<fs::path> places;
    for (const fs::directory_entry& entry : fs::directory_iterator(directory / "tune", error))
      places.push_back(entry.path());
    std::sort(places.begin(), places.end());
    for (const fs::path& place : places) {
      try {
        const auto record = read_record(place / "cell.json");
        if (!record || record->state != CellState::kFinished) continue;
        const std::vector<std::string> faults = seal_faults(*record, place / "run");
        if (!faults.empty())
          throw UserError(ExitCode::kBadData, cat(place.string(), "/", faults[0]));
        const auto result = store::read_run_result(store::RunPaths{place / "run"}.result());
        if (const auto value = result.figures.log_perplexity)
          results[{record->settings, record->candidate}].push_back(*value);
        findings.push_back({place.string(), ""});
      } catch (const UserError& fault) {
        findings.push_back({place.string(), fault.what()});
      }
    }
  }
  return results;
}

// What the report says of tuning must be the results on disk, and the lowest mean must be chosen.
void audit_tuning(const report::Comparison& comparison, std::span<const fs::path> directories,
                  std::vector<AuditFinding>& findings) {
  if (comparison.tuning.empty()) return;
  const auto results = audit_tuning_cells(directories, findings);
  const std::string file = (directories[0] / "comparison.json").string();
  const auto add = [&](const report::TuningPoint& point, const std::string& fault) {
    findings.push_back({file, cat(file, ": tuning of ", report::label_of(point.settings), " at ",
                                  report::label_of(point.candidate), ": ", fault)});
  };
  for (const report::TuningPoint& point : comparison.tuning) {
    const auto found = results.find({point.settings, point.candidate});
    for (const double value : point.log_perplexity) {
      const bool is_there =
          found != results.end() &&
          std::find(found->second.begin(), found->second.end(), value) != found->second.end();
      if (!is_there)
        add(point, cat("received ", shortest(value), "; expected the result of a run in tune/"));
    }
    const report::TuningPoint* chosen =
        report::chosen_point(comparison, point.settings, point.group);
    if (chosen != nullptr && !point.diverged && point.remark.empty() &&
        !point.log_perplexity.empty() && !chosen->log_perplexity.empty() &&
        rank_of(point) < rank_of(*chosen))
      add(point, cat("better than the chosen ", report::label_of(chosen->candidate)));
  }
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

// ---- the report ----

std::string short_value(const ResultsJson& json) {
  if (json.is_object()) return "an object";
  if (json.is_array()) return count_of(static_cast<std::int64_t>(json.size()), "entry");
  return printable(json.dump(), 120);
}

// Adds the paths of values that differ, at most kMaxListed.
void compare_json(const ResultsJson& received, const ResultsJson& expected, const std::string& path,
                  std::vector<std::string>& differences) {
  if (received == expected || differences.size() >= kMaxListed) return;
  if (received.is_object() && expected.is_object()) {
    for (const auto& [key, value] : expected.items()) {
      const auto found = received.find(key);
      compare_json(found == received.end() ? ResultsJson() : *found, value,
                   path.empty() ? key : cat(path, '.', key), differences);
    }
    for (const auto& [key, value] : received.items())
      if (!expected.contains(key) && differences.size() < kMaxListed)
        differences.push_back(cat(path.empty() ? "" : path + ".", key, ": unknown key"));
  } else if (received.is_array() && expected.is_array() && received.size() == expected.size()) {
    for (std::size_t i = 0; i < expected.size(); ++i)
      compare_json(received[i], expected[i], cat(path, '[', i, ']'), differences);
  } else {
    differences.push_back(cat(path, ": received ", short_value(received), "; expected ",
                              short_value(expected), ", as computed from the runs"));
  }
}

std::string joined(const std::string& file, const std::vector<std::string>& differences) {
  std::string text;
  for (const std::string& one : differences) text += cat(text.empty() ? file + ": " : "; ", one);
  return text;
}

// The first differing line of two texts; empty if they are equal.
std::string first_difference(std::string_view received, std::string_view expected) {
  for (std::size_t line = 1;; ++line) {
    const std::size_t a = received.find('\n'), b = expected.find('\n');
    const std::string_view ours = received.substr(0, a), theirs = expected.substr(0, b);
    if (ours != theirs)
      return cat("line ", line, ": received `", printable(ours, 120), "`; expected `",
                 printable(theirs, 120), "`, as computed from the runs");
    if (a == std::string_view::npos && b == std::string_view::npos) return "";
    if (a == std::string_view::npos || b == std::string_view::npos)
      return cat("line ", line + 1, ": ", a == std::string_view::npos ? "missing" : "unexpected");
    received.remove_prefix(a + 1);
    expected.remove_prefix(b + 1);
  }
}

// Reports a file; a missing one is a note, since a comparison without report is not wrong.
template <class Check>
void audit_file(const fs::path& path, std::vector<AuditFinding>& findings, const Check& check) {
  std::error_code ignored;
  const std::string name = path.string();
  if (!fs::exists(path, ignored))
    return findings.push_back({name,
                               cat(name,
                                   ": file not found; `sluice compare --report` "
                                   "writes it"),
                               /*is_note=*/true});
  try {
    const std::string fault = check(read_file(path, kMaxReportBytes));
    findings.push_back({name, fault});
  } catch (const UserError& error) {
    findings.push_back({name, error.what()});
  }
}

// Reports of other versions of the program may have other words and statistics: of theirs, the
// cells and the means are compared.
void compare_other_version(const ResultsJson& received, const ResultsJson& expected,
                           std::vector<std::string>& differences) {
  const auto part = [](const ResultsJson& json, const std::string& key) {
    const auto found = json.is_object() ? json.find(key) : json.end();
    return json.is_object() && found != json.end() ? *found : ResultsJson();
  };
  compare_json(part(received, "cells"), expected["cells"], "cells", differences);
  const ResultsJson summary = part(received, "summary");
  for (std::size_t v = 0; v < expected["summary"].size(); ++v) {
    const ResultsJson ours = summary.is_array() && v < summary.size() ? summary[v] : ResultsJson();
    for (const char* key : {"settings", "n", "mean"})
      compare_json(part(ours, key), part(expected["summary"][v], key),
                   cat("summary[", v, "].", key), differences);
  }
}

void audit_report(const report::Comparison& comparison, const fs::path& directory,
                  std::vector<AuditFinding>& findings) {
  const report::Analysis analysis = report::analyze(comparison);
  const auto expected = ResultsJson::parse(report::json_report(comparison, analysis));
  bool is_ours = false;
  const fs::path json_file = directory / "results.json";
  audit_file(json_file, findings, [&](const std::string& text) -> std::string {
    const ResultsJson received = ResultsJson::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!received.is_object()) return cat(json_file.string(), ": not a JSON object");
    const auto versions = received.find("versions");
    is_ours = versions != received.end() && versions->is_object() &&
              versions->value("sluice", "") == comparison.version;
    std::vector<std::string> differences;
    if (is_ours) {
      compare_json(received, expected, "", differences);
    } else {
      compare_other_version(received, expected, differences);
    }
    return joined(json_file.string(), differences);
  });
  if (!is_ours)
    return findings.push_back({directory.string(),
                               cat(directory.string(),
                                   ": report of another version; only its "
                                   "cells and means are checked"),
                               /*is_note=*/true});
  const std::vector<std::pair<const char*, std::string>> texts{
      {"results.csv", report::csv_report(comparison)},
      {"table.md", report::markdown_report(comparison, analysis)},
      {"table.tex", report::latex_report(comparison, analysis)},
      {"report.html", report::html_report(comparison, analysis)}};
  for (const auto& [name, text] : texts) {
    const fs::path path = directory / name;
    audit_file(path, findings, [&](const std::string& content) -> std::string {
      const std::string difference = first_difference(content, text);
      return difference.empty() ? "" : cat(path.string(), ": ", difference);
    });
  }
}

void audit_seal(const report::Comparison& comparison, const fs::path& directory,
                std::vector<AuditFinding>& findings) {
  if (comparison.seal.empty()) return;
  const fs::path path = directory / "seal.txt";
  audit_file(path, findings, [&](const std::string& text) -> std::string {
    const std::string difference = first_difference(text, comparison.seal_text);
    return difference.empty() ? "" : cat(path.string(), ": ", difference);
  });
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
  audit_programs(audit);
  audit_tuning(files.comparison, directories, audit.findings);
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
