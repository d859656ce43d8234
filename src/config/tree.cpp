#include "config/tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <sstream>
#include <unordered_map>
#include <utility>

#include "base/text_format.h"

namespace sluice::config {
namespace {

// Thrown to leave the parser after a fatal problem, which is already in the report.
struct Stop {};

// A value with its descendants.
struct Subtree {
  Node node;
  std::size_t num_nodes = 1;
  int depth = 0;  // levels of lists and mappings
};

// An open list or mapping.
class Frame {
 public:
  Frame(Node::Form form, Mark mark, YAML::anchor_t anchor) : anchor_(anchor) {
    tree_.node.form = form;
    tree_.node.mark = mark;
    tree_.depth = 1;
  }

  YAML::anchor_t anchor() const { return anchor_; }
  bool expects_key() const { return tree_.node.is_mapping() && !key_; }
  Subtree take() { return std::move(tree_); }

  // Position of the first occurrence if the key is a duplicate.
  std::optional<Mark> begin_entry(const std::string& key, Mark mark) {
    key_ = key;
    key_mark_ = mark;
    const auto [known, is_new] = seen_.emplace(key, mark);
    keeps_value_ = is_new && key != "<<";
    return is_new ? std::nullopt : std::optional(known->second);
  }

  void add(Subtree part) {
    tree_.num_nodes += part.num_nodes;
    tree_.depth = std::max(tree_.depth, part.depth + 1);
    if (key_) {
      part.node.key = *std::exchange(key_, std::nullopt);
      part.node.key_mark = key_mark_;
      if (!keeps_value_) return;  // the key has already been reported
    }
    tree_.node.children.push_back(std::move(part.node));
  }

 private:
  Subtree tree_;
  YAML::anchor_t anchor_;
  std::optional<std::string> key_;  // its value has not been read yet
  Mark key_mark_;
  bool keeps_value_ = true;                     // the first of duplicate keys wins
  std::unordered_map<std::string, Mark> seen_;  // keys so far, with their first positions
};

class Builder final : public YAML::EventHandler {
 public:
  Builder(int source, std::string_view path, Report& report, NodeBudget& budget)
      : source_(source), path_(path), report_(report), budget_(budget) {}

  Node take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (num_documents_++ > 0)
      stop(at(mark), "a second document (`---`, or text after the end of the first)",
           "a single document");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    leaf(Node::Form::kNull, mark, {}, anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check_tag(mark, tag);
    leaf(tag == "!" ? Node::Form::kQuoted : Node::Form::kPlain, mark, value, anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (expects_key()) stop(at(mark), "an alias as a key", "a scalar key");
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end())
      stop(at(mark), "an alias to itself", "an alias to an earlier value");
    spend(at(mark), found->second.num_nodes, "alias expansion beyond the limit");
    if (static_cast<int>(frames_.size()) + found->second.depth > kMaxDepth) stop_for_depth(mark);
    Subtree copy = found->second;
    copy.node.mark = at(mark);
    attach(std::move(copy));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Node::Form::kList, mark, tag, anchor);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(Node::Form::kMapping, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

 private:
  Mark at(const YAML::Mark& mark) const { return {source_, mark.line + 1, mark.column + 1}; }

  [[noreturn]] void stop(Mark mark, std::string_view received, std::string_view expected) {
    report_.add_fatal(mark, path_, received, expected);
    throw Stop{};
  }
  [[noreturn]] void stop_for_depth(const YAML::Mark& mark) {
    stop(at(mark), "lists and mappings nested too deeply", cat("at most ", kMaxDepth, " levels"));
  }
  void spend(Mark mark, std::size_t num_nodes, std::string_view received) {
    if (num_nodes > budget_.left) stop(mark, received, "at most 50000 values in all files");
    budget_.left -= num_nodes;
  }

  bool expects_key() const { return !frames_.empty() && frames_.back().expects_key(); }

  void check_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    report_.add(at(mark), path_, cat("the tag `", printable(tag), '`'),
                "no tags; the key determines the type");
  }

  void leaf(Node::Form form, const YAML::Mark& mark, const std::string& text,
            YAML::anchor_t anchor) {
    if (expects_key()) {
      if (form == Node::Form::kNull) stop(at(mark), "null as a key", "a scalar key");
      begin_entry(text, at(mark));
      return;
    }
    spend(at(mark), 1, "too many values");
    Subtree tree;
    tree.node.form = form;
    tree.node.mark = at(mark);
    tree.node.text = text;
    finish(std::move(tree), anchor);
  }

  void begin_entry(const std::string& key, Mark mark) {
    const std::optional<Mark> first = frames_.back().begin_entry(key, mark);
    if (key == "<<") {
      report_.add(mark, path_, "the merge key `<<`",
                  "no merge keys; use `extends` or repeat the keys");
    } else if (first) {
      report_.add(mark, path_,
                  cat("duplicate key `", printable(key), "` (first on line ", first->line, ')'),
                  "unique keys");
    }
  }

  void open(Node::Form form, const YAML::Mark& mark, const std::string& tag,
            YAML::anchor_t anchor) {
    check_tag(mark, tag);
    if (expects_key())
      stop(at(mark), "a list or mapping as a key, or an unclosed bracket",
           "scalar keys and closed brackets");
    if (static_cast<int>(frames_.size()) >= kMaxDepth) stop_for_depth(mark);
    spend(at(mark), 1, "too many values");
    frames_.emplace_back(form, at(mark), anchor);
  }

  void close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    finish(frame.take(), frame.anchor());
  }

  // Completes a value; later aliases can refer to it.
  void finish(Subtree tree, YAML::anchor_t anchor) {
    if (anchor != 0) {
      spend(tree.node.mark, tree.num_nodes, "too many values");
      anchors_.insert_or_assign(anchor, tree);
    }
    attach(std::move(tree));
  }

  void attach(Subtree tree) {
    if (frames_.empty()) {
      root_ = std::move(tree.node);
    } else {
      frames_.back().add(std::move(tree));
    }
  }

  int source_;
  std::string_view path_;
  Report& report_;
  NodeBudget& budget_;
  int num_documents_ = 0;
  std::vector<Frame> frames_;
  std::unordered_map<YAML::anchor_t, Subtree> anchors_;
  Node root_;
};

// Length of the UTF-8 sequence at the start of `text`; 0 if invalid (including overlong forms and
// surrogates).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  const bool beyond = (lead == 0xED && byte(1) > 0x9F) || (lead == 0xF4 && byte(1) > 0x8F);
  return overlong || beyond ? 0 : length;
}

// Position of the first byte that is not allowed in YAML text.
std::optional<std::size_t> find_bad_byte(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte < 0x20 && byte != '\n' && byte != '\t' && byte != '\r') || byte == 0x7F) return i;
    const std::size_t length = utf8_length(text.substr(i));
    if (length == 0) return i;
    i += length;
  }
  return std::nullopt;
}

Mark mark_of(std::string_view text, std::size_t offset, int source) {
  const std::string_view before = text.substr(0, offset);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t start =
      before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  return {source, static_cast<int>(line), static_cast<int>(offset - start) + 1};
}

// The expected form, with a hint at the usual cause of a syntax error.
std::string_view expected_form(std::string_view text, int line, std::string_view message) {
  for (; line > 1 && text.find('\n') != std::string_view::npos; --line)
    text.remove_prefix(text.find('\n') + 1);
  const std::size_t start = std::min(text.find_first_not_of(' '), text.size());
  if (text.substr(start, 1) == "\t") return "valid YAML, indented with spaces, not tabs";
  if (message == "end of map not found")
    return "valid YAML, with equal indentation for all keys of a mapping";
  return "valid YAML";
}

bool check_bytes(std::string_view text, int source, std::string_view path, Report& report) {
  if (text.size() > kMaxTextBytes) {
    report.add_fatal({source, 1, 1}, path, cat(text.size(), " bytes"),
                     cat("at most ", kMaxTextBytes, " bytes"));
    return false;
  }
  const auto bad = find_bad_byte(text);
  if (!bad) return true;
  report.add_fatal(mark_of(text, *bad, source), path,
                   cat("the byte `", printable(text.substr(*bad, 1)), '`'),
                   "UTF-8 text without control characters");
  return false;
}

}  // namespace

const Node* Node::find(std::string_view name) const {
  const auto found = std::find_if(children.begin(), children.end(),
                                  [&](const Node& child) { return child.key == name; });
  return is_mapping() && found != children.end() ? &*found : nullptr;
}

Node read_tree(std::string_view text, int source, std::string_view path, Report& report,
               NodeBudget& budget) {
  Node nothing;
  nothing.mark = {source, 1, 1};
  if (!check_bytes(text, source, path, report)) return nothing;
  Builder builder(source, path, report, budget);
  try {
    // The appended comment makes the parser detect unclosed quotes and brackets: at the end of file
    // it treats an open quote after a line break as closed, and an open bracket in the last line as
    // a key.
    std::istringstream stream(cat(text, text.ends_with('\n') ? "#" : "\n#"));
    YAML::Parser parser(stream);
    bool any = false;
    while (parser.HandleNextDocument(builder)) any = true;
    return any ? builder.take() : nothing;
  } catch (const Stop&) {
    return nothing;
  } catch (const YAML::Exception& e) {
    const Mark mark =
        e.mark.is_null() ? Mark{source, 1, 1} : Mark{source, e.mark.line + 1, e.mark.column + 1};
    report.add_fatal(mark, path, cat("malformed YAML (", printable(e.msg), ')'),
                     expected_form(text, mark.line, e.msg));
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& e) {  // from conversions in the parser, e.g. of a %YAML directive
    report.add_fatal({source, 1, 1}, path, cat("malformed YAML (", printable(e.what()), ')'),
                     "valid YAML");
  }
  return nothing;
}

std::string shown(const Node& node) {
  switch (node.form) {
    case Node::Form::kNull:
      return "null";
    case Node::Form::kPlain:
      return cat('`', printable(node.text), '`');
    case Node::Form::kQuoted:
      return cat("`\"", printable(node.text), "\"`");
    case Node::Form::kList:
      return node.children.empty() ? "an empty list" : cat("a list of ", node.children.size());
    case Node::Form::kMapping:
      return "a mapping";
  }
  return "";
}

}  // namespace sluice::config
