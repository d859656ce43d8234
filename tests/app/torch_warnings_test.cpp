// A LibTorch warning as printed by the program. This one needs no GPU: an environment variable
// requests a CPU level unknown to LibTorch.
#include "tests/app/program.h"
#include "tests/base/count_parts.h"

namespace sluice::app {
namespace {

class TorchWarnings : public ProgramTest {
 protected:
  Outcome with_unknown_cpu_level(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(),
                     {"/usr/bin/env", "ATEN_CPU_CAPABILITY=unheard_of", SLUICE_PROGRAM});
    return run(arguments);
  }
};

TEST_F(TorchWarnings, AWarningIsOneLineOnTheConsoleAndInTheLogFile) {
  write_english();
  write_tiny_config();
  const Outcome outcome = with_unknown_cpu_level({"train", "tiny.yaml"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::string line =
      "warning: LibTorch: ignoring invalid value for ATEN_CPU_CAPABILITY: unheard_of\n";
  EXPECT_EQ(sluice::testing::count_parts(outcome.err, line), 1u) << outcome.err;
  EXPECT_EQ(sluice::testing::count_parts(outcome.err, "unheard_of"), 1u) << outcome.err;
  EXPECT_EQ(sluice::testing::count_parts(outcome.err, "[W"), 0u) << outcome.err;
  EXPECT_EQ(sluice::testing::count_parts(read("run/log.txt"), line), 1u) << read("run/log.txt");
}

TEST_F(TorchWarnings, StdoutContainsOnlyTheResult) {
  const Outcome outcome = with_unknown_cpu_level({"doctor", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(outcome.json().is_object());
}

}  // namespace
}  // namespace sluice::app
