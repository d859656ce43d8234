// RUN/metrics.jsonl: one JSON object per line, each with an integer "step"; at most one line per step and kind.
//
// Lines are records (config/record.h): doubles with the fewest digits that read back as the same double, NaN and infinities as null.
//
// All lines of step N are appended, and flush() called, before the checkpoint of step N is saved. On resume from step N,
// truncate_after(N) drops what came later; the steps done again then write those lines a second time.
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
  // Opens for appending, creates where there is none. kIo where that fails.
  explicit MetricsLog(fs::path path, FileSystem& file_system = real_files());

  // One JSON object, without line end. Handed to the kernel at once: `kill -9` loses none of it. kIo where that fails.
  void append(std::string_view line);
  // On the disk when it returns.
  void flush();
  // Keeps the lines with "step" <= `step`, and drops the rest and what a crash tore; the file changes as a whole or not at all. kBadData,
  // with the line's number, where a damaged line stands before one that must be kept.
  void truncate_after(std::int64_t step);

 private:
  void open();

  fs::path path_;
  FileSystem& file_system_;
  std::unique_ptr<OutputFile> file_;
};

// Calls `visit` for each line in order. A last line that a crash or a running writer left incomplete is passed over; anything
// else that is no object with an integer "step" is kBadData with the line's number. kMissingInput where there is no file.
void read_metrics(const fs::path& path, const std::function<void(std::int64_t step, const nlohmann::ordered_json& line)>& visit);

}  // namespace sluice::store
