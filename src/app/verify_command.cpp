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
#include "run/verify_run.h"
#include "store/checkpoint_store.h"

namespace sluice::app {
namespace {

run::RunFindings verify_one(const std::string& path) {
  run::RunFindings found{.findings = {{.subject = path, .fault = ""}}, .newest_step = 0};
  try {
    found.newest_step = store::verify_checkpoint(path).step;
    found.findings.front().step = found.newest_step;
  } catch (const UserError& error) {
    if (error.code() != ExitCode::kBadData) throw;
    found.findings.front().fault = error.what();
  }
  return found;
}

// With --allow-older-checkpoint, damage to checkpoints newer than the newest valid one is accepted.
bool is_accepted(const run::Finding& finding, const run::RunFindings& found,
                 const VerifyOptions& options) {
  return options.allow_older && finding.step && *finding.step > found.newest_step;
}

}  // namespace

void verify_command(const VerifyOptions& options) {
  const StopNotice notice("stopping after the current check");
  const bool is_run = check_run_argument(options.run) == RunArgument::kRun;
  const run::RunFindings found = is_run ? run::verify_run(options.run) : verify_one(options.run);
  std::size_t num_faults = 0;
  bool is_newest_lost = false;
  std::vector<VerifyOutput::Checked> checked;
  for (const run::Finding& finding : found.findings) {
    const bool has_fault = !finding.fault.empty(), accepted = is_accepted(finding, found, options);
    num_faults += has_fault && !accepted;
    is_newest_lost =
        is_newest_lost || (has_fault && finding.step && *finding.step > found.newest_step);
    checked.push_back(
        {finding.subject, finding.step, has_fault ? std::optional(finding.fault) : std::nullopt});
    if (!options.json && !has_fault)
      std::cout << "ok       " << printable(finding.subject, std::string::npos) << "\n";
    if (has_fault && accepted) log::warn(finding.fault);
    if (has_fault && !accepted) log::error(finding.fault);
  }
  const bool is_damaged_checkpoint = !is_run && num_faults > 0;
  if (options.json) {
    std::cout << config::to_json(VerifyOutput{
        .ok = num_faults == 0,
        .step = is_damaged_checkpoint ? std::nullopt : std::optional(found.newest_step),
        .checked = std::move(checked)});
  } else if (!is_damaged_checkpoint) {
    std::cout << "step     " << with_commas(found.newest_step)
              << (is_run ? ", the newest valid checkpoint\n" : "\n");
  }
  if (num_faults == 0) return;
  fail(ExitCode::kBadData, options.run,
       cat(num_faults, " of ", found.findings.size(), " checks failed",
           is_newest_lost ? cat("; use --allow-older-checkpoint to accept step ", found.newest_step)
                          : ""));
}

}  // namespace sluice::app
