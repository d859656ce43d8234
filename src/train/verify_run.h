// Everything that a run depends on, held against its hashes: `sluice verify`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sluice::train {

struct Finding {
  std::string subject;
  std::string fault;                   // empty: nothing found
  std::optional<std::int64_t> step{};  // of a checkpoint
};

struct RunFindings {
  std::vector<Finding> findings;
  std::int64_t newest_step = 0;  // of the checkpoints that verify
};

// Every checkpoint; the newest one that result.json speaks of; config.yaml against the newest checkpoint's; run.json; metrics.jsonl line by
// line, and its last evaluation against result.json; result.json; tokenizer, prepared.json and every shard of the prepared data. Polls for
// a stop. kNoCheckpoint where no checkpoint verifies.
RunFindings verify_run(const std::filesystem::path& run);

}  // namespace sluice::train
