// The grid of a comparison: all combinations of the varied values, and their names.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "compare/compare_config.h"
#include "report/comparison.h"

namespace sluice::compare {

using report::Settings;

// All combinations, the last key changing fastest. Values are YAML, as after "KEY=" in an override.
std::vector<Settings> expand(const ValueLists& lists);

// Index of the baseline in expand(config.vary).
std::size_t baseline_of(const CompareConfig& config);

// A name for files: "geglu", "geglu-3e-3". Not unique; directory names therefore add a hash.
std::string stem_of(const Settings& settings);

// {"model.ffn=geglu"}: overrides for the configuration.
std::vector<std::string> overrides_of(const Settings& settings);

// Indices of the variants named by `only`: by label, by stem, or by one value, which may select
// several variants. If only one key varies, an item may be a comma-separated list. Empty: all
// variants. kUsage for an unknown name, listing the labels, one per line.
std::vector<std::size_t> select_variants(const std::vector<Settings>& variants,
                                         const std::vector<std::string>& only);

// The seeds in `requested`, in the order of `seeds`; all if `requested` is empty. kUsage for a seed
// that is not in `seeds`.
std::vector<std::uint64_t> select_seeds(const std::vector<std::uint64_t>& seeds,
                                        const std::vector<std::uint64_t>& requested);

}  // namespace sluice::compare
