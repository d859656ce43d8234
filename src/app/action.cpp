#include "app/action.h"

#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>

#include "base/log.h"
#include "base/text_format.h"
#include "run/out_of_memory.h"

namespace sluice::app {
namespace {

ExitCode report_out_of_memory(const ops::OutOfMemory& shortage) {
  log::end_progress();
  log::error(cat(run::describe(shortage), "; expected more free memory",
                 shortage.on_gpu ? ", or run on the CPU with CUDA_VISIBLE_DEVICES=" : ""));
  return ExitCode::kIo;
}

bool has_no_reader(int descriptor) {
  pollfd state{.fd = descriptor, .events = POLLOUT, .revents = 0};
  return ::poll(&state, 1, 0) == 1 && (state.revents & POLLERR) != 0;
}

// The reader closed the pipe, as in `sluice config docs | head`: terminate by SIGPIPE, as other
// programs do.
ExitCode end_by_closed_pipe() {
  log::close_file();
  std::signal(SIGPIPE, SIG_DFL);
  std::raise(SIGPIPE);
  return ExitCode::kIo;  // SIGPIPE is blocked
}

}  // namespace

ExitCode run_action(const Action& action) {
  bool is_cut_off = false;
  int outcome = 0;
  const ExitCode code = run_reporting([&] {
    try {
      action();
    } catch (const OtherOutcome& other) {
      outcome = other.code;
    }
    std::cout.flush();
    is_cut_off = !std::cout.good() && has_no_reader(STDOUT_FILENO);
    require(std::cout.good() || is_cut_off, ExitCode::kIo, "stdout",
            "write failed; check the free space");
  });
  if (is_cut_off) return end_by_closed_pipe();
  return code == ExitCode::kOk ? static_cast<ExitCode>(outcome) : code;
}

ExitCode run_reporting(const Action& action) {
  try {
    action();
    return ExitCode::kOk;
  } catch (const UserError& error) {
    log::end_progress();
    if (error.code() == ExitCode::kInterrupted) {
      log::warn(error.what());
    } else {
      log::error(error.what());
    }
    return error.code();
  } catch (const std::filesystem::filesystem_error& error) {
    log::end_progress();
    log::error(cat(printable(error.path1().string(), 400), ": ", error.code().message(),
                   "; expected an accessible path"));
    return error.code() == std::errc::io_error || error.code() == std::errc::no_space_on_device
               ? ExitCode::kIo
               : ExitCode::kMissingInput;
  } catch (const std::exception& error) {
    if (const auto shortage = ops::find_out_of_memory(error))
      return report_out_of_memory(*shortage);
    const std::string what = error.what();
    log::error(cat("internal error, please report it with the command and the configuration: ",
                   what.substr(0, what.find('\n'))));
    return ExitCode::kInternal;
  }
}

}  // namespace sluice::app
