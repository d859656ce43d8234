// Optimizers that share an arena: one thread per rank stands for a process.
#include "optim/shards.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <barrier>
#include <cstring>
#include <thread>

#include "optim/optimizer.h"
#include "tests/optim/optim_support.h"

namespace sluice::optim {
namespace {

const std::int64_t kPiece = 16384;  // optim/pieces.h

// Several pieces, slots of two matrices, vectors, and padded rows.
std::unique_ptr<ops::Parameters> model_parameters() {
  auto parameters = std::make_unique<ops::Parameters>();
  const ops::Init normal{.kind = ops::Init::Kind::kNormal, .std = 0.5};
  parameters->add({.name = "embedding.token", .shape = {300, 130}, .init = normal, .decay = true});
  parameters->add({.name = "norm", .shape = {130}, .init = {.kind = ops::Init::Kind::kOnes}});
  parameters->add({{.name = "q", .shape = {30, 130}, .init = normal, .decay = true},
                   {.name = "k", .shape = {31, 130}, .init = normal, .decay = true}},
                  8);
  parameters->add({.name = "w", .shape = {200, 130}, .init = normal, .decay = true});
  parameters->add({.name = "bias", .shape = {3}, .init = normal});
  parameters->allocate(at::kCPU, at::kBFloat16, true);
  parameters->initialize(3);
  return parameters;
}

// gather() of threads.
class Board {
 public:
  explicit Board(int num_ranks) : num_ranks_(num_ranks), arrive_(num_ranks) {}
  Shards shards(int rank, std::vector<std::vector<ArenaRange>> parts) {
    return {rank, std::move(parts), [this, rank](std::span<double> all, const auto& count_of) {
              std::int64_t begin = 0;
              for (int r = 0; r < rank; ++r) begin += count_of(r);
              if (rank == 0) values_.assign(all.size(), 0);
              arrive_.arrive_and_wait();
              std::copy_n(all.begin() + begin, count_of(rank), values_.begin() + begin);
              arrive_.arrive_and_wait();
              std::copy(values_.begin(), values_.end(), all.begin());
              arrive_.arrive_and_wait();
            }};
  }

 private:
  int num_ranks_;
  std::barrier<> arrive_;
  std::vector<double> values_;
};

constexpr int kSteps = 3;

void set_gradient(ops::Parameters& parameters, int step) {
  const at::Tensor i = at::arange(parameters.arena_elements(), at::kDouble);
  for (const auto& one : parameters.named())
    at::Tensor(one.gradient)
        .copy_(at::sin(i.narrow(0, one.offset, one.spec->num_elements()) * (1.7 + step))
                   .mul(3)
                   .view(one.spec->shape));
}

struct Trained {
  at::Tensor master, compute;
  std::vector<double> norms;
  std::vector<Optimizer::State> state;
};

Trained train(const OptimizerConfig& config, Shards shards) {
  const auto parameters = model_parameters();
  const auto optimizer = make_optimizer(config, *parameters, nullptr, std::move(shards));
  Trained trained;
  for (int step = 0; step < kSteps; ++step) {
    set_gradient(*parameters, step);
    const UpdateReport report = optimizer->update(test::update_of(0.05));
    trained.norms.push_back(report.grad_norm.item<double>());
    for (const ArenaRange& range : optimizer->shards().own(parameters->arena_elements()))
      EXPECT_TRUE(parameters->gradient().slice(0, range.begin, range.end).eq(0).all().item<bool>());
  }
  trained.master = parameters->master().detach().clone();
  trained.compute = parameters->compute().clone();
  trained.state = optimizer->state();
  return trained;
}

std::vector<Trained> train_in_parts(const OptimizerConfig& config,
                                    const std::vector<std::vector<ArenaRange>>& parts) {
  const int num_ranks = static_cast<int>(parts.size());
  Board board(num_ranks);
  std::vector<Trained> all(static_cast<std::size_t>(num_ranks));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < num_ranks; ++rank)
    threads.emplace_back([&, rank] {
      all[static_cast<std::size_t>(rank)] = train(config, board.shards(rank, parts));
    });
  for (std::thread& thread : threads) thread.join();
  return all;
}

// One part each, or a part of the table, of the matrices and of the rest.
std::vector<std::vector<ArenaRange>> parts_of(const OptimizerConfig& config, int num_ranks,
                                              bool by_section) {
  const auto parameters = model_parameters();
  std::vector<ArenaRange> sections;
  if (by_section)
    for (const auto& [spec, offset] : parameters->declared())
      if (spec->name == "embedding.token" || spec->name == "w")
        sections.push_back({offset, offset + spec->num_elements()});
  return shard_parts(config, *parameters, num_ranks, sections);
}

// The state of all ranks, put together.
at::Tensor whole_state(const std::vector<Trained>& all, std::size_t i) {
  std::vector<at::Tensor> parts;
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    const Optimizer::State& state = all[rank].state[i];
    if (state.begins.empty()) return state.tensor;
    EXPECT_EQ(state.tensor.numel(), state.begins[rank + 1] - state.begins[rank]) << state.name;
    parts.push_back(state.tensor);
  }
  return at::cat(parts).view(all[0].state[i].shape);
}

class SharedUpdate : public ::testing::TestWithParam<OptimizerConfig> {};

TEST_P(SharedUpdate, HasTheBitsOfOneProcess) {
  const Trained one = train(GetParam(), {});
  for (int num_ranks = 2; num_ranks <= 7; ++num_ranks)
    for (const bool by_section : {false, true}) {
      const auto parts = parts_of(GetParam(), num_ranks, by_section);
      const std::vector<Trained> all = train_in_parts(GetParam(), parts);
      for (std::size_t rank = 0; rank < all.size(); ++rank) {
        EXPECT_EQ(all[rank].norms, one.norms);
        for (const ArenaRange& range : parts[rank]) {
          const auto part = [&](const at::Tensor& flat) {
            return flat.slice(0, range.begin, range.end);
          };
          EXPECT_TRUE(at::equal(part(all[rank].master), part(one.master)))
              << num_ranks << " " << rank;
          EXPECT_TRUE(at::equal(part(all[rank].compute), part(one.compute)));
        }
      }
      ASSERT_EQ(all[0].state.size(), one.state.size());
      for (std::size_t i = 0; i < one.state.size(); ++i) {
        EXPECT_EQ(all[0].state[i].name, one.state[i].name);
        EXPECT_TRUE(at::equal(whole_state(all, i), one.state[i].tensor)) << one.state[i].name;
      }
    }
}

// What `plan` says of a process: the state is divided, not copied.
TEST_P(SharedUpdate, TheStateIsDivided) {
  const auto parameters = model_parameters();
  const StateSize whole = state_size(GetParam(), *parameters);
  for (const bool by_section : {false, true}) {
    const auto parts = parts_of(GetParam(), 3, by_section);
    std::int64_t elements = 0;
    for (const Trained& one : train_in_parts(GetParam(), parts))
      for (const Optimizer::State& state : one.state)
        if (!state.begins.empty()) elements += state.tensor.numel();
    EXPECT_EQ(static_cast<std::uint64_t>(elements) * sizeof(float), whole.checkpoint_bytes);
    for (const std::vector<ArenaRange>& part : parts) {
      const StateSize size = state_size(GetParam(), *parameters, part);
      EXPECT_EQ(size.checkpoint_bytes, whole.checkpoint_bytes);
      EXPECT_LT(size.memory_bytes, whole.memory_bytes);
    }
  }
}

const OptimizerConfig kConfigs[] = {
    AdamWConfig{.lr = 1, .weight_decay = 0.3, .clip_norm = 1},
    AdamWConfig{.lr = 1, .weight_decay = 0.3, .clip_norm = 1, .scale_by_rms = true},
    AdafactorConfig{.lr = 1, .factored_min_dim = 100, .clip_norm = 1},
    MuonConfig{.lr = 1, .weight_decay = 0.1, .clip_norm = 1}};
INSTANTIATE_TEST_SUITE_P(All, SharedUpdate, ::testing::ValuesIn(kConfigs));

TEST(Shards, AreCutNearEqualParts) {
  const std::vector<std::int64_t> cuts{0, 10, 40, 55, 90};
  const auto begins = [](std::span<const std::int64_t> places, int num_ranks) {
    return Shards{.parts = divide_regions({{0, 100}}, places, places, num_ranks)}.begins();
  };
  EXPECT_EQ(begins(cuts, 2), (std::vector<std::int64_t>{0, 55, 100}));
  EXPECT_EQ(begins(cuts, 3), (std::vector<std::int64_t>{0, 40, 55, 100}));
  EXPECT_EQ(begins(std::vector<std::int64_t>{0}, 3), (std::vector<std::int64_t>{0, 0, 100, 100}));
}

// The border of the regions at 20 moves to the parameter at 55, past the cut at 40. Of the first
// region rank 0 has 40 elements, so of the second one 10: 50 of 100.
TEST(Shards, DivideEachRegion) {
  const std::vector<std::int64_t> cuts{0, 10, 40, 55, 60, 66, 90}, parameters{0, 10, 55, 60};
  const auto parts = divide_regions({{0, 20}, {20, 100}}, cuts, parameters, 2);
  EXPECT_EQ(parts[0], (std::vector<ArenaRange>{{0, 40}, {55, 66}}));
  EXPECT_EQ(parts[1], (std::vector<ArenaRange>{{40, 55}, {66, 100}}));
}

// Sections whose borders are within a segment of AdamW, and parameters of more than a piece there.
TEST(Shards, KeepTheOrderWithinAParameter) {
  ops::Parameters parameters;
  std::vector<ArenaRange> sections;
  for (const std::string block : {"0.", "1.", "2.", "3."}) {
    const std::int64_t begin = parameters.arena_elements();
    parameters.add({.name = block + "norm.scale", .shape = {20'000}});
    parameters.add({.name = block + "norm.bias", .shape = {20'000}});
    parameters.add({.name = block + "w", .shape = {50, 2000}, .decay = true});
    parameters.add({.name = block + "bias", .shape = {20'000}});
    sections.push_back({begin, parameters.arena_elements()});
  }
  for (const OptimizerConfig& config : kConfigs)
    for (int num_ranks = 2; num_ranks <= 9; ++num_ranks) {
      const auto parts = shard_parts(config, parameters, num_ranks, sections);
      std::int64_t num_elements = 0;
      for (const auto& part : parts) num_elements += ops::num_elements(part);
      EXPECT_EQ(num_elements, parameters.arena_elements());
      for (const auto& [spec, offset] : parameters.declared()) {
        std::int64_t at = offset;
        for (const auto& part : parts) {
          const auto ranges = ops::common(part, {{offset, offset + spec->num_elements()}});
          ASSERT_LE(ranges.size(), 1u) << spec->name;
          if (ranges.empty()) continue;
          EXPECT_EQ(ranges[0].begin, at) << spec->name;
          at = ranges[0].end;
        }
      }
    }
}

// Equal blocks would otherwise round in the same direction.
TEST(Shards, AreBalancedOverAllSections) {
  ops::Parameters parameters;
  std::vector<ArenaRange> sections;
  for (int block = 0; block < 12; ++block) {
    const std::int64_t begin = parameters.arena_elements();
    parameters.add({.name = std::to_string(block) + ".norm", .shape = {128}});
    parameters.add({.name = std::to_string(block) + ".w", .shape = {1500, 128}, .decay = true});
    sections.push_back({begin, parameters.arena_elements()});
  }
  const auto parts = shard_parts(kConfigs[0], parameters, 8, sections);
  const double mean = static_cast<double>(parameters.arena_elements()) / 8;
  for (const auto& part : parts)
    EXPECT_NEAR(static_cast<double>(ops::num_elements(part)), mean, 2 * kPiece);
}

// AdamW cuts within parameters, where each piece of the norm stays whole; the others do not.
TEST(Shards, CutWhereTheOptimizerMay) {
  const auto parameters = model_parameters();
  const auto begins_of = [&](const OptimizerConfig& config) {
    return Shards{.parts = shard_parts(config, *parameters, 4)}.begins();
  };
  const std::vector<std::int64_t> adamw = begins_of(kConfigs[0]);
  EXPECT_EQ(adamw[1] % kPiece, 0);
  EXPECT_NEAR(static_cast<double>(adamw[1]), static_cast<double>(parameters->arena_elements()) / 4,
              kPiece);
  for (const OptimizerConfig& config : std::span(kConfigs).subspan(1))
    for (const std::int64_t begin : begins_of(config)) {
      bool found = begin == parameters->arena_elements();
      for (const auto& one : parameters->declared()) found = found || one.offset == begin;
      EXPECT_TRUE(found) << begin;
    }
}

}  // namespace
}  // namespace sluice::optim
