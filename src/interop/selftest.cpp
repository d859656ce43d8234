#include "interop/selftest.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "base/text_format.h"
#include "ops/context.h"
#include "ops/cuda.h"

namespace sluice::interop {
namespace {

// Ids that depend on the purpose only, so that the same model has the same self-test.
at::Tensor random_ids(const SelfTestSettings& settings, std::string_view purpose) {
  const std::int64_t length = std::min(kSelfTestTokens, settings.context_length);
  const at::Tensor ids = at::empty({1, length}, at::kLong);
  const std::uint64_t key = random_key(1, purpose);
  auto* id = ids.mutable_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < length; ++i)
    id[i] = static_cast<std::int64_t>(random_below(
        key, static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(settings.vocab_size)));
  return ids;
}

// A sublayer: its norm, and the tensors through which it changes the residual stream.
struct Sublayer {
  std::string stack;  // "encoder", "decoder", or "" for a decoder-only model
  std::string norm;   // logical name of the scale
  std::vector<at::Tensor> outputs;
};

// In the order of execution, which is that of the declarations.
std::vector<Sublayer> sublayers_of(const ops::Parameters& parameters) {
  std::vector<Sublayer> all;
  for (const ops::Parameters::Named& one : parameters.named()) {
    const std::string& name = one.spec->name;
    for (const std::string_view end : {".o.weight", ".w2.weight", ".o.bias", ".w2.bias"}) {
      if (!name.ends_with(end)) continue;
      const std::string norm = cat(name.substr(0, name.size() - end.size()), "_norm.scale");
      if (all.empty() || all.back().norm != norm) {
        const std::size_t at = name.find("blocks.");
        all.push_back({.stack = name.substr(0, at == 0 ? 0 : at - 1), .norm = norm});
      }
      all.back().outputs.push_back(one.value.detach());
    }
  }
  return all;
}

// The module of transformers whose weight is our parameter.
std::string module_of(const std::vector<TensorRule>& rules, const std::string& ours) {
  const auto found = std::find_if(rules.begin(), rules.end(), [&](const TensorRule& rule) {
    return rule.ours.front() == ours;
  });
  invariant(found != rules.end(), cat("the layout has ", ours));
  return found->theirs.substr(0, found->theirs.rfind('.'));
}

struct Inputs {
  at::Tensor inputs_BT, targets_BT;
};

// What the stack predicts at its last position. Independent of the decoder for an encoder: its
// output applied to the embedding.
at::Tensor prediction(const model::LanguageModel& model, const Inputs& inputs,
                      const std::string& stack) {
  const ops::Context context = ops::inference_context(at::kCPU);
  if (stack == "encoder") {
    const std::vector<ops::Parameters::Named> all = model.parameters().named();
    const auto embedding = std::find_if(
        all.begin(), all.end(),
        [](const ops::Parameters::Named& one) { return one.spec->name == "embedding.weight"; });
    invariant(embedding != all.end(), "an encoder has an embedding");
    const at::Tensor encoded = model.encode(inputs.inputs_BT, context);
    return at::mv(embedding->value, encoded[0][encoded.size(1) - 1]);
  }
  return model.logits({inputs.inputs_BT, inputs.targets_BT}, context)[0][-1];
}

struct Points {
  std::vector<std::string> modules;
  std::vector<at::Tensor> logits;
};

// The points of one stack, from its last sublayer to its first.
void add_points(Points& points, model::LanguageModel& model, const Inputs& inputs,
                const std::vector<TensorRule>& rules, const std::string& stack) {
  ops::Parameters& parameters = model.parameters();
  const std::string final_norm = cat(stack, stack.empty() ? "" : ".", "final_norm.scale");
  const at::Tensor saved = parameters.master().clone();
  std::vector<Sublayer> sublayers = sublayers_of(parameters);
  std::reverse(sublayers.begin(), sublayers.end());
  Points reversed{{module_of(rules, final_norm)}, {prediction(model, inputs, stack)}};
  for (const Sublayer& sublayer : sublayers) {
    if (sublayer.stack != stack) continue;
    for (const at::Tensor& output : sublayer.outputs) output.zero_();
    parameters.refresh_compute();
    reversed.modules.push_back(module_of(rules, sublayer.norm));
    reversed.logits.push_back(prediction(model, inputs, stack));
  }
  parameters.master().copy_(saved);
  parameters.refresh_compute();
  points.modules.insert(points.modules.end(), reversed.modules.rbegin(), reversed.modules.rend());
  points.logits.insert(points.logits.end(), reversed.logits.rbegin(), reversed.logits.rend());
}

}  // namespace

SelfTest make_selftest(const Layout& layout, model::LanguageModel& model,
                       const SelfTestSettings& settings) {
  const at::NoGradGuard no_grad;
  const bool has_encoder = settings.decoder_start.has_value();
  const Inputs inputs{random_ids(settings, "selftest.inputs"),
                      random_ids(settings, "selftest.targets")};
  SelfTest test;
  test.tensors.add("input_ids", inputs.inputs_BT);
  if (has_encoder) {
    const at::Tensor start = at::full({1, 1}, *settings.decoder_start, inputs.targets_BT.options());
    test.tensors.add(
        "decoder_input_ids",
        at::cat({start, inputs.targets_BT.narrow(1, 0, inputs.targets_BT.size(1) - 1)}, 1));
  }
  test.tensors.add("logits", model.logits({inputs.inputs_BT, inputs.targets_BT},
                                          ops::inference_context(at::kCPU))[0]);
  const std::vector<TensorRule> rules = tensor_rules(layout, model.parameters());
  Points points;
  if (has_encoder) {
    for (const char* stack : {"encoder", "decoder"})
      add_points(points, model, inputs, rules, stack);
  } else {
    add_points(points, model, inputs, rules, "");
  }
  test.tensors.add("points", at::stack(points.logits));
  std::string& modules = test.metadata["points"];
  for (const std::string& module : points.modules)
    modules += cat(modules.empty() ? "" : " ", module);
  test.metadata["format"] = "pt";
  return test;
}

}  // namespace sluice::interop
