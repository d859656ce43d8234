#include "app/report_command.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/output_file.h"
#include "app/run_argument.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text_format.h"
#include "base/version.h"
#include "config/config.h"
#include "config/flat_settings.h"
#include "config/names.h"
#include "report/run_page.h"
#include "run/run_record.h"
#include "store/metrics_log.h"
#include "store/run_directory.h"
#include "store/run_result.h"
#include "train/metrics_lines.h"
#include "train/run_config.h"

namespace sluice::app {
namespace {

using Json = nlohmann::ordered_json;

report::ShownEvaluation shown(const train::EvaluationLine& line) {
  const store::HeldOutFigures& figures = line.eval.figures;
  return {.step = line.step,
          .log_perplexity = figures.log_perplexity,
          .perplexity = figures.perplexity,
          .bits_per_byte = figures.bits_per_byte,
          .word_perplexity = figures.word_perplexity};
}

report::ShownStep shown(const train::StepLine& line) {
  report::ShownStep step{.step = line.step,
                         .log_perplexity = line.log_perplexity,
                         .grad_norm = line.grad_norm,
                         .lr = line.lr,
                         .seconds = line.time.step_seconds,
                         .tokens_per_s = line.time.tokens_per_s,
                         .mfu = line.time.mfu};
  if (line.time.resident_bytes)
    step.resident_bytes = static_cast<double>(*line.time.resident_bytes);
  return step;
}

void read_metrics_of(const store::RunPaths& paths, report::ShownRun& run) {
  const std::string name = paths.metrics().string();
  store::read_metrics(paths.metrics(), [&](std::int64_t, const Json& line) {
    if (line.contains("eval")) {
      auto evaluation = config::from_json_object<train::EvaluationLine>(line, name);
      run.evaluations.push_back(shown(evaluation));
      for (train::SampleText& sample :
           evaluation.samples.value_or(std::vector<train::SampleText>{}))
        run.samples.push_back({evaluation.step, std::move(sample.prompt), std::move(sample.text)});
      return;
    }
    const auto step = config::from_json_object<train::StepLine>(line, name);
    run.steps.push_back(shown(step));
    run.tokens = step.tokens;
  });
}

bool has_file(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

report::ShownRun read_shown_run(const std::string& directory) {
  require(check_run_argument(directory) == RunArgument::kRun, ExitCode::kMissingInput, directory,
          "a checkpoint", "a run directory, since checkpoints contain no metrics");
  const store::RunPaths paths{directory};
  const auto config = config::load<train::RunConfig>({.file = paths.config(), .overrides = {}});
  report::ShownRun run{.name = config.run.name,
                       .directory = directory,
                       .settings = config::flat_settings(config),
                       .yaml = config::to_yaml(config, config::Comments::kNone),
                       .num_steps = config.train.steps.value_or(0),
                       .device = config.train.device.value_or("")};
  if (config.train.precision.value)
    run.precision = std::string(config::name_of(*config.train.precision));
  if (const std::optional<run::RunRecord> record = run::read_run_record(paths)) {
    run.num_parameters = record->num_parameters;
    run.machine = cat(record->machine.cpu, ", ", count_of(record->threads, "thread"));
    run.build = cat(record->sluice.version, " (", record->sluice.revision, "), LibTorch ",
                    record->libtorch);
    run.data_fingerprint = record->data.fingerprint;
    run.tokenizer_hash = record->tokenizer.hash;
  }
  read_metrics_of(paths, run);
  run.is_finished =
      has_file(paths.result()) && !run.steps.empty() && run.steps.back().step == run.num_steps;
  return run;
}

}  // namespace

void report_command(const ReportOptions& options) {
  check_output_file("--out", options.out);
  std::vector<report::ShownRun> runs;
  for (const std::string& directory : options.runs) runs.push_back(read_shown_run(directory));
  fs::path out = options.out;
  if (out.empty())
    out = runs.size() == 1 ? fs::path(options.runs.front()) / "report.html" : "report.html";
  if (out.has_parent_path()) real_files().create_directories(out.parent_path());
  real_files().write_atomically(out, report::run_page(runs, build_name()));
  std::cout << "report  " << printable(out.string(), std::string::npos) << "\n";
}

}  // namespace sluice::app
