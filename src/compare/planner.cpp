#include "compare/planner.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text_format.h"
#include "base/threads.h"
#include "store/run_directory.h"

namespace sluice::compare {
namespace {

// kUsage unless the metrics of all variants are comparable.
void require_comparable(const std::vector<PlannedVariant>& variants, const CompareConfig& config) {
  const PlannedVariant& first = variants.front();
  for (const PlannedVariant& other : variants) {
    const bool same_objective = other.facts.objective == first.facts.objective;
    if (!same_objective)
      fail(ExitCode::kUsage, "compare.vary",
           cat(report::label_of(first.settings), " and ", report::label_of(other.settings),
               " with different objectives"),
           "variants with the same objective, because metrics depend on the targets");
    const bool same_tokens = other.facts.tokenizer_hash == first.facts.tokenizer_hash &&
                             other.facts.data_fingerprint == first.facts.data_fingerprint;
    if (!same_tokens && config.metric == Metric::kLogPerplexity)
      fail(ExitCode::kUsage, "compare.metric",
           cat("log_perplexity with different tokenizers for ", report::label_of(first.settings),
               " and ", report::label_of(other.settings)),
           "bits_per_byte, independent of the tokenizer");
  }
  if (config.metric == Metric::kBitsPerByte && !first.facts.targets_are_text)
    fail(ExitCode::kUsage, "compare.metric", cat("bits_per_byte with ", first.facts.objective),
         "log_perplexity, because the targets are not the text itself");
}

void add_candidate(RunRequest& request, const report::Settings& candidate) {
  request.settings.insert(request.settings.end(), candidate.begin(), candidate.end());
  request.num_tuned = candidate.size();
}

// Intended duplicates are a negative control (difference 0); unintended ones waste a variant.
void warn_of_duplicates(const std::vector<PlannedVariant>& variants) {
  std::map<std::string, std::string> labels;
  for (const PlannedVariant& variant : variants) {
    const std::string label = report::label_of(variant.settings);
    const auto [first, is_new] = labels.emplace(cell_hash(variant.facts), label);
    if (!is_new)
      log::warn(
          cat(first->second, " and ", label, " are the same settings: their difference will be 0"));
  }
}

}  // namespace

Planner::Planner(const SessionOptions& options, RunFactory& factory)
    : options_(options),
      factory_(factory),
      grid_(expand(options.config.vary)),
      candidates_(options.config.tune ? expand(options.config.tune->grid)
                                      : std::vector<report::Settings>{}),
      baseline_(baseline_of(options.config)) {
  const std::vector<std::size_t> chosen = select_variants(grid_, options.only);
  for (const std::uint64_t seed : select_seeds(options.config.seeds, options.seeds))
    for (const std::size_t variant : chosen) all_places_.emplace_back(variant, seed);
  const auto places = slice_of<Place>(all_places_, options.part.value_or(Part{}));
  places_.assign(places.begin(), places.end());
  for (const auto& [variant, seed] : places_) {
    if (seeds_.empty() || seeds_.back() != seed) seeds_.push_back(seed);
    if (std::find(chosen_.begin(), chosen_.end(), variant) == chosen_.end())
      chosen_.push_back(variant);
  }
  std::sort(chosen_.begin(), chosen_.end());
}

RunRequest Planner::request(const PlannedVariant& variant, std::uint64_t seed, int threads) const {
  RunRequest request{
      .settings = variant.settings, .seed = seed, .steps = variant.steps, .threads = threads};
  request.name = cat(options_.name, ": ", report::label_of(variant.settings), ", seed ", seed);
  request.run_dir = options_.directory / "cells";
  return request;
}

void Planner::check() const {
  const std::filesystem::path& directory = options_.directory;
  if (store::is_run_directory(directory))
    fail(ExitCode::kUsage, directory.string(),
         "belongs to a single run; choose another run.dir for the comparison");
  const std::vector<PlannedVariant> all = variants(1);
  for (const PlannedVariant& variant : all)
    for (std::size_t group = 0; group < num_groups(options_.config); ++group)
      tuning_cells(variant, group, 1);
  warn_of_duplicates(all);
}

void Planner::prepare() const {
  for (const report::Settings& settings : grid_)
    factory_.prepare(request({.settings = settings}, 0, auto_threads()));
}

std::vector<PlannedVariant> Planner::variants(int threads) const {
  std::vector<PlannedVariant> variants;
  for (const report::Settings& settings : grid_) {
    PlannedVariant variant{.settings = settings};
    variant.facts = factory_.make(request(variant, 0, threads));
    variant.hash = family_hash(variant.facts);
    variants.push_back(std::move(variant));
  }
  require_comparable(variants, options_.config);
  return variants;
}

// The directory depends on the hash, which is independent of the directory: hence two make() calls.
Cell Planner::complete(Cell cell, RunRequest request, const char* folder) const {
  cell.facts = factory_.make(request);
  cell.hash = cell_hash(cell.facts);
  cell.family = family_hash(cell.facts);
  cell.name = cell_name(cell.settings, cell.candidate, cell.seed, cell.hash);
  cell.directory = options_.directory / folder / cell.name;
  request.run_dir = cell.run_dir();
  cell.facts = factory_.make(request);
  return cell;
}

Cell Planner::cell(const PlannedVariant& variant, const report::Settings& candidate,
                   std::uint64_t seed, int threads) const {
  RunRequest run = request(variant, seed, threads);
  add_candidate(run, candidate);
  return complete({.settings = variant.settings, .seed = seed}, std::move(run), "cells");
}

std::vector<ChoicePlace> Planner::choices_of(const std::vector<Place>& places) const {
  std::set<std::pair<std::size_t, std::size_t>> by_group;
  for (const auto& [variant, seed] : places)
    by_group.emplace(group_of(options_.config, seed), variant);
  std::vector<ChoicePlace> choices;
  for (const auto& [group, variant] : by_group) choices.emplace_back(variant, group);
  return choices;
}

std::size_t Planner::max_jobs() const {
  return longest_part(all_places_.size(), options_.part.value_or(Part{}));
}

std::vector<std::size_t> Planner::groups() const {
  std::set<std::size_t> groups;
  for (const std::uint64_t seed : seeds_) groups.insert(group_of(options_.config, seed));
  return {groups.begin(), groups.end()};
}

std::vector<Cell> Planner::tuning_cells(const PlannedVariant& variant, std::size_t group,
                                        int threads) const {
  std::vector<Cell> cells;
  for (const report::Settings& candidate : candidates_) {
    for (const std::uint64_t seed : tuning_seeds(*options_.config.tune, group)) {
      RunRequest run = request(variant, seed, threads);
      add_candidate(run, candidate);
      run.on_tuning_split = true;
      run.name += cat(", tuning at ", report::label_of(candidate));
      cells.push_back(complete({.settings = variant.settings, .candidate = candidate, .seed = seed},
                               std::move(run), "tune"));
    }
  }
  return cells;
}

TimingTask Planner::timing_task(const PlannedVariant& variant, int threads,
                                const std::filesystem::path& folder) const {
  const std::filesystem::path file = folder / cat(stem_of(variant.settings), '-',
                                                  variant.hash.substr(0, 8), '-', threads, ".yaml");
  real_files().create_directories(folder);
  real_files().write_atomically(file, factory_.make(request(variant, 0, threads)).config);
  return {.key = variant.hash,
          .label = report::label_of(variant.settings),
          .command = factory_.measure_command(file),
          .config = file};
}

std::optional<SharedGpu> Planner::shared_gpu() const {
  if (options_.jobs == 1 || max_jobs() < 2) return std::nullopt;
  const std::optional<GpuFacts> gpu = variants(1)[baseline_].facts.gpu;
  if (!gpu) return std::nullopt;
  return SharedGpu{.name = gpu->name, .memory_bytes = gpu->memory_bytes};
}

int Planner::gpu_jobs(const std::filesystem::path& folder, const SharedGpu& gpu) const {
  const int num_cpus = auto_threads();
  const std::vector<PlannedVariant> all = variants(num_cpus);
  std::vector<std::function<TimingTask(int)>> tasks;
  // All variants, not only those of this session: every session must get the same number of
  // threads.
  for (const PlannedVariant& variant : all)
    tasks.emplace_back(
        [&](int threads) { return timing_task(variant, threads, folder / "measured"); });
  return choose_gpu_jobs(gpu, num_cpus, max_jobs(), tasks, folder);
}

int Planner::jobs(const std::filesystem::path& folder, const std::optional<SharedGpu>& gpu,
                  const std::optional<WorkerCommand>& worker) const {
  if (gpu && worker && options_.jobs > kMaxGpuThreads)
    fail(ExitCode::kUsage, "--jobs", cat(options_.jobs, " with runs as threads of one process"),
         cat("at most ", kMaxGpuThreads, " on a GPU, or --runs-in processes"));
  if (options_.jobs > 0) return options_.jobs;
  if (gpu) return gpu_jobs(folder, *gpu);
  const int num_cpus = auto_threads();
  const PlannedVariant variant = variants(num_cpus)[baseline_];
  if (variant.facts.env.device != "cpu") return 1;
  // A request for one thread yields more only if the configuration sets train.threads.
  const std::int64_t least = variants(1)[baseline_].facts.env.threads;
  if (least > 1 || variant.facts.env.threads < num_cpus)
    return std::max(1, num_cpus / static_cast<int>(variant.facts.env.threads));
  return choose_jobs(
      num_cpus, max_jobs(),
      [&](int threads) { return timing_task(variant, threads, folder / "measured"); }, folder,
      worker);
}

}  // namespace sluice::compare
