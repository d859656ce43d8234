// Property tests (RapidCheck): checks a property on random inputs and reports the smallest failing
// input.
//
//   check_property(50, [] {
//     const auto size = *rc::gen::inRange<std::uint64_t>(1, 5000);
//     RC_ASSERT(...);
//   });
//
// Every run uses the same inputs, unless RC_PARAMS="seed=N max_success=N" is set.
#pragma once

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstdlib>
#include <sstream>
#include <string>

namespace sluice::testing {

template <class Property>
void check_property(int num_cases, const Property& property) {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  rc::detail::TestMetadata metadata;
  metadata.id = metadata.description = std::string(test->test_suite_name()) + "." + test->name();
  rc::detail::TestParams fixed;
  fixed.seed = 20'261'128;
  fixed.maxSuccess = num_cases;
  const bool others = std::getenv("RC_PARAMS") != nullptr;
  const auto result = rc::detail::checkTestable(
      property, metadata, others ? rc::detail::configuration().testParams : fixed);
  if (result.template is<rc::detail::SuccessResult>()) return;
  std::ostringstream message;
  rc::detail::printResultMessage(result, message);
  FAIL() << message.str();
}

}  // namespace sluice::testing
