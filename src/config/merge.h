// Several texts as one tree: `extends`, then overrides.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/tree.h"

namespace sluice::config {

// Puts `over` onto `base`: mappings merge, everything else is replaced, and a mapping whose `type` changes is replaced whole.
// The description says which alternative a mapping without `type` means.
void merge(Node& base, Node over, const Section& section);

// The file and everything it extends as one mapping. kMissingInput where a file is not there.
Node read_files(const std::string& file, const Section& section, Report& report, NodeBudget& budget);

// All "a.b=c" as one mapping; later ones win. Their order towards each other does not matter otherwise.
Node read_overrides(const Input& input, Report& report, NodeBudget& budget);

// Replaces each entry of the mapping that is itself a mapping with entries by those, under dotted keys; not the entries that `named` (may be
// nullptr) has a row for.
void join_keys(Node& mapping, const Section* named);

// Removes `extends` from a mapping; a problem where it stands in text that belongs to no file.
void refuse_extends(Node& root, Report& report);

}  // namespace sluice::config
