#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/home.h"
#include "base/text_format.h"
#include "config/merge.h"

namespace sluice::config {
namespace {

constexpr std::size_t kMaxExtendsDepth = 8;
constexpr int kMaxFiles = 64;

// Reads a file and everything it extends.
class FileReader {
 public:
  FileReader(const Section& section, Report& report, NodeBudget& budget)
      : section_(section), report_(report), budget_(budget) {}

  // `asked_at`: location of the `extends` that names the file; empty for the first file.
  Node read(const fs::path& file, const std::string& asked_at, Mark asked_mark) {
    Node nothing;
    // require_file() reports names that cannot be resolved (symlink loops, names too long).
    std::error_code error;
    const fs::path resolved = fs::weakly_canonical(file, error);
    const fs::path identity = error ? file : resolved;
    if (!may_read(identity, file, asked_mark)) return nothing;
    require_file(file, asked_at);
    const int source = report_.add_source(file.string());
    Node own = read_tree(read_file(file, kMaxTextBytes), source, "", report_, budget_);
    if (report_.fatal()) return nothing;
    if (!own.is_mapping()) return own;
    open_.push_back(identity);
    Node merged = read_bases(own, file);
    open_.pop_back();
    merge(merged, std::move(own), section_);
    return merged;
  }

 private:
  bool may_read(const fs::path& identity, const fs::path& file, Mark asked_mark) {
    const std::string name = cat('`', printable(file.string()), '`');
    if (std::find(open_.begin(), open_.end(), identity) != open_.end()) {
      report_.add_fatal(asked_mark, "extends", cat(name, " (cycle)"), "no cycle");
    } else if (open_.size() > kMaxExtendsDepth) {
      report_.add_fatal(asked_mark, "extends", cat(name, " at depth ", open_.size()),
                        cat("at most ", kMaxExtendsDepth, " levels"));
    } else if (++num_files_ > kMaxFiles) {
      report_.add_fatal(asked_mark, "extends", cat(name, " as file number ", num_files_),
                        cat("at most ", kMaxFiles, " files"));
    } else {
      return true;
    }
    return false;
  }

  static void require_file(const fs::path& file, const std::string& asked_at) {
    std::error_code error;
    const auto status = fs::status(file, error);
    const std::string by = asked_at.empty() ? "" : cat(" (named by `extends` in ", asked_at, ')');
    const std::string subject = printable(file.string(), 300);
    if (!fs::exists(status)) fail(ExitCode::kMissingInput, subject, cat("file not found", by));
    if (fs::is_directory(status))
      fail(ExitCode::kMissingInput, subject, cat("a directory", by), "a YAML file");
  }

  // Removes `extends` from the mapping and merges the named files, in order.
  Node read_bases(Node& own, const fs::path& file) {
    Node merged;
    merged.form = Node::Form::kMapping;
    const auto entry = std::find_if(own.children.begin(), own.children.end(),
                                    [](const Node& n) { return n.key == "extends"; });
    if (entry == own.children.end()) return merged;
    const Node list = std::move(*entry);
    own.children.erase(entry);
    const bool is_text =
        list.is_list() &&
        std::all_of(list.children.begin(), list.children.end(), [](const Node& item) {
          return item.is_scalar() && !item.text.empty() &&
                 item.text.find('\0') == std::string::npos;
        });
    if (!is_text) {
      const std::string example = list.is_scalar() ? printable(list.text) : "base.yaml";
      report_.add_fatal(list.mark, "extends", shown(list),
                        cat("a list of file names, such as [", example, ']'));
      return merged;
    }
    for (const Node& item : list.children) {
      Node base = read(file.parent_path() / expand_home("extends", item.text),
                       report_.place(item.mark), item.mark);
      if (report_.fatal()) return merged;
      if (!base.is_mapping() && base.form != Node::Form::kNull) {
        report_.add_fatal(base.mark, "", shown(base), "a mapping at the top level");
        return merged;
      }
      merge(merged, std::move(base), section_);
    }
    return merged;
  }

  const Section& section_;
  Report& report_;
  NodeBudget& budget_;
  std::vector<fs::path> open_;
  int num_files_ = 0;
};

// Stores the value at the path, creating intermediate mappings.
void set_path(Node& root, std::string_view path, Node value) {
  Node* at = &root;
  while (true) {
    const std::size_t dot = path.find('.');
    const std::string_view name = path.substr(0, dot);
    auto found = std::find_if(at->children.begin(), at->children.end(),
                              [&](const Node& child) { return child.key == name; });
    if (found == at->children.end()) {
      Node entry;
      entry.key = name;
      entry.key_mark = value.mark;
      found = at->children.insert(at->children.end(), std::move(entry));
    }
    if (dot == std::string_view::npos) {
      value.key = name;
      value.key_mark = value.mark;
      *found = std::move(value);
      return;
    }
    if (!found->is_mapping()) {
      found->form = Node::Form::kMapping;
      found->children.clear();
      found->mark = {};
    }
    at = &*found;
    path.remove_prefix(dot + 1);
  }
}

bool is_path(std::string_view path) {
  const bool has_ends = !path.empty() && path.front() != '.' && path.back() != '.';
  return has_ends && path.find("..") == std::string_view::npos &&
         std::count(path.begin(), path.end(), '.') < kMaxDepth;
}

void read_override(Node& root, const std::string& text, int source, Report& report,
                   NodeBudget& budget) {
  const std::size_t equals = text.find('=');
  const std::string_view path = std::string_view(text).substr(0, equals);
  if (equals == std::string::npos || !is_path(path)) {
    return report.add({source, 0, 0}, "", cat('`', printable(text), '`'), "KEY.KEY=VALUE");
  }
  Node value = read_tree(std::string_view(text).substr(equals + 1), source, path, report, budget);
  if (path == "extends" || path.starts_with("extends.")) {
    return report.add({source, 0, 0}, path, shown(value), "`extends` only in files");
  }
  set_path(root, path, std::move(value));
}

}  // namespace

Node read_files(const std::string& file, const Section& section, Report& report,
                NodeBudget& budget) {
  return FileReader(section, report, budget).read(file, "", {});
}

Node read_overrides(const Input& input, Report& report, NodeBudget& budget) {
  Node root;
  root.form = Node::Form::kMapping;
  for (const std::string& text : input.overrides)
    read_override(root, text, report.add_source("--set", false), report, budget);
  for (const Setting& setting : input.settings) {
    const int source = report.add_source(input.file.string(), false, setting.section + '.');
    read_override(root, setting.text, source, report, budget);
  }
  return root;
}

void refuse_extends(Node& root, Report& report) {
  if (!root.is_mapping()) return;
  const auto entry = std::find_if(root.children.begin(), root.children.end(),
                                  [](const Node& n) { return n.key == "extends"; });
  if (entry == root.children.end()) return;
  report.add(entry->key_mark, "extends", shown(*entry), "`extends` only in files");
  root.children.erase(entry);
}

}  // namespace sluice::config
