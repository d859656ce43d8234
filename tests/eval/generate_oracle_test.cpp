// Greedy generation and its log-probabilities equal those of `transformers`' generate with the same
// weights in fp32.
#include <ATen/ATen.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/text_format.h"
#include "config/config.h"
#include "eval/generate.h"
#include "tests/model/model_support.h"
#include "tests/model/transformers_versions.h"

// Included last: its namespace sluice::testing would hide GoogleTest's.
#include "tests/base/temporary_directory.h"

namespace sluice::eval {
namespace {

constexpr std::int64_t kTokens = 64, kVocabulary = 257;
const std::string kPrompt = "In the beginning God created";

struct OracleCase {
  std::string name, yaml;
};
const std::vector<OracleCase> kOracleCases{
    {"swiglu", "{num_layers: 2, d_model: 24, num_heads: 4, ffn: swiglu, d_ff: 64}"},
    {"grouped",
     "{num_layers: 3, d_model: 32, num_heads: 4, num_kv_heads: 2, head_dim: 10, ffn: geglu_erf, "
     "d_ff: 50, tie_embeddings: false, position: {type: rope, theta: 500}}"}};

std::unique_ptr<model::LanguageModel> model_of(const OracleCase& c) {
  const auto config = config::parse<model::DecoderConfig>(c.yaml, "test");
  auto made = model::make_model(config, kVocabulary, 128);
  made->parameters().allocate(at::kCPU, at::kFloat, false);
  made->parameters().initialize(1);
  model::test::fill_with_numbers(*made, 0.25);
  return made;
}

Generated ours(const OracleCase& c) {
  return generate(
      *model_of(c), *text::make_bytes_tokenizer(), kPrompt,
      {.num_tokens = kTokens, .temperature = 0, .log_probabilities = true, .context_length = 128});
}

class GenerateOracle : public ::testing::TestWithParam<model::test::TransformersVersion> {};

TEST_P(GenerateOracle, GreedyTextAndLogProbabilitiesEqualThoseOfTransformers) {
  const testing::TemporaryDirectory directory;
  const std::filesystem::path& folder = directory.path();
  std::ofstream cases(folder / "cases.yaml");
  for (const OracleCase& c : kOracleCases) {
    const auto model = model_of(c);
    cases << "- name: " << c.name << "\n  model: " << c.yaml << "\n  vocab_size: " << kVocabulary
          << "\n  num_tokens: " << kTokens << "\n  prompt: [256";
    for (const char letter : kPrompt) cases << ", " << static_cast<int>(letter);
    cases << "]\n  tensors:\n" << model::test::tensor_list(*model);
    model::test::write_raw(folder / (c.name + ".weights"), at::kFloat,
                           model::test::all_values(*model));
  }
  cases.close();
  const std::string command =
      cat('"', GetParam().python, "\" \"", SLUICE_SOURCE_DIR, "/tests/eval/llama_outputs.py\" \"",
          folder.string(), "\" ", GetParam().major);
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  for (const OracleCase& c : kOracleCases) {
    SCOPED_TRACE(c.name);
    const at::Tensor want = model::test::read_doubles(folder / (c.name + ".outputs"));
    ASSERT_EQ(want.numel(), 2 * kTokens);
    const Generated got = ours(c);
    ASSERT_EQ(static_cast<std::int64_t>(got.tokens.size()), kTokens) << "ended early";
    for (std::int64_t i = 0; i < kTokens; ++i) {
      const auto n = static_cast<std::size_t>(i);
      EXPECT_EQ(got.tokens[n], static_cast<std::int32_t>(want[i].item<double>())) << i;
      EXPECT_NEAR(got.log_probabilities[n], want[kTokens + i].item<double>(), 1e-4) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Versions, GenerateOracle,
                         ::testing::ValuesIn(model::test::kTransformersVersions),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace sluice::eval
