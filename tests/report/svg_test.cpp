#include "report/svg.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

namespace sluice::report {
namespace {

TEST(Svg, WritesTenthsOfPixelsAndEscapesText) {
  Svg svg(100, 50.5, "a <b>");
  svg.line({0, 1.26}, {-0.04, -2.5}, "axis");
  svg.text({1, 2}, "<x> & y", "m");
  svg.dot({1, 1}, 3, "end", "tip \"1\"");
  const std::string text = svg.finish();
  EXPECT_NE(text.find("viewBox=\"0 0 100 50.5\""), std::string::npos);
  EXPECT_NE(text.find("aria-label=\"a &lt;b&gt;\""), std::string::npos);
  EXPECT_NE(text.find("x1=\"0\" y1=\"1.3\" x2=\"0\" y2=\"-2.5\""), std::string::npos);
  EXPECT_NE(text.find(">&lt;x&gt; &amp; y</text>"), std::string::npos);
  EXPECT_NE(text.find("<title>tip &quot;1&quot;</title></circle>"), std::string::npos);
}

TEST(Svg, ReplacesNonFiniteNumbersAndClampsLargeOnes) {
  Svg svg(10, 10, "");
  const std::array points = {Point{NAN, INFINITY}, Point{1e300, -1e300}};
  svg.path(points, "line");
  const std::string text = svg.finish();
  EXPECT_NE(text.find("points=\"0,0 1000000,-1000000\""), std::string::npos) << text;
}

TEST(Ticks, AreRoundAndInRange) {
  const Ticks ticks = nice_ticks(-0.0612, 0.013, 5);
  EXPECT_EQ(ticks.digits, 2);
  ASSERT_EQ(ticks.values.size(), 4U);
  EXPECT_NEAR(ticks.values.front(), -0.06, 1e-12);
  EXPECT_EQ(ticks.values.back(), 0);
  EXPECT_EQ(nice_ticks(0, 65536, 6).digits, 0);
  EXPECT_EQ(nice_ticks(2, 2, 5).values.size(), 1U);  // empty range
  for (const double scale : {1e-9, 1e-3, 1.0, 7e5, 3e14}) {
    const Ticks any = nice_ticks(0.3 * scale, 1.7 * scale, 6);
    EXPECT_GE(any.values.size(), 3U);
    EXPECT_LE(any.values.size(), 8U);
    for (const double value : any.values)
      EXPECT_TRUE(value >= 0.299999 * scale && value <= 1.700001 * scale);
  }
}

TEST(SpreadLabels, KeepsTheGapAndTheBounds) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> anywhere(0, 300);
  for (int round = 0; round < 200; ++round) {
    std::vector<double> wanted(1 + random() % 15);
    for (double& value : wanted) value = anywhere(random);
    const std::vector<double> places = spread_labels(wanted, 15, 0, 300);
    std::vector<std::size_t> order(wanted.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return wanted[a] < wanted[b]; });
    for (std::size_t i = 0; i < order.size(); ++i) {
      EXPECT_GE(places[order[i]], -1e-6);
      EXPECT_LE(places[order[i]], 300 + 1e-6);
      EXPECT_GE(i == 0 ? 15 : places[order[i]] - places[order[i - 1]], 15 - 1e-6);
    }
  }
}

TEST(SpreadLabels, KeepsLabelsThatDoNotOverlap) {
  const std::array wanted = {50.0, 10.0, 90.0};
  EXPECT_EQ(spread_labels(wanted, 15, 0, 100), (std::vector<double>{50, 10, 90}));
  const std::array same = {50.0, 50.0};
  EXPECT_EQ(spread_labels(same, 10, 0, 100), (std::vector<double>{45, 55}));
}

TEST(SpreadLabels, ReducesTheGapIfNecessary) {
  const std::vector<double> wanted(50, 20);
  const std::vector<double> places = spread_labels(wanted, 15, 0, 98);
  for (std::size_t i = 0; i < places.size(); ++i)
    EXPECT_NEAR(places[i], 2.0 * static_cast<double>(i), 1e-9);
}

}  // namespace
}  // namespace sluice::report
