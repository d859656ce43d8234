// YAML text as a plain tree with places, before anything is typed.
//
// Closed here: duplicate keys, merge keys, tags, aliases that contain themselves or multiply, several documents, depth, size,
// bytes that are not UTF-8 and control characters. Aliases are replaced by what they name.
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
  std::string key;   // where the node is an entry of a mapping
  Mark key_mark;
  std::vector<Node> children;  // items or entries

  bool is_scalar() const { return form == Form::kPlain || form == Form::kQuoted; }
  bool is_list() const { return form == Form::kList; }
  bool is_mapping() const { return form == Form::kMapping; }
  const Node* find(std::string_view name) const;  // entry of a mapping; nullptr where there is none
};

constexpr std::size_t kMaxTextBytes = 128 * 1024;  // a configuration has a few kilobytes
constexpr int kMaxDepth = 64;

// How many nodes all texts of one reading may have together, aliases counted at full size.
struct NodeBudget {
  std::size_t left = 50'000;
};

// An empty text gives a null node. `path`: put before messages, for overrides. Problems go to `report`; after a fatal one the
// tree is not to be used.
Node read_tree(std::string_view text, int source, std::string_view path, Report& report, NodeBudget& budget);

// The value as a message shows it: `4`, `"4"`, a list of 3, a mapping, null.
std::string shown(const Node& node);

}  // namespace sluice::config
