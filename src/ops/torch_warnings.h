// Redirects LibTorch's messages from stderr to the log: from every thread, each distinct text once
// per destination (base/log_destination.h), with an explanation if known.
//
// LibTorch writes to stderr in two ways:
// - TORCH_WARN calls the thread's c10::WarningHandler. Threads without a handler (the main thread,
//   OpenMP and autograd workers, any std::thread) share one base handler, whose virtual function
//   `process` torch_warnings.cpp replaces.
// - LOG(WARNING), LOG(ERROR) and direct writes use std::cerr, whose buffer is replaced by one that
//   logs each line.
// Not captured: C code that writes to file descriptor 2 (libgomp, the CUDA driver).
#pragma once

#include <string>
#include <string_view>

namespace sluice::ops {

// Call once at program start. Afterwards all output to std::cerr is logged.
void log_torch_warnings();

// The log line for a LibTorch message: "LibTorch: TEXT" or "EXPLANATION (LibTorch: TEXT)".
std::string torch_warning_line(std::string_view text);

}  // namespace sluice::ops
