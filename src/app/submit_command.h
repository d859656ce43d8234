// `sluice compare --submit`: the runs of a comparison as one array job.
#pragma once

#include "app/commands.h"
#include "app/comparison_config.h"

namespace sluice::app {

// Checks the configurations of all runs, but not the device, which a login node may lack. Then
// submits the job, or prints its script with --dry-run. kUsage for invalid settings and if the
// scheduler rejects the job.
void submit_command(const CompareOptions& options, const ComparisonConfig& config);

}  // namespace sluice::app
