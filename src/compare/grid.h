// The grid of a comparison: every combination of the varied values, and how each is called.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "compare/compare_config.h"
#include "report/comparison.h"

namespace sluice::compare {

using report::Settings;

// Every combination, the last key changing fastest. Values are YAML: what stands behind "KEY=" in an override.
std::vector<Settings> expand(const ValueLists& lists);

// Which of expand(config.vary) the others are compared with.
std::size_t baseline_of(const CompareConfig& config);

// A name for files: "geglu", "geglu-3e-3". Different settings may share one: a directory's name ends with a hash.
std::string stem_of(const Settings& settings);

// {"model.ffn=geglu"}: overrides for the configuration.
std::vector<std::string> overrides_of(const Settings& settings);

// Indices of the variants that `only` names: by label, by stem, or by one value that several may have. Each text is one name; where one key varies,
// commas may stand between several. Empty: all. kUsage for a name that none has, with the labels, one a line.
std::vector<std::size_t> select_variants(const std::vector<Settings>& variants, const std::vector<std::string>& only);

// Those of `asked`, or all of `seeds` where none are. kUsage for one that is not in `seeds`.
std::vector<std::uint64_t> select_seeds(const std::vector<std::uint64_t>& seeds, const std::vector<std::uint64_t>& asked);

}  // namespace sluice::compare
