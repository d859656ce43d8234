// LibTorch's libraries export copies of parts of the C++ standard library. The program must use
// libstdc++.so, because the copies in libtorch.so 2.11 for CUDA crash.
#include <ATen/Context.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "tests/base/temporary_directory.h"

namespace sluice::ops {
namespace {

namespace fs = std::filesystem;

// The library that defines the symbol.
std::string library_of(const void* symbol) {
  Dl_info info{};
  return dladdr(symbol, &info) != 0 ? info.dli_fname : "";
}

TEST(LibtorchLink, StandardLibraryComesFromLibstdcpp) {
  ASSERT_NE(library_of(reinterpret_cast<void*>(&at::globalContext)).find("libtorch_cpu.so"),
            std::string::npos);
  using Create = bool (*)(const fs::path&);
  using Remove = std::uintmax_t (*)(const fs::path&);
  using Rename = void (*)(const fs::path&, const fs::path&);
  for (const void* symbol :
       {reinterpret_cast<const void*>(static_cast<Remove>(&fs::remove_all)),
        reinterpret_cast<const void*>(static_cast<Create>(&fs::create_directories)),
        reinterpret_cast<const void*>(static_cast<Rename>(&fs::rename)),
        static_cast<const void*>(dlsym(RTLD_DEFAULT, "_ZSt4cerr"))})
    EXPECT_NE(library_of(symbol).find("libstdc++.so"), std::string::npos) << library_of(symbol);
}

TEST(LibtorchLink, DirectoriesCanBeRemoved) {
  const sluice::testing::TemporaryDirectory folder;
  fs::create_directories(folder.path() / "a/b");
  EXPECT_EQ(fs::remove_all(folder.path() / "a"), 2u);
}

}  // namespace
}  // namespace sluice::ops
