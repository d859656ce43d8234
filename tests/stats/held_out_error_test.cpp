#include "stats/held_out_error.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/random.h"

namespace sluice::stats {
namespace {

using Documents = std::vector<DocumentLoss>;

// Documents of 1 and 3 targets, differences 1 and 5: R = 6/4, residuals 1 − 1.5 and 5 − 4.5.
TEST(HeldOutError, MatchesAHandComputedExample) {
  const Documents variant{{3, 1}, {12, 3}}, baseline{{2, 1}, {7, 3}};
  const SampleError error = *held_out_error(std::vector<DocumentPair>{{variant, baseline}});
  EXPECT_DOUBLE_EQ(error.difference, 1.5);
  EXPECT_DOUBLE_EQ(*error.std_error, std::sqrt(2 * 0.5) / 4);
  EXPECT_EQ(error.num_documents, 2);
  EXPECT_DOUBLE_EQ(error.effective_documents, 16.0 / 10);
}

// For equal lengths the ratio is a mean, with the standard error of a mean.
TEST(HeldOutError, OfEqualDocumentsIsThatOfAMean) {
  // differences per target: 0.5, 1.5, 4
  const Documents variant{{4, 2}, {6, 2}, {11, 2}}, baseline{{3, 2}, {3, 2}, {3, 2}};
  const SampleError error = *held_out_error(std::vector<DocumentPair>{{variant, baseline}});
  EXPECT_DOUBLE_EQ(error.difference, 2);
  EXPECT_DOUBLE_EQ(*error.std_error, std::sqrt((1.5 * 1.5 + 0.25 + 4) / 2 / 3));
  EXPECT_DOUBLE_EQ(error.effective_documents, 3);
}

// The delete-one-document jackknife, without linearization: (K − 1) / K times the sum of squares
// around the mean.
TEST(HeldOutError, AgreesWithTheJackknife) {
  const std::size_t num_documents = 400;
  const std::uint64_t key = random_key(1, "jackknife");
  Documents variant, baseline;
  for (std::size_t k = 0; k < num_documents; ++k) {
    const std::uint64_t targets = 20 + random_below(key, 3 * k, 500);
    const double size = static_cast<double>(targets);
    baseline.push_back({4 * size + std::sqrt(size) * random_normal(key, 3 * k + 1), targets});
    variant.push_back(
        {baseline.back().nats - 0.02 * size + 0.1 * size * random_normal(key, 3 * k + 2), targets});
  }
  const SampleError error = *held_out_error(std::vector<DocumentPair>{{variant, baseline}});
  double nats = 0, targets = 0;
  for (std::size_t k = 0; k < num_documents; ++k) {
    nats += variant[k].nats - baseline[k].nats;
    targets += static_cast<double>(variant[k].num_targets);
  }
  EXPECT_NEAR(error.difference, nats / targets, 1e-12);
  std::vector<double> without;
  double mean = 0;
  for (std::size_t k = 0; k < num_documents; ++k) {
    const double size = static_cast<double>(variant[k].num_targets);
    without.push_back((nats - (variant[k].nats - baseline[k].nats)) / (targets - size));
    mean += without.back() / static_cast<double>(num_documents);
  }
  double squares = 0;
  for (const double value : without) squares += (value - mean) * (value - mean);
  const double jackknife = std::sqrt(squares * static_cast<double>(num_documents - 1) /
                                     static_cast<double>(num_documents));
  EXPECT_NEAR(*error.std_error / jackknife, 1, 3.0 / static_cast<double>(num_documents));
}

TEST(HeldOutError, AveragesOverSeedsFirst) {
  const Documents baseline{{2, 1}, {7, 3}, {5, 2}}, one{{3, 1}, {12, 3}, {4, 2}},
      two{{1, 1}, {8, 3}, {8, 2}}, mean{{2, 1}, {10, 3}, {6, 2}};
  const SampleError both = *held_out_error(
                        std::vector<DocumentPair>{{one, baseline}, {two, baseline}}),
                    averaged = *held_out_error(std::vector<DocumentPair>{{mean, baseline}});
  EXPECT_NEAR(both.difference, averaged.difference, 1e-15);
  EXPECT_NEAR(*both.std_error, *averaged.std_error, 1e-15);
}

TEST(HeldOutError, OfAVariantAgainstItselfIsZero) {
  const Documents documents{{2, 1}, {7, 3}};
  const SampleError error = *held_out_error(std::vector<DocumentPair>{{documents, documents}});
  EXPECT_EQ(error.difference, 0);
  EXPECT_EQ(error.std_error, 0.0);
}

TEST(HeldOutError, EmptyDocumentsDoNotCount) {
  const Documents variant{{3, 1}, {0, 0}, {12, 3}}, baseline{{2, 1}, {0, 0}, {7, 3}};
  const SampleError error = *held_out_error(std::vector<DocumentPair>{{variant, baseline}});
  EXPECT_EQ(error.num_documents, 2);
  EXPECT_DOUBLE_EQ(*error.std_error, 0.25);
}

TEST(HeldOutError, OneDocumentHasNoError) {
  const Documents variant{{3, 1}}, baseline{{2, 1}}, none;
  const SampleError error = *held_out_error(std::vector<DocumentPair>{{variant, baseline}});
  EXPECT_EQ(error.difference, 1);
  EXPECT_EQ(error.std_error, std::nullopt);
  EXPECT_FALSE(held_out_error({}));
  EXPECT_FALSE(held_out_error(std::vector<DocumentPair>{{none, none}}));
}

void expect_refused(const Documents& variant, const Documents& baseline, const std::string& part) {
  const Documents good{{2, 1}, {7, 3}};
  try {
    held_out_error(std::vector<DocumentPair>{{good, good}, {variant, baseline}});
    ADD_FAILURE() << "accepted: " << part;
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), ExitCode::kBadData);
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

TEST(HeldOutError, RejectsDifferentDocuments) {
  const Documents good{{2, 1}, {7, 3}};
  expect_refused({{2, 1}}, good, "received 1; expected 2, as in the other runs");
  expect_refused(good, {{2, 1}, {7, 3}, {1, 1}}, "3");
  expect_refused(good, {{2, 1}, {7, 4}}, "held-out document 2");
  expect_refused({{std::nan(""), 1}, {7, 3}}, good, "nats of held-out document 1");
}

}  // namespace
}  // namespace sluice::stats
