// LibTorch's own messages go to our log instead of straight to stderr: from every thread, each distinct
// text once, with what it means for the run.
//
// LibTorch has two ways to stderr, and both end here:
// - TORCH_WARN calls the thread's c10::WarningHandler. All threads that set none (the main thread,
//   OpenMP and autograd workers, any std::thread) share one base handler; torch_warnings.cpp replaces
//   its virtual function `process`.
// - LOG(WARNING), LOG(ERROR) and direct writes go to std::cerr. Its new buffer logs each line.
// Not caught: what C code writes to file descriptor 2 (libgomp, the CUDA driver).
#pragma once

#include <string>
#include <string_view>

namespace sluice::ops {

// Call once at the start of the program. From then on whatever is written to std::cerr is logged.
void log_torch_warnings();

// The log's line for a text of LibTorch's: "LibTorch: TEXT", or "MEANING (LibTorch: TEXT)" if known.
std::string torch_warning_line(std::string_view text);

}  // namespace sluice::ops
