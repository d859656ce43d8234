#include "ops/linear_cross_entropy.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "base/error.h"
#include "base/machine.h"
#include "base/random.h"
#include "ops/softmax_gradient.h"
#include "tests/ops/settings.h"

namespace sluice::ops::test {
namespace {

class LinearCrossEntropy : public ::testing::TestWithParam<Setting> {};

at::Tensor targets_below(std::int64_t bound, std::int64_t n) {
  const at::Tensor targets = at::empty({n}, at::kLong);
  for (std::int64_t i = 0; i < n; ++i)
    targets.data_ptr<std::int64_t>()[i] =
        i % 7 == 3 ? -100
                   : static_cast<std::int64_t>(random_below(9, static_cast<std::uint64_t>(i),
                                                            static_cast<std::uint64_t>(bound)));
  return targets;
}

struct Sizes {
  std::int64_t rows, width, vocab_size, stored;
};

Run run_of(Sizes size, double scale, double z_loss = 0) {
  return [=](const Setting& setting) {
    const at::Tensor x = leaf(numbers({size.rows, size.width}, 1), setting, setting.dtype);
    const Weight weight = weight_of(numbers({size.stored, size.width}, 2, 0.2), setting);
    weight.value.detach().narrow(0, size.vocab_size, size.stored - size.vocab_size).zero_();
    if (!weight.compute.is_same(weight.value)) weight.compute.copy_(weight.value.detach());
    const at::Tensor targets = targets_below(size.vocab_size, size.rows).to(setting.device);
    const CrossEntropy loss = linear_cross_entropy(
        x, weight, targets, {size.vocab_size, scale, z_loss}, setting.context());
    EXPECT_EQ(loss.total.scalar_type(), at::kDouble);
    EXPECT_EQ(loss.total.dim(), 0);
    EXPECT_FALSE(loss.cross_entropy.requires_grad());
    loss.total.backward();
    return std::vector<at::Tensor>{loss.total, loss.cross_entropy, x.grad(), weight.value.grad()};
  };
}

// Row counts of one and several chunks, with a partial last chunk; padded and unpadded vocabulary.
TEST_P(LinearCrossEntropy, EqualsFloat64) {
  for (const Sizes size : {Sizes{5, 8, 11, 64}, Sizes{5, 8, 11, 13}, Sizes{700, 32, 1000, 1024},
                           Sizes{300, 48, 128, 128}, Sizes{4, 8, 40001, 40064}})
    for (const double z_loss : {0.0, 0.01})
      expect_equals_float64(GetParam(), run_of(size, 1.0 / 256, z_loss));
}

TEST_P(LinearCrossEntropy, PaddedRowsGetNoGradient) {
  const at::Tensor gradient = run_of({200, 16, 100, 128}, 1.0)(GetParam())[3];
  EXPECT_EQ(gradient.narrow(0, 100, 28).abs().max().item<double>(), 0.0);
  EXPECT_GT(gradient.narrow(0, 0, 100).abs().max().item<double>(), 0.0);
}

TEST_P(LinearCrossEntropy, LossIsTheSameWithoutGradients) {
  const Setting& setting = GetParam();
  const at::Tensor x =
      numbers({300, 16}, 1).to(at::TensorOptions().dtype(setting.dtype).device(setting.device));
  const Weight weight = weight_of(numbers({128, 16}, 2), setting);
  const at::Tensor targets = targets_below(100, 300).to(setting.device);
  const at::Tensor with =
      linear_cross_entropy(x, weight, targets, {100, 0.5}, setting.context()).total;
  const at::Tensor gradient = weight.value.grad().clone();
  const at::NoGradGuard no_grad;
  EXPECT_EQ(
      linear_cross_entropy(x, weight, targets, {100, 0.5}, setting.context()).total.item<double>(),
      with.item<double>());
  EXPECT_TRUE(at::equal(gradient, weight.value.grad()));
}

TEST_P(LinearCrossEntropy, IgnoresRowsWithoutATarget) {
  const Setting& setting = GetParam();
  const at::Tensor x = leaf(numbers({70, 16}, 1), setting, setting.dtype);
  const Weight weight = weight_of(numbers({64, 16}, 2), setting);
  const at::Tensor targets =
      at::full({70}, -1, at::TensorOptions().dtype(at::kLong).device(setting.device));
  const at::Tensor loss = linear_cross_entropy(x, weight, targets, {64}, setting.context()).total;
  loss.backward();
  EXPECT_EQ(loss.item<double>(), 0.0);
  EXPECT_EQ(x.grad().abs().max().item<double>(), 0.0);
  EXPECT_EQ(weight.value.grad().abs().max().item<double>(), 0.0);
}

TEST_P(LinearCrossEntropy, LargeLogitsDoNotOverflow) {
  const Setting& setting = GetParam();
  const Weight weight = weight_of(
      at::cat({at::full({1, 4}, 1000.0, at::kDouble), at::zeros({63, 4}, at::kDouble)}), setting);
  const at::Tensor x = at::ones({2, 4}, weight.compute.options().requires_grad(false));
  const at::Tensor loss =
      linear_cross_entropy(x, weight, at::tensor({0, 1}, at::kLong).to(setting.device), {64},
                           setting.context())
          .total;
  EXPECT_NEAR(loss.item<double>(), 4000.0, 40.0);
}

TEST_P(LinearCrossEntropy, RowLossesAddUpToTheTotal) {
  const Setting& setting = GetParam();
  const at::Tensor x =
      numbers({300, 16}, 1).to(at::TensorOptions().dtype(setting.dtype).device(setting.device));
  const Weight weight = weight_of(numbers({128, 16}, 2), setting);
  const at::Tensor targets = targets_below(100, 300).to(setting.device);
  const at::Tensor rows = cross_entropy_of_rows(x, weight, targets, 100, setting.context());
  EXPECT_FALSE(rows.requires_grad());
  EXPECT_EQ(rows.masked_select(targets.lt(0)).abs().sum().item<double>(), 0.0);
  EXPECT_EQ(
      rows.sum().item<double>(),
      linear_cross_entropy(x, weight, targets, {100}, setting.context()).total.item<double>());
}

INSTANTIATE_TEST_SUITE_P(All, LinearCrossEntropy, ::testing::ValuesIn(all_settings()),
                         setting_name);

TEST(LinearCrossEntropy, LossInTheComputeDtype) {
  expect_reductions_in_compute_dtype(run_of({700, 32, 1000, 1024}, 1.0 / 256, 0.01));
}

TEST(LinearCrossEntropy, ReferenceMatchesCrossEntropy) {
  const at::Tensor x = numbers({9, 6}, 1), targets = targets_below(10, 9);
  const Weight weight = weight_of(numbers({16, 6}, 2), exact());
  const at::Tensor want = at::cross_entropy_loss(x.mm(weight.value.t()).narrow(1, 0, 10), targets,
                                                 {}, at::Reduction::Sum, -100) *
                          0.25;
  EXPECT_NEAR(
      linear_cross_entropy(x, weight, targets, {10, 0.25}, exact().context()).total.item<double>(),
      want.item<double>(), 1e-12);
}

TEST(LinearCrossEntropy, ZLossIsTheSquareOfLogZ) {
  const at::Tensor x = numbers({9, 6}, 1), targets = targets_below(10, 9);
  const Weight weight = weight_of(numbers({16, 6}, 2), exact());
  const at::Tensor logits = x.mm(weight.value.detach().t()).narrow(1, 0, 10),
                   scored = targets.ge(0);
  const at::Tensor z_loss = (at::logsumexp(logits, {1}).square() * scored).sum() * 0.25 * 0.5;
  const CrossEntropy loss =
      linear_cross_entropy(x, weight, targets, {10, 0.25, 0.5}, exact().context());
  EXPECT_NEAR((loss.total - loss.cross_entropy).item<double>(), z_loss.item<double>(), 1e-12);
  const CrossEntropy without =
      linear_cross_entropy(x, weight, targets, {10, 0.25}, exact().context());
  EXPECT_EQ(without.total.item<double>(), without.cross_entropy.item<double>());
  EXPECT_EQ(loss.cross_entropy.item<double>(), without.cross_entropy.item<double>());
}

TEST(LinearCrossEntropy, CpuAndAtenSoftmaxGradientsAgree) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor logits = numbers({33, 64}, 1, 3.0).to(dtype), other = logits.clone(),
                     targets = targets_below(60, 33);
    const at::Tensor loss = at::empty({2, 33}, at::kDouble),
                     other_loss = at::empty({2, 33}, at::kDouble);
    softmax_gradient_cpu(logits, targets, loss, {60, 0.125, 0.01, true});
    softmax_gradient_aten(other, targets, other_loss, {60, 0.125, 0.01, true});
    expect_close(loss, other_loss, tolerance(at::kFloat), "loss");
    expect_close(logits, other, tolerance(dtype), "gradient");
  }
}

// As documented in the header: less than one full [N, V] tensor, including gradients.
TEST(LinearCrossEntropy, PeakMemoryStaysBelowTheLogits) {
  constexpr std::int64_t kRows = 1024, kVocabulary = 32768, kWidth = 16;
  for (const at::ScalarType dtype : {at::kBFloat16, at::kFloat}) {
    const Setting setting{at::kCPU, dtype, Form::kFastest};
    const at::Tensor x =
        at::zeros({kRows, kWidth}, at::TensorOptions().dtype(dtype)).set_requires_grad(true);
    const Weight weight = weight_of(at::zeros({kVocabulary, kWidth}, at::kDouble), setting);
    const auto train = [&](std::int64_t rows) {
      linear_cross_entropy(x.narrow(0, 0, rows), weight, at::zeros({rows}, at::kLong),
                           {kVocabulary}, setting.context())
          .total.backward();
    };
    train(64);  // loads code and buffers of libraries
    const std::uint64_t before = peak_memory_bytes();
    train(kRows);
    EXPECT_LT(peak_memory_bytes() - before, kRows * kVocabulary * at::elementSize(dtype) / 2);
  }
}

TEST(LinearCrossEntropy, RejectsInvalidUse) {
  const Weight weight = weight_of(numbers({16, 4}, 2), Setting{});
  const at::Tensor x = at::zeros({2, 4}).set_requires_grad(true),
                   targets = at::zeros({2}, at::kLong);
  EXPECT_THROW(linear_cross_entropy(x, weight, targets, {17}, Context{}), InvariantError);
  EXPECT_THROW(linear_cross_entropy(x, weight, at::zeros({3}, at::kLong), {16}, Context{}),
               InvariantError);
  EXPECT_THROW(linear_cross_entropy(x, weight, at::full({2}, 12, at::kLong), {10}, Context{}),
               InvariantError);
  EXPECT_THROW((linear_cross_entropy(x, weight, targets, {16}, Context{}).total * 2).backward(),
               InvariantError);
}

}  // namespace
}  // namespace sluice::ops::test
