// The flat list has each field once, with the value that the YAML text has.
#include "config/flat_settings.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/config/sample.h"

namespace sluice::config {
namespace {

TEST(FlatSettings, ListsDottedPathsInOrder) {
  const auto root = parse<sample::Root>(
      "{model: {d_model: 64, num_heads: 4, d_ff: 100}, run: {name: x, files: [a, b], limit: 0.5}}",
      "test");
  const FlatSettings flat = flat_settings(root);
  const std::map<std::string, std::string> by_name(flat.begin(), flat.end());
  EXPECT_EQ(by_name.size(), flat.size());
  EXPECT_EQ(by_name.at("model.d_model"), "64");
  EXPECT_EQ(by_name.at("model.d_ff"), "100");
  EXPECT_EQ(by_name.at("run.name"), "x");
  EXPECT_EQ(by_name.at("run.files"), "[a, b]");
}

// Reading the settings back as overrides gives the same value.
TEST(FlatSettings, AreCompleteOverrides) {
  const auto root =
      parse<sample::Root>("{model: {d_model: 128, num_heads: 4, bias: true}, run: {seed: 7}}", "t");
  std::vector<std::string> overrides;
  for (const auto& [path, value] : flat_settings(root)) overrides.push_back(path + "=" + value);
  EXPECT_EQ(to_yaml(load<sample::Root>({.file = {}, .overrides = overrides})), to_yaml(root));
}

TEST(SettingPaths, HaveEveryFieldOnceWithItsNamedValues) {
  std::map<std::string, std::vector<std::string>> paths;
  for (const SettingPath& one : setting_paths<sample::Root>()) {
    EXPECT_TRUE(paths.emplace(one.path, one.values).second) << one.path;
    EXPECT_TRUE(affects_of<sample::Root>(one.path)) << one.path;
  }
  EXPECT_EQ(paths.at("model.bias"), (std::vector<std::string>{"true", "false"}));
  EXPECT_EQ(paths.at("model.d_ff"), std::vector<std::string>{"match"});
  EXPECT_EQ(paths.at("run.format"), (std::vector<std::string>{"text", "lines", "paragraphs"}));
  EXPECT_EQ(paths.at("optimizer.type"), (std::vector<std::string>{"adamw", "muon", "plain"}));
  EXPECT_TRUE(paths.contains("optimizer.momentum"));  // only of muon
  EXPECT_TRUE(paths.contains("run.extra.lr"));
  EXPECT_FALSE(paths.contains("model"));
  // A configuration has no other fields.
  for (const auto& [path, value] : flat_settings(sample::Root{}))
    EXPECT_TRUE(paths.contains(path)) << path;
}

}  // namespace
}  // namespace sluice::config
