// One function per command. Results go to stdout, everything else to stderr. With `json`, stdout
// contains exactly one JSON object; with the `input` of generate and score, one per line.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compare/session.h"
#include "store/run_directory.h"
#include "train/run_config.h"

namespace sluice::app {

struct ConfigOptions {
  std::string config;
  std::vector<std::string> overrides;  // "a.b=c"
};
// Reads and checks the configuration of one run; throws one UserError with all problems.
train::RunConfig load_config(const ConfigOptions& options);

struct TrainOptions {
  ConfigOptions config;  // with kResume, `config.config` may be a run directory
  store::StartMode mode = store::StartMode::kNew;
  std::string run_dir;       // empty: run.dir of the configuration
  std::string dump_batches;  // empty: none
  std::int64_t dump_steps = 50;
  bool json = false;
  std::string command_line;        // for run.json
  std::string program = "sluice";  // as invoked, for commands suggested in messages
};
void train_command(const TrainOptions& options);
// The same; returns what --json prints.
std::string train_json(const TrainOptions& options);

struct PrepareOptions {
  ConfigOptions config;
  bool json = false;
};
void prepare_command(const PrepareOptions& options);

struct EvalOptions {
  std::string run;                // run directory or checkpoint
  std::vector<std::string> data;  // empty: the run's held-out set
  std::string format;             // corpus.format of `data`; empty: the run's
  std::string text_field;         // corpus.text_field of `data`; empty: the run's
  std::int64_t stride = 0;        // 0: the sequence length
  std::int64_t max_tokens = 0;    // 0: all
  double overlap_above = 0.5;     // documents that the second figure leaves out
  bool allow_older = false;  // if the newest checkpoint is damaged or missing, use an older one
  bool json = false;
};
void eval_command(const EvalOptions& options);

struct GenerateOptions {
  std::string run;
  std::optional<std::string> prompt;  // one of prompt and input is given
  std::string input, output;          // JSON lines; empty: `prompt`, stdout
  std::int64_t batch = 8;             // prompts generated together
  std::int64_t num_tokens = 128;
  double temperature = 0.8;
  std::int64_t top_k = 0;
  double top_p = 1.0, min_p = 0;
  double repetition_penalty = 1;
  std::vector<std::string> stop;
  std::uint64_t seed = 1;
  bool allow_older = false;
  bool json = false;
};
void generate_command(const GenerateOptions& options);

struct ScoreOptions {
  std::string run;
  std::optional<std::string> text, context;  // one of text and input is given
  std::string input, output;                 // JSON lines; empty: `text`, stdout
  std::int64_t batch = 8;                    // texts scored together
  bool allow_older = false;
  bool json = false;
};
void score_command(const ScoreOptions& options);

struct PlanOptions {
  ConfigOptions config;
  bool measure = false;
  std::int64_t num_measured_steps = 0;  // above 0: implies measure
  std::int64_t num_processes = 1;       // memory of one of so many
  bool json = false;
};
void plan_command(const PlanOptions& options);
// What plan --measure --json prints.
std::string measured_plan_json(const ConfigOptions& options);

enum class Scheduler { kSlurm };
constexpr auto names_of(Scheduler) {
  return std::array{std::pair{Scheduler::kSlurm, std::string_view("slurm")}};
}

struct CompareOptions {
  ConfigOptions config;
  std::vector<std::string> only;      // see compare::select_variants; empty: all
  std::vector<std::uint64_t> seeds;   // empty: all
  std::optional<compare::Part> part;  // --cells
  std::optional<Scheduler> submit;    // none: run here
  int jobs = 1;                       // 0: auto
  compare::RunsIn runs_in = compare::RunsIn::kAuto;
  bool dry_run = false, measure = false;
  bool noise = false;  // where the variation between seeds comes from (app/noise_study.h)
  std::vector<std::string> report;  // not empty: only merge these directories into a report
  bool json = false;
  std::string command_line;                 // without --cells
  std::vector<std::string> submit_command;  // the words of a part, without --cells
};
void compare_command(const CompareOptions& options);

struct AuditOptions {
  std::vector<std::string> directories;  // as for compare --report
  std::int64_t cells = 1;                // trained again; 0: only the files are checked
  std::optional<std::uint64_t> seed;     // of their choice; none: random
  bool json = false;
};
void audit_command(const AuditOptions& options);

// The process of compare whose threads are runs. Reads jobs from stdin, four words each that end
// with a zero byte: a number, a configuration, its run directory (empty: measure its steps) and a
// file for the output. Each is started at once; when it ends, "NUMBER CODE" is printed as a line.
// Returns when stdin has ended and all jobs have.
inline constexpr std::string_view kWorkerCommand = "run-jobs";
void worker_command(const std::string& program);

struct ExportOptions {
  std::string run;  // run directory or checkpoint
  std::string to;   // "hf" or "gguf"
  std::string out;
  std::optional<std::int64_t> step;  // of the checkpoint; none: the newest
  bool json = false;
};
void export_command(const ExportOptions& options);

struct ImportOptions {
  std::vector<std::string> paths;  // a model directory, or its files
  std::string out;                 // run directory
  std::string config;              // settings of further training; empty: none
  std::vector<std::string> overrides;
  bool json = false;
  std::string command_line;        // for run.json
  std::string program = "sluice";  // as invoked, for commands suggested in messages
};
void import_command(const ImportOptions& options);

struct VerifyOptions {
  std::string run;
  bool allow_older = false;
  bool json = false;
};
void verify_command(const VerifyOptions& options);

void config_show_command(const ConfigOptions& options);
void config_check_command(const ConfigOptions& options);
void config_schema_command();
void config_docs_command();

struct SchemaOptions {
  std::string name;  // record name; empty: list all records
  bool docs = false;
};
void schema_command(const SchemaOptions& options);

struct DoctorOptions {
  bool json = false;
};
void doctor_command(const DoctorOptions& options);

}  // namespace sluice::app
