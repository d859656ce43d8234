#include "ops/dropout.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cstdint>
#include <set>
#include <string>

#include "base/error.h"
#include "base/random.h"
#include "tests/ops/settings.h"

namespace sluice::ops::test {
namespace {

class Dropout : public ::testing::TestWithParam<Setting> {
 protected:
  Context training() const {
    Context context = GetParam().context();
    context.training = true;
    context.seed = 3;
    context.step = 17;
    return context;
  }
  at::Tensor ones(std::vector<std::int64_t> shape) const {
    return at::ones(shape, at::TensorOptions().dtype(GetParam().dtype).device(GetParam().device));
  }
};

// Site IDs determine the masks, so they must stay the same for resumed runs.
TEST(DropoutSites, IdsAreDerivedFromTheirNames) {
  EXPECT_EQ(dropout_site("blocks.0.ffn.hidden"), random_key(0, "blocks.0.ffn.hidden"));
  std::set<std::uint64_t> numbers;
  std::size_t num_names = 0;
  for (const std::string stack : {"", "encoder.", "decoder."}) {
    for (int i = 0; i < 2000; ++i) {
      for (const char* site : {"attention", "attention.probabilities", "cross",
                               "cross.probabilities", "ffn", "ffn.hidden"}) {
        numbers.insert(dropout_site(stack + "blocks." + std::to_string(i) + "." + site));
        ++num_names;
      }
    }
  }
  EXPECT_EQ(numbers.size(), num_names);
}

TEST_P(Dropout, MaskFollowsTheDocumentedStream) {
  const at::Tensor y =
      dropout(ones({3, 2, 75}), 0.3, 5, training()).to(at::kCPU, at::kFloat).view({3, 150});
  for (std::uint64_t row = 0; row < 3; ++row) {
    const std::uint64_t key = random_key(3, "dropout", {17, row, 5});
    for (std::uint64_t e = 0; e < 150; ++e) {
      const std::uint32_t word = philox(key, 16 * (e / 64) + e % 16)[(e % 64) / 16];
      const bool dropped = word < 0.3 * 4294967296.0;
      EXPECT_NEAR(y[static_cast<std::int64_t>(row)][static_cast<std::int64_t>(e)].item<float>(),
                  dropped ? 0 : 1 / 0.7, 0.01)
          << row << " " << e;
    }
  }
}

TEST_P(Dropout, BackwardUsesTheSameMask) {
  const at::Tensor x = leaf(numbers({4, 333}, 1) + 10, GetParam(), GetParam().dtype);
  const at::Tensor y = dropout(x, 0.5, 0, training());
  y.backward(at::ones_like(y));
  EXPECT_TRUE(at::equal(y, x.detach() * x.grad()));
  EXPECT_TRUE(at::equal(x.grad(), dropout(at::ones_like(x.detach()), 0.5, 0, training())));
}

TEST_P(Dropout, MicroBatchesSeeTheMasksOfTheWholeBatch) {
  const at::Tensor whole = dropout(ones({6, 100}), 0.4, 2, training());
  Context context = training();
  for (context.first_sample = 0; context.first_sample < 6; context.first_sample += 2)
    EXPECT_TRUE(at::equal(dropout(ones({2, 100}), 0.4, 2, context),
                          whole.narrow(0, context.first_sample, 2)));
}

TEST_P(Dropout, DropsTheExpectedFraction) {
  const at::Tensor y = dropout(ones({10, 20000}), 0.1, 1, training()).to(at::kDouble);
  EXPECT_NEAR(y.eq(0).to(at::kDouble).mean().item<double>(), 0.1, 5 * std::sqrt(0.09 / 200000));
  EXPECT_NEAR(y.max().item<double>(), 1 / 0.9, 0.01);
}

TEST_P(Dropout, CoordinatesChangeTheMask) {
  const at::Tensor first = dropout(ones({1, 256}), 0.5, 0, training());
  Context later = training(), seeded = training();
  later.step += 1;
  seeded.seed += 1;
  EXPECT_FALSE(at::equal(first, dropout(ones({1, 256}), 0.5, 1, training())));
  EXPECT_FALSE(at::equal(first, dropout(ones({1, 256}), 0.5, 0, later)));
  EXPECT_FALSE(at::equal(first, dropout(ones({1, 256}), 0.5, 0, seeded)));
}

TEST_P(Dropout, IsTheIdentityOutsideTraining) {
  const at::Tensor x = ones({2, 3});
  EXPECT_TRUE(dropout(x, 0.5, 0, GetParam().context()).is_same(x));
  EXPECT_TRUE(dropout(x, 0.0, 0, training()).is_same(x));
}

INSTANTIATE_TEST_SUITE_P(All, Dropout, ::testing::ValuesIn(all_settings()), setting_name);

TEST(Dropout, ThreadsDoNotChangeTheMask) {
  const int threads = at::get_num_threads();
  const Context context{.training = true, .seed = 1};
  at::set_num_threads(1);
  const at::Tensor alone = dropout(at::ones({3, 9999}), 0.2, 0, context);
  at::set_num_threads(3);
  EXPECT_TRUE(at::equal(alone, dropout(at::ones({3, 9999}), 0.2, 0, context)));
  at::set_num_threads(threads);
}

TEST(Dropout, RejectsProbabilitiesOutOfRange) {
  EXPECT_THROW(dropout(at::ones({2}), 1.0, 0, Context{.training = true}), InvariantError);
  EXPECT_THROW(dropout(at::ones({2}), -0.1, 0, Context{.training = true}), InvariantError);
}

}  // namespace
}  // namespace sluice::ops::test
