#include "train/step_epochs.h"

#include "base/text_format.h"

namespace sluice::train {

std::string step_epochs_warning(std::int64_t batch_sequences, std::uint64_t sequences_per_epoch) {
  if (sequences_per_epoch == 0 ||
      static_cast<std::uint64_t>(batch_sequences) <= sequences_per_epoch)
    return "";
  const double epochs =
      static_cast<double>(batch_sequences) / static_cast<double>(sequences_per_epoch);
  return cat("train.batch_sequences: ", with_commas(batch_sequences),
             " per step, but an epoch has ",
             with_commas(static_cast<std::int64_t>(sequences_per_epoch)),
             ": each step reads the training text ", fixed(epochs, 1),
             " times; use fewer sequences per step or more text");
}

}  // namespace sluice::train
