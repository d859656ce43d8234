#include "train/shared_weights.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/text_format.h"
#include "tests/dist/processes.h"

namespace sluice::train {
namespace {

// Operands of matrix products among vectors and a table, which passes read in fp32.
std::unique_ptr<ops::Parameters> some_parameters(at::ScalarType compute) {
  auto parameters = std::make_unique<ops::Parameters>();
  parameters->add({.name = "embedding.weight", .shape = {301, 97}, .decay = true});
  for (const std::string block : {"blocks.0", "blocks.1", "blocks.2"}) {
    parameters->add({.name = block + ".norm.scale", .shape = {97}});
    parameters->add({.name = block + ".ffn.w.weight", .shape = {501, 97}, .is_operand = true});
  }
  parameters->allocate(at::kCPU, compute, /*with_gradients=*/false);
  return parameters;
}

// What an update writes to a part of the arena; not exact in bf16.
void update(ops::Parameters& parameters, std::int64_t begin, std::int64_t end, int step) {
  const at::Tensor i = at::arange(begin, end, at::kDouble);
  const at::Tensor part = parameters.master().slice(0, begin, end);
  part.copy_(at::sin(i * 12.9898 + step));
  parameters.compute().slice(0, begin, end).copy_(part);
}

std::vector<std::int64_t> begins_of(const ops::Parameters& parameters, int size) {
  std::vector<std::int64_t> begins;
  for (int rank = 0; rank <= size; ++rank)
    begins.push_back(parameters.arena_elements() * rank * rank / size / size);
  return begins;
}

std::vector<std::vector<ops::ArenaRange>> parts_from(const std::vector<std::int64_t>& begins) {
  std::vector<std::vector<ops::ArenaRange>> parts;
  for (std::size_t rank = 0; rank + 1 < begins.size(); ++rank)
    parts.push_back(ops::joined({{begins[rank], begins[rank + 1]}}));
  return parts;
}

// Whether the logical parameters, which gaps are not part of, are those of `expected`.
bool are_equal(const ops::Parameters& parameters, const ops::Parameters& expected,
               bool (*is_compared)(const std::string&)) {
  const auto named = parameters.named(), other = expected.named();
  for (std::size_t i = 0; i < named.size(); ++i)
    if (is_compared(named[i].spec->name) && !at::equal(named[i].value, other[i].value))
      return false;
  return true;
}
bool is_table_or_vector(const std::string& name) { return !name.ends_with("w.weight"); }
bool is_any(const std::string&) { return true; }

// The number of bytes that this process sends per update, or what is wrong.
std::string bytes_of_update(const cluster::Member& member, at::ScalarType compute) {
  dist::Group group(member, {.timeout = {20}, .start_timeout = {20}}, {});
  const auto parameters = some_parameters(compute), expected = some_parameters(compute);
  const std::vector<std::int64_t> begins = begins_of(*parameters, member.size);
  const optim::Shards shards{.rank = member.rank, .parts = parts_from(begins)};
  const auto rank = static_cast<std::size_t>(member.rank);
  SharedWeights weights(*parameters, shards, &group);
  std::uint64_t bytes = 0;
  for (int step = 1; step <= 3; ++step) {
    weights.check();
    if (!weights.is_intact()) return cat("step ", step, ": changed");
    update(*parameters, begins[rank], begins[rank + 1], step);
    update(*expected, 0, expected->arena_elements(), step);
    const std::uint64_t before = group.bytes_sent();
    weights.gather();
    bytes = group.bytes_sent() - before;
    if (!at::equal(parameters->compute(), expected->compute())) return "another compute copy";
    if (!are_equal(*parameters, *expected, is_table_or_vector)) return "another table";
    if (step == 2) continue;
    weights.complete();
    if (!weights.is_intact() || !are_equal(*parameters, *expected, is_any)) return "other weights";
  }
  weights.check();
  if (!weights.is_intact()) return "changed at the end";
  return std::to_string(bytes);
}

// A change of the weights (false) or the compute copy (true) of this rank's part after an update.
std::string see_a_change(const cluster::Member& member, bool of_copy, bool completes,
                         bool is_sharded) {
  dist::Group group(member, {.timeout = {20}, .start_timeout = {20}}, {});
  const auto parameters = some_parameters(at::kBFloat16);
  const std::vector<std::int64_t> begins = begins_of(*parameters, member.size);
  const optim::Shards shards{
      .rank = member.rank, .parts = parts_from(begins), .of_parameters = is_sharded};
  const auto rank = static_cast<std::size_t>(member.rank);
  SharedWeights weights(*parameters, shards, &group);
  update(*parameters, begins[rank], begins[rank + 1], 1);
  weights.gather();
  if (member.rank == 1)
    (of_copy ? parameters->compute() : parameters->master())[begins[1] + 5].add_(1);
  // What is sent then must not count as right.
  completes ? weights.complete() : weights.check();
  return weights.is_intact() ? "intact" : "changed";
}

TEST(SharedWeights, NoticesAChangeSinceTheUpdate) {
  if (!dist::has_gloo()) GTEST_SKIP() << "built without Gloo's headers";
  for (const bool of_copy : {false, true})
    for (const auto& setting : {std::pair{false, false}, {true, false}, {false, true}}) {
      const bool completes = setting.first, is_sharded = setting.second;
      const auto all = dist::testing::run_processes(2, [&](const cluster::Member& member) {
        return see_a_change(member, of_copy, completes, is_sharded);
      });
      EXPECT_EQ(all[0].text, "intact") << of_copy << completes;
      EXPECT_EQ(all[1].text, "changed") << of_copy << completes;
    }
}

TEST(SharedWeights, ReceivesWhatPassesReadAndAllOnRequest) {
  if (!dist::has_gloo()) GTEST_SKIP() << "built without Gloo's headers";
  for (int size = 2; size <= 4; ++size) {
    std::vector<std::vector<std::uint64_t>> bytes;
    for (const at::ScalarType compute : {at::kFloat, at::kBFloat16}) {
      bytes.emplace_back();
      for (const dist::testing::Ended& one : dist::testing::run_processes(
               size,
               [&](const cluster::Member& member) { return bytes_of_update(member, compute); })) {
        EXPECT_EQ(one.exit_code, 0) << one.text;
        ASSERT_EQ(one.text.find_first_not_of("0123456789"), std::string::npos) << one.text;
        bytes.back().push_back(std::stoull(one.text));
      }
    }
    const auto ratio_of = [&](std::size_t rank) {
      return static_cast<double>(bytes[1][rank]) / static_cast<double>(bytes[0][rank]);
    };
    // The last process has none of the table; the second one has some of it.
    EXPECT_NEAR(ratio_of(static_cast<std::size_t>(size) - 1), 0.5, 0.01);
    for (std::size_t rank = 1; rank < bytes[0].size(); ++rank) EXPECT_LE(ratio_of(rank), 1.0);
  }
}

}  // namespace
}  // namespace sluice::train
