// The recorder over LibTorch's interface of graphs, with a graph that only counts.
#include <ATen/ATen.h>

#include <cstdlib>

#include "ops/cuda.h"
#include "tests/ops/settings.h"

#if __has_include(<ATen/core/GraphImplInterface.h>)
#include <ATen/core/GraphImplInterface.h>

namespace sluice::ops::test {
namespace {

std::string calls;

class CountingGraph final : public at::GraphImplInterface {
 public:
  explicit CountingGraph(const at::GraphImplArgs&) {}
  void capture_begin(at::MempoolId_t, at::GraphCaptureMode mode) override {
    calls += mode == at::GraphCaptureMode::ThreadLocal ? "begin " : "begin in another mode ";
  }
  void capture_end() override { calls += "end "; }
  void instantiate() override {}
  void replay() override { calls += "replay "; }
  void reset() override {}
  at::MempoolId_t pool() const override { return {0, 0}; }
  void enable_debug_mode() override {}
  void debug_dump(const std::string&) override {}
};

TEST(Recorder, RecordsBetweenBeginAndEnd) {
  EXPECT_EQ(make_recorder(at::kCPU), nullptr);
  at::GraphImplRegistry()->Register("CPU", [](const at::GraphImplArgs& args) {
    return std::unique_ptr<at::GraphImplInterface>(new CountingGraph(args));
  });
  EXPECT_THROW(make_recorder(at::kCPU)->record([] { throw std::runtime_error("no memory"); }),
               std::runtime_error);
  EXPECT_EQ(calls, "begin end ") << "the stream would go on recording";
  calls.clear();
  const std::unique_ptr<Recorder> recorder = make_recorder(at::kCPU);
  ASSERT_NE(recorder, nullptr);
  recorder->record([] { calls += "work "; });
  recorder->replay();
  recorder->replay();
  EXPECT_EQ(calls, "begin work end replay replay ");
  setenv("SLUICE_CUDA_GRAPHS", "0", 1);
  EXPECT_EQ(make_recorder(at::kCPU), nullptr);
  unsetenv("SLUICE_CUDA_GRAPHS");
}

}  // namespace
}  // namespace sluice::ops::test

#endif
