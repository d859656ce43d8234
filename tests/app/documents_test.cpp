// The documentation is up to date.
#include <fstream>
#include <iterator>
#include <regex>

#include "tests/app/program.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

class Documents : public ProgramTest {
 protected:
  static fs::path source(const std::string& name) { return fs::path(SLUICE_SOURCE_DIR) / name; }
  static std::string content(const std::string& name) {
    std::ifstream file(source(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

TEST_F(Documents, TheConfigReferenceIsUpToDate) {
  EXPECT_EQ(content("docs/config.md"), sluice({"config", "docs"}).out)
      << "fix it with: build/sluice config docs > docs/config.md";
}

TEST_F(Documents, TheFormatsPageIsUpToDate) {
  EXPECT_EQ(content("docs/formats.md"), sluice({"schema", "--docs"}).out)
      << "fix it with: build/sluice schema --docs > docs/formats.md";
}

TEST_F(Documents, TheSchemaIsJson) {
  const auto schema = nlohmann::json::parse(sluice({"config", "schema"}).out);
  EXPECT_EQ(schema.at("$schema"), "https://json-schema.org/draft/2020-12/schema");
  EXPECT_TRUE(schema.at("properties").at("model").is_object());
}

TEST_F(Documents, EveryShippedConfigurationIsValid) {
  int num_configs = 0;
  for (const auto& entry : fs::recursive_directory_iterator(source("configs"))) {
    if (entry.path().extension() != ".yaml") continue;
    const Outcome outcome = sluice({"config", "check", entry.path().string()});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    ++num_configs;
  }
  EXPECT_GE(num_configs, 4);
}

TEST_F(Documents, LinksResolve) {
  for (const char* page : {"README.md", "CONTRIBUTING.md", "src/README.md", "data/README.md",
                           "docs/checkpoints.md", "docs/metrics.md"}) {
    const std::string text = content(page);
    ASSERT_FALSE(text.empty()) << page;
    const std::regex link(R"(\]\(([^)#:]+)\))");
    for (auto match = std::sregex_iterator(text.begin(), text.end(), link);
         match != std::sregex_iterator(); ++match) {
      EXPECT_TRUE(fs::exists(source(page).parent_path() / (*match)[1].str()))
          << page << ": " << (*match)[1];
    }
  }
}

}  // namespace
}  // namespace sluice::app
