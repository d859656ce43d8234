#include "nn/t5_relative.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>

#include <set>
#include <string>

#include "tests/nn/module_support.h"

namespace sluice::nn::test {
namespace {

class RelativeBias : public ::testing::TestWithParam<ops::test::Setting> {};

std::set<std::string>& called() {
  static std::set<std::string> names;
  return names;
}

// The operations that LibTorch runs in body().
template <typename Body>
std::set<std::string> operations_of(const Body& body) {
  called().clear();
  const auto note = [](const at::RecordFunction& f) -> std::unique_ptr<at::ObserverContext> {
    called().insert(f.name());
    return nullptr;
  };
  const auto handle = at::addThreadLocalCallback(
      at::RecordFunctionCallback(note).scopes({at::RecordScope::FUNCTION}));
  body();
  at::removeCallback(handle);
  return called();
}

// More lengths than are kept, each twice.
TEST_P(RelativeBias, EqualsTheOperationAtAnyLength) {
  ops::Parameters parameters;
  const nn::RelativeBias bias(parameters, "position", {.num_buckets = 8, .max_distance = 20}, 3,
                              /*bidirectional=*/true, {});
  fill(parameters, GetParam(), 1.0);
  ops::Weight table;
  table.value = parameters.named().at(0).value.detach().clone();
  const ops::BucketRule rule{.num_buckets = 8, .max_distance = 20, .bidirectional = true};
  for (int round = 0; round < 2; ++round)
    for (const std::int64_t length : {5, 40, 1, 7, 30, 31})
      EXPECT_TRUE(at::equal(bias.forward(length), ops::relative_bias(table, rule, length, length)))
          << length;
}

TEST_P(RelativeBias, ALaterCallCopiesNothing) {
  ops::Parameters parameters;
  const nn::RelativeBias bias(parameters, "position", {}, 2, /*bidirectional=*/false, {});
  fill(parameters, GetParam(), 1.0);
  const auto call = [&] { bias.forward(12); };
  EXPECT_TRUE(operations_of(call).contains("aten::zeros"));
  const std::set<std::string> later = operations_of(call);
  EXPECT_TRUE(later.contains("aten::matmul"));
  for (const char* name : {"aten::zeros", "aten::to", "aten::copy_", "aten::_to_copy"})
    EXPECT_FALSE(later.contains(name)) << name;
}

INSTANTIATE_TEST_SUITE_P(All, RelativeBias, ::testing::ValuesIn(ops::test::all_settings()),
                         ops::test::setting_name);

}  // namespace
}  // namespace sluice::nn::test
