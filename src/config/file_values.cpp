#include "config/file_values.h"

#include "base/text_format.h"
#include "config/dotted.h"
#include "config/merge.h"

namespace sluice::config {
namespace {

std::string text_of(const Node& node) {
  if (node.form == Node::Form::kNull) return "null";
  if (node.is_scalar()) return node.text;
  std::string text;
  for (const Node& child : node.children)
    text += cat(text.empty() ? "" : ", ", node.is_mapping() ? cat(child.key, ": ") : "",
                text_of(child));
  return node.is_list() ? cat('[', text, ']') : cat('{', text, '}');
}

void collect(const Node& node, const std::string& path, FileValues& values) {
  if (!node.is_mapping() || (node.children.empty() && !path.empty())) {
    values[path] = text_of(node);
    return;
  }
  for (const Node& child : node.children) collect(child, dotted(path, child.key), values);
}

bool holds(const std::string& outer, const std::string& inner) {
  return inner == outer || inner.starts_with(outer + '.');
}

}  // namespace

FileValues read_file_values(const Section& section, const Input& input) {
  Report report;
  NodeBudget budget;
  Node root;
  if (!input.file.empty()) root = read_files(input.file.string(), section, report, budget);
  if (root.form == Node::Form::kNull) root.form = Node::Form::kMapping;  // an empty file
  Node overrides = read_overrides(input, report, budget);
  if (report.fatal()) return {};
  if (root.is_mapping()) merge(root, std::move(overrides), section);
  FileValues values;
  if (root.is_mapping()) collect(root, "", values);
  return values;
}

FileValues values_near(const FileValues& values, const std::string& path) {
  FileValues near;
  for (const auto& [key, value] : values)
    if (holds(path, key) || holds(key, path)) near.emplace(key, value);
  return near;
}

std::string override_path(const std::string& text) { return text.substr(0, text.find('=')); }

}  // namespace sluice::config
