#include "run/run_record.h"

#include <filesystem>

#include "base/file.h"

namespace sluice::run {
namespace {

constexpr std::uint64_t kMaxRecordBytes = 16 << 20;

}  // namespace

std::optional<RunRecord> read_run_record(const store::RunPaths& paths) {
  std::error_code ignored;
  if (!std::filesystem::exists(paths.run_json(), ignored)) return std::nullopt;
  return config::from_json<RunRecord>(read_file(paths.run_json(), kMaxRecordBytes),
                                      paths.run_json().string());
}

}  // namespace sluice::run
