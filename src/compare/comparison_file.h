// DIRECTORY/comparison.json: which cells a comparison is made of, and what is the same for all of them. Written at the start of each sitting, so
// that the report can be made from the directory alone. The cells' results lie with the cells.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "report/comparison.h"

namespace sluice::compare {

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
