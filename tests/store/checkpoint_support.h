// Fixture for the tests of CheckpointStore: a store in a temporary run directory.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "tests/store/store_support.h"

namespace sluice::store {

// Three files with odd sizes, one of them empty.
inline std::vector<CheckpointFile> checkpoint_files(std::uint64_t content) {
  return {text_file("model.safetensors", pseudo_random_text(20'001, content)),
          text_file("optimizer.safetensors", pseudo_random_text(9'000, ~content)),
          text_file("config.yaml", "")};
}

class CheckpointStoreTest : public ::testing::Test {
 protected:
  void save(std::int64_t step) {
    store_.save(step, checkpoint_files(static_cast<std::uint64_t>(step)), {{"config_hash", "c"}});
  }
  fs::path at(std::int64_t step) const { return directory_ / checkpoint_name(step); }
  // The step of the newest valid checkpoint, -1 if there is none.
  std::int64_t newest(std::size_t num_damaged = 0) const {
    std::vector<DamagedCheckpoint> damaged;
    const std::optional<Checkpoint> found = store_.newest_valid(&damaged);
    EXPECT_EQ(damaged.size(), num_damaged) << (damaged.empty() ? "" : damaged[0].reason);
    return found ? found->manifest.step : -1;
  }
  std::set<std::string> names() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory_))
      names.insert(entry.path().filename().string());
    return names;
  }

  ScratchDirectory scratch_;
  fs::path directory_ = scratch_ / "run/checkpoints";
  CheckpointStore store_{directory_};
};

}  // namespace sluice::store
