// A comparison of runs as data: what compare/ collects from run directories and report/ turns into tables and a page. No statistics in
// here: they follow from the cells (stats/).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "config/field.h"
#include "stats/held_out_error.h"

namespace sluice::report {

// Values of the varied keys, in the order of `compare.vary`: {"model.ffn", "geglu"}.
using Settings = std::vector<std::pair<std::string, std::string>>;
std::string label_of(const Settings& settings);  // "geglu"; "geglu, 3e-3" where several keys vary

enum class CellStatus { kFinished, kDiverged, kFailed, kWaiting };

// One point of a curve. In the middle of a curve the learning rate has not decayed: comparisons there are approximate.
struct CurvePoint {
  std::int64_t step = 0;
  double log_perplexity = 0;
  double seconds = 0;            // of training so far
  std::uint64_t num_tokens = 0;  // held-out targets that it is the mean of; 0 where that is not known
};

using stats::DocumentLoss;  // held-out cross-entropy of one document under one cell

// One run of the grid.
struct Cell {
  Settings settings;
  std::uint64_t seed = 0;
  CellStatus status = CellStatus::kWaiting;
  std::string remark;                    // why it failed or diverged, in one line
  std::optional<double> log_perplexity;  // held-out, after the last step; finished cells only
  std::optional<double> bits_per_byte;
  std::optional<double> uniform_log_perplexity;  // what a uniform guess gives; none for runs of earlier versions
  std::optional<bool> learned_nothing;           // store/run_result.h; likewise
  std::vector<DocumentLoss> documents;           // the same documents in the same order in every cell
  std::int64_t steps = 0;
  std::uint64_t tokens = 0;  // target tokens trained on
  double training_seconds = 0;
  std::vector<CurvePoint> training, held_out;  // thinned to a few hundred points
  std::string hash;                            // of everything that determines the result
  std::string build, libtorch, cpu, device, precision;
  std::int64_t threads = 0;
  std::string directory;  // where its run lies, relative to the comparison's directory
};

// What does not depend on the seed.
struct Variant {
  Settings settings;
  std::int64_t num_parameters = 0, d_ff = 0;
  double d_ff_mismatch = 0;            // see model::ModelSizes
  double multiply_adds_per_token = 0;  // forward, per target token
  double flops_per_token = 0;          // training
  Settings tuned;                      // values chosen on the third split: {"optimizer.lr", "3e-3"}; empty without tuning

  static constexpr auto fields() {
    using config::field;
    using V = Variant;
    return std::tuple{field<&V::settings>("Values of the varied keys."),
                      field<&V::num_parameters>("Parameters of the model."),
                      field<&V::d_ff>("Width of the feed-forward layer."),
                      field<&V::d_ff_mismatch>("Its parameters against those of the reference layer, as a share."),
                      field<&V::multiply_adds_per_token>("Of the forward pass, per target token."),
                      field<&V::flops_per_token>("Of training, per target token."),
                      field<&V::tuned>("Values chosen by compare.tune; empty without it.")};
  }
};

// One candidate of compare.tune, averaged over the tuning seeds, on the third split.
struct TuningPoint {
  Settings settings;                   // of the variant
  Settings candidate;                  // {"optimizer.lr", "3e-3"}
  std::vector<double> log_perplexity;  // one per tuning seed, whatever the metric
  std::string remark;                  // a diverged or failed candidate says so
  bool diverged = false;
  bool learned_nothing = false;  // one of its runs
  bool chosen = false;

  static constexpr auto fields() {
    using config::field, config::MayBeMissing;
    using P = TuningPoint;
    return std::tuple{field<&P::settings>("Values of the varied keys."),
                      field<&P::candidate>("Values that were tried."),
                      field<&P::log_perplexity>("On the tuning split, one per tuning seed."),
                      field<&P::remark>("Why there is no figure; else empty."),
                      field<&P::diverged>("Whether a run of it diverged.", MayBeMissing{}),
                      field<&P::learned_nothing>("Whether a run of it has learned nothing.", MayBeMissing{}),
                      field<&P::chosen>("Whether the variant takes it.")};
  }
};

struct Comparison {
  std::string name;                       // run.name
  std::string metric = "log_perplexity";  // or "bits_per_byte"
  std::string equalize = "steps";         // or "time"
  std::string objective;                  // "causal_lm", "span_corruption"
  std::string objective_title;            // "next token"
  bool targets_are_text = true;           // every token of the text is a target
  std::vector<std::uint64_t> seeds;       // all that were asked for
  std::vector<Variant> variants;          // in the order asked for
  std::size_t baseline = 0;               // index into variants
  std::vector<Cell> cells;                // variants × seeds, waiting ones included
  std::vector<TuningPoint> tuning;
  std::string tuning_note;                       // "same learning rate for all", or what was tuned on which seeds
  std::string config;                            // the comparison's YAML, merged and overridden
  std::vector<std::string> commands;             // how to do it again
  std::string data_fingerprint, tokenizer_hash;  // empty where variants do not share them
  std::string version;                           // of the program that wrote the report
};

// The metric's value of a finished cell; none where it is not finite or not there.
std::optional<double> figure_of(const Comparison& comparison, const Cell& cell);
bool has_learned_nothing(const Cell& cell);
std::string metric_title(const Comparison& comparison);      // "log-perplexity", "bits per byte"
std::string_view metric_unit(const Comparison& comparison);  // "nats per target token", "bits per byte"

}  // namespace sluice::report
