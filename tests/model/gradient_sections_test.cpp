#include <ATen/ATen.h>

#include <algorithm>

#include "base/text_format.h"
#include "tests/model/model_support.h"

namespace sluice::model::test {
namespace {

using ops::ArenaRange;

ops::Context training(const Setting& setting) {
  ops::Context context = setting.context();
  context.training = true;
  context.seed = 5;
  return context;
}

class GradientSections : public testing::TestWithParam<Setting> {
 protected:
  // What a backward pass tells, compared with the gradient at its end.
  void expect_final(LanguageModel& model, const Batch& batch, const std::string& what) const {
    differentiate(model, batch, 0.1, training(GetParam()));
    const at::Tensor expected = model.parameters().gradient().clone();
    std::vector<ArenaRange> told;
    std::vector<at::Tensor> values;
    const ops::OnFinalGradients note = [&](const ArenaRange& range) {
      told.push_back(range);
      values.push_back(model.parameters().gradient().narrow(0, range.begin, range.size()).clone());
    };
    ops::Context context = training(GetParam());
    context.on_final_gradients = &note;
    differentiate(model, batch, 0.1, context);
    EXPECT_TRUE(at::equal(model.parameters().gradient(), expected)) << what;
    EXPECT_EQ(told, model.gradient_sections()) << what;
    for (std::size_t i = 0; i < told.size(); ++i)
      EXPECT_TRUE(at::equal(values[i], expected.narrow(0, told[i].begin, told[i].size())))
          << what << ", section " << i;
  }

  // Each parameter of `rest` is in no section, each other one is in exactly one.
  static void expect_all_but(const LanguageModel& model, const std::vector<std::string>& rest) {
    const std::vector<ArenaRange> sections = model.gradient_sections();
    for (const auto& [spec, offset] : model.parameters().declared()) {
      const auto num_sections =
          std::count_if(sections.begin(), sections.end(), [&](const ArenaRange& range) {
            return range.contains(offset) && range.contains(offset + spec->num_elements() - 1);
          });
      const bool is_in_rest = std::find(rest.begin(), rest.end(), spec->name) != rest.end();
      EXPECT_EQ(num_sections, is_in_rest ? 0 : 1) << spec->name;
    }
  }
};

TEST_P(GradientSections, OfADecoder) {
  for (const char* yaml :
       {"{}", "{tie_embeddings: false}", "{norm: {type: layernorm}, bias: true, ffn: xielu}",
        "{position: {type: learned}, ffn: polynorm, dropout: 0.1}"}) {
    const auto model = build({.config = small_decoder(yaml), .setting = GetParam()});
    EXPECT_EQ(model->gradient_sections().size(), 3u);  // of two blocks
    expect_all_but(*model, {"embedding.weight", "position.weight"});
    expect_final(*model, random_batch(2, 12, 3, GetParam().device), yaml);
  }
}

TEST_P(GradientSections, OfAnEncoderDecoder) {
  for (const char* yaml : {"{}", "{tie_embeddings: false, ffn: swiglu_beta}", "{dropout: 0.1}"}) {
    const auto model = build_encoder_decoder(small_encoder_decoder(yaml), GetParam());
    EXPECT_EQ(model->gradient_sections().size(), 7u);  // of two and three blocks
    expect_all_but(*model,
                   {"embedding.weight", "encoder.position.weight", "decoder.position.weight"});
    expect_final(*model, random_batch(2, 12, 3, GetParam().device), yaml);
  }
}

INSTANTIATE_TEST_SUITE_P(Settings, GradientSections,
                         testing::ValuesIn(ops::test::device_settings()), ops::test::setting_name);

}  // namespace
}  // namespace sluice::model::test
