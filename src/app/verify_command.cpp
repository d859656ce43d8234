#include <iostream>
#include <optional>
#include <vector>

#include "app/commands.h"
#include "app/outputs.h"
#include "app/run_argument.h"
#include "base/error.h"
#include "base/log.h"
#include "base/stop_notice.h"
#include "base/text_format.h"
#include "store/checkpoint_store.h"
#include "train/verify_run.h"

namespace sluice::app {
namespace {

train::RunFindings verify_one(const std::string& path) {
  train::RunFindings found{.findings = {{.subject = path, .fault = ""}}, .newest_step = 0};
  try {
    found.newest_step = store::verify_checkpoint(path).step;
    found.findings.front().step = found.newest_step;
  } catch (const UserError& error) {
    if (error.code() != ExitCode::kBadData) throw;
    found.findings.front().fault = error.what();
  }
  return found;
}

// A damaged checkpoint that is newer than the one in use, where --allow-older-checkpoint takes the latter.
bool is_accepted(const train::Finding& finding, const train::RunFindings& found, const VerifyOptions& options) {
  return options.allow_older && finding.step && *finding.step > found.newest_step;
}

}  // namespace

void verify_command(const VerifyOptions& options) {
  const StopNotice notice("ending after what is being checked");
  const bool is_run = check_run_argument(options.run) == RunArgument::kRun;
  const train::RunFindings found = is_run ? train::verify_run(options.run) : verify_one(options.run);
  std::size_t num_faults = 0;
  bool is_newest_lost = false;
  std::vector<VerifyOutput::Checked> checked;
  for (const train::Finding& finding : found.findings) {
    const bool has_fault = !finding.fault.empty(), is_older_fine = is_accepted(finding, found, options);
    num_faults += has_fault && !is_older_fine;
    is_newest_lost = is_newest_lost || (has_fault && finding.step && *finding.step > found.newest_step);
    checked.push_back({finding.subject, finding.step, has_fault ? std::optional(finding.fault) : std::nullopt});
    if (!options.json && !has_fault) std::cout << "ok       " << printable(finding.subject, std::string::npos) << "\n";
    if (has_fault && is_older_fine) log::warn(finding.fault);
    if (has_fault && !is_older_fine) log::error(finding.fault);
  }
  const bool is_damaged_checkpoint = !is_run && num_faults > 0;
  if (options.json) {
    std::cout << config::to_json(VerifyOutput{.sound = num_faults == 0,
                                              .step = is_damaged_checkpoint ? std::nullopt : std::optional(found.newest_step),
                                              .checked = std::move(checked)});
  } else if (!is_damaged_checkpoint) {
    std::cout << "step     " << with_commas(found.newest_step) << (is_run ? ", the newest checkpoint that verifies\n" : "\n");
  }
  if (num_faults == 0) return;
  fail(ExitCode::kBadData, options.run, cat(num_faults, " of ", found.findings.size(), " damaged"),
       is_newest_lost ? cat("every hash to agree; --allow-older-checkpoint accepts step ", found.newest_step) : "every hash to agree");
}

}  // namespace sluice::app
