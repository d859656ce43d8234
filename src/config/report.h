// Collects the problems of one or more sources with their locations, and throws them together.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::config {

// A position in one of the sources.
struct Mark {
  int source = -1;           // index in Report; below 0: none
  int line = 0, column = 0;  // from 1; 0: the whole source
};

class Report {
 public:
  // Problems are sorted by source, in the order added. `has_lines` is false for overrides.
  // `path_prefix` is prepended to the paths of its values. Control characters in names are escaped,
  // so that each problem is one line.
  int add_source(std::string_view name, bool has_lines = true, std::string_view path_prefix = {});
  // One line: "NAME:LINE: PATH: received RECEIVED; expected EXPECTED (did you mean `HINT`?)". PATH
  // and HINT may be empty. The states "missing", "unknown key" and "duplicate key" (also with more
  // words after it) are shown without "received".
  void add(Mark mark, std::string_view path, std::string_view received, std::string_view expected,
           std::string_view hint = {});
  // The same with the column, for text that cannot be parsed; typed reading is then skipped.
  void add_fatal(Mark mark, std::string_view path, std::string_view received,
                 std::string_view expected);
  bool fatal() const { return fatal_; }
  bool empty() const { return problems_.empty(); }
  bool full() const;         // further problems are only counted
  std::string text() const;  // all problems by source and line; empty if none
  std::string place(Mark mark, bool with_column = false) const;
  // Throws UserError (kUsage) with text() if there are any problems.
  void throw_if_any() const;

 private:
  struct Source {
    std::string name;
    bool has_lines;
    std::string path_prefix;
  };
  std::string prefixed(Mark mark, std::string_view path) const;
  struct Problem {
    Mark mark;
    std::string text;
  };
  void store(Mark mark, std::string text);
  std::vector<Source> sources_;
  std::vector<Problem> problems_;
  std::size_t num_omitted_ = 0;
  bool fatal_ = false;
};

}  // namespace sluice::config
