#include "gpu/kernel_cache.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "tests/base/temporary_directory.h"
#include "tests/gpu/test_program.h"

namespace sluice::gpu::test {
namespace {

// Returns the concatenated texts and counts.
class FakeCompiler final : public Compiler {
 public:
  std::string identity() const override { return version; }
  std::string compile(const Sources& sources) const override {
    ++num_calls;
    std::string binary;
    for (const Text& text : sources.texts) binary += std::string(text.name) + ";";
    return binary;
  }
  std::string version = "1";
  mutable int num_calls = 0;
};

std::vector<std::filesystem::path> files_of(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> all;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) all.push_back(entry.path());
  return all;
}

TEST(KernelCache, SourcesAreTheTextsThatAProgramIncludes) {
  const Sources sources = sources_of(kTestProgram, "constexpr float shift = 1;");
  std::vector<std::string_view> names;
  for (const Text& text : sources.texts) names.push_back(text.name);
  EXPECT_EQ(names, (std::vector<std::string_view>{"test/main.cu", "gpu/kernel.h", "settings.h",
                                                  "gpu/target.h"}));
  EXPECT_EQ(sources.texts[2].content, "constexpr float shift = 1;");
}

TEST(KernelCache, RejectsAnIncludeOutsideTheProgram) {
  static constexpr Program kBroken{"a.cu", [] {
                                     static constexpr Text kTexts[]{{"a.cu", "#include \"b.h\"\n"}};
                                     return std::span<const Text>(kTexts);
                                   }};
  EXPECT_THROW(sources_of(kBroken, ""), InvariantError);
}

TEST(KernelCache, CompilesOncePerProgramSettingsAndCompiler) {
  const sluice::testing::TemporaryDirectory folder;
  FakeCompiler compiler;
  const auto binary = [&](std::string_view settings) {
    return KernelCache(compiler, folder / "kernels").binary_of(kTestProgram, settings);
  };
  const std::string first = binary("a");
  EXPECT_EQ(first, "test/main.cu;gpu/kernel.h;settings.h;gpu/target.h;");
  EXPECT_EQ(binary("a"), first);
  EXPECT_EQ(compiler.num_calls, 1);
  binary("b");
  EXPECT_EQ(compiler.num_calls, 2);
  compiler.version = "2";
  binary("a");
  EXPECT_EQ(compiler.num_calls, 3);
  EXPECT_EQ(files_of(folder / "kernels").size(), 3u);
}

TEST(KernelCache, CompilesAgainAfterDamage) {
  const sluice::testing::TemporaryDirectory folder;
  FakeCompiler compiler;
  KernelCache cache(compiler, folder.path());
  const std::string first = cache.binary_of(kTestProgram, "");
  const std::filesystem::path file = files_of(folder.path()).at(0);
  const std::string content = read_file(file);
  for (const std::string& damaged : {std::string(), content.substr(0, 20),
                                     content.substr(0, content.size() - 1), content + "x"}) {
    std::ofstream(file, std::ios::binary) << damaged;
    EXPECT_EQ(cache.binary_of(kTestProgram, ""), first);
    EXPECT_EQ(read_file(file), content);
  }
  EXPECT_EQ(compiler.num_calls, 5);
}

TEST(KernelCache, WorksWithoutAWritableDirectory) {
  const sluice::testing::TemporaryDirectory folder;
  std::ofstream(folder / "file") << "in the way";
  FakeCompiler compiler;
  KernelCache cache(compiler, folder / "file/kernels");
  EXPECT_FALSE(cache.binary_of(kTestProgram, "").empty());
  EXPECT_FALSE(cache.binary_of(kTestProgram, "").empty());
  EXPECT_EQ(compiler.num_calls, 2);
}

TEST(KernelCache, DefaultDirectory) {
  const auto with = [](const char* own, const char* all, const char* home) {
    for (const auto& [name, value] :
         {std::pair{"SLUICE_CACHE", own}, {"XDG_CACHE_HOME", all}, {"HOME", home}})
      value != nullptr ? setenv(name, value, 1) : unsetenv(name);
    return default_cache_directory().string();
  };
  const char* home = std::getenv("HOME");
  const std::string old = home != nullptr ? home : "/";
  EXPECT_EQ(with("/a", "/b", "/h"), "/a/kernels");
  EXPECT_EQ(with("", "/b", "/h"), "/b/sluice/kernels");
  EXPECT_EQ(with(nullptr, "relative", "/h"), "/h/.cache/sluice/kernels");
  with(nullptr, nullptr, old.c_str());
}

}  // namespace
}  // namespace sluice::gpu::test
