#include "optim/adafactor.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
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

// Vectors, matrices on both sides of the limit of 128, tall and wide ones of several pieces, weights that are zero, and a slot of three
// matrices of very different size with padded rows.
std::unique_ptr<ops::Parameters> some_parameters(at::ScalarType compute = at::kFloat) {
  auto parameters = std::make_unique<ops::Parameters>();
  const auto normal = [](double std) { return ops::Init{.kind = ops::Init::Kind::kNormal, .std = std}; };
  parameters->add({.name = "one", .shape = {1}, .init = normal(1)});
  parameters->add({.name = "vector", .shape = {7}, .init = normal(0.3)});
  parameters->add({.name = "scale", .shape = {300}, .init = {.kind = ops::Init::Kind::kOnes}});
  parameters->add({.name = "zeros", .shape = {3, 4}});
  parameters->add({.name = "small", .shape = {5, 7}, .init = normal(0.5)});
  parameters->add({.name = "almost", .shape = {127, 200}, .init = normal(0.02)});
  parameters->add({.name = "square", .shape = {128, 128}, .init = normal(0.1)});
  parameters->add({.name = "tall", .shape = {300, 128}, .init = normal(1)});
  parameters->add({.name = "wide", .shape = {130, 261}, .init = normal(0.05)});
  parameters->add({{.name = "q", .shape = {128, 128}, .init = normal(0.01)},
                   {.name = "k", .shape = {128, 128}, .init = normal(3)},
                   {.name = "v", .shape = {128, 128}, .init = normal(0.3)}},
                  100);
  parameters->allocate(at::kCPU, compute, true);
  parameters->initialize(3);
  return parameters;
}

double lr_of(int step) { return 0.05 / std::sqrt(1.0 + step); }
double scale_of(int step) { return step % 10 == 3 ? 8.0 : 1.0 / (1 << step % 4); }  // exact products

// Sets of gradients whose rows differ in size and are zero now and then, in float64 or float32: [kSets, all elements].
at::Tensor gradient_sets(ops::Parameters& parameters) {
  std::vector<at::Tensor> parts;
  for (std::uint64_t set = 0; set < kSets; ++set) {
    set_gradients(parameters, set, 0.01);
    for (const auto& parameter : parameters.named()) {
      at::Tensor gradient = parameter.gradient.detach().clone();
      for (std::int64_t row = 0; row < gradient.size(0); ++row)
        gradient[row].mul_(row % 11 == 5 ? 0.0 : 1.0 / static_cast<double>(1 + row % 3));
      parts.push_back(gradient.flatten());
    }
  }
  parameters.gradient().zero_();
  return at::cat(parts).view({kSets, -1});
}

void write_raw(const std::filesystem::path& path, const at::Tensor& tensor) {
  const at::Tensor host = tensor.contiguous();
  std::ofstream(path, std::ios::binary).write(static_cast<const char*>(host.const_data_ptr()), static_cast<std::streamsize>(host.nbytes()));
}

struct Answer {
  std::vector<double> norms;
  std::vector<double> numbers;  // values, then statistics, parameter by parameter
};

// What the float64 oracle makes of `values` (flat) in kSteps updates.
Answer ask_numpy(const AdafactorConfig& config, const std::vector<std::vector<std::int64_t>>& shapes, const at::Tensor& values,
                 const at::Tensor& sets) {
  const sluice::testing::TemporaryDirectory directory;
  const auto file = [&](const char* name) { return (directory.path() / name).string(); };
  write_raw(file("values"), values);
  write_raw(file("gradients"), sets);
  nlohmann::json request = {{"dtype", values.scalar_type() == at::kDouble ? "float64" : "float32"},
                            {"shapes", shapes},
                            {"values", file("values")},
                            {"gradients", file("gradients")},
                            {"result", file("result")},
                            {"clip_norm", config.clip_norm}};
  request["settings"] = {{"decay_rate", config.decay_rate},
                         {"clip_update", config.clip_update},
                         {"factored_min_dim", config.factored_min_dim},
                         {"eps", config.eps},
                         {"min_scale", config.min_scale}};
  for (int step = 0; step < kSteps; ++step) {
    request["lr"].push_back(lr_of(step));
    request["scales"].push_back(scale_of(step));
  }
  std::ofstream(file("in.json")) << request;
  const std::string command = cat("'", SLUICE_PYTHON, "' '", SLUICE_SOURCE_DIR, "/tests/optim/adafactor_oracle.py' < '", file("in.json"),
                                  "' > '", file("out.json"), "'");
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  Answer answer{.norms = nlohmann::json::parse(read_file(file("out.json"))).at("norms").get<std::vector<double>>(), .numbers = {}};
  const std::string raw = read_file(file("result"));
  answer.numbers.resize(raw.size() / sizeof(double));
  std::copy(raw.begin(), raw.end(), reinterpret_cast<char*>(answer.numbers.data()));
  return answer;
}

// Each tensor within `tolerance` of its own largest element.
void expect_near(const std::vector<std::pair<std::string, at::Tensor>>& tensors, const std::vector<double>& expected, double tolerance) {
  std::size_t at = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::vector<double> ours = numbers(tensor);
    ASSERT_LE(at + ours.size(), expected.size());
    double largest = 0;
    for (std::size_t i = 0; i < ours.size(); ++i) largest = std::max(largest, std::abs(expected[at + i]));
    for (std::size_t i = 0; i < ours.size(); ++i) ASSERT_NEAR(ours[i], expected[at + i], tolerance * largest) << name << "[" << i << "]";
    at += ours.size();
  }
  EXPECT_EQ(at, expected.size());
}

struct Case {
  const char* name;
  ops::Form form;
  AdafactorConfig config;
};

class AdafactorForms : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override { at::set_num_threads(1); }  // too little work for more
  static Adafactor make(ops::Parameters& parameters) { return {GetParam().config, parameters, GetParam().form}; }
};

TEST_P(AdafactorForms, EqualsNumPyOver100Steps) {
  const auto parameters = some_parameters();
  const at::Tensor sets = gradient_sets(*parameters);
  std::vector<std::vector<std::int64_t>> shapes;
  std::vector<at::Tensor> values;
  for (const auto& parameter : parameters->named()) {
    shapes.push_back(parameter.spec->shape);
    values.push_back(parameter.value.detach().clone().flatten());
  }
  Adafactor optimizer = make(*parameters);
  std::vector<double> norms;
  for (int step = 0; step < kSteps; ++step) {
    std::int64_t at = 0;
    for (const auto& parameter : parameters->named()) {
      const std::int64_t count = parameter.spec->num_elements();
      at::Tensor(parameter.gradient).copy_(sets[step % kSets].narrow(0, at, count).view(parameter.spec->shape) * scale_of(step));
      at += count;
    }
    const UpdateReport report = optimizer.update({.lr = lr_of(step), .loss = scalar(1)});
    ASSERT_TRUE(report.applied.item<bool>());
    norms.push_back(report.grad_norm.item<double>());
  }
  const Answer answer = ask_numpy(GetParam().config, shapes, at::cat(values), sets);
  std::vector<std::pair<std::string, at::Tensor>> ours;
  for (const auto& parameter : parameters->named()) ours.emplace_back(parameter.spec->name, parameter.value);
  for (const auto& state : optimizer.state())
    if (state.name != "num_updates") ours.emplace_back(state.name, state.tensor);
  expect_near(ours, answer.numbers, 3e-6);
  for (std::size_t i = 0; i < norms.size(); ++i) EXPECT_NEAR(norms[i], answer.norms[i], 1e-6 * answer.norms[i]);
  EXPECT_EQ(optimizer.state().back().tensor.item<double>(), kSteps);
}

TEST_P(AdafactorForms, ClearsGradientsAndLeavesPaddingZero) {
  const auto parameters = some_parameters();
  Adafactor optimizer = make(*parameters);
  for (std::uint64_t step = 0; step < 3; ++step) {
    set_gradients(*parameters, step);
    optimizer.update({.lr = 0.1, .loss = scalar(1)});
    EXPECT_EQ(parameters->gradient().abs().max().item<float>(), 0.0f);
  }
  EXPECT_TRUE(test::padding_is_zero(*parameters));
}

TEST_P(AdafactorForms, WritesTheComputeCopyRoundedToNearest) {
  const auto parameters = some_parameters(at::kBFloat16);
  Adafactor optimizer = make(*parameters);
  set_gradients(*parameters, 1);
  optimizer.update({.lr = 0.1, .loss = scalar(1)});
  EXPECT_TRUE(at::equal(parameters->compute(), parameters->master().to(at::kBFloat16)));
}

// Weights, state and copy stay bit for bit where a step is refused, the first one and a later one; the gradients are cleared all the same.
TEST_P(AdafactorForms, ABadStepMovesNothing) {
  struct Bad {
    const char* what;
    double loss, gradient, loss_limit, norm_limit;
  };
  const double nan = std::nan("");
  for (const Bad& bad :
       {Bad{"NaN loss", nan, 0.05, kInf, kInf}, Bad{"infinite loss", kInf, 0.05, kInf, kInf}, Bad{"NaN gradient", 1, nan, kInf, kInf},
        Bad{"infinite gradient", 1, kInf, kInf, kInf}, Bad{"loss spike", 11, 0.05, 10, kInf}, Bad{"norm spike", 1, 0.05, kInf, 2}})
    for (const int good_steps : {0, 1}) {
      const auto parameters = some_parameters(at::kBFloat16);
      Adafactor optimizer = make(*parameters);
      for (int step = 0; step < good_steps; ++step) {
        set_gradients(*parameters, 1);
        optimizer.update({.lr = 0.1, .loss = scalar(1)});
      }
      std::vector<at::Tensor> before{parameters->master().clone(), parameters->compute().clone()};
      for (const auto& state : optimizer.state()) before.push_back(state.tensor.clone());

      set_gradients(*parameters, 2);
      if (!std::isfinite(bad.gradient)) parameters->named()[6].gradient.fill_(bad.gradient);
      const UpdateReport report = optimizer.update(
          {.lr = 0.1, .loss = scalar(bad.loss), .loss_limit = scalar(bad.loss_limit), .norm_limit = scalar(bad.norm_limit)});
      EXPECT_FALSE(report.applied.item<bool>()) << bad.what;
      std::vector<at::Tensor> after{parameters->master(), parameters->compute()};
      for (const auto& state : optimizer.state()) after.push_back(state.tensor);
      for (std::size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(at::equal(before[i], after[i])) << bad.what << " tensor " << i;
      EXPECT_EQ(parameters->gradient().abs().max().item<float>(), 0.0f) << bad.what;

      set_gradients(*parameters, 3);
      EXPECT_TRUE(optimizer.update({.lr = 0.1, .loss = scalar(1)}).applied.item<bool>()) << bad.what;
      EXPECT_TRUE(at::isfinite(parameters->master()).all().item<bool>()) << bad.what;
    }
}

// The squares of such gradients are infinite in fp32, and so would be the statistics, for ever.
TEST_P(AdafactorForms, GradientsTooLargeToSquareAreRefusedUnlessTheyAreClipped) {
  const auto parameters = some_parameters();
  Adafactor optimizer = make(*parameters);
  const at::Tensor before = parameters->master().clone();
  for (const auto& parameter : parameters->named()) at::Tensor(parameter.gradient).fill_(1e20);
  const bool applied = optimizer.update({.lr = 0.1, .loss = scalar(1)}).applied.item<bool>();
  EXPECT_EQ(applied, GetParam().config.clip_norm > 0);
  EXPECT_EQ(at::equal(parameters->master(), before), !applied);
  for (const auto& state : optimizer.state()) EXPECT_TRUE(at::isfinite(state.tensor).all().item<bool>()) << state.name;
}

TEST_P(AdafactorForms, ZeroGradientsMoveNothing) {
  const auto parameters = some_parameters();
  Adafactor optimizer = make(*parameters);
  const at::Tensor before = parameters->master().clone();
  for (int step = 0; step < 2; ++step) EXPECT_TRUE(optimizer.update({.lr = 0.1, .loss = scalar(1)}).applied.item<bool>());
  EXPECT_TRUE(at::equal(parameters->master(), before));
}

TEST_P(AdafactorForms, StateGoesByLogicalNames) {
  const auto parameters = some_parameters();
  Adafactor optimizer = make(*parameters);
  std::vector<std::string> names;
  std::vector<std::vector<std::int64_t>> shapes;
  for (const auto& state : optimizer.state()) {
    names.push_back(state.name);
    shapes.push_back(state.tensor.sizes().vec());
  }
  const std::vector<std::string> expected{
      "exp_avg_sq.one",      "exp_avg_sq.vector",     "exp_avg_sq.scale",      "exp_avg_sq.zeros",    "exp_avg_sq.small",
      "exp_avg_sq.almost",   "exp_avg_sq_row.square", "exp_avg_sq_col.square", "exp_avg_sq_row.tall", "exp_avg_sq_col.tall",
      "exp_avg_sq_row.wide", "exp_avg_sq_col.wide",   "exp_avg_sq_row.q",      "exp_avg_sq_col.q",    "exp_avg_sq_row.k",
      "exp_avg_sq_col.k",    "exp_avg_sq_row.v",      "exp_avg_sq_col.v",      "num_updates"};
  EXPECT_EQ(names, expected);
  EXPECT_EQ(shapes[3], (std::vector<std::int64_t>{3, 4}));
  EXPECT_EQ(shapes[10], (std::vector<std::int64_t>{130}));
  EXPECT_EQ(shapes[11], (std::vector<std::int64_t>{261}));
}

INSTANTIATE_TEST_SUITE_P(
    Forms, AdafactorForms,
    ::testing::Values(Case{"Fused", ops::Form::kFastest, {}}, Case{"Reference", ops::Form::kReference, {}},
                      Case{"FusedClipped", ops::Form::kFastest, {.decay_rate = 0.6, .clip_update = 0.5, .clip_norm = 2}},
                      Case{"ReferenceClipped", ops::Form::kReference, {.decay_rate = 0.6, .clip_update = 0.5, .clip_norm = 2}},
                      Case{"FusedFree", ops::Form::kFastest, {.clip_update = 0, .eps = 1e-7, .min_scale = 0.2}},
                      Case{"ReferenceFree", ops::Form::kReference, {.clip_update = 0, .eps = 1e-7, .min_scale = 0.2}}),
    [](const auto& test) { return test.param.name; });

// The same code as the reference form, without the rounding of fp32.
TEST(Adafactor, TheReferenceInFloat64EqualsNumPyTo1em12) {
  at::set_num_threads(1);
  const AdafactorConfig config;
  const auto parameters = some_parameters();
  const at::Tensor sets = gradient_sets(*parameters).to(at::kDouble);
  std::vector<AdafactorTensors> tensors;
  std::vector<std::vector<std::int64_t>> shapes;
  std::vector<at::Tensor> values;
  const auto zeros = [](std::vector<std::int64_t> shape) { return at::zeros(shape, at::kDouble); };
  for (const auto& parameter : parameters->named()) {
    shapes.push_back(parameter.spec->shape);
    AdafactorTensors t{.weight = parameter.value.detach().to(at::kDouble), .gradient = {}, .row = {}, .column = {}, .full = {}};
    values.push_back(t.weight.flatten().clone());
    if (is_factored(config, *parameter.spec)) {
      t.row = zeros({shapes.back()[0]});
      t.column = zeros({shapes.back()[1]});
    } else {
      t.full = zeros(shapes.back());
    }
    tensors.push_back(t);
  }
  for (int step = 0; step < kSteps; ++step) {
    const AdafactorScalars scalars{.lr = lr_of(step),
                                   .one_minus_beta = scalar(std::pow(step + 1, -config.decay_rate)),
                                   .clip = scalar(1),
                                   .applied = at::ones({}, at::kBool)};
    std::int64_t at = 0;
    for (AdafactorTensors& t : tensors) {
      t.gradient = sets[step % kSets].narrow(0, at, t.weight.numel()).view(t.weight.sizes()) * scale_of(step);
      at += t.weight.numel();
      adafactor_step(config, scalars, t);
    }
  }
  std::vector<std::pair<std::string, at::Tensor>> ours;
  for (const AdafactorTensors& t : tensors) ours.emplace_back("weight", t.weight);
  for (const AdafactorTensors& t : tensors)
    for (const at::Tensor& statistic : {t.row, t.column, t.full})
      if (statistic.defined()) ours.emplace_back("statistic", statistic);
  expect_near(ours, ask_numpy(config, shapes, at::cat(values), sets).numbers, 1e-12);
}

TEST(Adafactor, TheNumberOfThreadsChangesNoBit) {
  const int threads_before = at::get_num_threads();
  std::vector<std::vector<at::Tensor>> results;
  for (const int num_threads : {1, 2, 3}) {
    at::set_num_threads(num_threads);
    const auto parameters = some_parameters();
    Adafactor optimizer({}, *parameters);
    std::vector<at::Tensor> result;
    for (std::uint64_t step = 0; step < 3; ++step) {
      set_gradients(*parameters, step);
      result.push_back(optimizer.update({.lr = 0.01, .loss = scalar(1)}).grad_norm);
    }
    result.push_back(parameters->master().clone());
    for (const auto& state : optimizer.state()) result.push_back(state.tensor.clone());
    results.push_back(result);
  }
  at::set_num_threads(threads_before);
  for (std::size_t run = 1; run < results.size(); ++run)
    for (std::size_t i = 0; i < results[0].size(); ++i) EXPECT_TRUE(at::equal(results[0][i], results[run][i])) << i;
}

// Second-largest dimension at least 128, whichever way the matrix lies.
TEST(Adafactor, OnlyMatricesThatAreLargeBothWaysAreFactored) {
  const AdafactorConfig config;
  EXPECT_TRUE(is_factored(config, {.name = "a", .shape = {128, 128}}));
  EXPECT_TRUE(is_factored(config, {.name = "a", .shape = {32128, 768}}));
  EXPECT_FALSE(is_factored(config, {.name = "a", .shape = {127, 4096}}));
  EXPECT_FALSE(is_factored(config, {.name = "a", .shape = {4096, 12}}));
  EXPECT_FALSE(is_factored(config, {.name = "a", .shape = {4096}}));
  EXPECT_THROW(is_factored(config, {.name = "a", .shape = {128, 128, 128}}), InvariantError);
}

TEST(Adafactor, TheSizeOfTheStateIsKnownBeforehand) {
  for (const OptimizerConfig& config : {OptimizerConfig(AdafactorConfig{}), OptimizerConfig(AdamWConfig{})}) {
    const auto parameters = some_parameters();
    std::uint64_t size = 0;
    for (const auto& state : make_optimizer(config, *parameters)->state())
      if (state.name != "num_updates") size += state.tensor.nbytes();
    EXPECT_EQ(state_size(config, *parameters).checkpoint_bytes, size);
    EXPECT_GE(state_size(config, *parameters).memory_bytes, size);
  }
  const auto parameters = some_parameters();
  EXPECT_LT(state_size(AdafactorConfig{.factored_min_dim = 1}, *parameters).memory_bytes, parameters->master().nbytes() / 4);
}

TEST(Adafactor, NeedsGradients) {
  ops::Parameters parameters;
  parameters.add({.name = "w", .shape = {2, 2}});
  parameters.allocate(at::kCPU, at::kFloat, false);
  EXPECT_THROW(Adafactor({}, parameters), InvariantError);
}

}  // namespace
}  // namespace sluice::optim
