#include "train/gradient_sums.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <iterator>
#include <sstream>

#include "base/text_format.h"
#include "dist/group.h"
#include "tests/dist/processes.h"
#include "tests/train/slot_gradients.h"

namespace sluice::train {
namespace {

constexpr std::int64_t kRows = 301, kColumns = 97;  // no multiple of anything
// Cut by the parts of processes; the rest has two pieces.
constexpr ops::ArenaRange kMatrixSections[] = {{20'000, 29'000}, {3, 9'000}, {9'000, 20'000}};

std::unique_ptr<ops::Parameters> one_matrix() {
  auto parameters = std::make_unique<ops::Parameters>();
  parameters->add({.name = "w", .shape = {kRows, kColumns}});
  parameters->allocate(at::kCPU, at::kFloat, /*with_gradients=*/true);
  return parameters;
}

// By the definition in cluster/slots.h.
at::Tensor tree_sum(const cluster::SlotRange& node, const at::Tensor& like) {
  if (node.size() == 1) return gradient_of(node.begin, like);
  const std::int64_t split = cluster::split_of(node);
  return tree_sum({node.begin, split}, like) + tree_sum({split, node.end}, like);
}

void compute(ops::Parameters& parameters, GradientSums& sums, std::int64_t num_slots,
             dist::Group* group) {
  const cluster::SlotRange own = group == nullptr
                                     ? cluster::SlotRange{0, num_slots}
                                     : cluster::slots_of(group->rank(), group->size(), num_slots);
  sums.begin(num_slots, own);
  for (std::int64_t slot = own.begin; slot < own.end; ++slot) {
    // As a backward pass does, which adds to what is there, and completes one section after the
    // other.
    const ops::OnSection* on_final = sums.begin_slot();
    at::Tensor(parameters.gradient()).add_(gradient_of(slot, parameters.gradient()));
    if (on_final != nullptr)
      for (const ops::ArenaRange& section : kMatrixSections) (*on_final)(section);
    sums.finish_slot();
  }
  sums.finish();
}

// Unequal parts, of which one is empty.
std::vector<std::int64_t> parts_of(const ops::Parameters& parameters, int num_ranks) {
  std::vector<std::int64_t> begins{0, 0};
  for (int rank = 2; rank < num_ranks; ++rank)
    begins.push_back(parameters.arena_elements() * rank * rank / num_ranks / num_ranks);
  begins.push_back(parameters.arena_elements());
  return begins;
}

// Of the elements begin to end - 1.
bool is_tree_sum(const ops::Parameters& parameters, std::int64_t num_slots, std::int64_t begin,
                 std::int64_t end) {
  const at::Tensor sum = tree_sum({0, num_slots}, parameters.gradient());
  return at::equal(parameters.gradient().slice(0, begin, end), sum.slice(0, begin, end));
}

TEST(GradientSums, OneProcessAddsAlongTheTree) {
  const auto parameters = one_matrix();
  GradientSums sums(*parameters);
  for (std::int64_t num_slots = 1; num_slots <= 19; ++num_slots) {
    at::Tensor(parameters->gradient()).zero_();
    compute(*parameters, sums, num_slots, nullptr);
    EXPECT_TRUE(is_tree_sum(*parameters, num_slots, 0, parameters->arena_elements())) << num_slots;
  }
  // The values are such that another order has other bits.
  const at::Tensor like = parameters->gradient();
  at::Tensor in_turn = at::zeros_like(like);
  for (std::int64_t slot = 0; slot < 19; ++slot) in_turn = in_turn + gradient_of(slot, like);
  EXPECT_FALSE(at::equal(in_turn, tree_sum({0, 19}, like)));
}

TEST(GradientSums, AnyNumberOfProcessesHasTheSum) {
  if (!dist::has_gloo()) GTEST_SKIP() << "built without Gloo's headers";
  for (int size = 2; size <= 5; ++size) {
    // Each section on its own, two together, nothing before the end of the backward pass.
    const std::int64_t bucket_elements = std::array{0, 15'000, 100'000}.at(size % 3);
    const auto all = dist::testing::run_processes(size, [=](const cluster::Member& member) {
      dist::Group group(member, {.timeout = {20}, .start_timeout = {20}}, {});
      const auto parameters = one_matrix();
      const std::vector<std::int64_t> begins = parts_of(*parameters, member.size);
      GradientSums sums(*parameters,
                        {.group = &group,
                         .begins = begins,
                         .sections = {std::begin(kMatrixSections), std::end(kMatrixSections)},
                         .bucket_elements = bucket_elements});
      const auto rank = static_cast<std::size_t>(member.rank);
      std::string wrong;
      for (std::int64_t num_slots = 1; num_slots <= 11; ++num_slots) {  // fewer than processes too
        at::Tensor(parameters->gradient()).zero_();
        compute(*parameters, sums, num_slots, &group);
        if (!is_tree_sum(*parameters, num_slots, begins[rank], begins[rank + 1]))
          wrong += " " + std::to_string(num_slots);
        at::Tensor(parameters->gradient()).slice(0, begins[rank], begins[rank + 1]).zero_();
        if (at::any(parameters->gradient()).item<bool>()) wrong += " others";
      }
      return wrong;
    });
    for (const dist::testing::Ended& one : all) {
      EXPECT_EQ(one.exit_code, 0) << one.text;
      EXPECT_EQ(one.text, "");
    }
  }
}

// With equal parts and a power of two of slots, each process sends its sums of the others' parts
// once, and a section as soon as the backward pass of its last slot has completed it.
TEST(GradientSums, SendsTheLeastAndDuringTheBackwardPass) {
  if (!dist::has_gloo()) GTEST_SKIP() << "built without Gloo's headers";
  for (const int size : {2, 4}) {
    const auto all = dist::testing::run_processes(size, [=](const cluster::Member& member) {
      dist::Group group(member, {.timeout = {20}, .start_timeout = {20}}, {});
      const auto parameters = one_matrix();
      const std::int64_t num = parameters->arena_elements();
      std::vector<std::int64_t> begins;
      for (int rank = 0; rank <= size; ++rank) begins.push_back(num * rank / size);
      GradientSums sums(*parameters,
                        {.group = &group,
                         .begins = begins,
                         .sections = {std::begin(kMatrixSections), std::end(kMatrixSections)},
                         .bucket_elements = 0});
      const cluster::SlotRange own = cluster::slots_of(member.rank, size, 8);
      std::uint64_t early = 0;
      const std::uint64_t before = group.bytes_sent();
      sums.begin(8, own);
      for (std::int64_t slot = own.begin; slot < own.end; ++slot) {
        const ops::OnSection* on_final = sums.begin_slot();
        if (slot + 1 == own.end) {
          const std::uint64_t in_pass = group.bytes_sent();
          (*on_final)(kMatrixSections[0]);
          early = group.bytes_sent() - in_pass;
          for (int i : {1, 2}) (*on_final)(kMatrixSections[i]);
        }
        sums.finish_slot();
      }
      sums.finish();
      return cat(early, " ", group.bytes_sent() - before, " ",
                 4 * (num - begins[static_cast<std::size_t>(member.rank) + 1] +
                      begins[static_cast<std::size_t>(member.rank)]));
    });
    for (std::size_t rank = 0; rank < all.size(); ++rank) {
      const dist::testing::Ended& one = all[rank];
      std::istringstream in(one.text);
      std::uint64_t early = 0, sent = 0, ideal = 0;
      in >> early >> sent >> ideal;
      EXPECT_GT(ideal, 0u) << one.text;
      EXPECT_EQ(sent, ideal) << one.text;
      // The first section is in the parts of others.
      if (rank == 0) {
        EXPECT_EQ(early, 4u * 9'000) << one.text;
      }
    }
  }
}

TEST(GradientSums, FastAddsTheSameUpToRounding) {
  if (!dist::has_gloo()) GTEST_SKIP() << "built without Gloo's headers";
  const auto all = dist::testing::run_processes(3, [](const cluster::Member& member) {
    dist::Group group(member, {.timeout = {20}, .start_timeout = {20}}, {});
    const auto parameters = one_matrix();
    const std::vector<std::int64_t> begins = parts_of(*parameters, member.size);
    GradientSums sums(*parameters,
                      {.exact = false,
                       .group = &group,
                       .begins = begins,
                       .sections = {std::begin(kMatrixSections), std::end(kMatrixSections)}});
    std::string wrong;
    for (const std::int64_t num_slots : {2, 3, 8}) {
      at::Tensor(parameters->gradient()).zero_();
      compute(*parameters, sums, num_slots, &group);
      const at::Tensor expected = tree_sum({0, num_slots}, parameters->gradient());
      const auto own = [&](const at::Tensor& flat) {
        const auto rank = static_cast<std::size_t>(member.rank);
        return flat.slice(0, begins[rank], begins[rank + 1]);
      };
      if (!at::allclose(own(parameters->gradient()), own(expected), 1e-5, 1e-3)) wrong += " far";
      own(parameters->gradient()).zero_();
      if (at::any(parameters->gradient()).item<bool>()) wrong += " others";
    }
    return wrong;
  });
  for (const dist::testing::Ended& one : all) {
    EXPECT_EQ(one.exit_code, 0) << one.text;
    EXPECT_EQ(one.text, "");
  }
}

}  // namespace
}  // namespace sluice::train
