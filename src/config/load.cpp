#include "base/error.h"
#include "config/config.h"
#include "config/merge.h"
#include "config/read.h"

namespace sluice::config {
namespace {

void finish(const Section& section, void* value, const Node& root, Report& report) {
  if (!report.fatal()) read_value(section, value, root, report);
  report.throw_if_any();
}

}  // namespace

const Row* Section::find(std::string_view name) const {
  for (const Row& row : rows) {
    if (row.name == name && !row.rest) return &row;
  }
  return nullptr;
}

const Row* Section::rest() const {
  for (const Row& row : rows) {
    if (row.rest) return &row;
  }
  return nullptr;
}

const Section* Choice::find(std::string_view kind) const {
  for (const Section* section : kinds) {
    if (section->kind == kind) return section;
  }
  return nullptr;
}

void load_into(const Section& section, void* value, const Input& input) {
  Report report;
  NodeBudget budget;
  Node root;
  if (!input.file.empty()) root = read_files(input.file.string(), section, report, budget);
  if (root.form == Node::Form::kNull) root.form = Node::Form::kMapping;  // an empty file
  Node overrides = read_overrides(input, report, budget);
  if (root.is_mapping()) merge(root, std::move(overrides), section);
  finish(section, value, root, report);
}

void parse_into(const Section& section, void* value, std::string_view yaml, std::string_view name) {
  Report report;
  NodeBudget budget;
  const int source = report.add_source(std::string(name));
  Node root = read_tree(yaml, source, "", report, budget);
  refuse_extends(root, report);
  split_values(root, section);
  finish(section, value, root, report);
}

}  // namespace sluice::config
