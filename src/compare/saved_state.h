// What a run that was stopped has on disk: what is said to be saved was read back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace sluice::compare {

// A child that a stop signal ended: with kInterrupted, or by the signal itself (128 + its number).
bool is_stopped(int exit_code);

struct StoppedRun {
  enum class Kind {
    kSaved,    // its checkpoint of the last step that its metrics name verifies
    kUnsaved,  // steps are lost, or may be
    kUnbegun,  // it has neither steps nor checkpoints
  };
  Kind kind = Kind::kUnbegun;
  std::string words;  // "interrupted, step 12 is saved"; always begins with "interrupted"
};

// Of the run in `run_dir`, whose process ended with `exit_code`, which is_stopped(). Reads its
// newest checkpoint.
StoppedRun stopped_run(const std::filesystem::path& run_dir, int exit_code);

}  // namespace sluice::compare
