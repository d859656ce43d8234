#include "train/resume.h"

#include <string>

#include "base/error.h"
#include "base/log.h"
#include "base/text_format.h"
#include "config/config.h"
#include "train/checkpoint.h"

namespace sluice::train {

void check_changes(const RunConfig& stored, const RunConfig& requested) {
  std::string refused;
  std::vector<config::Change> accepted;
  for (const config::Change& change : config::changes(portable_config(stored), portable_config(requested))) {
    if (change.may_change) {
      accepted.push_back(change);
      continue;
    }
    refused += cat(refused.empty() ? "" : "\n", change.path, ": received ", change.after, "; expected ", change.before,
                   ", as in the run that --resume continues (a new run: --fresh or another --run-dir)");
  }
  if (!refused.empty()) throw UserError(ExitCode::kUsage, refused);
  for (const config::Change& change : accepted)
    log::info(cat("resume: ", change.path, ": ", change.before, " -> ", change.after,
                  change.bit_exact ? "" : " (from here on not bit-equal to a run without this change)"));
}

}  // namespace sluice::train
