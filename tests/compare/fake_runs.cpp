#include "tests/compare/fake_runs.h"

#include <algorithm>
#include <fstream>

#include "base/error.h"
#include "base/hash.h"
#include "base/text_format.h"
#include "compare/grid.h"
#include "store/run_result.h"

namespace sluice::compare::testing {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTrain = R"(trap 'exit 75' TERM INT HUP USR1
. "$1"
mkdir -p "$2"
echo start >> "$2/starts"
echo $$ > "$2/pid"
step=0
[ -f "$2/step" ] && read -r step < "$2/step"
while [ "$step" -lt "$steps" ]; do
  step=$((step + 1))
  time="{\"seconds\":1.0,\"step_seconds\":0.5}"
  losses="\"loss\":4.5,\"log_perplexity\":4.$step"
  echo "{\"step\":$step,\"tokens\":$step,$losses,\"time\":$time}" >> "$2/metrics.jsonl"
  echo "$step" > "$2/step"
  if [ "$step" -ge 2 ]; then
    case "$behavior" in
      crash) echo "error: the bowl of petunias: fell" >&2; exit 1 ;;
      diverge) echo "error: training: a loss of NaN" >&2; exit 77 ;;
      hang) trap '' TERM INT HUP USR1; while :; do sleep 0.2; done ;;
      deaf) trap - TERM INT HUP USR1; while :; do sleep 0.2; done ;;
      silent) exit 9 ;;
    esac
  fi
  [ "$behavior" = slow ] && sleep 0.05
done
echo "{\"step\":$step,\"eval\":{\"log_perplexity\":$figure}}" >> "$2/metrics.jsonl"
[ "$behavior" = nothing ] || cp "$result" "$2/result.json"
echo '{"step":10}'
)";

// Jobs as in app/worker_command.cpp; processes take the place of threads. A job with the behavior
// "kill" kills the worker once the others have started.
constexpr const char* kWorker = R"(cd "$1" || exit 1
echo "$SLUICE_RENDEZVOUS" >> workers
while IFS= read -r -d '' n && IFS= read -r -d '' config && IFS= read -r -d '' run &&
    IFS= read -r -d '' out; do
  if [ -n "$run" ]; then set -- train.sh "$config" "$run"; else set -- measure.sh "$config"; fi
  grep -q '^behavior=kill' "$config" && { sleep 0.3; kill -9 $$; }
  ( sh "$@" >> "$out" 2>&1; echo "$n $?" ) &
done
wait
)";

void write(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

template <class T>
T value_or(const std::map<std::string, T>& map, const std::string& key, T otherwise) {
  const auto found = map.find(key);
  return found == map.end() ? otherwise : found->second;
}

}  // namespace

FakeRuns::FakeRuns(fs::path scratch) : scratch_(std::move(scratch)) {
  fs::create_directories(scratch_);
  write(scratch_ / "train.sh", kTrain);
  write(scratch_ / "worker.sh", kWorker);
  write(scratch_ / "measure.sh",
        ". \"$1\"\neval \"$before_measure\"\necho warming up >&2\n"
        "[ -z \"$measured\" ] || { echo \"$measured\"; exit; }\n"
        "echo \"{\\\"seconds_per_step\\\": $step_s, \\\"other_seconds\\\": $other_s}\"\n");
}

void FakeRuns::prepare(const RunRequest&) { ++num_prepared; }

RunFacts FakeRuns::make(const RunRequest& request) {
  std::string identity = cat("seed: ", request.seed, '\n');
  for (const std::string& override : overrides_of(request.settings)) {
    if (override == refused) fail(ExitCode::kUsage, override, "rejected");
    if (!one_identity) identity += override + '\n';
  }
  const std::int64_t run_steps = request.steps.value_or(steps);
  identity += cat("steps: ", run_steps, "\ntune: ", request.on_tuning_split, '\n', extra);
  const std::string label = report::label_of(request.settings),
                    name = cat(label, ", seed ", request.seed);
  const fs::path result = scratch_ / (hash_of(cat(identity, env.cpu, env.threads)).hex() + ".json");
  store::write_run_result({.step = run_steps,
                           .tokens = 100,
                           .figures = {.log_perplexity = value_or(log_perplexity, name, 3.0)},
                           .training_seconds = training_s,
                           .build = "test",
                           .cpu = env.cpu,
                           .device = env.device,
                           .precision = env.precision,
                           .threads = env.threads,
                           .documents = {{.nats = 30, .num_targets = 10}}},
                          result);
  RunFacts facts{
      .config =
          cat("steps=", run_steps, "\nbehavior=", value_or<std::string>(behavior, name, "fast"),
              "\nfigure=", value_or(log_perplexity, name, 3.0), "\nresult='", result.string(),
              "'\nbefore_measure='", before_measure, "'\nstep_s=", value_or(step_s, label, 0.1),
              "\nother_s=", value_or(other_s, label, 0.0), "\nmeasured='", measured, "'\n"),
      .identity = identity,
      .data_fingerprint = num_prepared > 0 ? "f1" : "",
      .tokenizer_hash = value_or<std::string>(tokenizer, label, "t1"),
      .objective = "causal_lm",
      .env = env,
      .gpu = gpu,
      .sizes = {.num_parameters = 1000,
                .d_ff = 64,
                .multiply_adds_per_token = 1e3,
                .flops_per_token = 6e3},
      .steps = run_steps,
      .tokens_per_step = 10};
  return facts;
}

std::vector<std::string> FakeRuns::train_command(const fs::path& config,
                                                 const fs::path& run_dir) const {
  return {"/bin/sh", scratch_ / "train.sh", config.string(), run_dir.string()};
}

std::vector<std::string> FakeRuns::measure_command(const fs::path& config) const {
  return {"/bin/sh", scratch_ / "measure.sh", config.string()};
}

std::vector<std::string> FakeRuns::worker_command() const {
  return {"/bin/bash", scratch_ / "worker.sh", scratch_.string()};
}

std::size_t FakeRuns::num_workers() const {
  std::ifstream file(scratch_ / "workers");
  return static_cast<std::size_t>(std::count(std::istreambuf_iterator<char>(file), {}, '\n'));
}

CompareConfig two_variants(std::vector<std::uint64_t> seeds) {
  CompareConfig config;
  config.vary.items = {{"model.ffn", {{"relu", false}, {"geglu", false}}}};
  config.seeds = std::move(seeds);
  return config;
}

std::string training_lines(std::int64_t first, std::int64_t last) {
  std::string text;
  for (std::int64_t step = first; step <= last; ++step)
    text += cat(
        "{\"step\":", step, ",\"tokens\":", step * 64, ",\"loss\":5.0,\"log_perplexity\":", step,
        ",\"perplexity\":1.5,\"grad_norm\":1.25,\"lr\":0.001,", "\"time\":{\"seconds\":", step,
        ",\"step_seconds\":0.25,\"tokens_per_s\":100.0,\"mfu\":0.5,\"mfu_denominator\":1000000000."
        "0}}\n");
  return text;
}

std::size_t num_starts(const fs::path& cell) {
  std::ifstream file(cell / "run" / "starts");
  return static_cast<std::size_t>(std::count(std::istreambuf_iterator<char>(file), {}, '\n'));
}

std::vector<fs::path> cells_like(const fs::path& directory, const std::string& start) {
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    if (entry.path().filename().string().starts_with(start)) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace sluice::compare::testing
