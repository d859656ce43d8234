#include "app/json_lines.h"

#include <algorithm>
#include <iostream>

#include "base/error.h"
#include "base/text_format.h"
#include "text/regular_file.h"

namespace sluice::app {
namespace {

constexpr std::uint64_t kMostInputBytes = std::uint64_t{1} << 30;

}  // namespace

std::vector<JsonLine> read_json_lines(const std::string& given) {
  const bool is_stdin = given == "-";
  const std::string path = is_stdin ? "standard input" : given;
  std::error_code ignored;
  if (fs::is_directory(given, ignored)) text::require_regular_file(given);
  const std::string content = read_file(is_stdin ? "/dev/stdin" : given, kMostInputBytes);
  std::vector<JsonLine> lines;
  std::string_view rest = content;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    lines.push_back({std::string(line), cat(path, ":", number)});
  }
  require(!lines.empty(), ExitCode::kBadData, path, "no lines; expected one JSON object per line");
  return lines;
}

JsonLineWriter::JsonLineWriter(const std::string& path)
    : file_(path.empty() ? nullptr : real_files().open(path, FileSystem::Mode::kCreate)) {}

void JsonLineWriter::write(std::string_view line) {
  if (file_) {
    file_->write(line);
  } else {
    std::cout << line << std::flush;
  }
}

void JsonLineWriter::close() {
  if (file_) file_->close();
}

}  // namespace sluice::app
