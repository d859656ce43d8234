#include "base/threads.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/machine.h"

namespace sluice {
namespace {

TEST(Threads, UsesTheFirstNumberOfAValidList) {
  struct Case {
    const char* value;
    int expected;
  };
  const int all = machine().num_cpus;
  const Case cases[] = {
      {"3", 3},     {" 3 ", 3},  {"4,2", 4},  {"4, 2,1", 4}, {"1024", 1024},
      {"", all},    {"  ", all}, {"0", all},  {"1025", all}, {"-2", all},
      {"two", all}, {"2x", all}, {"2,", all}, {"0x2", all},  {"99999999999999999999", all}};
  for (const Case& one : cases) {
    ASSERT_EQ(::setenv("OMP_NUM_THREADS", one.value, 1), 0);
    EXPECT_EQ(auto_threads(), one.expected) << "'" << one.value << "'";
  }
  ASSERT_EQ(::unsetenv("OMP_NUM_THREADS"), 0);
  EXPECT_EQ(auto_threads(), all);
}

}  // namespace
}  // namespace sluice
