// DIRECTORY/comparison.json: the cells of a comparison and what they have in common. Rewritten by
// each session, so that reports need only the directory. Results are stored with the cells.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "compare/compare_config.h"
#include "config/record.h"
#include "report/comparison.h"

namespace sluice::compare {

struct ComparisonRecord {
  static constexpr config::RecordFormat record{
      .name = "comparison",
      .place = "DIR/comparison.json",
      .summary =
          "The cells of a comparison and what they have in common. Results are stored with "
          "the cells.",
      .expected = "a comparison written by `sluice compare`; run it again to rewrite the file",
      .version = 1};

  struct VariantRecord {
    report::Variant variant;
    std::string hash;
    std::optional<std::int64_t> steps;
    static constexpr auto fields() {
      using config::field;
      return std::tuple{
          config::rows_of<&VariantRecord::variant>(),
          field<&VariantRecord::hash>("Hash of the variant, independent of seed and precision."),
          field<&VariantRecord::steps>("Number of steps if set by equal time.",
                                       config::MayBeMissing{})};
    }
  };
  struct CellPlace {
    report::Settings settings;
    std::uint64_t seed = 0;
    std::string hash, directory;
    static constexpr auto fields() {
      using config::field;
      return std::tuple{field<&CellPlace::settings>("Values of the varied keys."),
                        field<&CellPlace::seed>("Seed."),
                        field<&CellPlace::hash>("Hash of everything that determines the result."),
                        field<&CellPlace::directory>(
                            "Relative to this directory; empty until its values are chosen.")};
    }
  };

  report::ComparisonInfo info;
  std::vector<VariantRecord> variants;
  std::vector<CellPlace> cells;

  static constexpr auto fields() {
    using config::field;
    using R = ComparisonRecord;
    return std::tuple{config::rows_of<&R::info>(), field<&R::variants>("In the requested order."),
                      field<&R::cells>("One per variant and seed.")};
  }
};

// The two lists parallel comparison.variants and must be equal in directories to be merged.
struct ComparisonFile {
  report::Comparison comparison;                   // cells: only settings, seed, hash and directory
  std::vector<std::string> variant_hashes;         // independent of seed and precision
  std::vector<std::optional<std::int64_t>> steps;  // set by equal time
};

// What a configuration fixes before the first run; the rest is empty.
report::ComparisonInfo info_of(const CompareConfig& config, std::string name = "",
                               std::string config_text = "");

// Sets the objective, its title and targets_are_text.
void set_objective(report::Comparison& comparison, const std::string& kind);

void write_comparison(const ComparisonFile& file, const std::filesystem::path& directory);
// kMissingInput if there is no comparison.json, kBadData if it is damaged.
ComparisonFile read_comparison(const std::filesystem::path& directory);

}  // namespace sluice::compare
