// The page of `sluice report`: one or several runs, side by side. It shows figures and differences
// of settings, and tests nothing; report.h compares.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/flat_settings.h"

namespace sluice::report {

struct ShownStep {
  std::int64_t step = 0;
  double log_perplexity = 0, grad_norm = 0, lr = 0;  // nats per target token
  double seconds = 0;                                // of this step
  double tokens_per_s = 0;
  std::optional<double> mfu, resident_bytes;
};

struct ShownEvaluation {
  std::int64_t step = 0;
  std::optional<double> log_perplexity, perplexity, bits_per_byte, word_perplexity;
};

struct ShownSample {
  std::int64_t step = 0;
  std::string prompt, text;
};

struct ShownRun {
  std::string name, directory;
  config::FlatSettings settings;
  std::string yaml;            // of the same settings
  std::int64_t num_steps = 0;  // when finished
  bool is_finished = false;
  std::vector<ShownStep> steps;  // by step
  std::vector<ShownEvaluation> evaluations;
  std::vector<ShownSample> samples;  // by step
  std::uint64_t tokens = 0;          // target tokens trained on
  std::int64_t num_parameters = 0;   // 0: unknown
  // empty if unknown
  std::string machine, device, precision, build, data_fingerprint, tokenizer_hash;
};

// A self-contained page without scripts, well-formed as HTML and XML; a function of its arguments
// alone. At least one run. `version`: of the program.
std::string run_page(std::span<const ShownRun> runs, std::string_view version);

}  // namespace sluice::report
