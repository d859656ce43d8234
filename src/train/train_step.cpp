#include "train/train_step.h"

#include <ATen/ATen.h>

#include <array>
#include <cmath>
#include <functional>
#include <iterator>
#include <vector>

#include "base/error.h"
#include "dist/group.h"
#include "eval/feed.h"

namespace sluice::train {
namespace {

void add_to(at::Tensor& sum, const at::Tensor& part) { sum = sum.defined() ? sum + part : part; }

// As a device scalar; undefined for infinity.
at::Tensor limit_on(at::Device device, double limit) {
  if (std::isinf(limit)) return {};
  return at::full({}, limit, at::TensorOptions().dtype(at::kDouble).device(device));
}

// What the processes tell each other in a step.
struct Told {
  bool stop = false;    // it was asked to stop
  bool intact = false;  // see SharedWeights
};

// The slots that a rank computes; with `in_turn`, one of each round of all ranks.
std::vector<std::int64_t> slots_of(int rank, int num_ranks, std::int64_t num_slots, bool in_turn) {
  std::vector<std::int64_t> slots;
  const cluster::SlotRange range = cluster::slots_of(rank, num_ranks, num_slots);
  for (std::int64_t slot = in_turn ? rank : range.begin; slot < (in_turn ? num_slots : range.end);
       slot += in_turn ? num_ranks : 1)
    slots.push_back(slot);
  return slots;
}

// Runs passes and gives the losses of the slots of this process.
class Slots {
 public:
  Slots(const model::LanguageModel& model, std::span<const data::Batch> micro_batches,
        const model::LossScale& scale, const StepConfig& config)
      : model_(model), micro_batches_(micro_batches), scale_(scale), device_(config.device) {
    context_ = {.form = config.form,
                .reductions = config.reductions,
                .training = true,
                .deterministic = config.deterministic,
                .seed = config.seed,
                .step = config.step};
  }

  // Empty if the slot has no targets; then no pass is made.
  LossSums compute(std::int64_t slot, const std::function<void(ops::Context&)>& listen) const {
    ops::Context context = context_;
    for (std::int64_t i = 0; i < slot; ++i)
      context.first_sample += micro_batches_[static_cast<std::size_t>(i)].num_sequences;
    listen(context);
    LossSums sums;
    const data::Batch& batch = micro_batches_[static_cast<std::size_t>(slot)];
    if (batch.num_targets == 0) return sums;
    const model::Loss loss = model_.loss(eval::to_device(batch, device_), scale_, context);
    loss.total.backward();
    sums.add(loss);
    return sums;
  }

 private:
  const model::LanguageModel& model_;
  std::span<const data::Batch> micro_batches_;
  const model::LossScale& scale_;
  at::Device device_;
  ops::Context context_;
};

// The losses of the own slots.
std::vector<LossSums> run_slots(const Slots& slots, GradientSums& gradients, std::int64_t num_slots,
                                const dist::Group* group) {
  const cluster::SlotRange own = group == nullptr
                                     ? cluster::SlotRange{0, num_slots}
                                     : cluster::slots_of(group->rank(), group->size(), num_slots);
  std::vector<LossSums> losses;
  gradients.begin(num_slots, own);
  for (std::int64_t slot = own.begin; slot < own.end; ++slot) {
    const ops::OnSection* const on_final = gradients.begin_slot();
    losses.push_back(
        slots.compute(slot, [&](ops::Context& context) { context.on_final_gradients = on_final; }));
    gradients.finish_slot();
  }
  gradients.finish();
  return losses;
}

std::vector<LossSums> run_rounds(const Slots& slots, ShardedPasses& passes, std::int64_t num_slots,
                                 const dist::Group& group) {
  std::vector<LossSums> losses;
  passes.begin(num_slots);
  for (std::int64_t first = 0; first < num_slots; first += group.size()) {
    bool computed = false;
    if (passes.begin_round(first)) {
      losses.push_back(slots.compute(first + group.rank(),
                                     [&](ops::Context& context) { passes.listen(context); }));
      computed = losses.back().total.defined();
    }
    passes.finish_round(computed);
  }
  passes.finish();
  return losses;
}

// The sums over all slots, in their order, and whether any process was asked to stop. `own`: of
// each own slot. kPeerLost naming the processes whose weights are not intact.
bool gather_losses(dist::Group& group, std::int64_t num_slots, bool in_turn,
                   const std::vector<LossSums>& own, const Told& told, LossSums& sums) {
  // By rank: two values of each of its slots, and two of `told`.
  const auto count_of = [&](int rank) {
    return 2 * std::ssize(slots_of(rank, group.size(), num_slots, in_turn)) + 2;
  };
  std::vector<double> all(static_cast<std::size_t>(2 * num_slots + 2L * group.size()));
  auto to = all.begin();
  for (int rank = 0; rank < group.rank(); ++rank) to += count_of(rank);
  for (const LossSums& one : own)
    for (const at::Tensor& value : {one.total, one.log_perplexity})
      *to++ = value.defined() ? value.item<double>() : 0;
  *to++ = told.stop;
  *to = told.intact;
  group.gather(all, count_of);
  std::vector<std::array<double, 2>> by_slot(static_cast<std::size_t>(num_slots));
  bool any_stop = false;
  std::vector<bool> intact;
  auto from = all.begin();
  for (int rank = 0; rank < group.size(); ++rank) {
    for (const std::int64_t slot : slots_of(rank, group.size(), num_slots, in_turn))
      for (double& value : by_slot[static_cast<std::size_t>(slot)]) value = *from++;
    const bool stop = *from++ != 0;
    any_stop = any_stop || stop;
    intact.push_back(*from++ != 0);
  }
  require_intact(group, intact);
  double total = 0, log_perplexity = 0;
  for (const auto& [slot_total, slot_log_perplexity] : by_slot) {
    total += slot_total;
    log_perplexity += slot_log_perplexity;
  }
  sums.total = at::scalar_tensor(total, at::kDouble);
  sums.log_perplexity = at::scalar_tensor(log_perplexity, at::kDouble);
  return any_stop;
}

}  // namespace

std::int64_t num_targets_of(std::span<const data::Batch> micro_batches) {
  std::int64_t sum = 0;
  for (const data::Batch& batch : micro_batches) sum += batch.num_targets;
  invariant(sum > 0, "a step has targets");
  return sum;
}

void LossSums::add(const model::Loss& loss) {
  add(LossSums{loss.total.detach(), loss.cross_entropy});
}

void LossSums::add(const LossSums& other) {
  if (!other.total.defined()) return;
  add_to(total, other.total);
  add_to(log_perplexity, other.log_perplexity);
}

StepStats train_step(model::LanguageModel& model, optim::Optimizer& optimizer,
                     const SharedState& shared, std::span<const data::Batch> micro_batches,
                     const StepConfig& config) {
  StepStats stats{.num_targets = num_targets_of(micro_batches)};
  const model::LossScale scale{.scale = 1.0 / static_cast<double>(stats.num_targets),
                               .z_loss = config.z_loss};
  const Slots slots(model, micro_batches, scale, config);
  const auto num_slots = static_cast<std::int64_t>(micro_batches.size());
  dist::Group* const group = config.group;
  const std::vector<LossSums> own = shared.passes != nullptr
                                        ? run_rounds(slots, *shared.passes, num_slots, *group)
                                        : run_slots(slots, shared.gradients, num_slots, group);
  LossSums losses;
  stats.stop = config.stop;
  if (group != nullptr)
    stats.stop = gather_losses(*group, num_slots, shared.passes != nullptr, own,
                               {config.stop, shared.weights.is_intact()}, losses);
  else
    for (const LossSums& one : own) losses.add(one);
  const optim::UpdateReport report =
      optimizer.update({.lr = config.lr,
                        .loss = losses.total,
                        .loss_limit = limit_on(config.device, config.loss_limit),
                        .norm_limit = limit_on(config.device, config.norm_limit),
                        .device_lr = {},
                        .before_apply = [&] { shared.weights.check(); }});
  if (group != nullptr && report.applied.item<bool>()) shared.weights.gather();
  stats.loss = losses.total;
  stats.log_perplexity = losses.log_perplexity;
  stats.grad_norm = report.grad_norm;
  stats.applied = report.applied;
  return stats;
}

}  // namespace sluice::train
