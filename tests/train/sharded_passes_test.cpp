// Sharded parameters with real processes and a stand-in for a model: sections of one matrix each.
#include "train/sharded_passes.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "base/text_format.h"
#include "tests/dist/processes.h"
#include "tests/train/slot_gradients.h"
#include "train/sharding.h"

namespace sluice::train {
namespace {

using ops::ArenaRange;

// A table, and blocks of different sizes: the parts of processes cut them anywhere.
struct ShardedModel {
  ops::Parameters parameters;
  std::vector<ArenaRange> sections;  // backward

  explicit ShardedModel(at::ScalarType compute) {
    parameters.add({.name = "embedding.weight", .shape = {301, 97}, .decay = true});
    std::vector<ArenaRange> forward;
    for (const std::int64_t rows : {20, 501, 3, 250, 101}) {
      const std::int64_t begin = parameters.arena_elements();
      const std::string block = cat("blocks.", forward.size());
      parameters.add({.name = block + ".norm.scale", .shape = {97}});
      parameters.add({.name = block + ".w.weight", .shape = {rows, 97}, .is_operand = true});
      parameters.add({.name = block + ".v.weight", .shape = {rows, 97}, .is_operand = true});
      forward.push_back({begin, parameters.arena_elements()});
    }
    const std::int64_t begin = parameters.arena_elements();
    parameters.add({.name = "final_norm.scale", .shape = {97}});
    forward.push_back({begin, parameters.arena_elements()});
    sections.assign(forward.rbegin(), forward.rend());
    parameters.allocate(at::kCPU, compute, /*with_gradients=*/true, /*on_demand=*/true);
  }
};

// Cut anywhere; each rank has parts of most sections, or one part.
std::vector<std::vector<ArenaRange>> uneven_parts(const ops::Parameters& parameters, int size,
                                                  bool in_turn) {
  std::vector<std::vector<ArenaRange>> parts(static_cast<std::size_t>(size));
  const std::int64_t end = parameters.arena_elements(), period = in_turn ? 20'011 : end;
  for (std::int64_t begin = 0; begin < end; begin += period) {
    const std::int64_t length = std::min(period, end - begin);
    for (std::int64_t rank = 0; rank < size; ++rank)
      parts[static_cast<std::size_t>(rank)].push_back(
          {begin + length * rank * rank / size / size,
           begin + length * (rank + 1) * (rank + 1) / size / size});
  }
  for (std::vector<ArenaRange>& part : parts) part = ops::joined(std::move(part));
  return parts;
}

bool has_weights(const ShardedModel& model, const ArenaRange& section, const at::Tensor& whole) {
  for (const ArenaRange& range : operand_ranges(model.parameters))
    if (section.contains(range.begin) &&
        !at::equal(model.parameters.compute().detach().slice(0, range.begin, range.end),
                   whole.slice(0, range.begin, range.end)))
      return false;
  return true;
}

// What is wrong in a step of `num_slots`. Slot 1 has no targets, so its passes are not made.
std::string wrong_in_step(ShardedModel& model, const optim::Shards& shards, ShardedPasses& passes,
                          const at::Tensor& whole, std::int64_t num_slots, int size) {
  std::string wrong;
  const at::Tensor& gradient = model.parameters.gradient();
  passes.begin(num_slots);
  for (std::int64_t first = 0; first < num_slots; first += size) {
    const std::int64_t slot = first + shards.rank;
    const bool computes = passes.begin_round(first) && slot != 1;
    if (computes) {
      ops::Context context;
      passes.listen(context);
      for (std::size_t i = model.sections.size(); i-- > 0;) {
        (*context.before_section)(model.sections[i]);
        if (!has_weights(model, model.sections[i], whole)) wrong += cat(" forward ", i);
      }
      const at::Tensor own = gradient_of(slot, gradient);
      for (std::size_t i = 0; i < model.sections.size(); ++i) {
        const ArenaRange& section = model.sections[i];
        if (!has_weights(model, section, whole)) wrong += cat(" backward ", i);
        // As a backward pass does, which adds to what is there.
        at::Tensor(gradient)
            .slice(0, section.begin, section.end)
            .add_(own.slice(0, section.begin, section.end));
        (*context.on_final_gradients)(section);
      }
      for (const ArenaRange& range :
           ops::rest_of(model.parameters.arena_elements(), model.sections))
        at::Tensor(gradient)
            .slice(0, range.begin, range.end)
            .add_(own.slice(0, range.begin, range.end));
    }
    passes.finish_round(computes);
  }
  passes.finish();
  return wrong;
}

std::string run_steps(const cluster::Member& member, at::ScalarType compute, bool in_turn) {
  dist::Group group(member, {.timeout = {20}, .start_timeout = {20}}, {});
  ShardedModel model(compute);
  const optim::Shards shards{.rank = member.rank,
                             .parts = uneven_parts(model.parameters, member.size, in_turn),
                             .of_parameters = true};
  const at::Tensor whole =
      at::sin(at::arange(model.parameters.arena_elements(), at::kDouble)).to(compute);
  for (const ArenaRange& range : resident_ranges(model.parameters, shards))
    model.parameters.compute()
        .detach()
        .slice(0, range.begin, range.end)
        .copy_(whole.slice(0, range.begin, range.end));
  SectionWeights weights(model.parameters, shards, group, model.sections);
  ShardedPasses passes(model.parameters, shards, group, weights);
  std::string wrong;
  for (std::int64_t num_slots = 1; num_slots <= 9; ++num_slots) {
    wrong += wrong_in_step(model, shards, passes, whole, num_slots, member.size);
    const at::Tensor gradient = model.parameters.gradient();
    at::Tensor expected = at::zeros_like(gradient);
    // A slot without targets adds zero.
    const std::function<at::Tensor(const cluster::SlotRange&)> sum =
        [&](const cluster::SlotRange& node) {
          if (node.size() == 1)
            return node.begin == 1 ? at::zeros_like(gradient) : gradient_of(node.begin, gradient);
          const std::int64_t split = cluster::split_of(node);
          return sum({node.begin, split}) + sum({split, node.end});
        };
    const at::Tensor all = sum({0, num_slots});
    for (const ArenaRange& range : shards.of(member.rank))
      expected.slice(0, range.begin, range.end).copy_(all.slice(0, range.begin, range.end));
    if (!at::equal(gradient, expected)) wrong += cat(" sum of ", num_slots);
    at::Tensor(gradient).zero_();
    // Nothing of others is left.
    for (const ArenaRange& range :
         ops::rest_of(model.parameters.arena_elements(), resident_ranges(model.parameters, shards)))
      if (at::any(model.parameters.compute().detach().slice(0, range.begin, range.end))
              .item<bool>())
        wrong += " weights of others";
  }
  return wrong;
}

TEST(ShardedPasses, HaveTheWeightsAndTheSum) {
  if (!dist::has_gloo()) GTEST_SKIP() << "built without Gloo's headers";
  for (int size = 2; size <= 5; ++size)
    for (const bool is_bf16 : {false, true})
      for (const bool in_turn : {false, true})
        for (const dist::testing::Ended& one :
             dist::testing::run_processes(size, [&](const cluster::Member& member) {
               return run_steps(member, is_bf16 ? at::kBFloat16 : at::kFloat, in_turn);
             })) {
          EXPECT_EQ(one.exit_code, 0) << one.text;
          EXPECT_EQ(one.text, "") << size;
        }
}

TEST(Sharding, AProcessHasItsPartAndWhatIsNoOperand) {
  ShardedModel model(at::kFloat);
  std::vector<int> num_owners(static_cast<std::size_t>(model.parameters.arena_elements()));
  constexpr int kSize = 4;
  for (int rank = 0; rank < kSize; ++rank) {
    const optim::Shards shards{
        .rank = rank, .parts = uneven_parts(model.parameters, kSize, true), .of_parameters = true};
    for (const ArenaRange& range : resident_ranges(model.parameters, shards))
      for (std::int64_t i = range.begin; i < range.end; ++i)
        ++num_owners[static_cast<std::size_t>(i)];
  }
  for (const auto& [spec, offset] : model.parameters.declared())
    for (std::int64_t i = offset; i < offset + spec->num_elements(); ++i)
      ASSERT_EQ(num_owners[static_cast<std::size_t>(i)], spec->is_operand ? 1 : kSize)
          << spec->name;
}

}  // namespace
}  // namespace sluice::train
