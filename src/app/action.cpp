#include "app/action.h"

#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <filesystem>
#include <iostream>
#include <new>
#include <string>

#include "base/log.h"
#include "base/machine.h"
#include "base/text_format.h"

namespace sluice::app {
namespace {

ExitCode no_memory() {
  log::error(cat("memory: this model and batch need more than the ", human_bytes(machine().memory_bytes),
                 " there are; needs a smaller model, train.micro_batch_sequences or vocabulary (see `sluice plan`)"));
  return ExitCode::kUsage;
}

bool has_no_reader(int descriptor) {
  pollfd state{.fd = descriptor, .events = POLLOUT, .revents = 0};
  return ::poll(&state, 1, 0) == 1 && (state.revents & POLLERR) != 0;
}

// `sluice config docs | head`: the reader has what it wanted. As other programs end then, by the signal.
ExitCode end_by_closed_pipe() {
  log::close_file();
  std::signal(SIGPIPE, SIG_DFL);
  std::raise(SIGPIPE);
  return ExitCode::kIo;  // blocked
}

}  // namespace

ExitCode run_action(const Action& action) {
  try {
    action();
    std::cout.flush();
    if (!std::cout.good() && has_no_reader(STDOUT_FILENO)) return end_by_closed_pipe();
    require(std::cout.good(), ExitCode::kIo, "stdout", "a write that failed", "a place with room for the result");
    return ExitCode::kOk;
  } catch (const UserError& error) {
    log::end_progress();
    if (error.code() == ExitCode::kInterrupted) {
      log::warn(error.what());
    } else {
      log::error(error.what());
    }
    return error.code();
  } catch (const std::bad_alloc&) {
    return no_memory();
  } catch (const std::filesystem::filesystem_error& error) {
    log::end_progress();
    log::error(cat(printable(error.path1().string(), 400), ": ", error.code().message(), "; needs a path that can be reached and read"));
    return error.code() == std::errc::io_error || error.code() == std::errc::no_space_on_device ? ExitCode::kIo : ExitCode::kMissingInput;
  } catch (const std::exception& error) {
    const std::string what = error.what();
    if (what.find("not enough memory") != std::string::npos || what.find("alloc_cpu.cpp") != std::string::npos)
      return no_memory();  // LibTorch's own error
    log::error(cat("internal error, please report it with the command and the configuration: ", what.substr(0, what.find('\n'))));
    return ExitCode::kInternal;
  }
}

}  // namespace sluice::app
