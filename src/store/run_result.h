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

namespace sluice::store {

// Held-out cross-entropy of one document: Σ nats over its scored targets, and their number.
struct DocumentLoss {
  double nats = 0;
  std::uint64_t num_targets = 0;
};

struct RunResult {
  std::int64_t step = 0;
  std::uint64_t tokens = 0;                                                          // target tokens trained on
  std::optional<double> log_perplexity, perplexity, bits_per_byte, word_perplexity;  // of the last step; missing where nothing is held out
  // What a uniform guess over the softmax's rows gives: ln(rows); and the held-out figure before the first step, where it was measured on the same
  // tokens as the last. Nothing in files of versions that did not say.
  std::optional<double> uniform_log_perplexity, initial_log_perplexity;
  std::uint64_t num_targets = 0;  // held-out targets scored
  // The tail of the held-out set that fills no segment; 0 where nothing is held out. Nothing in files of versions that did not say.
  std::optional<std::uint64_t> num_dropped_tokens = 0;
  std::vector<DocumentLoss> documents;  // of the held-out set, in its order; sums give log_perplexity
  std::int64_t num_parameters = 0;
  double flops_per_token = 0;          // per target token trained on; see `sluice plan`
  double multiply_adds_per_token = 0;  // of the forward pass, per target token
  double training_seconds = 0;         // spent in steps by all processes of this run that lived to save; evaluations left out
  std::string config;                  // the resolved configuration without paths (YAML)
  std::string data_fingerprint, tokenizer_hash;
  std::string build, libtorch, cpu, device, precision;  // "0.1.0 (9ce2175)", "2.13.0+cpu", "AMD EPYC ...", "cpu", "bf16"
  std::int64_t threads = 0;
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
