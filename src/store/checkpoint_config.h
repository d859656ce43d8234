// Section `checkpoint`: when a run is saved and how many saves are kept.
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
        field<&C::every_steps>("Steps between saves. The last step is always saved, and so is the step at which a signal came.",
                               config::Positive{}, config::Affects::kCadence),
        field<&C::keep_last>(
            "How many of the newest checkpoints are kept. An older one goes only after a newer one has been read back. A new run asks "
            "for the disk space of those that it will have at once.",
            config::AtLeast{1}, config::Affects::kCadence),
        field<&C::keep_best>("Also keep the checkpoint with the lowest held-out log-perplexity.", config::Affects::kCadence)};
  }
};

}  // namespace sluice::store
