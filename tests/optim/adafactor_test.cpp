#include "optim/adafactor.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/error.h"
#include "tests/optim/adafactor_support.h"
#include "tests/optim/optim_support.h"

namespace sluice::optim {
namespace {

using test::kInf;
using test::scalar;
using test::set_gradients;
using test::some_parameters;

class AdafactorForms : public ::testing::TestWithParam<test::AdafactorCase> {
 protected:
  void SetUp() override { at::set_num_threads(1); }  // the work is too small for more
  static Adafactor make(ops::Parameters& parameters) {
    return {GetParam().config, parameters, GetParam().form.form, GetParam().form.device};
  }
};

TEST_P(AdafactorForms, ClearsGradientsAndKeepsPaddingZero) {
  const auto parameters = some_parameters();
  Adafactor optimizer = make(*parameters);
  for (std::uint64_t step = 0; step < 3; ++step) {
    set_gradients(*parameters, step);
    optimizer.update(test::update_of(0.1));
    EXPECT_EQ(parameters->gradient().abs().max().item<float>(), 0.0f);
  }
  EXPECT_TRUE(test::padding_is_zero(*parameters));
}

TEST_P(AdafactorForms, WritesTheComputeCopyRoundedToNearest) {
  const auto parameters = some_parameters(at::kBFloat16);
  Adafactor optimizer = make(*parameters);
  set_gradients(*parameters, 1);
  optimizer.update(test::update_of(0.1));
  EXPECT_TRUE(at::equal(parameters->compute(), parameters->master().to(at::kBFloat16)));
}

// After a rejected step, first or later, weights, state and compute copy are bit-identical; the
// gradients are cleared.
TEST_P(AdafactorForms, ARejectedStepChangesNothing) {
  struct Bad {
    const char* what;
    double loss, gradient, loss_limit, norm_limit;
  };
  const double nan = std::nan("");
  for (const Bad& bad :
       {Bad{"NaN loss", nan, 0.05, kInf, kInf}, Bad{"infinite loss", kInf, 0.05, kInf, kInf},
        Bad{"NaN gradient", 1, nan, kInf, kInf}, Bad{"infinite gradient", 1, kInf, kInf, kInf},
        Bad{"loss spike", 11, 0.05, 10, kInf}, Bad{"norm spike", 1, 0.05, kInf, 2}})
    for (const int good_steps : {0, 1}) {
      const auto parameters = some_parameters(at::kBFloat16);
      Adafactor optimizer = make(*parameters);
      for (int step = 0; step < good_steps; ++step) {
        set_gradients(*parameters, 1);
        optimizer.update(test::update_of(0.1));
      }
      std::vector<at::Tensor> before{parameters->master().clone(), parameters->compute().clone()};
      for (const auto& state : optimizer.state()) before.push_back(state.tensor.clone());

      set_gradients(*parameters, 2);
      if (!std::isfinite(bad.gradient)) parameters->named()[6].gradient.fill_(bad.gradient);
      const UpdateReport report = optimizer.update({.lr = 0.1,
                                                    .loss = scalar(bad.loss),
                                                    .loss_limit = scalar(bad.loss_limit),
                                                    .norm_limit = scalar(bad.norm_limit),
                                                    .device_lr = scalar(0.1)});
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

// The squares of such gradients overflow fp32 and would make the statistics infinite for good.
TEST_P(AdafactorForms, RejectsGradientsTooLargeToSquareUnlessClipped) {
  const auto parameters = some_parameters();
  Adafactor optimizer = make(*parameters);
  const at::Tensor before = parameters->master().clone();
  for (const auto& parameter : parameters->named()) at::Tensor(parameter.gradient).fill_(1e20);
  const bool applied = optimizer.update(test::update_of(0.1)).applied.item<bool>();
  EXPECT_EQ(applied, GetParam().config.clip_norm > 0);
  EXPECT_EQ(at::equal(parameters->master(), before), !applied);
  for (const auto& state : optimizer.state())
    EXPECT_TRUE(at::isfinite(state.tensor).all().item<bool>()) << state.name;
}

TEST_P(AdafactorForms, ZeroGradientsChangeNoWeight) {
  const auto parameters = some_parameters();
  Adafactor optimizer = make(*parameters);
  const at::Tensor before = parameters->master().clone();
  for (int step = 0; step < 2; ++step)
    EXPECT_TRUE(optimizer.update(test::update_of(0.1)).applied.item<bool>());
  EXPECT_TRUE(at::equal(parameters->master(), before));
}

TEST_P(AdafactorForms, StateIsNamedByLogicalParameter) {
  const auto parameters = some_parameters();
  Adafactor optimizer = make(*parameters);
  std::vector<std::string> names;
  std::vector<std::vector<std::int64_t>> shapes;
  for (const auto& state : optimizer.state()) {
    names.push_back(state.name);
    shapes.push_back(state.tensor.sizes().vec());
  }
  const std::vector<std::string> expected{"exp_avg_sq.one",
                                          "exp_avg_sq.vector",
                                          "exp_avg_sq.scale",
                                          "exp_avg_sq.zeros",
                                          "exp_avg_sq.small",
                                          "exp_avg_sq.almost",
                                          "exp_avg_sq_row.square",
                                          "exp_avg_sq_col.square",
                                          "exp_avg_sq_row.tall",
                                          "exp_avg_sq_col.tall",
                                          "exp_avg_sq_row.wide",
                                          "exp_avg_sq_col.wide",
                                          "exp_avg_sq_row.q",
                                          "exp_avg_sq_col.q",
                                          "exp_avg_sq_row.k",
                                          "exp_avg_sq_col.k",
                                          "exp_avg_sq_row.v",
                                          "exp_avg_sq_col.v",
                                          "num_updates"};
  EXPECT_EQ(names, expected);
  EXPECT_EQ(shapes[3], (std::vector<std::int64_t>{3, 4}));
  EXPECT_EQ(shapes[10], (std::vector<std::int64_t>{130}));
  EXPECT_EQ(shapes[11], (std::vector<std::int64_t>{261}));
}

INSTANTIATE_TEST_SUITE_P(Forms, AdafactorForms, ::testing::ValuesIn(test::adafactor_cases()),
                         [](const auto& test) { return test.param.name; });

TEST(Adafactor, ResultsDoNotDependOnTheNumberOfThreads) {
  const int threads_before = at::get_num_threads();
  std::vector<std::vector<at::Tensor>> results;
  for (const int num_threads : {1, 2, 3}) {
    at::set_num_threads(num_threads);
    const auto parameters = some_parameters();
    Adafactor optimizer({}, *parameters);
    std::vector<at::Tensor> result;
    for (std::uint64_t step = 0; step < 3; ++step) {
      set_gradients(*parameters, step);
      result.push_back(optimizer.update(test::update_of(0.01)).grad_norm);
    }
    result.push_back(parameters->master().clone());
    for (const auto& state : optimizer.state()) result.push_back(state.tensor.clone());
    results.push_back(result);
  }
  at::set_num_threads(threads_before);
  for (std::size_t run = 1; run < results.size(); ++run)
    for (std::size_t i = 0; i < results[0].size(); ++i)
      EXPECT_TRUE(at::equal(results[0][i], results[run][i])) << i;
}

// Both dimensions must be at least 128.
TEST(Adafactor, OnlyMatricesLargeInBothDimensionsAreFactored) {
  const AdafactorConfig config;
  EXPECT_TRUE(is_factored(config, {.name = "a", .shape = {128, 128}}));
  EXPECT_TRUE(is_factored(config, {.name = "a", .shape = {32128, 768}}));
  EXPECT_FALSE(is_factored(config, {.name = "a", .shape = {127, 4096}}));
  EXPECT_FALSE(is_factored(config, {.name = "a", .shape = {4096, 12}}));
  EXPECT_FALSE(is_factored(config, {.name = "a", .shape = {4096}}));
  EXPECT_THROW(is_factored(config, {.name = "a", .shape = {128, 128, 128}}), InvariantError);
}

TEST(Adafactor, StateSizeMatchesTheState) {
  for (const OptimizerConfig& config :
       {OptimizerConfig(AdafactorConfig{}), OptimizerConfig(AdamWConfig{})}) {
    const auto parameters = some_parameters();
    std::uint64_t size = 0;
    for (const auto& state : make_optimizer(config, *parameters)->state())
      if (state.name != "num_updates") size += state.tensor.nbytes();
    EXPECT_EQ(state_size(config, *parameters).checkpoint_bytes, size);
    EXPECT_GE(state_size(config, *parameters).memory_bytes, size);
  }
  const auto parameters = some_parameters();
  EXPECT_LT(state_size(AdafactorConfig{.factored_min_dim = 1}, *parameters).memory_bytes,
            parameters->master().nbytes() / 4);
}

TEST(Adafactor, NeedsGradients) {
  ops::Parameters parameters;
  parameters.add({.name = "w", .shape = {2, 2}});
  parameters.allocate(at::kCPU, at::kFloat, false);
  EXPECT_THROW(Adafactor({}, parameters), InvariantError);
}

}  // namespace
}  // namespace sluice::optim
