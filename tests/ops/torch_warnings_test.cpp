// LibTorch's messages from every kind of thread appear once on the console and in the log file;
// nothing else is written to stderr.
#include "ops/torch_warnings.h"

#include <ATen/Parallel.h>
#include <c10/util/Exception.h>
#include <c10/util/Logging.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <thread>
#include <vector>

#include "base/log.h"
#include "base/log_destination.h"
#include "base/text_format.h"
#include "tests/base/temporary_directory.h"

namespace sluice::ops {
namespace {

struct Captured {
  std::string console, file;
};

// The output of `act` on stderr and in the log file (without timestamps).
template <class Act>
Captured captured_from(Act act) {
  const sluice::testing::TemporaryDirectory folder;
  const std::string path = (folder.path() / "log.txt").string();
  log_torch_warnings();
  ::testing::internal::CaptureStderr();
  log::open_file(path);
  act();
  log::close_file();
  Captured captured;
  captured.console = ::testing::internal::GetCapturedStderr();
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);)
    captured.file += line.substr(line.find(' ') + 1) + '\n';
  return captured;
}

void expect_one_line(const Captured& captured, const std::string& line) {
  EXPECT_EQ(captured.console, line + '\n');
  EXPECT_EQ(captured.file, line + '\n');
}

// Runs that are threads of one process each get a warning, also one of a thread for all of them.
TEST(TorchWarnings, OncePerDestination) {
  const sluice::testing::TemporaryDirectory folder;
  log_torch_warnings();
  std::vector<std::shared_ptr<log::Destination>> destinations;
  for (const char* name : {"a", "b"})
    destinations.push_back(log::Destination::append_to((folder.path() / name).string()));
  std::vector<std::thread> threads;
  for (const auto& destination : destinations) {
    threads.emplace_back([destination] {
      const log::Redirect redirect(destination);
      for (int i = 0; i < 2; ++i) TORCH_WARN("by a run");
    });
  }
  for (std::thread& thread : threads) thread.join();
  const log::Redirect a(destinations[0]), b(destinations[1]);
  for (int i = 0; i < 2; ++i) std::thread([] { TORCH_WARN("by LibTorch"); }).join();
  for (const char* name : {"a", "b"}) {
    std::stringstream text;
    text << std::ifstream(folder.path() / name).rdbuf();
    EXPECT_EQ(text.str(), "warning: LibTorch: by a run\nwarning: LibTorch: by LibTorch\n");
  }
}

TEST(TorchWarnings, MainThreadLogsOnce) {
  const Captured captured = captured_from([] {
    for (int i = 0; i < 3; ++i) TORCH_WARN("from the\n  main thread");
  });
  expect_one_line(captured, "warning: LibTorch: from the main thread");
}

TEST(TorchWarnings, UserThread) {
  expect_one_line(
      captured_from([] { std::thread([] { TORCH_WARN("from a std::thread"); }).join(); }),
      "warning: LibTorch: from a std::thread");
}

TEST(TorchWarnings, ParallelForWorkers) {
  const int before = at::get_num_threads();
  at::set_num_threads(4);
  std::atomic<int> others = 0;
  const std::thread::id caller = std::this_thread::get_id();
  const Captured captured = captured_from([&] {
    at::parallel_for(0, 4, 1, [&](std::int64_t, std::int64_t) {
      if (std::this_thread::get_id() != caller) ++others;
      TORCH_WARN("from parallel_for");
    });
  });
  at::set_num_threads(before);
  EXPECT_EQ(others, 3);
  expect_one_line(captured, "warning: LibTorch: from parallel_for");
}

// Runs a nested backward pass inside backward, `depth` times; the innermost one warns.
struct Nested : torch::autograd::Function<Nested> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            std::int64_t depth) {
    context->saved_data["depth"] = depth;
    return x.clone();
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const std::int64_t depth = context->saved_data["depth"].toInt();
    if (depth == 0) {
      TORCH_WARN("from backward in ", std::this_thread::get_id() == main_thread()
                                          ? "the calling thread"
                                          : "a thread of autograd");
    } else {
      const at::AutoGradMode grad(true);
      Nested::apply(at::ones({1}).requires_grad_(), depth - 1).sum().backward();
    }
    return {gradients[0], {}};
  }
  static std::thread::id& main_thread() {
    static std::thread::id the_thread;
    return the_thread;
  }
};

TEST(TorchWarnings, BackwardInTheCallingThreadAndInAutogradThreads) {
  Nested::main_thread() = std::this_thread::get_id();
  // From depth 60 on, the engine continues on a thread of its pool.
  for (const auto& [depth, where] :
       {std::pair{0, "the calling thread"}, std::pair{70, "a thread of autograd"}}) {
    const Captured captured = captured_from(
        [depth = depth] { Nested::apply(at::ones({1}).requires_grad_(), depth).sum().backward(); });
    expect_one_line(captured, cat("warning: LibTorch: from backward in ", where));
  }
}

TEST(TorchWarnings, LogMacrosAndDirectWrites) {
  expect_one_line(captured_from([] {
                    for (int i = 0; i < 3; ++i) LOG(WARNING) << "of LOG " << 7;
                    std::thread([] { LOG(WARNING) << "of LOG " << 7; }).join();
                  }),
                  "warning: LibTorch: of LOG 7");
  expect_one_line(captured_from([] { LOG(ERROR) << "an error"; }), "warning: LibTorch: an error");
  expect_one_line(captured_from([] { std::cerr << "in " << 3 << " parts" << std::endl
                                               << '\n'; }),
                  "warning: LibTorch: in 3 parts");
}

TEST(TorchWarnings, ExplainsKnownWarnings) {
  expect_one_line(
      captured_from(
          [] { TORCH_WARN("cuDNN Attention defaults to a non-deterministic algorithm."); }),
      "warning: this run is not bit-for-bit reproducible: LibTorch uses a non-deterministic "
      "operation (LibTorch: cuDNN Attention defaults to a non-deterministic algorithm.)");
  EXPECT_TRUE(torch_warning_line("put_ does not have a deterministic implementation, but")
                  .starts_with("this run is not bit-for-bit reproducible"));
  EXPECT_TRUE(torch_warning_line("CUDA initialization: The NVIDIA driver is too old")
                  .starts_with("the GPU cannot be used (LibTorch: CUDA"));
}

TEST(TorchWarnings, EscapesControlCharactersAndTruncates) {
  EXPECT_EQ(torch_warning_line("a\x1b[31mb\t c\n"), "LibTorch: a\\x1b[31mb c");
  EXPECT_LT(torch_warning_line(std::string(100'000, 'x')).size(), 700u);
}

// Last: it exhausts the process-wide limit. Under ctest each test runs in a separate process.
TEST(TorchWarnings, ZzVaryingTextDoesNotFillTheLog) {
  const Captured captured = captured_from([] {
    for (int i = 0; i < 1000; ++i) TORCH_WARN("number ", i);
  });
  EXPECT_LE(std::count(captured.console.begin(), captured.console.end(), '\n'), 101);
  EXPECT_NE(
      captured.console.find("LibTorch: 100 distinct warnings logged; suppressing further ones\n"),
      std::string::npos);
}

}  // namespace
}  // namespace sluice::ops
