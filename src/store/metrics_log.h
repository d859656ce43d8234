// RUN/metrics.jsonl: one JSON object per line, each with an integer "step"; at most one line per
// step and kind.
//
// Lines are records (config/record.h): doubles are written with the fewest digits that round-trip,
// NaN and infinities as null.
//
// All lines of step N are appended and flushed before the checkpoint of step N is saved. On resume
// from step N, truncate_after(N) drops later lines; the repeated steps write them again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/file.h"

namespace sluice::store {

class MetricsLog {
 public:
  // Opens for appending; creates the file if needed. kIo on failure.
  explicit MetricsLog(fs::path path, FileSystem& file_system = real_files());

  // One JSON object, without newline. Written to the kernel immediately, so `kill -9` loses
  // nothing. kIo on failure.
  void append(std::string_view line);
  void flush();  // fsync
  // Atomically drops the lines with "step" > `step` and torn lines at the end. kBadData, with the
  // line number, if a damaged line precedes one that must be kept.
  void truncate_after(std::int64_t step);

 private:
  void open();

  fs::path path_;
  FileSystem& file_system_;
  std::unique_ptr<OutputFile> file_;
};

// Calls `visit` for each line in order. An incomplete last line (crash, or a running writer) is
// skipped; any other line that is not an object with an integer "step" is kBadData with the line
// number. kMissingInput if the file does not exist.
void read_metrics(
    const fs::path& path,
    const std::function<void(std::int64_t step, const nlohmann::ordered_json& line)>& visit);

}  // namespace sluice::store
