#include "tests/report/example.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

#include "base/text_format.h"
#include "report/analysis.h"
#include "report/published.h"

namespace sluice::report {
namespace {

constexpr std::int64_t kSteps = 2400;
constexpr std::array<const char*, 3> kRates = {"1e-3", "3e-3", "1e-2"};

double normal(std::mt19937_64& random) {
  // not std::normal_distribution, which differs between standard libraries
  double sum = 0;
  for (int i = 0; i < 12; ++i) sum += static_cast<double>(random() >> 11) * 0x1p-53;
  return sum - 6;
}

// Result of a variant without noise: the paper's differences at the level of a small model.
double level_of(std::size_t variant) {
  return 3.9 + 0.8 * (kPublished[variant % 8].mean - kPublished[0].mean);
}

std::vector<CurvePoint> curve(double end, double seconds, std::size_t num_points, double noise,
                              std::mt19937_64& random) {
  std::vector<CurvePoint> points;
  for (std::size_t i = 1; i <= num_points; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(num_points);
    const double above = 4.5 * std::exp(-9 * share) + 0.6 * (1 - share) + noise * normal(random);
    points.push_back(
        {std::llround(share * kSteps), i == num_points ? end : end + above, share * seconds});
  }
  return points;
}

CellResult cell_of(const Variant& variant, std::size_t v, std::uint64_t seed,
                   const ExampleSize& size) {
  std::mt19937_64 of_seed(seed), random(1000 * seed + v);
  const double end = level_of(v) + 0.01 * normal(of_seed) + 0.005 * normal(random);
  const double seconds = 210 + 4 * static_cast<double>(v) + normal(random);
  CellResult cell{.settings = variant.settings,
                  .seed = seed,
                  .state = CellState::kFinished,
                  .log_perplexity = end};
  cell.bits_per_byte = end / 3.1;
  cell.steps = kSteps;
  cell.tokens = static_cast<std::uint64_t>(kSteps) * 4096;
  cell.training_seconds = seconds;
  cell.training = curve(end - 0.1, seconds, size.num_points, 0.05, random);
  cell.held_out = curve(end, seconds, size.num_points, 0.006, random);
  for (int k = 0; k < 40; ++k) {
    const std::uint64_t num_targets = 200 + 37 * static_cast<std::uint64_t>(k);
    cell.documents.push_back(
        {static_cast<double>(num_targets) * (end + 0.02 * normal(random)), num_targets});
  }
  cell.hash = cat("7f3a", seed, "c9", v);
  cell.build = "0.1.0 (9ce2175)";
  cell.libtorch = "2.13.0+cpu";
  cell.env.cpu = "AMD EPYC 9R14";
  cell.env.device = "cpu";
  cell.env.precision = "bf16";
  cell.env.threads = 2;
  cell.directory = cat("cells/", label_of(variant.settings), "-", seed);
  return cell;
}

void add_tuning(Comparison& comparison, Variant& variant, std::size_t v) {
  for (std::size_t k = 0; k < kRates.size(); ++k) {
    const double distance = static_cast<double>(k) - (v < 3 ? 1 : 1.3);
    TuningPoint& point = comparison.tuning.emplace_back();
    point.settings = variant.settings;
    point.candidate = {{"optimizer.lr", kRates[k]}};
    for (const double noise : {-0.004, 0.004})
      point.log_perplexity.push_back(level_of(v) + 0.03 + 0.05 * distance * distance + noise);
    point.chosen = k == 1;
  }
  variant.tuned = {{"optimizer.lr", "3e-3"}};
}

}  // namespace

Comparison example_comparison(const ExampleSize& size) {
  Comparison comparison;
  comparison.name = "glu-small";
  comparison.objective = "span_corruption";
  comparison.objective_title = "span corruption";
  comparison.targets_are_text = false;
  for (std::size_t s = 0; s < size.num_seeds; ++s) comparison.seeds.push_back(s + 1);
  for (std::size_t v = 0; v < size.num_variants; ++v) {
    const bool gated = v >= 3;
    Variant variant{
        .settings = {{"model.ffn", v < 8 ? std::string(kPublished[v].ffn) : cat("variant_", v)}},
        .sizes = {.num_parameters = 4'218'880,
                  .d_ff = gated ? 683 : 1024,
                  .d_ff_mismatch = gated ? 0.0005 : 0,
                  .multiply_adds_per_token = 4.1e6,
                  .flops_per_token = 2.46e7}};
    add_tuning(comparison, variant, v);
    comparison.variants.push_back(variant);
  }
  for (std::size_t v = 0; v < size.num_variants; ++v) {
    for (const std::uint64_t seed : comparison.seeds)
      comparison.cells.push_back(cell_of(comparison.variants[v], v, seed, size));
  }
  comparison.tuning_note =
      "optimizer.lr was tuned per variant on the third split with seeds 101 and 102";
  comparison.config =
      "compare:\n  vary: {model.ffn: [relu, gelu, swish, glu, bilinear, geglu, swiglu, reglu]}\n  "
      "seeds: [1, 2, 3, 4, 5]\n"
      "  baseline: {model.ffn: relu}\n  equalize: steps\nmodel: {type: encoder_decoder, d_model: "
      "256, d_ff: match}\n";
  comparison.commands = {"sluice compare configs/compare/t5_small.yaml",
                         "sluice compare configs/compare/t5_small.yaml --report"};
  comparison.data_fingerprint = "5f0c7a1be29d4410";
  comparison.tokenizer_hash = "c01dbeef99aa1234";
  comparison.version = "0.1.0 (9ce2175)";
  return comparison;
}

CellResult& cell_at(Comparison& comparison, std::size_t variant, std::size_t seed) {
  return comparison.cells[variant * comparison.seeds.size() + seed];
}

void break_cell(CellResult& cell, CellState status, const std::string& remark) {
  cell.state = status;
  cell.remark = remark;
  cell.log_perplexity.reset();
  cell.bits_per_byte.reset();
  cell.documents.clear();
}

bool has_note(const Comparison& comparison, std::string_view part) {
  const Analysis analysis = analyze(comparison);
  const std::vector<std::string> lines = notes(comparison, analysis);
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

}  // namespace sluice::report
