// A process whose memory is limited.
#include <stdexcept>

#include "app/action.h"
#include "tests/app/program.h"

namespace sluice::app {
namespace {

// 200 GB of weights with 60 GB of address space.
TEST_F(ProgramTest, ReportsThatMemoryIsExhausted) {
  write_english();
  write_tiny_config();
  const Outcome outcome =
      run({"bash", "-c",
           "ulimit -v 60000000 && exec \"$0\" train tiny.yaml --set model.d_model=65536 --set "
           "model.d_ff=262144 --set model.num_heads=512 --set train.precision=fp32 --set "
           "train.micro_batch_sequences=2",
           SLUICE_PROGRAM});
  EXPECT_EQ(outcome.exit_code, 74);
  EXPECT_NE(outcome.err.find("model: out of memory (asked for "), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("; use a smaller model"), std::string::npos) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(path("run"))) << "the run cannot be continued";
}

TEST(RunAction, ReportsTheMemoryOfAGpu) {
  ::testing::internal::CaptureStderr();
  const ExitCode code = run_action([] {
    throw std::runtime_error("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...");
  });
  const std::string err = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(code, ExitCode::kIo);
  EXPECT_NE(err.find("out of GPU memory (asked for 2.0 GiB"), std::string::npos) << err;
  EXPECT_NE(err.find("or run on the CPU with CUDA_VISIBLE_DEVICES="), std::string::npos) << err;
}

}  // namespace
}  // namespace sluice::app
