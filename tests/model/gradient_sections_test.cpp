#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <limits>

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
    const ops::OnSection note = [&](const ArenaRange& range) {
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

  // Passes use the weights of a section only from when the forward pass comes to it until it goes
  // on, and again in the backward pass: all others are NaN.
  void expect_used_in_turn(LanguageModel& model, const Batch& batch,
                           const std::string& what) const {
    const double expected = differentiate(model, batch, 0.1, training(GetParam()));
    const at::Tensor gradient = model.parameters().gradient().clone();
    const at::Tensor weights = model.parameters().compute().detach().clone();
    const std::vector<ArenaRange> sections = model.gradient_sections();  // backward
    const auto fill = [&](std::size_t i, bool is_here) {
      const at::NoGradGuard no_grad;
      for (const auto& [spec, offset] : model.parameters().declared())
        if (spec->is_operand && sections[i].contains(offset)) {
          const ArenaRange range{offset, offset + spec->num_elements()};
          const at::Tensor compute =
              model.parameters().compute().detach().narrow(0, range.begin, range.size());
          if (is_here)
            compute.copy_(weights.narrow(0, range.begin, range.size()));
          else
            compute.fill_(std::numeric_limits<float>::quiet_NaN());
        }
    };
    for (std::size_t i = 0; i < sections.size(); ++i) fill(i, false);
    std::vector<ArenaRange> forward;
    const ops::OnSection before = [&](const ArenaRange& range) {
      const std::size_t i = sections.size() - 1 - forward.size();
      EXPECT_EQ(range, sections.at(i)) << what;
      forward.push_back(range);
      if (i + 1 < sections.size()) fill(i + 1, false);
      fill(i, true);
    };
    const ops::OnSection final = [&](const ArenaRange& range) {
      const auto i = static_cast<std::size_t>(std::find(sections.begin(), sections.end(), range) -
                                              sections.begin());
      fill(i, false);
      if (i + 1 < sections.size()) fill(i + 1, true);
    };
    ops::Context context = training(GetParam());
    context.before_section = &before;
    context.on_final_gradients = &final;
    const double loss = differentiate(model, batch, 0.1, context);
    EXPECT_EQ(forward.size(), sections.size()) << what;
    EXPECT_EQ(loss, expected) << what;
    EXPECT_TRUE(at::equal(model.parameters().gradient(), gradient)) << what;
    // Without a gradient.
    forward.clear();
    context = GetParam().context();
    context.before_section = &before;
    const at::Tensor nats = model.target_nats(batch, context);
    for (std::size_t i = 0; i < sections.size(); ++i) fill(i, true);
    EXPECT_TRUE(at::equal(nats, model.target_nats(batch, GetParam().context()))) << what;
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
    expect_used_in_turn(*model, random_batch(2, 12, 3, GetParam().device), yaml);
  }
}

TEST_P(GradientSections, OfAnEncoderDecoder) {
  for (const char* yaml : {"{}", "{tie_embeddings: false, ffn: swiglu_beta}", "{dropout: 0.1}"}) {
    const auto model = build_encoder_decoder(small_encoder_decoder(yaml), GetParam());
    EXPECT_EQ(model->gradient_sections().size(), 7u);  // of two and three blocks
    expect_all_but(*model,
                   {"embedding.weight", "encoder.position.weight", "decoder.position.weight"});
    expect_final(*model, random_batch(2, 12, 3, GetParam().device), yaml);
    expect_used_in_turn(*model, random_batch(2, 12, 3, GetParam().device), yaml);
  }
}

INSTANTIATE_TEST_SUITE_P(Settings, GradientSections,
                         testing::ValuesIn(ops::test::device_settings()), ops::test::setting_name);

}  // namespace
}  // namespace sluice::model::test
