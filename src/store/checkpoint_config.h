// Section `checkpoint`: save interval and retention.
#pragma once

#include <cstdint>
#include <tuple>

#include "config/field.h"

namespace sluice::store {

struct CheckpointConfig {
  std::int64_t every_steps = 200;
  std::int64_t keep_last = 2;
  bool keep_best = true;

  static constexpr auto fields() {
    using config::field;
    using C = CheckpointConfig;
    return std::tuple{
        field<&C::every_steps>("Steps between saves. The last step and a step interrupted by a "
                               "signal are always saved.",
                               config::Positive{}, config::Affects::kCadence),
        field<&C::keep_last>("Number of newest checkpoints to keep. An older checkpoint is deleted "
                             "only after a newer one has been verified. A new run requires disk "
                             "space for the checkpoints it will hold at once.",
                             config::AtLeast{1}, config::Affects::kCadence),
        field<&C::keep_best>("Also keep the checkpoint with the lowest held-out log-perplexity.",
                             config::Affects::kCadence)};
  }
};

}  // namespace sluice::store
