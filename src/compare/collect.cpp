#include "compare/collect.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "base/text_format.h"
#include "base/version.h"
#include "compare/cell.h"
#include "compare/seed_consistency.h"
#include "compare/tuning.h"
#include "store/run_result.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;

void break_cell(report::Cell& cell, report::CellStatus status, std::string remark) {
  cell.status = status;
  cell.remark = std::move(remark);
}

void take_result(report::Cell& cell, const store::RunResult& result, const std::string& metric) {
  const auto& figure = metric == "bits_per_byte" ? result.figures.bits_per_byte : result.figures.log_perplexity;
  if (!figure || !std::isfinite(*figure)) return break_cell(cell, report::CellStatus::kFailed, cat("the run has no ", metric));
  cell.status = report::CellStatus::kFinished;
  cell.log_perplexity = result.figures.log_perplexity;
  cell.bits_per_byte = result.figures.bits_per_byte;
  cell.uniform_log_perplexity = result.uniform_log_perplexity;
  cell.learned_nothing = store::learned_nothing(result);
  cell.documents = result.documents;
  cell.steps = result.step;
  cell.tokens = result.tokens;
  cell.training_seconds = result.training_seconds;
  cell.build = result.build;
  cell.libtorch = result.libtorch;
  cell.cpu = result.cpu;
  cell.device = result.device;
  cell.precision = result.precision;
  cell.threads = result.threads;
}

bool has_no_values(const report::Comparison& comparison, const report::Settings& variant) {
  const auto is_ours = [&](const report::TuningPoint& point) { return point.settings == variant; };
  const auto& points = comparison.tuning;
  return std::any_of(points.begin(), points.end(), is_ours) &&
         std::all_of(points.begin(), points.end(), [&](const report::TuningPoint& point) { return point.diverged || !is_ours(point); });
}

// What lies in the cell's directory.
void fill(report::Cell& cell, const fs::path& directory, const report::Comparison& comparison) {
  if (cell.directory.empty()) {  // its values are not chosen yet, or never will be
    if (has_no_values(comparison, cell.settings)) break_cell(cell, report::CellStatus::kDiverged, std::string(kAllDiverged));
    return;
  }
  const fs::path place = directory / cell.directory;
  const auto record = read_record(place / "cell.json");
  if (!record || record->hash != cell.hash) return;
  const Curves curves = read_curves(place / "run" / "metrics.jsonl");
  cell.training = curves.training;
  cell.held_out = curves.held_out;
  cell.cpu = record->maker.cpu;
  cell.device = record->maker.device;
  cell.precision = record->maker.precision;
  cell.threads = record->maker.threads;
  cell.build = record->build;
  if (record->state == CellState::kDiverged) break_cell(cell, report::CellStatus::kDiverged, record->remark);
  if (record->state == CellState::kFailed) break_cell(cell, report::CellStatus::kFailed, record->remark);
  if (record->state == CellState::kFinished) take_result(cell, store::read_run_result(place / "run" / "result.json"), comparison.metric);
}

ComparisonFile read_filled(const fs::path& directory, const fs::path& first) {
  ComparisonFile file = read_comparison(directory);
  for (report::Cell& cell : file.comparison.cells) {
    try {
      fill(cell, directory, file.comparison);
    } catch (const UserError& error) {
      break_cell(cell, report::CellStatus::kFailed, error.what());
    }
    if (directory != first && !cell.directory.empty())
      cell.directory = fs::absolute(directory / cell.directory).lexically_proximate(fs::absolute(first).lexically_normal()).string();
  }
  return file;
}

void require_same(const ComparisonFile& first, const ComparisonFile& other, const fs::path& directory) {
  const report::Comparison &a = first.comparison, &b = other.comparison;
  std::string difference;
  if (a.metric != b.metric) difference = cat("compares ", b.metric, ", not ", a.metric);
  if (a.equalize != b.equalize) difference = cat("has equal ", b.equalize, ", not equal ", a.equalize);
  if (a.data_fingerprint != b.data_fingerprint) difference = "has other data";
  if (a.baseline != b.baseline) difference = "has another baseline";
  if (a.tuning_note.empty() != b.tuning_note.empty())
    difference = cat("is ", b.tuning_note.empty() ? "not " : "", "tuned, unlike the first");
  if (first.variant_hashes != other.variant_hashes) difference = "has other variants, or the same with other settings";
  for (std::size_t i = 0; difference.empty() && i < a.variants.size(); ++i) {
    const auto words = [&](std::string_view what) { return cat("gives ", report::label_of(a.variants[i].settings), ' ', what); };
    if (a.variants[i].tuned != b.variants[i].tuned && !a.variants[i].tuned.empty() && !b.variants[i].tuned.empty())
      difference =
          words(cat("other tuned values (", report::label_of(b.variants[i].tuned), ", not ", report::label_of(a.variants[i].tuned), ")"));
    if (first.steps[i] != other.steps[i]) difference = words("another number of steps, by other step times");
  }
  if (!difference.empty())
    fail(ExitCode::kUsage, directory.string(), difference, "directories of one comparison, which differ in their seeds");
}

int rank(report::CellStatus status) {
  switch (status) {
    case report::CellStatus::kFinished:
      return 3;
    case report::CellStatus::kDiverged:
      return 2;
    case report::CellStatus::kFailed:
      return 1;
    case report::CellStatus::kWaiting:
      return 0;
  }
  return 0;
}

// One that only the other has tuned.
void take_tuning(report::Comparison& into, const report::Comparison& from) {
  for (std::size_t i = 0; i < into.variants.size(); ++i) {
    const report::Settings& settings = into.variants[i].settings;
    if (!into.variants[i].tuned.empty() || from.variants[i].tuned.empty()) continue;
    into.variants[i].tuned = from.variants[i].tuned;
    std::erase_if(into.tuning, [&](const report::TuningPoint& point) { return point.settings == settings; });
    for (const report::TuningPoint& point : from.tuning)
      if (point.settings == settings) into.tuning.push_back(point);
  }
}

void merge(report::Comparison& into, report::Comparison from) {
  take_tuning(into, from);
  for (const std::uint64_t seed : from.seeds) {
    if (std::find(into.seeds.begin(), into.seeds.end(), seed) == into.seeds.end()) into.seeds.push_back(seed);
  }
  for (report::Cell& cell : from.cells) {
    const auto same = std::find_if(into.cells.begin(), into.cells.end(),
                                   [&](const report::Cell& one) { return one.seed == cell.seed && one.settings == cell.settings; });
    if (same == into.cells.end()) {
      into.cells.push_back(std::move(cell));
    } else if (rank(cell.status) > rank(same->status)) {
      *same = std::move(cell);
    }
  }
  for (std::string& command : from.commands) {
    if (std::find(into.commands.begin(), into.commands.end(), command) == into.commands.end()) into.commands.push_back(std::move(command));
  }
}

// A seed is a block of the statistics, as within one directory (mixing.h).
void refuse_mixed_seeds(const report::Comparison& comparison) {
  const auto maker_of = [](const report::Cell& cell) {
    return describe({.cpu = cell.cpu, .device = cell.device, .precision = cell.precision, .threads = cell.threads});
  };
  std::map<std::uint64_t, std::string> makers;
  for (const report::Cell& cell : comparison.cells) {
    if (cell.status == report::CellStatus::kWaiting || cell.cpu.empty()) continue;  // the latter: never started, or its record is damaged
    const auto& [seed, maker] = *makers.emplace(cell.seed, maker_of(cell)).first;
    if (maker != maker_of(cell))
      fail(ExitCode::kUsage, cat("seed ", seed), cat("runs made with ", maker, " and with ", maker_of(cell), "; a seed never mixes them"),
           "directories that have each seed from one machine; delete the other runs of that seed");
  }
}

}  // namespace

report::Comparison collect(std::span<const fs::path> directories) {
  invariant(!directories.empty(), "a report needs a directory");
  ComparisonFile first = read_filled(directories[0], directories[0]);
  for (const fs::path& directory : directories.subspan(1)) {
    ComparisonFile other = read_filled(directory, directories[0]);
    require_same(first, other, directory);
    merge(first.comparison, std::move(other.comparison));
  }
  if (directories.size() > 1) refuse_mixed_seeds(first.comparison);
  first.comparison.version = build_name();
  return std::move(first.comparison);
}

}  // namespace sluice::compare
