// The console and the run's log file. Built on spdlog, which stays out of this header (see text_format.h).
//
// All lines go to stderr, so that stdout carries results only. Colour on a terminal unless NO_COLOR is set.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace sluice::log {

void info(std::string_view line);
void warn(std::string_view line);
void error(std::string_view line);

// One live line on a terminal, replaced by the next call; nothing where stderr is no terminal.
void progress(std::string_view line);
// The same with several lines, which vanish where one line stays.
void progress(std::span<const std::string> lines);
// True where progress() shows: callers print plain lines at intervals otherwise.
bool is_terminal();
// Ends the live line, so that other output starts on a fresh one.
void end_progress();

// Also append every line (but progress) to `path` until close_file(). A failing write warns once and goes on.
void open_file(const std::string& path);
void close_file();

}  // namespace sluice::log
