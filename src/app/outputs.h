// The --json output of the commands: one object on one line.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "config/record.h"
#include "data/token_stream.h"
#include "model/language_model.h"
#include "report/comparison.h"
#include "report/outcome.h"
#include "run/session.h"
#include "store/held_out_figures.h"

namespace sluice::app {

constexpr config::RecordFormat output(std::string_view name, std::string_view command,
                                      std::string_view summary) {
  return {.name = name,
          .place = command,
          .summary = summary,
          .expected = "output of the command",
          .indent = -1};
}

inline report::VariantSizes variant_sizes(const model::ModelSizes& sizes) {
  return {.num_parameters = sizes.num_parameters,
          .d_ff = sizes.d_ff,
          .d_ff_mismatch = sizes.d_ff_mismatch,
          .multiply_adds_per_token = sizes.multiply_adds_per_token(),
          .flops_per_token = sizes.flops_per_token};
}

struct TrainOutput {
  static constexpr auto record =
      output("train", "`sluice train --json`", "The result of a finished run.");
  run::Summary summary;
  std::uint64_t peak_memory_bytes = 0;

  static constexpr auto fields() {
    using config::field;
    using O = TrainOutput;
    return std::tuple{config::rows_of<&O::summary>(),
                      field<&O::peak_memory_bytes>("Peak resident memory of this process.")};
  }
};

struct PrepareOutput {
  static constexpr auto record = output("prepare", "`sluice prepare --json`",
                                        "The prepared data, with the counts of each split.");
  std::string directory, fingerprint;
  std::int64_t vocab_size = 0;
  std::string tokenizer_hash;
  bool lossless = true;
  std::uint64_t num_documents_in_both = 0;
  std::optional<std::uint64_t> num_bytes_in_both;
  std::uint64_t num_contained_tokens = 0, num_near_duplicates = 0;
  std::map<std::string, data::SplitCounts> splits;

  static constexpr auto fields() {
    using config::field;
    using O = PrepareOutput;
    return std::tuple{
        field<&O::directory>("Directory of the shards."),
        field<&O::fingerprint>(
            "Hash of all input files and of the settings that affect the tokens."),
        field<&O::vocab_size>("Number of pieces of the tokenizer."),
        field<&O::tokenizer_hash>("XXH3-128 of the tokenizer file."),
        field<&O::lossless>("Whether decoding restores the text exactly."),
        field<&O::num_documents_in_both>(
            "Held-out documents also contained in the training files."),
        field<&O::num_bytes_in_both>(
            "Bytes of held-out text also contained in the training files; null if unknown."),
        field<&O::num_contained_tokens>("Held-out tokens contained in the training text, in "
                                        "sequences of 13; overlap.json lists them by document."),
        field<&O::num_near_duplicates>(
            "Held-out documents of which at least 80 % of the tokens are."),
        field<&O::splits>("One per split: train, valid, tune.", config::Rest{})};
  }
};

struct EvalOutput {
  static constexpr auto record =
      output("eval", "`sluice eval --json`", "Perplexity of the held-out set or of --data.");
  store::HeldOutFigures figures;
  std::uint64_t num_tokens = 0;
  std::optional<std::uint64_t> num_bytes, num_words;
  std::uint64_t num_unknown = 0, num_dropped_tokens = 0;
  bool lossless = true;
  std::int64_t step = 0;
  double overlap_above = 0;
  std::optional<std::uint64_t> num_documents_left_out;
  std::optional<double> log_perplexity_without_overlap;

  static constexpr auto fields() {
    using config::field;
    using O = EvalOutput;
    return std::tuple{
        config::rows_of<&O::figures>(),
        field<&O::num_tokens>("Number of targets scored."),
        field<&O::num_bytes>("Bytes of the text; null if only a part was scored."),
        field<&O::num_words>("Words of the text; null if only a part was scored."),
        field<&O::num_unknown>("Number of unknown tokens."),
        field<&O::num_dropped_tokens>("Tokens at the end of the text that do not fill a segment."),
        field<&O::lossless>("Whether decoding restores the text exactly."),
        field<&O::step>("Step of the checkpoint."),
        field<&O::overlap_above>("Value of --overlap-above."),
        field<&O::num_documents_left_out>("Documents whose overlap with the training text is "
                                          "larger; null with --data or if only a part was scored."),
        field<&O::log_perplexity_without_overlap>("`log_perplexity` of the other documents; null "
                                                  "if there are none or unknown.")};
  }
};

struct ExportOutput {
  static constexpr auto record =
      output("export", "`sluice export --json`", "A model written for another program.");
  std::string path, to, class_name;
  std::int64_t step = 0, num_parameters = 0;

  static constexpr auto fields() {
    using config::field;
    using O = ExportOutput;
    return std::tuple{field<&O::path>("The directory or file."), field<&O::to>("hf or gguf."),
                      field<&O::class_name>("Class of transformers, or architecture of llama.cpp."),
                      field<&O::step>("Step of the checkpoint."),
                      field<&O::num_parameters>("Parameters of the model; tied ones count once.")};
  }
};

struct ImportOutput {
  static constexpr auto record =
      output("import", "`sluice import --json`", "A run with the weights of another program.");
  std::string run_directory, class_name;
  std::int64_t num_parameters = 0;
  bool can_train = false;

  static constexpr auto fields() {
    using config::field;
    using O = ImportOutput;
    return std::tuple{
        field<&O::run_directory>("Run directory."), field<&O::class_name>("Class of transformers."),
        field<&O::num_parameters>("Parameters of the model; tied ones count once."),
        field<&O::can_train>("Whether `sluice train --resume` can train it: --config was given.")};
  }
};

struct PlanOutput {
  static constexpr auto record =
      output("plan", "`sluice plan --json`", "Estimated size and cost of a run.");
  struct Part {
    std::string name;
    std::int64_t num_parameters = 0;
    double flops_per_token = 0;
    static constexpr auto fields() {
      using config::field;
      return std::tuple{
          field<&Part::name>("One of embedding, attention, ffn, norm, head."),
          field<&Part::num_parameters>("Parameters of the part."),
          field<&Part::flops_per_token>("Training FLOPs of the part per target token.")};
    }
  };
  report::VariantSizes sizes;
  std::int64_t num_non_embedding_parameters = 0;
  std::string flops_formula;
  std::int64_t vocab_size = 0;
  std::vector<Part> parts;
  std::int64_t threads = 0, tokens_per_step = 0;
  std::optional<std::uint64_t> tokens_per_epoch;
  std::optional<std::int64_t> steps;
  std::uint64_t memory_bytes = 0;
  std::vector<std::pair<std::string, std::uint64_t>> memory;
  std::int64_t micro_batch_sequences = 0;
  std::uint64_t gpu_memory_bytes = 0;
  std::vector<std::pair<std::string, std::uint64_t>> gpu_memory;
  std::uint64_t checkpoint_bytes = 0, disk_bytes = 0;
  bool is_prepared = false;
  std::optional<std::int64_t> num_evaluations, num_saves;

  static constexpr auto fields() {
    using config::field;
    using O = PlanOutput;
    return std::tuple{
        config::rows_of<&O::sizes>(),
        field<&O::num_non_embedding_parameters>(
            "Parameters without token and position embeddings and an untied head."),
        field<&O::flops_formula>("Formula of flops_per_token."),
        field<&O::vocab_size>("Number of pieces of the tokenizer."),
        field<&O::parts>("Parts of the model."),
        field<&O::threads>("Threads of the run."),
        field<&O::tokens_per_step>("Target tokens per step."),
        field<&O::tokens_per_epoch>("Target tokens per epoch; null if the data is not prepared."),
        field<&O::steps>("Steps of the run; null if they depend on data that is not prepared."),
        field<&O::memory_bytes>("Estimated peak memory of the process."),
        field<&O::memory>("memory_bytes by cause."),
        field<&O::micro_batch_sequences>("Sequences per forward and backward pass."),
        field<&O::gpu_memory_bytes>("Estimated peak memory of the GPU; 0 on a CPU."),
        field<&O::gpu_memory>("gpu_memory_bytes by cause."),
        field<&O::checkpoint_bytes>("Size of one checkpoint."),
        field<&O::disk_bytes>("All kept checkpoints and the one being written."),
        field<&O::is_prepared>("Whether the data is prepared."),
        field<&O::num_evaluations>("Evaluations of the run; null if unknown."),
        field<&O::num_saves>("Checkpoints written by the run; null if unknown.")};
  }
};

struct MeasuredPlanOutput {
  static constexpr auto record = output("plan-measured", "`sluice plan --measure --json`",
                                        "The plan with step times measured on this machine.");
  PlanOutput plan;
  double seconds_per_step = 0, tokens_per_s = 0;
  std::uint64_t measured_peak_memory_bytes = 0;
  std::optional<std::uint64_t> measured_peak_gpu_memory_bytes;
  double start_seconds = 0, first_step_seconds = 0;
  std::optional<double> evaluation_seconds;
  double checkpoint_seconds = 0, other_seconds = 0;
  std::optional<double> seconds;

  static constexpr auto fields() {
    using config::field;
    using O = MeasuredPlanOutput;
    return std::tuple{
        config::rows_of<&O::plan>(),
        field<&O::seconds_per_step>("Median time of a step; on a GPU of groups of eight steps."),
        field<&O::tokens_per_s>("Target tokens per second."),
        field<&O::measured_peak_memory_bytes>("Peak memory of the measuring process."),
        field<&O::measured_peak_gpu_memory_bytes>(
            "Its peak memory on the GPU, of LibTorch and assumed for the driver; null on a CPU."),
        field<&O::start_seconds>("Time from the start of the process until the model is built."),
        field<&O::first_step_seconds>(
            "Time from the start of the process until its first step is done."),
        field<&O::evaluation_seconds>("Time of all evaluations; null if unknown."),
        field<&O::checkpoint_seconds>("Time to save one checkpoint."),
        field<&O::other_seconds>("Time of start, evaluations and checkpoints."),
        field<&O::seconds>("Time of the whole run; null if the number of steps is unknown.")};
  }
};

struct VerifyOutput {
  static constexpr auto record =
      output("verify", "`sluice verify --json`", "Results of all checks.");
  struct Checked {
    std::string subject;
    std::optional<std::int64_t> step;
    std::optional<std::string> fault;
    static constexpr auto fields() {
      using config::field;
      return std::tuple{field<&Checked::subject>("The checked file or directory."),
                        field<&Checked::step>("Step of a checkpoint."),
                        field<&Checked::fault>("Description of the damage; null if none.")};
    }
  };
  bool ok = true;
  std::optional<std::int64_t> step;
  std::vector<Checked> checked;

  static constexpr auto fields() {
    using config::field;
    return std::tuple{
        field<&VerifyOutput::ok>("Whether all checks passed."),
        field<&VerifyOutput::step>("Step of the newest valid checkpoint; null if there is none."),
        field<&VerifyOutput::checked>("One entry per check.")};
  }
};

// One comparison of a variant with the baseline. Not nested: see PaperRecord (results_record.h).
struct VerdictRecord {
  report::Settings settings;
  report::Outcome verdict = report::Outcome::kUndecided;
  std::optional<std::string> reason;
  std::optional<double> difference, difference_low, difference_high, p;
  std::uint64_t seeds = 0;
  std::optional<std::uint64_t> seeds_better;
  std::optional<std::int64_t> seeds_to_decide;

  static constexpr auto fields() {
    using config::field;
    using V = VerdictRecord;
    return std::tuple{
        field<&V::settings>("Values of the varied keys."),
        field<&V::verdict>("better, worse, equivalent, undecided or broken."),
        field<&V::reason>("Why it is undecided or broken."),
        field<&V::difference>("Mean difference from the baseline; null if unknown."),
        field<&V::difference_low>("Lower bound of its simultaneous confidence interval; null if "
                                  "untested or unbounded."),
        field<&V::difference_high>("Upper bound."),
        field<&V::p>("Adjusted p-value of the sign-flip test; null if untested."),
        field<&V::seeds>("Number of seeds compared."),
        field<&V::seeds_better>("Seeds in which the variant is better."),
        field<&V::seeds_to_decide>("Seeds that would decide, if difference and spread stay as "
                                   "they are.")};
  }
};

struct VerdictOutput {
  static constexpr auto record =
      output("verdict", "`sluice verdict --json`", "The outcome of a comparison, for programs.");
  std::string directory;
  report::Overall outcome = report::Overall::kUndecided;
  std::int64_t exit_code = 0;
  std::vector<VerdictRecord> comparisons;
  std::string conditions;

  static constexpr auto fields() {
    using config::field;
    using O = VerdictOutput;
    return std::tuple{
        field<&O::directory>("Directory of the comparison."),
        field<&O::outcome>("The first that applies: broken if any comparison is; undecided if any "
                           "is; differs; equivalent."),
        field<&O::exit_code>("Exit code of the command: docs/exit-codes.md."),
        field<&O::comparisons>("One object per variant other than the baseline."),
        field<&O::conditions>("Conditions of the verdict, as text.")};
  }
};

struct AuditOutput {
  static constexpr auto record =
      output("audit", "`sluice audit --json`", "Checks of a comparison and its repeated runs.");
  struct Checked {
    std::string subject;
    std::optional<std::string> fault, note;
    static constexpr auto fields() {
      using config::field;
      return std::tuple{field<&Checked::subject>("The checked file, directory or property."),
                        field<&Checked::fault>("What is wrong; null if nothing."),
                        field<&Checked::note>("Worth knowing, but no fault; null if nothing.")};
    }
  };
  struct Repeated {
    std::string cell, directory;
    std::vector<std::string> kind_differences, faults;
    static constexpr auto fields() {
      using config::field;
      using R = Repeated;
      return std::tuple{
          field<&R::cell>("Variant and seed."), field<&R::directory>("Directory of the cell."),
          field<&R::kind_differences>("How machine and program differ from those of the run; if "
                                      "empty, the bits had to be equal."),
          field<&R::faults>("What differs from the run; empty if it is reproduced.")};
    }
  };
  bool ok = true;
  std::optional<std::string> seal;
  std::uint64_t unsealed_cells = 0, seed = 0;
  std::vector<Checked> checked;
  std::vector<Repeated> repeated;

  static constexpr auto fields() {
    using config::field;
    using O = AuditOutput;
    return std::tuple{field<&O::ok>("Whether nothing is wrong."),
                      field<&O::seal>("SHA-256 of DIR/seal.txt; null if no cell is sealed."),
                      field<&O::unsealed_cells>("Ended cells without a seal."),
                      field<&O::seed>("Seed of the choice of cells."),
                      field<&O::checked>("One entry per check."),
                      field<&O::repeated>("Cells that were trained again.")};
  }
};

struct CompareOutput {
  static constexpr auto record =
      output("compare", "`sluice compare --json`",
             "Numbers of cells by state; the metrics are in DIR/results.json.");
  std::string directory;
  std::uint64_t finished = 0, diverged = 0, failed = 0, waiting = 0;
  std::string results, report;
  report::Overall outcome = report::Overall::kUndecided;
  std::vector<VerdictRecord> comparisons;

  static constexpr auto fields() {
    using config::field;
    using O = CompareOutput;
    return std::tuple{field<&O::directory>("Directory of the report."),
                      field<&O::finished>("Cells with a result."),
                      field<&O::diverged>("Cells with a diverged run."),
                      field<&O::failed>("Cells with a failed run."),
                      field<&O::waiting>("Cells not finished yet."),
                      field<&O::results>("DIR/results.json."),
                      field<&O::report>("DIR/report.html."),
                      field<&O::outcome>("differs, equivalent, undecided or broken, as `sluice "
                                         "verdict`."),
                      field<&O::comparisons>("One object per variant other than the baseline.")};
  }
};

struct ForecastOutput {
  static constexpr auto record = output("compare-dry-run", "`sluice compare --dry-run --json`",
                                        "Estimated cost and power of a comparison.");
  struct Variant {
    report::Settings settings;
    report::VariantSizes sizes;
    std::optional<std::int64_t> steps;
    std::optional<double> seconds_per_step, other_seconds;

    static constexpr auto fields() {
      using config::field;
      using V = Variant;
      return std::tuple{
          field<&V::settings>("Values of the varied keys."), config::rows_of<&V::sizes>(),
          field<&V::steps>("Steps per run; null if they depend on data that is not prepared."),
          field<&V::seconds_per_step>("Measured, or taken from finished cells; else null."),
          field<&V::other_seconds>(
              "Time per run for start, evaluations and checkpoints; null if unknown.")};
    }
  };
  std::vector<Variant> variants;
  std::uint64_t baseline = 0, cells = 0, tuning_cells = 0;
  std::optional<std::uint64_t> cells_done;
  std::optional<double> flops, seconds, assumed_std, detectable_difference;
  std::optional<std::int64_t> seeds_for_a_hundredth;
  double smallest_p = 1;
  std::int64_t min_seeds = 0;

  static constexpr auto fields() {
    using config::field;
    using O = ForecastOutput;
    return std::tuple{
        field<&O::variants>("Variants in the order of the configuration."),
        field<&O::baseline>("Index of the baseline in `variants`."),
        field<&O::cells>("Runs of this session."),
        field<&O::tuning_cells>("Tuning runs."),
        field<&O::cells_done>("Finished runs of both kinds; null if the data is not prepared."),
        field<&O::flops>("Total of all runs; null if unknown."),
        field<&O::seconds>("Sequential time of the remaining runs; null if unknown."),
        field<&O::assumed_std>(
            "Standard deviation over seeds, assumed by the next two keys; null if not given."),
        field<&O::detectable_difference>(
            "Smallest difference from the baseline detected with 80 % power."),
        field<&O::seeds_for_a_hundredth>("Seeds required to detect a difference of 0.01.",
                                         config::Key{"seeds_for_0.01"}),
        field<&O::smallest_p>("Smallest p that the seeds can give; above 0.05 no difference can "
                              "be significant."),
        field<&O::min_seeds>("Number of seeds needed for any significant difference.")};
  }
};

}  // namespace sluice::app
