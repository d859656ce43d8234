// Merges several sources into one tree: `extends`, then overrides.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/tree.h"

namespace sluice::config {

// Merges `over` into `base`. Mappings merge; all other values are replaced, and so is a mapping
// whose `type` changes. `section` determines the type of a mapping without `type`.
void merge(Node& base, Node over, const Section& section);

// Reads the file and everything it extends into one mapping. kMissingInput if a file does not
// exist.
Node read_files(const std::string& file, const Section& section, Report& report,
                NodeBudget& budget);

// All overrides "a.b=c" as one mapping; the last one for a key wins.
Node read_overrides(const Input& input, Report& report, NodeBudget& budget);

// Flattens nested, non-empty mappings into dotted keys, except for keys that have a row in `named`
// (may be nullptr).
void join_keys(Node& mapping, const Section* named);

// Moves the second key of `entry: {value, key: x}` (AlsoSets) beside `entry`.
void split_values(Node& mapping, const Section& section);

// Removes `extends` from a mapping that is not from a file, and reports it as a problem.
void refuse_extends(Node& root, Report& report);

}  // namespace sluice::config
