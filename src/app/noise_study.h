// `sluice compare CONFIG --noise`: where the variation between seeds comes from.
//
// The baseline variant is trained again and again while one source of randomness changes and the
// others keep the first seed: initial values, data order and dropout masks (run.seeds), rounding
// (the number of threads, on a CPU), and all seeds together. The values of compare.tune are not
// used. Runs are cells of ordinary comparisons in DIR/noise/SOURCE; they are not repeated.
#pragma once

#include "app/commands.h"
#include "app/comparison_config.h"
#include "app/outputs.h"

namespace sluice::app {

// One source of randomness.
struct NoiseRecord {
  std::string source;
  std::vector<double> values;
  std::optional<double> std, std_low, std_high, share;

  static constexpr auto fields() {
    using config::field;
    using N = NoiseRecord;
    return std::tuple{
        field<&N::source>("initial_values, data_order, dropout_masks, rounding or all."),
        field<&N::values>("Metric of each finished run."),
        field<&N::std>("Their standard deviation; null for fewer than two runs."),
        field<&N::std_low>("Lower bound of its 95 % confidence interval (chi-squared)."),
        field<&N::std_high>("Upper bound."),
        field<&N::share>("Variance divided by that of `all`; null if that is 0 or unknown.")};
  }
};

struct NoiseOutput {
  static constexpr auto record =
      output("noise", "`sluice compare --noise --json`, and DIR/noise/noise.json",
             "Standard deviation of the metric by source of randomness.");
  std::string variant, metric;
  std::vector<NoiseRecord> sources;

  static constexpr auto fields() {
    using config::field;
    using O = NoiseOutput;
    return std::tuple{field<&O::variant>("Label of the baseline."),
                      field<&O::metric>("Metric of the comparison."),
                      field<&O::sources>("One object per source.")};
  }
};

// Trains what is missing, prints the table and writes DIR/noise/noise.json. kUsage for fewer than
// two seeds; kInterrupted and the codes of failed runs as `compare`.
void noise_command(const CompareOptions& options, const ComparisonConfig& config);

}  // namespace sluice::app
