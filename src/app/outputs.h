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
  std::optional<std::uint64_t> sharded_memory_bytes;
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
        field<&O::sharded_memory_bytes>(
            "The same with `distributed.shard: parameters`; null for one process, and if that is "
            "set."),
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

}  // namespace sluice::app
