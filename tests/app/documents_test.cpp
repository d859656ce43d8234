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

TEST_F(Documents, TheShippedSchemaIsThatOfTheProgram) {
  const Outcome printed = sluice({"config", "schema"});
  ASSERT_EQ(printed.exit_code, 0) << printed.err;
  EXPECT_TRUE(printed.out == content("configs/sluice.schema.json"))
      << "run  build/sluice config schema > configs/sluice.schema.json";
}

// As an editor checks them, with Python's jsonschema.
TEST_F(Documents, EveryShippedConfigurationMatchesTheSchemaItNames) {
  if (run({SLUICE_PYTHON, "-c", "import jsonschema, yaml"}).exit_code != 0)
    GTEST_SKIP() << SLUICE_PYTHON << " has no jsonschema or no yaml";
  const auto check = [&](const std::string& directory) {
    return run({SLUICE_PYTHON, source("tests/app/check_configs.py").string(), directory});
  };
  const Outcome checked = check(source("configs").string());
  EXPECT_EQ(checked.exit_code, 0) << checked.err;
  int num_configs = 0;
  for (const auto& entry : fs::recursive_directory_iterator(source("configs")))
    num_configs += entry.path().extension() == ".yaml";
  EXPECT_EQ(checked.out, std::to_string(num_configs) + "\n");
  // The check itself finds problems.
  fs::copy_file(source("configs/sluice.schema.json"), path("sluice.schema.json"));
  const std::string line = "# yaml-language-server: $schema=../sluice.schema.json\n";
  write("wrong/a.yaml", line + "train: {steps: many}\n");
  write("wrong/b.yaml", "train: {steps: 1}\n");
  write("wrong/c.yaml", "# yaml-language-server: $schema=nowhere.json\ntrain: {steps: 1}\n");
  const std::string problems = check("wrong").out;
  for (const char* part :
       {"a.yaml: $.train.steps", "b.yaml: the first line", "c.yaml: nowhere.json"})
    EXPECT_NE(problems.find(part), std::string::npos) << problems;
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
