#include "stats/table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"

namespace sluice::stats {
namespace {

TEST(Table, CellsAreWaitingFinishedOrBroken) {
  Table table(2, 3);
  EXPECT_EQ(table.value(1, 2), std::nullopt);
  EXPECT_FALSE(table.broken(1, 2));
  table.set(1, 2, 1.5);
  EXPECT_EQ(table.value(1, 2), 1.5);
  EXPECT_EQ(table.value(0, 2), std::nullopt);
  table.set_broken(1, 2);
  EXPECT_TRUE(table.broken(1, 2));
  EXPECT_EQ(table.value(1, 2), std::nullopt);
  table.set(1, 2, 1.25);
  EXPECT_FALSE(table.broken(1, 2));
}

TEST(Table, RejectsInvalidArguments) {
  Table table(2, 3);
  for (const double value : {std::nan(""), std::numeric_limits<double>::infinity()})
    EXPECT_THROW(table.set(0, 0, value), UserError);
  EXPECT_THROW(table.set(2, 0, 1), InvariantError);
  EXPECT_THROW(table.set_broken(0, 3), InvariantError);
  EXPECT_THROW(static_cast<void>(table.value(2, 0)), InvariantError);
  EXPECT_THROW(static_cast<void>(table.broken(0, 3)), InvariantError);
}

}  // namespace
}  // namespace sluice::stats
