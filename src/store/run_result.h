// RUN/result.json: what a finished run has to show, so that others can compare runs without LibTorch and without reading weights.
//
// Written once, atomically, after the evaluation of the last step; a run that goes on (more steps) replaces it. Doubles are printed so that they
// read back as the same double.
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
  static constexpr config::RecordFormat record{.name = "result",
                                               .place = "RUN/result.json",
                                               .summary = "What a finished run has to show. Written after the evaluation of the last step.",
                                               .expected = "a result as `sluice train` writes it",
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
        field<&R::uniform_log_perplexity>("What a uniform guess gives: ln of the softmax's rows. Missing where nothing is held out.",
                                          MayBeMissing{}),
        field<&R::initial_log_perplexity>("`log_perplexity` before the first step; missing where it is of other tokens than the last.",
                                          MayBeMissing{}),
        field<&R::num_targets>("Held-out targets scored."),
        field<&R::num_dropped_tokens>(
            "Tokens of the held-out set that are never scored: with span corruption the tail shorter than one segment, else 0.",
            MayBeMissing{}),
        field<&R::num_parameters>("Parameters of the model; tied ones count once."),
        field<&R::flops_per_token>("Training FLOPs per target token; see `sluice plan`."),
        field<&R::multiply_adds_per_token>("Multiply-adds of the forward pass per target token."),
        field<&R::training_seconds>("Seconds spent in steps by all processes of this run that lived to save; evaluations left out."),
        field<&R::config>("The resolved configuration without paths, as YAML."),
        field<&R::data_fingerprint>("Of the prepared data: a hash of its settings and input files."),
        field<&R::tokenizer_hash>("XXH3-128 of the tokenizer's file."),
        field<&R::build>("Program and revision: \"0.1.0 (9ce2175)\"."),
        field<&R::libtorch>("Version of LibTorch: \"2.13.0+cpu\"."),
        field<&R::cpu>("Processor model."),
        field<&R::device>("cpu or cuda."),
        field<&R::precision>("fp32 or bf16."),
        field<&R::threads>("Threads of the last start."),
        field<&R::documents>("The held-out documents, in the order of the set; empty where `evaluate.final_max_tokens` leaves some out.")};
  }
};

void write_run_result(const RunResult& result, const std::filesystem::path& path);
// kMissingInput where there is none, kBadData where it is damaged.
RunResult read_run_result(const std::filesystem::path& path);

// Whether the run ended with a model that has learned nothing: its held-out log-perplexity is that of before the first step; or that of a uniform
// guess; or worse than a guess, after 50 steps or more than at the start. A short run that is on its way below the guess is none. Nothing where
// there is no figure or no uniform guess to hold it against.
std::optional<bool> learned_nothing(const RunResult& result);
// What to tell the user, in one line; empty unless learned_nothing().
std::string learned_nothing_warning(const RunResult& result);

}  // namespace sluice::store
