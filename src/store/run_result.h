// RUN/result.json: the results of a finished run, for comparisons without LibTorch or weights.
//
// Written once, atomically, after the evaluation of the last step; replaced if the run is continued
// for more steps. Doubles round-trip exactly.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/record.h"
#include "store/held_out_figures.h"

namespace sluice::store {

struct RunResult {
  static constexpr config::RecordFormat record{
      .name = "result",
      .place = "RUN/result.json",
      .summary = "Results of a finished run. Written after the evaluation of the last step.",
      .expected = "a result written by `sluice train`",
      .version = 1,
      .indent = -1,
      .seal = config::RecordFormat::Seal::kRequired};
  std::int64_t step = 0;
  std::uint64_t tokens = 0;
  HeldOutFigures figures;  // of the last step
  std::optional<double> uniform_log_perplexity, initial_log_perplexity;
  std::uint64_t num_targets = 0;
  std::optional<std::uint64_t> num_dropped_tokens = 0;
  std::int64_t num_parameters = 0;
  double flops_per_token = 0, multiply_adds_per_token = 0, training_seconds = 0;
  std::string config;
  std::string data_fingerprint, tokenizer_hash;
  std::string build, libtorch, cpu, device, precision;
  std::int64_t threads = 0;
  std::vector<DocumentLoss> documents;

  static constexpr auto fields() {
    using R = RunResult;
    using config::field, config::MayBeMissing;
    return std::tuple{
        field<&R::step>("Optimizer steps of the run."),
        field<&R::tokens>("Target tokens trained on."),
        config::rows_of<&R::figures>(),
        field<&R::uniform_log_perplexity>(
            "`log_perplexity` of a uniform guess: ln of the number of "
            "softmax rows. Missing without held-out data.",
            MayBeMissing{}),
        field<&R::initial_log_perplexity>("`log_perplexity` before the first step; missing if "
                                          "measured on other tokens than at the last step.",
                                          MayBeMissing{}),
        field<&R::num_targets>("Held-out targets scored."),
        field<&R::num_dropped_tokens>("Tokens of the held-out set that are never scored: with span "
                                      "corruption, the tail shorter than one segment; else 0.",
                                      MayBeMissing{}),
        field<&R::num_parameters>("Parameters of the model; tied ones count once."),
        field<&R::flops_per_token>("Training FLOPs per target token; see `sluice plan`."),
        field<&R::multiply_adds_per_token>("Multiply-adds of the forward pass per target token."),
        field<&R::training_seconds>("Seconds spent in steps, up to the last save of each process "
                                    "of the run; without evaluations."),
        field<&R::config>("The resolved configuration without paths, as YAML."),
        field<&R::data_fingerprint>("Fingerprint of the prepared data: a hash of its settings and "
                                    "input files."),
        field<&R::tokenizer_hash>("XXH3-128 of the tokenizer's file."),
        field<&R::build>("Program and revision: \"0.1.0 (9ce2175)\"."),
        field<&R::libtorch>("Version of LibTorch: \"2.13.0+cpu\"."),
        field<&R::cpu>("Processor model."),
        field<&R::device>("cpu or cuda."),
        field<&R::precision>("fp32 or bf16."),
        field<&R::threads>("Threads of the last start."),
        field<&R::documents>("The held-out documents, in order; empty if "
                             "`evaluate.final_max_tokens` excludes some.")};
  }
};

void write_run_result(const RunResult& result, const std::filesystem::path& path);
// kMissingInput if the file does not exist, kBadData if it is damaged.
RunResult read_run_result(const std::filesystem::path& path);

// Whether the model did not learn: its final held-out log-perplexity equals the initial one or that
// of a uniform guess; or it is worse than a guess, and either there were at least 50 steps or it is
// worse than initially. A short run that is improving towards the guess counts as learning. nullopt
// without a log-perplexity or a uniform guess to compare with.
std::optional<bool> learned_nothing(const RunResult& result);
// A one-line warning; empty unless learned_nothing().
std::string learned_nothing_warning(const RunResult& result);

}  // namespace sluice::store
