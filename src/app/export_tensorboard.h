// `sluice export RUN --to tensorboard`.
#pragma once

#include <string>

namespace sluice::app {

// Writes OUT/events.out.tfevents.0.sluice from the metrics of a run; histograms are those that the
// run's own event file has. Prints the path. kMissingInput if RUN is not a run with metrics, kUsage
// if the file exists, kIo if it cannot be written.
void export_tensorboard(const std::string& run, const std::string& out);

}  // namespace sluice::app
