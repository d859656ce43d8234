// Any valid configuration, written as YAML or as --set options, reads back unchanged.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "config/config.h"
#include "tests/base/property.h"
#include "train/run_config.h"

namespace sluice::train {
namespace {

using sluice::testing::check_property;
using Strings = std::vector<std::string>;

// The leaves of a configuration as --set options: "train.batch_sequences=16". `type` precedes the
// keys that depend on it.
Strings settings_of(const RunConfig& config) {
  Strings settings, path;
  const std::string yaml = config::to_yaml(config, config::Comments::kNone);
  for (std::size_t begin = 0; begin < yaml.size();) {
    const std::size_t end = yaml.find('\n', begin);
    const std::string line = yaml.substr(begin, end - begin);
    begin = end + 1;
    const std::size_t indent = line.find_first_not_of(' '), colon = line.find(':');
    path.resize(indent / 2);
    path.push_back(line.substr(indent, colon - indent));
    if (colon + 1 == line.size()) continue;  // a section
    std::string setting;
    for (const std::string& part : path) setting += (setting.empty() ? "" : ".") + part;
    settings.push_back(setting + "=" + line.substr(colon + 2));
  }
  return settings;
}

RunConfig with(const Strings& overrides) {
  return config::load<RunConfig>({.file = {}, .overrides = overrides});
}

// Values of every type. Most fields reject most of them.
const Strings& pool() {
  static const Strings values = {"0",
                                 "1",
                                 "2",
                                 "3",
                                 "8",
                                 "64",
                                 "100",
                                 "4096",
                                 "1000000",
                                 "18446744073709551615",
                                 "0.1",
                                 "0.25",
                                 "0.999",
                                 "1e-9",
                                 "2.5e3",
                                 "true",
                                 "false",
                                 "null",
                                 "auto",
                                 "match",
                                 "never",
                                 "all",
                                 "64KiB",
                                 "3GB",
                                 "1MiB",
                                 "250ms",
                                 "90s",
                                 "2h",
                                 "[]",
                                 "[0.5, 0.25]",
                                 "[a.txt]",
                                 "bytes",
                                 "bpe",
                                 "unigram",
                                 "relu",
                                 "geglu",
                                 "geglu_erf",
                                 "adafactor",
                                 "adamw",
                                 "muon",
                                 "sentencepiece",
                                 "decoder",
                                 "encoder_decoder",
                                 "causal_lm",
                                 "span_corruption",
                                 "cosine",
                                 "t5",
                                 "wsd",
                                 "constant",
                                 "linear",
                                 "learned",
                                 "rotary",
                                 "rope",
                                 "none",
                                 "layernorm",
                                 "rmsnorm",
                                 "text",
                                 "lines",
                                 "jsonl",
                                 "paragraphs",
                                 "error",
                                 "skip",
                                 "replace",
                                 "eos",
                                 "halt",
                                 "rollback",
                                 "valid",
                                 "tune",
                                 "bf16",
                                 "fp32",
                                 "cpu",
                                 "cuda",
                                 "'null'",
                                 "'010'",
                                 "' a '",
                                 "\"x: # \\n\\t\\\"\\u00e9\\U0001F600\"",
                                 "['a, b', \"c\\n\", 'd: e', '[f]', \"\\u0001\"]",
                                 "'on'",
                                 "~",
                                 "-",
                                 "'- a'",
                                 "'{a}'",
                                 "a#b",
                                 "'#a'",
                                 "'true'",
                                 "1.0",
                                 "0x10"};
  return values;
}

// Starts from a valid configuration, tries values on random fields and keeps those accepted.
Strings any_overrides(std::set<std::string>& touched) {
  Strings kept = {"corpus.train=[a.txt]", "train.steps=10"};
  const int tries = *rc::gen::inRange(20, 120);
  for (int i = 0; i < tries; ++i) {
    const Strings settings = settings_of(with(kept));
    const std::string setting = *rc::gen::elementOf(settings);
    const std::string path = setting.substr(0, setting.find('='));
    kept.push_back(path + "=" + *rc::gen::elementOf(pool()));
    try {
      with(kept);
      touched.insert(path);
    } catch (const UserError&) {
      kept.pop_back();
    }
  }
  return kept;
}

TEST(RoundTripProperty, OfAnyConfiguration) {
  std::set<std::string> touched;
  check_property(40, [&] {
    const RunConfig config = with(any_overrides(touched));
    for (const auto comments : {config::Comments::kNone, config::Comments::kDocs}) {
      const RunConfig again = config::parse<RunConfig>(config::to_yaml(config, comments), "again");
      RC_ASSERT(config::changes(config, again).empty());
      RC_ASSERT(config::to_yaml(again, comments) == config::to_yaml(config, comments));
    }
    const RunConfig by_settings = with(settings_of(config));
    RC_ASSERT(config::changes(config, by_settings).empty());
    RC_ASSERT(by_settings.corpus.train == config.corpus.train &&
              by_settings.run.name == config.run.name);
  });
  // The test must not cover defaults only.
  EXPECT_GT(touched.size(), 50U);
}

}  // namespace
}  // namespace sluice::train
