// What the commands print with --json: one object on one line.
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
#include "report/comparison.h"
#include "store/held_out_figures.h"

namespace sluice::app {

constexpr config::RecordFormat output(std::string_view name, std::string_view command, std::string_view summary) {
  return {.name = name, .place = command, .summary = summary, .expected = "what the command prints", .indent = -1};
}

struct TrainOutput {
  static constexpr auto record = output("train", "`sluice train --json`", "What a finished run has to say.");
  std::string run_directory, checkpoint;
  std::int64_t step = 0;
  std::uint64_t tokens = 0;
  std::int64_t num_parameters = 0;
  std::optional<double> initial_log_perplexity;
  store::HeldOutFigures figures;
  std::optional<std::uint64_t> num_dropped_tokens;
  double seconds = 0;
  std::optional<double> tokens_per_s;
  std::uint64_t peak_memory_bytes = 0;
  std::string data_fingerprint;

  static constexpr auto fields() {
    using config::field;
    using O = TrainOutput;
    return std::tuple{field<&O::run_directory>("RUN."),
                      field<&O::checkpoint>("The last checkpoint."),
                      field<&O::step>("Finished optimizer steps."),
                      field<&O::tokens>("Target tokens trained on."),
                      field<&O::num_parameters>("Parameters of the model."),
                      field<&O::initial_log_perplexity>("`log_perplexity` before the first step."),
                      config::rows_of<&O::figures>(),
                      field<&O::num_dropped_tokens>("The tail of the held-out set that fills no segment."),
                      field<&O::seconds>("This process spent training."),
                      field<&O::tokens_per_s>("Of this process; null where it had no step to do."),
                      field<&O::peak_memory_bytes>("Peak resident memory of this process."),
                      field<&O::data_fingerprint>("Of the prepared data.")};
  }
};

struct PrepareOutput {
  static constexpr auto record = output("prepare", "`sluice prepare --json`", "The prepared data, with the counts of each split.");
  std::string directory, fingerprint;
  std::int64_t vocab_size = 0;
  std::string tokenizer_hash;
  bool lossless = true;
  std::uint64_t num_documents_in_both = 0;
  std::optional<std::uint64_t> num_bytes_in_both;
  std::map<std::string, data::SplitCounts> splits;

  static constexpr auto fields() {
    using config::field;
    using O = PrepareOutput;
    return std::tuple{field<&O::directory>("Where the shards are."),
                      field<&O::fingerprint>("Hash of the settings that determine tokens, and of every input file."),
                      field<&O::vocab_size>("Pieces of the tokenizer."),
                      field<&O::tokenizer_hash>("XXH3-128 of its file."),
                      field<&O::lossless>("Whether decoding gives back the very text."),
                      field<&O::num_documents_in_both>("Held-out documents that the training files have too."),
                      field<&O::num_bytes_in_both>("Bytes of held-out text that they have too; null: not known."),
                      field<&O::splits>("One for each split: train, valid, tune.", config::Rest{})};
  }
};

struct EvalOutput {
  static constexpr auto record = output("eval", "`sluice eval --json`", "Perplexity of the held-out set, or of the text of --data.");
  store::HeldOutFigures figures;
  std::uint64_t num_tokens = 0;
  std::optional<std::uint64_t> num_bytes, num_words;
  std::uint64_t num_unknown = 0, num_dropped_tokens = 0;
  bool lossless = true;
  std::int64_t step = 0;

  static constexpr auto fields() {
    using config::field;
    using O = EvalOutput;
    return std::tuple{config::rows_of<&O::figures>(),
                      field<&O::num_tokens>("Targets scored."),
                      field<&O::num_bytes>("Bytes of the text; null where a part was scored."),
                      field<&O::num_words>("Its words; null likewise."),
                      field<&O::num_unknown>("Tokens that are the tokenizer's unknown piece."),
                      field<&O::num_dropped_tokens>("The tail of the text that fills no segment."),
                      field<&O::lossless>("Whether the tokenizer gives back the very text."),
                      field<&O::step>("Of the checkpoint.")};
  }
};

struct GenerateOutput {
  static constexpr auto record = output("generate", "`sluice generate --json`", "A prompt and what the model makes of it.");
  std::string prompt, text;
  std::optional<std::vector<std::string>> spans;
  std::string stop;
  bool interrupted = false;
  std::int64_t step = 0;

  static constexpr auto fields() {
    using config::field;
    using O = GenerateOutput;
    return std::tuple{field<&O::prompt>("As given."),
                      field<&O::text>("What follows it; of a model that fills blanks, the prompt with the blanks filled."),
                      field<&O::spans>("What fills each blank.", config::MayBeMissing{}),
                      field<&O::stop>("Why there is no more: eos, length or interrupted."),
                      field<&O::interrupted>("Whether a signal cut it."),
                      field<&O::step>("Of the checkpoint.")};
  }
};

struct PlanOutput {
  static constexpr auto record = output("plan", "`sluice plan --json`", "What a run will need, from its configuration alone.");
  struct Part {
    std::string name;
    std::int64_t num_parameters = 0;
    double flops_per_token = 0;
    static constexpr auto fields() {
      using config::field;
      return std::tuple{field<&Part::name>("embedding, attention, ffn, norm or head."), field<&Part::num_parameters>("Its parameters."),
                        field<&Part::flops_per_token>("Its training FLOPs per target token.")};
    }
  };
  std::int64_t num_parameters = 0, num_non_embedding_parameters = 0;
  double multiply_adds_per_token = 0, flops_per_token = 0;
  std::string flops_formula;
  std::int64_t d_ff = 0;
  double d_ff_mismatch = 0;
  std::int64_t vocab_size = 0;
  std::vector<Part> parts;
  std::int64_t threads = 0, tokens_per_step = 0;
  std::optional<std::uint64_t> tokens_per_epoch;
  std::optional<std::int64_t> steps;
  std::uint64_t memory_bytes = 0;
  std::vector<std::pair<std::string, std::uint64_t>> memory;
  std::uint64_t checkpoint_bytes = 0, disk_bytes = 0;
  bool is_prepared = false;
  std::optional<std::int64_t> num_evaluations, num_saves;

  static constexpr auto fields() {
    using config::field;
    using O = PlanOutput;
    return std::tuple{field<&O::num_parameters>("Parameters of the model; tied ones count once."),
                      field<&O::num_non_embedding_parameters>("Without token and position embeddings and an untied head."),
                      field<&O::multiply_adds_per_token>("Of the forward pass, per target token."),
                      field<&O::flops_per_token>("Of training, per target token."),
                      field<&O::flops_formula>("How they are counted."),
                      field<&O::d_ff>("Width of the feed-forward layer."),
                      field<&O::d_ff_mismatch>("Its parameters against those of the reference layer, as a share."),
                      field<&O::vocab_size>("Pieces of the tokenizer."),
                      field<&O::parts>("The parts of the model."),
                      field<&O::threads>("Threads of the run."),
                      field<&O::tokens_per_step>("Target tokens of a step."),
                      field<&O::tokens_per_epoch>("Target tokens of an epoch; null where the data is not prepared."),
                      field<&O::steps>("Steps of the run; null where they follow from data that is not prepared."),
                      field<&O::memory_bytes>("Estimated peak of the process."),
                      field<&O::memory>("The same by cause."),
                      field<&O::checkpoint_bytes>("One checkpoint."),
                      field<&O::disk_bytes>("All that are kept at once, and the one being written."),
                      field<&O::is_prepared>("Whether the data is there."),
                      field<&O::num_evaluations>("Evaluations of the run; null where not known."),
                      field<&O::num_saves>("Checkpoints written in all; null where not known.")};
  }
};

struct MeasuredPlanOutput {
  static constexpr auto record =
      output("plan-measured", "`sluice plan --measure --json`", "The same with the times of steps on this machine.");
  PlanOutput plan;
  double seconds_per_step = 0, tokens_per_s = 0;
  std::uint64_t measured_peak_memory_bytes = 0;
  double start_seconds = 0;
  std::optional<double> evaluation_seconds;
  double checkpoint_seconds = 0, other_seconds = 0;
  std::optional<double> seconds;

  static constexpr auto fields() {
    using config::field;
    using O = MeasuredPlanOutput;
    return std::tuple{config::rows_of<&O::plan>(),
                      field<&O::seconds_per_step>("Median."),
                      field<&O::tokens_per_s>("Target tokens per second."),
                      field<&O::measured_peak_memory_bytes>("Of the process that measured."),
                      field<&O::start_seconds>("From the start of the process until the model stood."),
                      field<&O::evaluation_seconds>("All evaluations together; null where not known."),
                      field<&O::checkpoint_seconds>("One checkpoint."),
                      field<&O::other_seconds>("Start, evaluations and checkpoints together."),
                      field<&O::seconds>("The whole run; null where its steps are not known.")};
  }
};

struct VerifyOutput {
  static constexpr auto record = output("verify", "`sluice verify --json`", "What was checked, and what is damaged.");
  struct Checked {
    std::string subject;
    std::optional<std::int64_t> step;
    std::optional<std::string> fault;
    static constexpr auto fields() {
      using config::field;
      return std::tuple{field<&Checked::subject>("A file or directory."), field<&Checked::step>("Of a checkpoint."),
                        field<&Checked::fault>("What is wrong with it; null: nothing.")};
    }
  };
  bool sound = true;
  std::optional<std::int64_t> step;
  std::vector<Checked> checked;

  static constexpr auto fields() {
    using config::field;
    return std::tuple{field<&VerifyOutput::sound>("Nothing is damaged."),
                      field<&VerifyOutput::step>("Of the newest checkpoint that verifies; null where there is none."),
                      field<&VerifyOutput::checked>("One by one.")};
  }
};

struct DoctorOutput {
  static constexpr auto record = output("doctor", "`sluice doctor --json`", "Versions and machine, and what they mean for speed.");
  std::string version, git_revision, libtorch, cpu, cpu_features;
  std::int64_t threads = 0, num_cpus = 0;
  std::uint64_t memory_bytes = 0;
  bool gpu = false;
  std::uint64_t free_disk_bytes = 0;
  double fp32_gflops = 0, bf16_gflops = 0;
  std::string precision_auto;
  std::vector<std::string> advice;

  static constexpr auto fields() {
    using config::field;
    using O = DoctorOutput;
    return std::tuple{field<&O::version>("Of the program."),
                      field<&O::git_revision>("Revision of its source."),
                      field<&O::libtorch>("Version of LibTorch."),
                      field<&O::cpu>("Processor model."),
                      field<&O::cpu_features>("Its features that matter here."),
                      field<&O::threads>("What train.threads auto gives."),
                      field<&O::num_cpus>("Processors that this process may use."),
                      field<&O::memory_bytes>("Main memory."),
                      field<&O::gpu>("Whether LibTorch finds one."),
                      field<&O::free_disk_bytes>("In the working directory."),
                      field<&O::fp32_gflops>("Matrix products, measured now."),
                      field<&O::bf16_gflops>("Likewise."),
                      field<&O::precision_auto>("What train.precision auto gives."),
                      field<&O::advice>("In words.")};
  }
};

struct CompareOutput {
  static constexpr auto record =
      output("compare", "`sluice compare --json`", "How many cells ended how; the figures are in DIR/results.json.");
  std::string directory;
  std::uint64_t finished = 0, diverged = 0, failed = 0, waiting = 0;
  std::string results, report;

  static constexpr auto fields() {
    using config::field;
    using O = CompareOutput;
    return std::tuple{field<&O::directory>("Where the report is."),
                      field<&O::finished>("Cells with a figure."),
                      field<&O::diverged>("Cells whose run diverged."),
                      field<&O::failed>("Cells whose run failed."),
                      field<&O::waiting>("Cells still to do."),
                      field<&O::results>("DIR/results.json."),
                      field<&O::report>("DIR/report.html.")};
  }
};

struct ForecastOutput {
  static constexpr auto record = output("compare-dry-run", "`sluice compare --dry-run --json`", "What a comparison would do.");
  struct Variant {
    report::Settings settings;
    std::int64_t num_parameters = 0, d_ff = 0;
    double d_ff_mismatch = 0, multiply_adds_per_token = 0, flops_per_token = 0;
    std::optional<std::int64_t> steps;
    std::optional<double> seconds_per_step, other_seconds;

    static constexpr auto fields() {
      using config::field;
      using V = Variant;
      return std::tuple{field<&V::settings>("Values of the varied keys."),
                        field<&V::num_parameters>("Parameters of the model."),
                        field<&V::d_ff>("Width of the feed-forward layer."),
                        field<&V::d_ff_mismatch>("Its parameters against those of the reference layer, as a share."),
                        field<&V::multiply_adds_per_token>("Of the forward pass, per target token."),
                        field<&V::flops_per_token>("Of training, per target token."),
                        field<&V::steps>("Of a run; null where they follow from data that is not prepared."),
                        field<&V::seconds_per_step>("Measured, or of finished cells; null where neither."),
                        field<&V::other_seconds>("Of a run: start, evaluations and checkpoints; null likewise.")};
    }
  };
  std::vector<Variant> variants;
  std::uint64_t baseline = 0, cells = 0, tuning_cells = 0;
  std::optional<std::uint64_t> cells_done;
  std::optional<double> flops, seconds, assumed_std, detectable_difference;
  std::optional<std::int64_t> seeds_for_a_hundredth;

  static constexpr auto fields() {
    using config::field;
    using O = ForecastOutput;
    return std::tuple{
        field<&O::variants>("In the order asked for."),
        field<&O::baseline>("Its place in `variants`."),
        field<&O::cells>("Runs of this session."),
        field<&O::tuning_cells>("Runs that choose values."),
        field<&O::cells_done>("Of both; null where the data is not prepared."),
        field<&O::flops>("Of all runs together; null where not known."),
        field<&O::seconds>("Of those still to do, one after the other; null where not known."),
        field<&O::assumed_std>("Spread over seeds that the next two assume; null where there is none."),
        field<&O::detectable_difference>("Smallest difference from the baseline that would be found in 80 of 100 comparisons."),
        field<&O::seeds_for_a_hundredth>("Seeds that a difference of 0.01 needs.", config::Key{"seeds_for_0.01"})};
  }
};

}  // namespace sluice::app
