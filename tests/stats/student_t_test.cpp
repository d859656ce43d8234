#include "stats/student_t.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "base/error.h"

namespace sluice::stats {
namespace {

constexpr double kPi = std::numbers::pi;

// df 1 is the Cauchy distribution; df 2 has an algebraic distribution function.
TEST(StudentT, ClosedForms) {
  for (const double t : {0.0, 0.1, 0.5, 1.0, 2.5, 12.7, 300.0}) {
    EXPECT_NEAR(two_sided_p(t, 1), 1 - 2 * std::atan(t) / kPi, 1e-15) << t;
    EXPECT_NEAR(two_sided_p(-t, 2), 1 - t / std::sqrt(2 + t * t), 1e-15) << t;
  }
  for (const double probability : {0.01, 0.3, 0.5, 0.9, 0.975, 0.999}) {
    EXPECT_NEAR(t_quantile(probability, 1), std::tan(kPi * (probability - 0.5)), 1e-11)
        << probability;
    const double u = 2 * probability - 1;
    EXPECT_NEAR(t_quantile(probability, 2), u * std::sqrt(2 / (1 - u * u)), 1e-11) << probability;
  }
  EXPECT_NEAR(t_quantile(0.975, 1e9), 1.959963985, 1e-8);
}

TEST(StudentT, LimitingValues) {
  EXPECT_EQ(two_sided_p(0, 5), 1);
  EXPECT_EQ(two_sided_p(std::numeric_limits<double>::infinity(), 5), 0);
  EXPECT_EQ(two_sided_p(-std::numeric_limits<double>::infinity(), 5), 0);
}

// P(T ≤ x) = ∫ Φ(x w − δ) g(w) dw, with g the density of w = √(χ²_f / f), by Simpson's rule.
// Independent of Boost, unlike scipy.
double integrated_cdf(double x, double df, double delta) {
  const auto density = [&](double w) {
    if (w <= 0) return 0.0;
    return std::exp(std::log(2.0) + df / 2 * std::log(df / 2) - std::lgamma(df / 2) +
                    (df - 1) * std::log(w) - df * w * w / 2);
  };
  const auto integrand = [&](double w) {
    return 0.5 * std::erfc(-(x * w - delta) / std::numbers::sqrt2) * density(w);
  };
  constexpr int kSteps = 40'000;
  const double step = 8.0 / kSteps;
  double sum = integrand(0) + integrand(8);
  for (int i = 1; i < kSteps; ++i) sum += (i % 2 == 1 ? 4 : 2) * integrand(i * step);
  return sum * step / 3;
}

TEST(StudentT, NoncentralEqualsItsIntegral) {
  for (const double df : {2.0, 4.0, 7.0, 28.0, 200.0})
    for (const double delta : {0.0, 0.5, 3.5, 8.0, -2.0})
      for (const double x : {-3.0, 0.0, 1.0, 2.9, 6.0})
        EXPECT_NEAR(noncentral_t_cdf(x, df, delta), integrated_cdf(x, df, delta), 1e-9)
            << "df " << df << " delta " << delta << " x " << x;
}

TEST(StudentT, RejectsInvalidArguments) {
  const double nan = std::nan("");
  EXPECT_THROW(two_sided_p(nan, 3), InvariantError);
  EXPECT_THROW(two_sided_p(1, 0), InvariantError);
  EXPECT_THROW(two_sided_p(1, nan), InvariantError);
  EXPECT_THROW(t_quantile(0, 3), InvariantError);
  EXPECT_THROW(t_quantile(1, 3), InvariantError);
  EXPECT_THROW(t_quantile(0.5, -1), InvariantError);
  EXPECT_THROW(noncentral_t_cdf(nan, 3, 1), InvariantError);
  EXPECT_THROW(noncentral_t_cdf(1, 3, std::numeric_limits<double>::infinity()), InvariantError);
  EXPECT_THROW(noncentral_t_cdf(1, 0, 1), InvariantError);
}

}  // namespace
}  // namespace sluice::stats
