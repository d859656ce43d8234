#include "gpu/nvrtc.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/gpu/nvrtc_support.h"
#include "tests/gpu/test_program.h"

namespace sluice::gpu::test {
namespace {

TEST(Nvrtc, CompilesTheKernelLanguage) {
  for (const Architecture architecture : kArchitectures) {
    const auto nvrtc = nvrtc_for(architecture);
    if (nvrtc == nullptr) GTEST_SKIP() << "no NVRTC; scripts/setup.sh --tests installs it";
    const std::string cubin =
        nvrtc->compile(sources_of(kTestProgram, "constexpr float shift = 1;"));
    EXPECT_EQ(cubin.substr(0, 4), "\177ELF");
    EXPECT_NE(cubin.find("scale"), std::string::npos);
    EXPECT_NE(nvrtc->identity().find(std::to_string(architecture.major)), std::string::npos);
  }
}

TEST(Nvrtc, ErrorsNameTheProgramAndTheLine) {
  const auto nvrtc = nvrtc_for({9, 0});
  if (nvrtc == nullptr) GTEST_SKIP() << "no NVRTC; scripts/setup.sh --tests installs it";
  try {
    nvrtc->compile(sources_of(kTestProgram, "constexpr float other = 1;"));
    FAIL();
  } catch (const InvariantError& error) {
    EXPECT_NE(std::string(error.what()).find("test/main.cu compiles"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("\"shift\" is undefined"), std::string::npos);
  }
}

TEST(Nvrtc, AMissingLibraryGivesNoCompiler) {
  EXPECT_EQ(Nvrtc::open("/no/such/libnvrtc.so", {9, 0}), nullptr);
}

}  // namespace
}  // namespace sluice::gpu::test
