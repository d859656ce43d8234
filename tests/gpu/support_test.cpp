// Which cards and drivers are accepted, with drivers that only answer questions.
#include "gpu/support.h"

#include <gtest/gtest.h>

#include "tests/gpu/nvrtc_support.h"
#include "tests/gpu/test_cards.h"

namespace sluice::gpu::test {
namespace {

// The machine that the fake driver describes.
struct Machine {
  int init_result = 0, count = 1, major = 9, minor = 0, driver_version = 13000;
};
Machine machine;

Driver driver_of(const Machine& described) {
  machine = described;
  Driver d;
  d.init = [](unsigned) { return machine.init_result; };
  d.device_get_count = [](int* count) {
    *count = machine.count;
    return 0;
  };
  d.device_get_attribute = [](int* value, int attribute, int) {
    *value = attribute == 75 ? machine.major : attribute == 76 ? machine.minor : 132;
    return 0;
  };
  describe_cards(d);
  d.driver_get_version = [](int* version) {
    *version = machine.driver_version;
    return 0;
  };
  d.get_error_string = [](int, const char** text) {
    *text = "the reason";
    return 0;
  };
  return d;
}

constexpr TorchCuda kTorch{.version = 13000, .num_devices = 1};

std::optional<NvrtcFacts> nvrtc_13() {
  return NvrtcFacts{.version = 13000, .architectures = {80, 86, 90, 100, 103, 120}, .path = ""};
}

Support support(const Machine& described, const TorchCuda& torch = kTorch, int device = 0,
                const std::function<std::optional<NvrtcFacts>()>& find_nvrtc = &nvrtc_13) {
  const Driver driver = driver_of(described);
  return support_of(&driver, device, torch, find_nvrtc);
}

TEST(Support, AcceptsACardWithItsSoftware) {
  const Support found = support({});
  EXPECT_TRUE(found.usable() && found.visible);
  EXPECT_EQ(found.card->name, "Test Card");
  EXPECT_EQ(found.card->memory_bytes, 1u << 20);
  EXPECT_EQ(support({.count = 4}, {.version = 13000, .num_devices = 4}, 3).card->name,
            "Third Card");
  EXPECT_EQ(found.nvrtc->version, 13000);
  EXPECT_EQ(found.target.major, 9);
  EXPECT_TRUE(support({.major = 8}).usable());
  // A driver runs programs of later minor versions, and LibTorch may be older than the driver.
  EXPECT_TRUE(support({}, {.version = 13020, .num_devices = 1}).usable());
  EXPECT_TRUE(support({}, {.version = 12080, .num_devices = 1}).usable());
}

TEST(Support, NamesWhatPreventsTheUseOfAVisibleCard) {
  struct Case {
    Machine machine;
    TorchCuda torch;
    const char* obstacle;
  };
  const Case cases[] = {
      {{.major = 7, .minor = 5}, kTorch, "Test Card has compute capability 7.5, below 8.0"},
      {{.driver_version = 12080},
       kTorch,
       "the NVIDIA driver supports CUDA 12.8 and LibTorch needs CUDA 13.0: update the driver"},
      {{}, {}, "LibTorch is built without CUDA and cannot use Test Card"},
      {{}, {.version = 13000, .num_devices = 0}, "LibTorch does not find Test Card"},
      {{.init_result = 803}, kTorch, "the NVIDIA driver does not start: the reason (error 803)"},
      {{.major = 13},
       kTorch,
       "NVRTC 13.0 does not compile for Test Card (compute capability 13.0): update LibTorch"},
  };
  for (const Case& one : cases) {
    const Support found = support(one.machine, one.torch);
    EXPECT_EQ(found.obstacle, one.obstacle);
    EXPECT_TRUE(found.visible) << one.obstacle;
    EXPECT_FALSE(found.usable()) << one.obstacle;
  }
}

TEST(Support, AMachineWithoutAVisibleGpuIsNotToldAboutOne) {
  for (const Machine& described :
       {Machine{.count = 0}, Machine{.init_result = 100}, Machine{.init_result = 34}}) {
    const Support found = support(described);
    EXPECT_FALSE(found.visible);
    EXPECT_EQ(found.obstacle, "no GPU is visible");
  }
  EXPECT_EQ(support({.count = 2}, kTorch, 2).obstacle, "this machine has 2 GPUs");
  EXPECT_FALSE(support({.count = 2}, kTorch, 2).visible);
  const Support without = support_of(nullptr, 0, kTorch, &nvrtc_13);
  EXPECT_NE(without.obstacle.find("libcuda.so.1"), std::string::npos);
  EXPECT_FALSE(without.visible);
}

TEST(Support, TheCompilerMustBeFoundAndFitTheDriver) {
  const auto obstacle_with = [](const std::optional<NvrtcFacts>& nvrtc) {
    return support({.driver_version = 12080}, {.version = 12080, .num_devices = 1}, 0,
                   [&] { return nvrtc; })
        .obstacle;
  };
  EXPECT_EQ(obstacle_with(NvrtcFacts{.version = 12040, .architectures = {}, .path = ""}), "");
  EXPECT_NE(obstacle_with(std::nullopt).find("NVRTC, which comes with CUDA"), std::string::npos);
  EXPECT_EQ(obstacle_with(nvrtc_13()),
            "the NVIDIA driver supports CUDA 12.8 and NVRTC 13.0 needs CUDA 13.0: update the "
            "driver");
}

TEST(Support, CompilesForTheNewestArchitectureThatRunsOnTheCard) {
  const auto target = [](int major, int minor, const std::vector<int>& supported) {
    Card card;
    card.major = major;
    card.minor = minor;
    const std::optional<Architecture> found = target_for(card, supported);
    return found ? 10 * found->major + found->minor : 0;
  };
  EXPECT_EQ(target(8, 9, {80, 86, 89, 90}), 89);
  EXPECT_EQ(target(8, 9, {80, 86, 90}), 86);
  EXPECT_EQ(target(10, 3, {90, 100, 103, 120}), 103);
  EXPECT_EQ(target(12, 0, {80, 90}), 0);
  EXPECT_EQ(target(8, 0, {86, 90}), 0);
  EXPECT_EQ(target(12, 1, {}), 121);
}

TEST(Support, TheInstalledNvrtcKnowsWhatItCompilesFor) {
  const auto nvrtc = nvrtc_for({9, 0});
  if (nvrtc == nullptr) GTEST_SKIP() << "no NVRTC; scripts/setup.sh --tests installs it";
  const NvrtcFacts facts = nvrtc->facts();
  EXPECT_GE(facts.version, 12000);
  EXPECT_NE(facts.path.find("libnvrtc"), std::string::npos);
  Card card;
  card.major = 9;
  EXPECT_EQ(target_for(card, facts.architectures)->major, 9);
}

TEST(Support, ReadsTheReleaseOfTheDriver) {
  EXPECT_EQ(driver_release("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 "
                           "01:15:15 UTC 2023\nGCC version:  gcc version 12.2.0\n"),
            "535.104.05");
  EXPECT_EQ(driver_release("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  "
                           "Release Build\n"),
            "580.95.05");
  EXPECT_EQ(driver_release("something else\nGCC version: 12.2.0\n"), "");
  EXPECT_EQ(driver_release(""), "");
  EXPECT_EQ(cuda_version_text(13010), "13.1");
}

}  // namespace
}  // namespace sluice::gpu::test
