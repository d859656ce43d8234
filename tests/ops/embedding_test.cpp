#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "base/random.h"
#include "ops/linear.h"
#include "tests/ops/settings.h"

namespace sluice::ops::test {
namespace {

class Embedding : public ::testing::TestWithParam<Setting> {};

at::Tensor ids_below(std::int64_t bound, std::vector<std::int64_t> shape) {
  const at::Tensor ids = at::empty(shape, at::kLong);
  for (std::int64_t i = 0; i < ids.numel(); ++i)
    ids.data_ptr<std::int64_t>()[i] = static_cast<std::int64_t>(
        random_below(5, static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(bound)));
  return ids;
}

Run run_of() {
  return [](const Setting& setting) {
    const Weight table = weight_of(numbers({50, 13}, 1), setting);
    const at::Tensor y =
        embedding(ids_below(40, {3, 200}).to(setting.device), table, setting.context());
    EXPECT_EQ(y.scalar_type(), setting.master());
    y.backward(numbers(y.sizes().vec(), 4).to(y.options()));
    return std::vector<at::Tensor>{y, table.value.grad()};
  };
}

TEST_P(Embedding, EqualsFloat64) { expect_equals_float64(GetParam(), run_of()); }

// A GPU sums runs of 32 sorted positions: tokens that fill several, end with one or begin one.
TEST_P(Embedding, RepeatedTokensEqualFloat64) {
  const std::vector<std::vector<std::int64_t>> counts{
      {32, 32}, {100, 1, 31, 64, 5}, {1, 1, 1}, {0, 65, 0, 0, 64}, {31, 2, 95}};
  for (const auto& count : counts)
    for (const std::int64_t d : {5, 24})
      expect_equals_float64(GetParam(), [&](const Setting& setting) {
        std::vector<std::int64_t> ids;
        for (std::size_t token = 0; token < count.size(); ++token)
          ids.insert(ids.end(), static_cast<std::size_t>(count[token]),
                     static_cast<std::int64_t>(token));
        // 7 has no factor in common with any number of positions.
        std::vector<std::int64_t> shuffled(ids.size());
        for (std::size_t i = 0; i < ids.size(); ++i) shuffled[i] = ids[i * 7 % ids.size()];
        const Weight table = weight_of(numbers({8, d}, 2), setting);
        const at::Tensor x =
            embedding(at::tensor(shuffled, at::kLong).view({1, -1}).to(setting.device), table,
                      setting.context());
        x.backward(numbers(x.sizes().vec(), 3).to(x.options()));
        return std::vector<at::Tensor>{x, table.value.grad()};
      });
}

TEST_P(Embedding, UnusedRowsGetNoGradient) {
  EXPECT_EQ(run_of()(GetParam())[1].narrow(0, 40, 10).abs().max().item<double>(), 0.0);
}

INSTANTIATE_TEST_SUITE_P(All, Embedding, ::testing::ValuesIn(all_settings()), setting_name);

TEST(Embedding, GradientDoesNotDependOnTheNumberOfThreads) {
  const int threads = at::get_num_threads();
  std::vector<at::Tensor> gradients;
  for (const int n : {1, 2, 3}) {
    at::set_num_threads(n);
    gradients.push_back(run_of()(Setting{})[1]);
  }
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(gradients[0], gradients[1]) && at::equal(gradients[0], gradients[2]));
}

TEST(Embedding, RejectsIdsOutOfRangeAndWrongTypes) {
  const Weight table = weight_of(numbers({5, 2}, 1), Setting{});
  EXPECT_ANY_THROW(embedding(at::full({1, 1}, 5, at::kLong), table, Context{}));
  EXPECT_ANY_THROW(embedding(at::full({1, 1}, -1, at::kLong), table, Context{}));
  EXPECT_ANY_THROW(embedding(at::zeros({1, 1}), table, Context{}));
}

}  // namespace
}  // namespace sluice::ops::test
