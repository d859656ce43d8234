// What an interrupted run has saved. Reported as saved only after its checkpoint has been verified.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace sluice::compare {

// Whether a child ended because of a stop signal: with kInterrupted or 128 + the signal's number.
bool is_stopped(int exit_code);

struct StoppedRun {
  enum class Kind {
    kSaved,       // the checkpoint of the last step in its metrics verifies
    kUnsaved,     // steps are lost, or may be
    kNotStarted,  // neither steps nor checkpoints
  };
  Kind kind = Kind::kNotStarted;
  std::string message;  // "interrupted, step 12 saved"; always begins with "interrupted"
};

// Verifies the newest checkpoint in `run_dir`. `exit_code`: is_stopped() must hold.
StoppedRun stopped_run(const std::filesystem::path& run_dir, int exit_code);

}  // namespace sluice::compare
