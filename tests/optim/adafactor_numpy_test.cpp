// Adafactor against scripts/numpy_adafactor.py in float64.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/text_format.h"
#include "optim/adafactor.h"
#include "tests/base/temporary_directory.h"
#include "tests/optim/adafactor_support.h"
#include "tests/optim/optim_support.h"

namespace sluice::optim {
namespace {

using test::numbers;
using test::scalar;
using test::set_gradients;
using test::some_parameters;

constexpr int kSteps = 100, kSets = 7;
// The kernels for GPUs are slow on the host.
constexpr int kHostGpuSteps = 30;

double lr_of(int step) { return 0.05 / std::sqrt(1.0 + step); }
// Powers of two, so that products are exact.
double scale_of(int step) { return step % 10 == 3 ? 8.0 : 1.0 / (1 << step % 4); }

// Sets of gradients with rows of different magnitude, some of them zero: [kSets, all elements].
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
  std::ofstream(path, std::ios::binary)
      .write(static_cast<const char*>(host.const_data_ptr()),
             static_cast<std::streamsize>(host.nbytes()));
}

struct Answer {
  std::vector<double> norms;
  std::vector<double> numbers;  // values, then statistics, parameter by parameter
};

// The result of the float64 oracle after updates of `values` (flat).
Answer ask_numpy(const AdafactorConfig& config, int num_steps,
                 const std::vector<std::vector<std::int64_t>>& shapes, const at::Tensor& values,
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
  for (int step = 0; step < num_steps; ++step) {
    request["lr"].push_back(lr_of(step));
    request["scales"].push_back(scale_of(step));
  }
  std::ofstream(file("in.json")) << request;
  const std::string command =
      cat("'", SLUICE_PYTHON, "' '", SLUICE_SOURCE_DIR, "/tests/optim/adafactor_oracle.py' < '",
          file("in.json"), "' > '", file("out.json"), "'");
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  Answer answer{
      .norms =
          nlohmann::json::parse(read_file(file("out.json"))).at("norms").get<std::vector<double>>(),
      .numbers = {}};
  const std::string raw = read_file(file("result"));
  answer.numbers.resize(raw.size() / sizeof(double));
  std::copy(raw.begin(), raw.end(), reinterpret_cast<char*>(answer.numbers.data()));
  return answer;
}

// Each tensor must match within `tolerance` times its largest element.
void expect_near(const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                 const std::vector<double>& expected, double tolerance) {
  std::size_t at = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::vector<double> ours = numbers(tensor);
    ASSERT_LE(at + ours.size(), expected.size());
    double largest = 0;
    for (std::size_t i = 0; i < ours.size(); ++i)
      largest = std::max(largest, std::abs(expected[at + i]));
    for (std::size_t i = 0; i < ours.size(); ++i)
      ASSERT_NEAR(ours[i], expected[at + i], tolerance * largest) << name << "[" << i << "]";
    at += ours.size();
  }
  EXPECT_EQ(at, expected.size());
}

class AdafactorNumPy : public ::testing::TestWithParam<test::AdafactorCase> {
 protected:
  void SetUp() override { at::set_num_threads(1); }  // the work is too small for more
};

TEST_P(AdafactorNumPy, MatchesOverManySteps) {
  const int num_steps = GetParam().form.device != nullptr ? kHostGpuSteps : kSteps;
  const auto parameters = some_parameters();
  const at::Tensor sets = gradient_sets(*parameters);
  std::vector<std::vector<std::int64_t>> shapes;
  std::vector<at::Tensor> values;
  for (const auto& parameter : parameters->named()) {
    shapes.push_back(parameter.spec->shape);
    values.push_back(parameter.value.detach().clone().flatten());
  }
  Adafactor optimizer(GetParam().config, *parameters, GetParam().form.form, GetParam().form.device);
  std::vector<double> norms;
  for (int step = 0; step < num_steps; ++step) {
    std::int64_t at = 0;
    for (const auto& parameter : parameters->named()) {
      const std::int64_t count = parameter.spec->num_elements();
      at::Tensor(parameter.gradient)
          .copy_(sets[step % kSets].narrow(0, at, count).view(parameter.spec->shape) *
                 scale_of(step));
      at += count;
    }
    const UpdateReport report = optimizer.update(test::update_of(lr_of(step)));
    ASSERT_TRUE(report.applied.item<bool>());
    norms.push_back(report.grad_norm.item<double>());
  }
  const Answer answer = ask_numpy(GetParam().config, num_steps, shapes, at::cat(values), sets);
  std::vector<std::pair<std::string, at::Tensor>> ours;
  for (const auto& parameter : parameters->named())
    ours.emplace_back(parameter.spec->name, parameter.value);
  for (const auto& state : optimizer.state())
    if (state.name != "num_updates") ours.emplace_back(state.name, state.tensor);
  expect_near(ours, answer.numbers, 3e-6);
  for (std::size_t i = 0; i < norms.size(); ++i)
    EXPECT_NEAR(norms[i], answer.norms[i], 1e-6 * answer.norms[i]);
  EXPECT_EQ(optimizer.state().back().tensor.item<double>(), num_steps);
}

INSTANTIATE_TEST_SUITE_P(Forms, AdafactorNumPy, ::testing::ValuesIn(test::adafactor_cases()),
                         [](const auto& test) { return test.param.name; });

// The code of the reference form without fp32 rounding.
TEST(AdafactorReference, InFloat64MatchesNumPyTo1em12) {
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
    AdafactorTensors t{.weight = parameter.value.detach().to(at::kDouble),
                       .gradient = {},
                       .row = {},
                       .column = {},
                       .full = {}};
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
    const AdafactorScalars scalars{.lr = scalar(lr_of(step)),
                                   .one_minus_beta = scalar(std::pow(step + 1, -config.decay_rate)),
                                   .clip = scalar(1),
                                   .applied = at::ones({}, at::kBool)};
    std::int64_t at = 0;
    for (AdafactorTensors& t : tensors) {
      t.gradient = sets[step % kSets].narrow(0, at, t.weight.numel()).view(t.weight.sizes()) *
                   scale_of(step);
      at += t.weight.numel();
      adafactor_step(config, scalars, t);
    }
  }
  std::vector<std::pair<std::string, at::Tensor>> ours;
  for (const AdafactorTensors& t : tensors) ours.emplace_back("weight", t.weight);
  for (const AdafactorTensors& t : tensors)
    for (const at::Tensor& statistic : {t.row, t.column, t.full})
      if (statistic.defined()) ours.emplace_back("statistic", statistic);
  expect_near(ours, ask_numpy(config, kSteps, shapes, at::cat(values), sets).numbers, 1e-12);
}

}  // namespace
}  // namespace sluice::optim
