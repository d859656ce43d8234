// Parses YAML text to an untyped tree with source positions.
//
// Rejects duplicate keys, merge keys, tags, recursive or exponentially growing aliases, multiple
// documents, excessive depth or size, invalid UTF-8 and control characters. Aliases are replaced by
// copies of their values.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "config/report.h"

namespace sluice::config {

struct Node {
  enum class Form { kNull, kPlain, kQuoted, kList, kMapping };
  Form form = Form::kNull;
  Mark mark;
  std::string text;  // scalars
  std::string key;   // if the node is an entry of a mapping
  Mark key_mark;
  std::vector<Node> children;  // items or entries

  bool is_scalar() const { return form == Form::kPlain || form == Form::kQuoted; }
  bool is_list() const { return form == Form::kList; }
  bool is_mapping() const { return form == Form::kMapping; }
  const Node* find(std::string_view name) const;  // entry of a mapping; nullptr if not found
};

constexpr std::size_t kMaxTextBytes = 128 * 1024;  // typical configurations have a few kilobytes
constexpr int kMaxDepth = 64;

// Number of nodes allowed in all sources of one load, with aliases expanded.
struct NodeBudget {
  std::size_t left = 50'000;
};

// Empty text gives a null node. `path` is shown in messages, for overrides. Adds problems to
// `report`; after a fatal one the tree must not be used.
Node read_tree(std::string_view text, int source, std::string_view path, Report& report,
               NodeBudget& budget);

// The value as shown in messages: `4`, `"4"`, a list of 3, a mapping, null.
std::string shown(const Node& node);

}  // namespace sluice::config
