#include "base/pages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

#include "base/file.h"
#include "base/machine.h"
#include "base/resident_memory.h"

namespace sluice {
namespace {

constexpr std::size_t kSize = 64 << 20;

bool are_all(std::span<const std::byte> bytes, std::byte value) {
  return std::all_of(bytes.begin(), bytes.end(), [&](std::byte one) { return one == value; });
}

TEST(Pages, TakeMemoryWhileTheyAreWritten) {
  const std::shared_ptr<std::byte> memory = zero_pages(kSize);
  const std::uint64_t before = resident_memory_bytes();
  ASSERT_GT(before, 0u);
  EXPECT_EQ(memory.get()[kSize / 2], std::byte{0});
  EXPECT_LT(resident_memory_bytes(), before + kSize / 8);
  const std::span all(memory.get(), kSize);
  std::fill(all.begin(), all.end(), std::byte{7});
  EXPECT_GT(resident_memory_bytes(), before + kSize / 8 * 7);
  // Neither end is that of a page.
  const std::span middle = all.subspan(1001, kSize - 2003);
  return_pages(middle);
  EXPECT_LT(resident_memory_bytes(), before + kSize / 8);
  EXPECT_TRUE(are_all(middle, std::byte{0}));
  EXPECT_TRUE(are_all(all.first(1001), std::byte{7}));
  EXPECT_TRUE(are_all(all.last(1002), std::byte{7}));
}

TEST(Pages, MayBeMoreThanTheMachineHas) {
  if (read_file("/proc/sys/vm/overcommit_memory", 16).starts_with("2"))
    GTEST_SKIP() << "vm.overcommit_memory is 2";
  const std::uint64_t size = 2 * machine().memory_bytes;
  const std::shared_ptr<std::byte> memory = zero_pages(size);
  memory.get()[size - 1] = std::byte{7};
  EXPECT_EQ(memory.get()[0], std::byte{0});
}

TEST(Pages, ReturnsLessThanAPage) {
  const std::shared_ptr<std::byte> memory = zero_pages(1 << 14);
  const std::span all(memory.get(), 1 << 14);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{100}, std::size_t{4096}, std::size_t{8000}}) {
    std::fill(all.begin(), all.end(), std::byte{7});
    return_pages(all.subspan(4000, size));
    EXPECT_TRUE(are_all(all.subspan(4000, size), std::byte{0})) << size;
    EXPECT_TRUE(are_all(all.first(4000), std::byte{7})) << size;
    EXPECT_TRUE(are_all(all.subspan(4000 + size), std::byte{7})) << size;
  }
}

}  // namespace
}  // namespace sluice
