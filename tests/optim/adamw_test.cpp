#include "optim/adamw.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tests/base/temporary_directory.h"
#include "tests/optim/optim_support.h"

namespace sluice::optim {
namespace {

using test::kInf;
using test::numbers;
using test::scalar;
using test::set_gradients;

// A matrix with decay, a vector without, a slot of two matrices with padded rows, the second of
// which begins at an odd element, and a larger matrix that spans several pieces.
std::unique_ptr<ops::Parameters> some_parameters(at::ScalarType compute = at::kFloat) {
  auto parameters = std::make_unique<ops::Parameters>();
  const ops::Init normal{.kind = ops::Init::Kind::kNormal, .std = 0.5};
  parameters->add({.name = "matrix", .shape = {5, 7}, .init = normal, .decay = true});
  parameters->add({.name = "scale", .shape = {7}, .init = {.kind = ops::Init::Kind::kOnes}});
  parameters->add({{.name = "q", .shape = {3, 5}, .init = normal, .decay = true},
                   {.name = "k", .shape = {2, 5}, .init = normal, .decay = true}},
                  8);
  parameters->add({.name = "bias", .shape = {3}, .init = normal});
  parameters->add({.name = "large", .shape = {70, 500}, .init = normal, .decay = true});
  parameters->allocate(at::kCPU, compute, true);
  parameters->initialize(3);
  return parameters;
}

double lr_of(int step) { return 0.01 / (1 + step); }

struct Case {
  test::FormUnderTest form;
  double clip_norm;
  bool scale_by_rms = false;
};

class BothForms : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override { at::set_num_threads(1); }  // the work is too small for more
  AdamWConfig config() const {
    return {.lr = 1,
            .betas = {0.9, 0.95},
            .eps = 1e-6,
            .weight_decay = 0.3,
            .clip_norm = GetParam().clip_norm,
            .scale_by_rms = GetParam().scale_by_rms};
  }
};

std::string form_name(const test::FormUnderTest& form) {
  if (form.device != nullptr) return "HostGpu";
  return form.form == ops::Form::kFastest ? "Fused" : "Reference";
}

// The formula in adamw.h, in float64, element by element.
TEST_P(BothForms, MatchesTheFormula) {
  const auto parameters = some_parameters();
  AdamW optimizer(config(), *parameters, GetParam().form.form, GetParam().form.device);
  std::vector<std::vector<double>> weights, m, v;
  for (const auto& parameter : parameters->named()) {
    weights.push_back(numbers(parameter.value));
    m.emplace_back(weights.back().size(), 0.0);
    v.emplace_back(weights.back().size(), 0.0);
  }
  for (int step = 0; step < 6; ++step) {
    set_gradients(*parameters, static_cast<std::uint64_t>(step));
    std::vector<std::vector<double>> gradients;
    double squares = 0;
    for (const auto& parameter : parameters->named()) {
      gradients.push_back(numbers(parameter.gradient));
      for (const double g : gradients.back()) squares += g * g;
    }
    const double norm = std::sqrt(squares),
                 clip = GetParam().clip_norm > 0 ? std::min(1.0, GetParam().clip_norm / norm) : 1.0,
                 lr = lr_of(step);
    const UpdateReport report = optimizer.update(test::update_of(lr));
    EXPECT_NEAR(report.grad_norm.item<double>(), norm, 1e-6 * norm);
    EXPECT_TRUE(report.applied.item<bool>());
    const auto named = parameters->named();
    for (std::size_t p = 0; p < named.size(); ++p) {
      const std::vector<double> now = numbers(named[p].value);
      double scale = 1, eps_scale = 1;
      if (GetParam().scale_by_rms) {
        double sum = 0;
        for (const double w : weights[p]) sum += w * w;
        scale = std::max(1e-3, std::sqrt(sum / static_cast<double>(weights[p].size())));
        eps_scale = 1 / std::sqrt(1 - std::pow(0.95, step + 1));
      }
      for (std::size_t i = 0; i < now.size(); ++i) {
        const double g = gradients[p][i] * clip;
        m[p][i] = 0.9 * m[p][i] + 0.1 * g;
        v[p][i] = 0.95 * v[p][i] + 0.05 * g * g;
        const double decay = named[p].spec->decay ? lr * 0.3 : 0.0;
        const double denominator =
            std::sqrt(v[p][i]) / std::sqrt(1 - std::pow(0.95, step + 1)) + 1e-6 * eps_scale;
        weights[p][i] = weights[p][i] * (1 - decay) -
                        scale * lr / (1 - std::pow(0.9, step + 1)) * m[p][i] / denominator;
        ASSERT_NEAR(now[i], weights[p][i], 2e-6)
            << named[p].spec->name << "[" << i << "] step " << step;
      }
    }
  }
}

nlohmann::json ask_pytorch(const nlohmann::json& request) {
  const sluice::testing::TemporaryDirectory directory;
  std::ofstream(directory.path() / "in.json") << request;
  const std::string command = std::string("OMP_NUM_THREADS=1 '") + SLUICE_PYTHON + "' '" +
                              SLUICE_SOURCE_DIR + "/tests/optim/adamw_oracle.py' < '" +
                              (directory.path() / "in.json").string() + "' > '" +
                              (directory.path() / "out.json").string() + "'";
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  std::ifstream out(directory.path() / "out.json");
  return nlohmann::json::parse(out);
}

class BothFormsOnce : public BothForms {};

TEST_P(BothFormsOnce, MatchesPyTorch) {
  const auto parameters = some_parameters();
  const AdamWConfig c = config();
  AdamW optimizer(c, *parameters, GetParam().form.form, GetParam().form.device);
  nlohmann::json request = {{"dtype", "float32"},
                            {"betas", c.betas},
                            {"eps", c.eps},
                            {"weight_decay", c.weight_decay},
                            {"clip_norm", c.clip_norm}};
  for (const auto& parameter : parameters->named())
    request["parameters"].push_back(
        {{"values", numbers(parameter.value)}, {"decay", parameter.spec->decay}});
  std::vector<double> norms;
  for (int step = 0; step < 8; ++step) {
    set_gradients(*parameters, static_cast<std::uint64_t>(step));
    nlohmann::json gradients;
    for (const auto& parameter : parameters->named())
      gradients.push_back(numbers(parameter.gradient));
    request["steps"].push_back({{"gradients", gradients}, {"lr", lr_of(step)}});
    norms.push_back(optimizer.update(test::update_of(lr_of(step))).grad_norm.item<double>());
  }
  const nlohmann::json answer = ask_pytorch(request);
  for (std::size_t i = 0; i < norms.size(); ++i)
    EXPECT_NEAR(norms[i], answer.at("norms")[i].get<double>(), 1e-5 * norms[i]);
  const auto named = parameters->named();
  const auto state = optimizer.state();
  const auto expect_near = [](const at::Tensor& ours, const nlohmann::json& theirs,
                              double tolerance, const std::string& name) {
    const std::vector<double> values = numbers(ours), expected = theirs.get<std::vector<double>>();
    ASSERT_EQ(values.size(), expected.size());
    for (std::size_t i = 0; i < values.size(); ++i)
      ASSERT_NEAR(values[i], expected[i], tolerance) << name << "[" << i << "]";
  };
  for (std::size_t p = 0; p < named.size(); ++p) {
    expect_near(named[p].value, answer.at("values")[p], 3e-6, named[p].spec->name);
    expect_near(state[p].tensor, answer.at("exp_avg")[p], 1e-6, state[p].name);
    expect_near(state[named.size() + p].tensor, answer.at("exp_avg_sq")[p], 1e-6,
                state[named.size() + p].name);
  }
}

TEST_P(BothForms, ClearsGradientsAndKeepsPaddingZero) {
  const auto parameters = some_parameters();
  AdamW optimizer(config(), *parameters, GetParam().form.form, GetParam().form.device);
  for (int step = 0; step < 3; ++step) {
    set_gradients(*parameters, static_cast<std::uint64_t>(step));
    optimizer.update(test::update_of(0.1));
    EXPECT_EQ(parameters->gradient().abs().max().item<float>(), 0.0f);
  }
  EXPECT_TRUE(test::padding_is_zero(*parameters));
}

TEST_P(BothForms, WritesTheComputeCopyRoundedToNearest) {
  const auto parameters = some_parameters(at::kBFloat16);
  AdamW optimizer(config(), *parameters, GetParam().form.form, GetParam().form.device);
  set_gradients(*parameters, 1);
  optimizer.update(test::update_of(0.1));
  EXPECT_TRUE(at::equal(parameters->compute(), parameters->master().to(at::kBFloat16)));
}

// After a rejected step, weights, state and compute copy are bit-identical; the gradients are
// cleared.
TEST_P(BothForms, ARejectedStepChangesNothing) {
  struct Bad {
    const char* what;
    double loss, gradient, loss_limit, norm_limit;
  };
  const double nan = std::nan("");
  for (const Bad& bad :
       {Bad{"NaN loss", nan, 0.05, kInf, kInf}, Bad{"infinite loss", kInf, 0.05, kInf, kInf},
        Bad{"NaN gradient", 1, nan, kInf, kInf}, Bad{"infinite gradient", 1, kInf, kInf, kInf},
        Bad{"loss spike", 11, 0.05, 10, kInf}, Bad{"norm spike", 1, 0.05, kInf, 2}}) {
    const auto parameters = some_parameters(at::kBFloat16);
    AdamW optimizer(config(), *parameters, GetParam().form.form, GetParam().form.device);
    set_gradients(*parameters, 1);
    optimizer.update(test::update_of(0.1));
    std::vector<at::Tensor> before{parameters->master().clone(), parameters->compute().clone()};
    for (const auto& state : optimizer.state()) before.push_back(state.tensor.clone());

    set_gradients(*parameters, 2);
    if (!std::isfinite(bad.gradient)) parameters->named()[2].gradient.fill_(bad.gradient);
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
  }
}

// On the first step, the bias corrections would divide by zero.
TEST_P(BothForms, ARejectedFirstStepChangesNothing) {
  const auto parameters = some_parameters();
  AdamW optimizer(config(), *parameters, GetParam().form.form, GetParam().form.device);
  const at::Tensor before = parameters->master().clone();
  set_gradients(*parameters, 1);
  EXPECT_FALSE(optimizer.update(test::update_of(0.1, std::nan(""))).applied.item<bool>());
  EXPECT_TRUE(at::equal(parameters->master(), before));
  set_gradients(*parameters, 2);
  EXPECT_TRUE(optimizer.update(test::update_of(0.1)).applied.item<bool>());
  EXPECT_TRUE(at::isfinite(parameters->master()).all().item<bool>());
}

TEST_P(BothForms, StateIsNamedByLogicalParameter) {
  const auto parameters = some_parameters();
  AdamW optimizer(config(), *parameters, GetParam().form.form, GetParam().form.device);
  std::vector<std::string> names;
  for (const auto& state : optimizer.state()) names.push_back(state.name);
  const std::vector<std::string> expected{
      "exp_avg.matrix",  "exp_avg.scale",     "exp_avg.q",        "exp_avg.k",    "exp_avg.bias",
      "exp_avg.large",   "exp_avg_sq.matrix", "exp_avg_sq.scale", "exp_avg_sq.q", "exp_avg_sq.k",
      "exp_avg_sq.bias", "exp_avg_sq.large",  "num_updates"};
  EXPECT_EQ(names, expected);
  EXPECT_EQ(optimizer.state()[2].tensor.sizes(), (std::vector<std::int64_t>{3, 5}));
}

INSTANTIATE_TEST_SUITE_P(Forms, BothForms,
                         ::testing::Values(Case{test::cpu_form(), 1.0}, Case{test::cpu_form(), 0.0},
                                           Case{test::reference_form(), 1.0},
                                           Case{test::reference_form(), 0.0},
                                           Case{test::gpu_form(), 1.0}, Case{test::gpu_form(), 0.0},
                                           Case{test::cpu_form(), 1.0, true},
                                           Case{test::reference_form(), 1.0, true},
                                           Case{test::gpu_form(), 1.0, true}),
                         [](const auto& test) {
                           return form_name(test.param.form) +
                                  (test.param.clip_norm > 0 ? "Clipped" : "Unclipped") +
                                  (test.param.scale_by_rms ? "Scaled" : "");
                         });

INSTANTIATE_TEST_SUITE_P(Forms, BothFormsOnce,
                         ::testing::Values(Case{test::cpu_form(), 1.0},
                                           Case{test::reference_form(), 0.0},
                                           Case{test::gpu_form(), 1.0}),
                         [](const auto& test) { return form_name(test.param.form); });

class AdamWThreads : public ::testing::TestWithParam<bool> {};

TEST_P(AdamWThreads, ResultsDoNotDependOnTheNumberOfThreads) {
  const int threads_before = at::get_num_threads();
  std::vector<at::Tensor> results, norms;
  for (const int num_threads : {1, 2, 3}) {
    at::set_num_threads(num_threads);
    const auto parameters = some_parameters();
    AdamW optimizer({.scale_by_rms = GetParam()}, *parameters);
    for (int step = 0; step < 3; ++step) {
      set_gradients(*parameters, static_cast<std::uint64_t>(step));
      norms.push_back(optimizer.update(test::update_of(0.01)).grad_norm);
    }
    results.push_back(parameters->master().clone());
  }
  at::set_num_threads(threads_before);
  for (std::size_t i = 1; i < results.size(); ++i) EXPECT_TRUE(at::equal(results[0], results[i]));
  for (std::size_t i = 3; i < norms.size(); ++i) EXPECT_TRUE(at::equal(norms[i % 3], norms[i]));
}

INSTANTIATE_TEST_SUITE_P(PlainAndScaled, AdamWThreads, ::testing::Bool());

TEST(AdamW, SegmentsCoverTheArenaAndFollowTheFlags) {
  const auto parameters = some_parameters();
  const std::vector<Segment> segments = decay_segments(*parameters);
  std::int64_t at = 0;
  for (const Segment& segment : segments) {
    EXPECT_EQ(segment.begin, at);
    EXPECT_GT(segment.end, segment.begin);
    at = segment.end;
  }
  EXPECT_EQ(at, parameters->arena_elements());
  for (const auto& parameter : parameters->named())
    for (const Segment& segment : segments)
      if (parameter.offset >= segment.begin && parameter.offset < segment.end) {
        EXPECT_EQ(segment.decay, parameter.spec->decay) << parameter.spec->name;
      }
}

TEST(AdamW, ParameterSegmentsAreTheLogicalParameters) {
  const auto parameters = some_parameters();
  const std::vector<Segment> segments = parameter_segments(*parameters);
  const auto named = parameters->named();
  ASSERT_EQ(segments.size(), named.size());
  for (std::size_t i = 0; i < named.size(); ++i) {
    EXPECT_EQ(segments[i].begin, named[i].offset);
    EXPECT_EQ(segments[i].end - segments[i].begin, named[i].spec->num_elements());
    EXPECT_EQ(segments[i].decay, named[i].spec->decay);
  }
}

TEST(AdamW, NeedsGradients) {
  ops::Parameters parameters;
  parameters.add({.name = "w", .shape = {2, 2}});
  parameters.allocate(at::kCPU, at::kFloat, false);
  EXPECT_THROW(AdamW({}, parameters), InvariantError);
}

}  // namespace
}  // namespace sluice::optim
