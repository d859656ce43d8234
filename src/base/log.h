// Console output and the run's log file. Built on spdlog, which is kept out of this header (see
// text_format.h).
//
// All lines go to stderr; stdout is reserved for results. Colored on a terminal unless NO_COLOR is
// set.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace sluice::log {

void info(std::string_view line);
void warn(std::string_view line);
void error(std::string_view line);

// Shows one live line, replaced by the next call. No effect if stderr is not a terminal.
void progress(std::string_view line);
// The same with several lines. end_progress() erases them, but keeps a single line.
void progress(std::span<const std::string> lines);
// True if stderr is a terminal. If not, callers print plain lines at intervals instead of progress.
bool is_terminal();
// Ends the live line, so that other output starts on a new line.
void end_progress();

// Also appends every line except progress to `path` until close_file(). After a failed write, warns
// once and continues on the console only.
void open_file(const std::string& path);
void close_file();

}  // namespace sluice::log
