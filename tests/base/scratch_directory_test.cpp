#include "base/scratch_directory.h"

#include <gtest/gtest.h>

#include <fstream>

namespace sluice {
namespace {

namespace fs = std::filesystem;

TEST(ScratchDirectory, IsNewAndRemovedWithItsContents) {
  fs::path path;
  {
    const ScratchDirectory one("sluice-test-"), two("sluice-test-");
    path = one.path();
    EXPECT_NE(path, two.path());
    EXPECT_TRUE(path.filename().string().starts_with("sluice-test-"));
    EXPECT_TRUE(fs::is_empty(path));
    std::ofstream(path / "file") << "text";
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST(ScratchDirectory, CanBeKept) {
  fs::path path;
  {
    ScratchDirectory scratch("sluice-test-");
    path = scratch.path();
    scratch.keep();
  }
  EXPECT_TRUE(fs::exists(path));
  fs::remove(path);
}

}  // namespace
}  // namespace sluice
