// DIRECTORY/comparison.json: which cells a comparison is made of, and what is the same for all of them. Written at the start of each session, so
// that the report can be made from the directory alone. The cells' results lie with the cells.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "config/record.h"
#include "report/comparison.h"

namespace sluice::compare {

struct ComparisonRecord {
  static constexpr config::RecordFormat record{
      .name = "comparison",
      .place = "DIR/comparison.json",
      .summary = "Which cells a comparison is made of, and what is the same for all of them. Their results lie with the cells.",
      .expected = "what `sluice compare` wrote; run it again to rewrite it",
      .version = 1};

  struct VariantRecord {
    report::Variant variant;
    std::string hash;
    std::optional<std::int64_t> steps;
    static constexpr auto fields() {
      using config::field;
      return std::tuple{config::rows_of<&VariantRecord::variant>(),
                        field<&VariantRecord::hash>("What it is, whatever the seed and the precision."),
                        field<&VariantRecord::steps>("Steps, where equal time sets them.", config::MayBeMissing{})};
    }
  };
  struct CellPlace {
    report::Settings settings;
    std::uint64_t seed = 0;
    std::string hash, directory;
    static constexpr auto fields() {
      using config::field;
      return std::tuple{field<&CellPlace::settings>("Values of the varied keys."), field<&CellPlace::seed>("Seed."),
                        field<&CellPlace::hash>("Hash of everything that determines its result."),
                        field<&CellPlace::directory>("From this directory; empty while its values are not chosen.")};
    }
  };

  std::string name, metric, equalize, objective;
  std::vector<std::uint64_t> seeds;
  std::uint64_t baseline = 0;
  std::string tuning_note, config;
  std::vector<std::string> commands;
  std::string data_fingerprint, tokenizer_hash;
  std::vector<VariantRecord> variants;
  std::vector<report::TuningPoint> tuning;
  std::vector<CellPlace> cells;

  static constexpr auto fields() {
    using config::field;
    using R = ComparisonRecord;
    return std::tuple{field<&R::name>("run.name."),
                      field<&R::metric>("log_perplexity or bits_per_byte."),
                      field<&R::equalize>("steps or time."),
                      field<&R::objective>("Type of the objective."),
                      field<&R::seeds>("All that were asked for."),
                      field<&R::baseline>("Its place in `variants`."),
                      field<&R::tuning_note>("What was tuned on which seeds."),
                      field<&R::config>("The comparison's configuration, as YAML."),
                      field<&R::commands>("How to do it again."),
                      field<&R::data_fingerprint>("Empty where variants do not share it."),
                      field<&R::tokenizer_hash>("Likewise."),
                      field<&R::variants>("In the order asked for."),
                      field<&R::tuning>("Every candidate that was tried."),
                      field<&R::cells>("Variants and seeds.")};
  }
};

// Lists beside comparison.variants: equal in directories that may be merged.
struct ComparisonFile {
  report::Comparison comparison;                   // cells: settings, seed, hash and directory only
  std::vector<std::string> variant_hashes;         // what each variant is, whatever the seed and the precision
  std::vector<std::optional<std::int64_t>> steps;  // where equal time sets them
};

// Sets the objective and what a report says of it.
void describe_objective(report::Comparison& comparison, const std::string& kind);

void write_comparison(const ComparisonFile& file, const std::filesystem::path& directory);
// kMissingInput where the directory holds none, kBadData where it is damaged.
ComparisonFile read_comparison(const std::filesystem::path& directory);

}  // namespace sluice::compare
