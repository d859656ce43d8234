// Verifies a run and its data: `sluice verify`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sluice::run {

struct Finding {
  std::string subject;
  std::string fault;                   // empty: ok
  std::optional<std::int64_t> step{};  // of a checkpoint
};

struct RunFindings {
  std::vector<Finding> findings;
  std::int64_t newest_step = 0;  // of the checkpoints that verify
};

// Checks every checkpoint; that the one in result.json exists; config.yaml against the newest
// checkpoint; run.json; every line of metrics.jsonl, and its last evaluation against result.json;
// result.json; tokenizer, prepared.json and every shard of the prepared data. Polls for a stop.
// kNoCheckpoint if no checkpoint verifies.
RunFindings verify_run(const std::filesystem::path& run);

}  // namespace sluice::run
