#include "optim/muon.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text_format.h"
#include "tests/base/temporary_directory.h"
#include "tests/optim/optim_support.h"

namespace sluice::optim {
namespace {

using test::kInf;
using test::numbers;
using test::scalar;
using test::set_gradients;

constexpr int kSteps = 100, kSets = 7;

double lr_of(int step) { return 0.02 / std::sqrt(1.0 + step); }
// Powers of two, so that products are exact.
double scale_of(int step) { return step % 10 == 3 ? 8.0 : 1.0 / (1 << step % 4); }

// What a model has: wide, tall and square matrices; q, k and v of very different magnitude in a
// slot with padded rows; and everything that AdamW trains.
std::unique_ptr<ops::Parameters> some_parameters(at::ScalarType compute = at::kFloat) {
  auto parameters = std::make_unique<ops::Parameters>();
  const auto matrix = [](const char* name, std::vector<std::int64_t> shape, double std) {
    return ops::ParameterSpec{.name = name,
                              .shape = std::move(shape),
                              .init = {.kind = ops::Init::Kind::kNormal, .std = std},
                              .decay = true};
  };
  parameters->add(matrix("embedding.weight", {30, 16}, 1));
  parameters->add(matrix("position.weight", {8, 16}, 1));
  parameters->add({matrix("blocks.0.attention.q.weight", {16, 16}, 0.01),
                   matrix("blocks.0.attention.k.weight", {8, 16}, 3),
                   matrix("blocks.0.attention.v.weight", {8, 16}, 0.3)},
                  20);
  parameters->add({matrix("blocks.0.ffn.w.weight", {43, 16}, 0.2),
                   matrix("blocks.0.ffn.v.weight", {43, 16}, 0.2)});
  parameters->add({.name = "blocks.0.ffn.w.bias", .shape = {43}});
  parameters->add(matrix("blocks.0.ffn.w2.weight", {16, 43}, 0.1));
  parameters->add({.name = "blocks.0.ffn.beta", .shape = {1}});
  parameters->add({.name = "relative.weight", .shape = {8, 2}});
  parameters->add({.name = "norm.scale", .shape = {16}, .init = {ops::Init::Kind::kOnes}});
  parameters->add(matrix("head.weight", {30, 16}, 0.1));
  parameters->allocate(at::kCPU, compute, true);
  parameters->initialize(3);
  return parameters;
}

struct MuonCase {
  const char* name;
  ops::Form form;
  MuonConfig config;
};

std::vector<MuonCase> muon_cases() {
  const MuonConfig fp32{.newton_schulz_type = NewtonSchulzType::kFp32, .clip_norm = 0},
      original{.momentum = 0.9,
               .nesterov = false,
               .scale = MuonScale::kOriginal,
               .newton_schulz_steps = 4,
               .newton_schulz_type = NewtonSchulzType::kFp32,
               .weight_decay = 0.3,
               .adamw_lr_factor = 0.5,
               .betas = {0.8, 0.99},
               .eps = 1e-6,
               .clip_norm = 0.5},
      bf16{.clip_norm = 0};
  MuonConfig original_bf16 = original;
  original_bf16.newton_schulz_type = NewtonSchulzType::kBf16;
  original_bf16.clip_norm = 0;
  return {{"Fused", ops::Form::kFastest, fp32},
          {"Reference", ops::Form::kReference, fp32},
          {"FusedOriginal", ops::Form::kFastest, original},
          {"ReferenceOriginal", ops::Form::kReference, original},
          {"FusedBf16", ops::Form::kFastest, bf16},
          {"ReferenceBf16", ops::Form::kReference, bf16},
          {"FusedOriginalBf16", ops::Form::kFastest, original_bf16}};
}

nlohmann::json settings_of(const MuonConfig& config) {
  const bool original = config.scale == MuonScale::kOriginal;
  const bool bf16 = config.newton_schulz_type == NewtonSchulzType::kBf16;
  return {{"momentum", config.momentum},
          {"nesterov", config.nesterov},
          {"scale", original ? "original" : "match_rms_adamw"},
          {"newton_schulz_steps", config.newton_schulz_steps},
          {"newton_schulz_type", bf16 ? "bf16" : "fp32"},
          {"weight_decay", config.weight_decay},
          {"adamw_lr_factor", config.adamw_lr_factor},
          {"betas", config.betas},
          {"eps", config.eps},
          {"clip_norm", config.clip_norm}};
}

// PyTorch has no form without bf16, and does not clip.
bool compares_with_torch(const MuonConfig& config) {
  return config.newton_schulz_type == NewtonSchulzType::kBf16 && config.clip_norm == 0;
}

nlohmann::json request_for(const MuonConfig& config, ops::Parameters& parameters) {
  nlohmann::json request = {{"settings", settings_of(config)},
                            {"torch", compares_with_torch(config)}};
  for (const auto& parameter : parameters.named())
    request["parameters"].push_back({{"name", parameter.spec->name},
                                     {"shape", parameter.spec->shape},
                                     {"decay", parameter.spec->decay},
                                     {"values", numbers(parameter.value)}});
  for (std::uint64_t set = 0; set < kSets; ++set) {
    set_gradients(parameters, set, 0.01);
    nlohmann::json gradients;
    for (const auto& parameter : parameters.named())
      gradients.push_back(numbers(parameter.gradient));
    request["gradients"].push_back(gradients);
  }
  for (int step = 0; step < kSteps; ++step) {
    request["lr"].push_back(lr_of(step));
    request["scales"].push_back(scale_of(step));
  }
  return request;
}

nlohmann::json ask_muon_oracle(const nlohmann::json& request) {
  const sluice::testing::TemporaryDirectory directory;
  const auto file = [&](const char* name) { return (directory.path() / name).string(); };
  std::ofstream(file("in.json")) << request;
  const std::string command =
      cat("'", SLUICE_PYTHON, "' '", SLUICE_SOURCE_DIR, "/tests/optim/muon_oracle.py' < '",
          file("in.json"), "' > '", file("out.json"), "'");
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  return nlohmann::json::parse(read_file(file("out.json")));
}

// ‖a − b‖ / ‖b − start‖: the difference relative to the distance travelled.
double distance(const std::vector<double>& a, const std::vector<double>& b,
                const std::vector<double>& start) {
  double difference = 0, travelled = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    difference += (a.at(i) - b[i]) * (a.at(i) - b[i]);
    travelled += (b[i] - start.at(i)) * (b[i] - start.at(i));
  }
  return std::sqrt(difference / travelled);
}

class MuonForms : public ::testing::TestWithParam<MuonCase> {
 protected:
  void SetUp() override { at::set_num_threads(1); }  // the work is too small for more
  static Muon make(ops::Parameters& parameters) {
    return {GetParam().config, parameters, GetParam().form};
  }
};

TEST_P(MuonForms, MatchesNumPyAndPyTorchOverManySteps) {
  const MuonConfig& config = GetParam().config;
  const bool bf16 = config.newton_schulz_type == NewtonSchulzType::kBf16;
  const auto parameters = some_parameters();
  const nlohmann::json request = request_for(config, *parameters);
  const nlohmann::json answer = ask_muon_oracle(request);
  Muon optimizer = make(*parameters);
  for (int step = 0; step < kSteps; ++step) {
    set_gradients(*parameters, static_cast<std::uint64_t>(step % kSets), 0.01);
    parameters->gradient().mul_(scale_of(step));
    const UpdateReport report = optimizer.update(test::update_of(lr_of(step)));
    ASSERT_TRUE(report.applied.item<bool>());
    const double norm = answer["norms"][static_cast<std::size_t>(step)];
    EXPECT_NEAR(report.grad_norm.item<double>(), norm, 1e-6 * norm);
  }
  const auto named = parameters->named();
  for (std::size_t i = 0; i < named.size(); ++i) {
    const std::string& name = named[i].spec->name;
    const auto start = request["parameters"][i]["values"].get<std::vector<double>>();
    const auto expected = answer["values"][i].get<std::vector<double>>();
    // Products in bf16 are summed in another order here, and a sum may round to its neighbour.
    const bool rounds = bf16 && is_hidden_matrix(*named[i].spec);
    EXPECT_LT(distance(numbers(named[i].value), expected, start), rounds ? 5e-3 : 2e-5) << name;
    if (is_hidden_matrix(*named[i].spec) && compares_with_torch(config)) {
      EXPECT_LT(distance(numbers(named[i].value), answer["torch"][name].get<std::vector<double>>(),
                         start),
                1e-2)
          << name;
    }
  }
  const auto state = optimizer.state();
  ASSERT_EQ(state.size(), answer["state"].size() + 1);
  for (std::size_t i = 0; i + 1 < state.size(); ++i) {
    const auto expected = answer["state"][i].get<std::vector<double>>();
    const std::vector<double> zeros(expected.size());
    EXPECT_LT(distance(numbers(state[i].tensor), expected, zeros), 1e-6) << state[i].name;
  }
}

TEST_P(MuonForms, ClearsGradientsKeepsPaddingZeroAndRoundsTheComputeCopy) {
  const auto parameters = some_parameters(at::kBFloat16);
  Muon optimizer = make(*parameters);
  for (std::uint64_t step = 0; step < 3; ++step) {
    set_gradients(*parameters, step);
    optimizer.update(test::update_of(0.1));
    EXPECT_EQ(parameters->gradient().abs().max().item<float>(), 0.0f);
  }
  EXPECT_TRUE(test::padding_is_zero(*parameters));
  EXPECT_TRUE(at::equal(parameters->compute(), parameters->master().to(at::kBFloat16)));
}

// After a rejected step, first or later, weights, state and compute copy are bit-identical; the
// gradients are cleared.
TEST_P(MuonForms, ARejectedStepChangesNothing) {
  const double nan = std::nan("");
  struct Bad {
    const char* what;
    double loss, gradient, loss_limit, norm_limit;
  };
  for (const Bad& bad :
       {Bad{"NaN loss", nan, 0.05, kInf, kInf}, Bad{"NaN gradient", 1, nan, kInf, kInf},
        Bad{"infinite gradient", 1, kInf, kInf, kInf}, Bad{"loss spike", 11, 0.05, 10, kInf},
        Bad{"norm spike", 1, 0.05, kInf, 1}})
    for (const int good_steps : {0, 1}) {
      const auto parameters = some_parameters(at::kBFloat16);
      Muon optimizer = make(*parameters);
      for (int step = 0; step < good_steps; ++step) {
        set_gradients(*parameters, 1);
        optimizer.update(test::update_of(0.1));
      }
      std::vector<at::Tensor> before{parameters->master().clone(), parameters->compute().clone()};
      for (const auto& state : optimizer.state()) before.push_back(state.tensor.clone());
      set_gradients(*parameters, 2);
      if (!std::isfinite(bad.gradient))
        at::Tensor(parameters->named()[2].gradient).fill_(bad.gradient);
      const UpdateReport report = optimizer.update({.lr = 0.1,
                                                    .loss = scalar(bad.loss),
                                                    .loss_limit = scalar(bad.loss_limit),
                                                    .norm_limit = scalar(bad.norm_limit)});
      EXPECT_FALSE(report.applied.item<bool>()) << bad.what;
      std::vector<at::Tensor> after{parameters->master(), parameters->compute()};
      for (const auto& state : optimizer.state()) after.push_back(state.tensor);
      for (std::size_t i = 0; i < before.size(); ++i)
        EXPECT_TRUE(at::equal(before[i], after[i])) << bad.what << " tensor " << i;
      EXPECT_EQ(parameters->gradient().abs().max().item<float>(), 0.0f) << bad.what;
      set_gradients(*parameters, 3);
      EXPECT_TRUE(optimizer.update(test::update_of(0.1)).applied.item<bool>()) << bad.what;
      EXPECT_TRUE(at::isfinite(parameters->master()).all().item<bool>()) << bad.what;
    }
}

// A GPU run passes its learning rate in device memory only.
TEST(Muon, ReadsTheLearningRateOfTheDevice) {
  std::vector<at::Tensor> weights;
  for (const bool on_device : {false, true}) {
    const auto parameters = some_parameters();
    Muon optimizer({}, *parameters, ops::Form::kReference);
    set_gradients(*parameters, 1);
    if (on_device)
      optimizer.update({.loss = scalar(1), .device_lr = scalar(0.1)});
    else
      optimizer.update({.lr = 0.1, .loss = scalar(1)});
    weights.push_back(parameters->master().clone());
  }
  EXPECT_TRUE(at::equal(weights[0], weights[1]));
}

TEST_P(MuonForms, WithoutGradientsOnlyDecayChangesWeights) {
  const auto parameters = some_parameters();
  Muon optimizer = make(*parameters);
  const at::Tensor before = parameters->master().clone();
  EXPECT_TRUE(optimizer.update(test::update_of(0.1)).applied.item<bool>());
  for (const auto& parameter : parameters->named()) {
    const double lr =
        is_hidden_matrix(*parameter.spec) ? 0.1 : 0.1 * GetParam().config.adamw_lr_factor;
    const double keep = parameter.spec->decay ? 1 - lr * GetParam().config.weight_decay : 1;
    const at::Tensor expected =
        before.narrow(0, parameter.offset, parameter.spec->num_elements()) * keep;
    EXPECT_TRUE(at::allclose(parameter.value.flatten(), expected, 1e-6, 0)) << parameter.spec->name;
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, MuonForms, ::testing::ValuesIn(muon_cases()),
                         [](const auto& test) { return test.param.name; });

// Newton-Schulz acts on singular values alone: with U S Vᵀ the result is U p(S) Vᵀ, where p repeats
// the scalar polynomial on S / ‖S‖.
TEST(MuonOrthogonalize, AppliesThePolynomialToSingularValues) {
  for (const auto& shape : std::vector<std::vector<std::int64_t>>{{12, 30}, {30, 12}, {16, 16}}) {
    const at::Tensor matrix = at::zeros(shape, at::kDouble);
    for (std::int64_t i = 0; i < matrix.numel(); ++i)
      matrix.data_ptr<double>()[i] = std::sin(static_cast<double>(i * i + 3 * i));
    const auto [u, s, vt] = at::linalg_svd(matrix, /*full_matrices=*/false);
    at::Tensor p = s / s.square().sum().sqrt();
    for (int step = 0; step < 5; ++step) p = 3.4445 * p - 4.7750 * p.pow(3) + 2.0315 * p.pow(5);
    const at::Tensor exact = at::mm(u * p, vt);
    const auto error = [&](const at::Tensor& x) {
      return ((x.to(at::kDouble) - exact).norm() / exact.norm()).item<double>();
    };
    EXPECT_LT(error(orthogonalize(matrix, 5, NewtonSchulzType::kFp32)), 1e-10);
    const at::Tensor single = matrix.to(at::kFloat);
    EXPECT_LT(error(orthogonalize(single, 5, NewtonSchulzType::kFp32)), 1e-4);
    const at::Tensor rounded = orthogonalize(single, 5, NewtonSchulzType::kBf16),
                     in_fp32 = orthogonalize(single, 5, NewtonSchulzType::kBf16, false);
    for (const at::Tensor& x : {rounded, in_fp32}) {
      EXPECT_EQ(x.scalar_type(), at::kFloat);
      EXPECT_TRUE(at::equal(x, x.to(at::kBFloat16).to(at::kFloat)));
      EXPECT_LT(error(x), 0.05);
      EXPECT_GT(error(x), 1e-4);  // it did round to bf16
    }
    // Both round the same values; only sums in another order differ.
    EXPECT_LT(((rounded - in_fp32).norm() / in_fp32.norm()).item<double>(), 0.01);
  }
}

TEST(Muon, OnlyMatricesOfLayersAreOrthogonalized) {
  std::vector<std::string> names;
  for (const auto& state : make_optimizer(MuonConfig{}, *some_parameters())->state())
    if (state.name.starts_with("momentum.")) names.push_back(state.name.substr(9));
  EXPECT_EQ(names,
            (std::vector<std::string>{"blocks.0.attention.q.weight", "blocks.0.attention.k.weight",
                                      "blocks.0.attention.v.weight", "blocks.0.ffn.w.weight",
                                      "blocks.0.ffn.v.weight", "blocks.0.ffn.w2.weight"}));
}

TEST(Muon, ResultsDoNotDependOnTheNumberOfThreads) {
  const int threads_before = at::get_num_threads();
  for (const NewtonSchulzType type : {NewtonSchulzType::kBf16, NewtonSchulzType::kFp32}) {
    std::vector<at::Tensor> results;
    for (const int num_threads : {1, 2, 3}) {
      at::set_num_threads(num_threads);
      const auto parameters = some_parameters();
      Muon optimizer({.newton_schulz_type = type}, *parameters);
      for (std::uint64_t step = 0; step < 3; ++step) {
        set_gradients(*parameters, step);
        optimizer.update(test::update_of(0.01));
      }
      results.push_back(parameters->master().clone());
    }
    EXPECT_TRUE(at::equal(results[0], results[1]));
    EXPECT_TRUE(at::equal(results[0], results[2]));
  }
  at::set_num_threads(threads_before);
}

TEST(Muon, StateSizeMatchesTheState) {
  const auto parameters = some_parameters();
  std::uint64_t size = 0;
  for (const auto& state : make_optimizer(MuonConfig{}, *parameters)->state())
    if (state.name != "num_updates") size += state.tensor.nbytes();
  const StateSize predicted = state_size(MuonConfig{}, *parameters);
  EXPECT_EQ(predicted.checkpoint_bytes, size);
  EXPECT_GT(predicted.memory_bytes, size);
  EXPECT_GT(predicted.gpu_memory_bytes, size);
  EXPECT_LT(size, state_size(AdamWConfig{}, *parameters).checkpoint_bytes);
}

}  // namespace
}  // namespace sluice::optim
