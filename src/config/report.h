// The problems of one reading, each with its place, thrown together.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::config {

// A place in one of the texts that are read.
struct Mark {
  int source = -1;           // number in Report; below 0: nowhere
  int line = 0, column = 0;  // from 1; 0: the whole source
};

class Report {
 public:
  // Texts are shown in the order in which they are added. `has_lines` is false for overrides. `path_prefix` is put before the paths of its values.
  // Line feeds and the like in names are escaped: a problem is one line.
  int add_source(std::string_view name, bool has_lines = true, std::string_view path_prefix = {});
  // One line: "NAME:LINE: PATH: received RECEIVED; expected EXPECTED (did you mean `HINT`?)"; PATH and HINT may be empty.
  void add(Mark mark, std::string_view path, std::string_view received, std::string_view expected, std::string_view hint = {});
  // The same for a text that is no valid YAML, with its column; nothing typed can follow.
  void add_fatal(Mark mark, std::string_view path, std::string_view received, std::string_view expected);
  bool fatal() const { return fatal_; }
  bool empty() const { return problems_.empty(); }
  bool full() const;         // further problems are only counted
  std::string text() const;  // all problems by source and line; empty where there are none
  std::string place(Mark mark, bool with_column = false) const;
  // Throws UserError (kUsage) with text() where there is any.
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
  std::size_t num_left_out_ = 0;
  bool fatal_ = false;
};

}  // namespace sluice::config
