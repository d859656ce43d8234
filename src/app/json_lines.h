// Files with one JSON object per line, read and written by `generate` and `score`.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "config/record.h"

namespace sluice::app {

struct JsonLine {
  std::string text;
  std::string origin;  // "prompts.jsonl:3"
};
// The lines of a file or pipe that are not empty; `-` is standard input. kMissingInput if it cannot
// be read, kBadData if it is larger than 1 GiB or has no lines.
std::vector<JsonLine> read_json_lines(const std::string& path);

// Writes lines to a file, or to stdout without a path. Each line is written at once.
class JsonLineWriter {
 public:
  explicit JsonLineWriter(const std::string& path);
  void write(std::string_view line);
  void close();

 private:
  std::unique_ptr<OutputFile> file_;  // null: stdout
};

}  // namespace sluice::app
