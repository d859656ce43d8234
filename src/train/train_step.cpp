#include "train/train_step.h"

#include <ATen/ATen.h>

#include <cmath>
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

// Replaces the sums over the own slots by those over all, in the order of the slots; returns
// whether any process was asked to stop. `own`: of each own slot. kPeerLost naming the processes
// whose weights are not intact.
bool gather_losses(dist::Group& group, std::int64_t num_slots, const std::vector<LossSums>& own,
                   const Told& told, LossSums& sums) {
  // By rank: two values of each of its slots, and two of `told`.
  const auto count_of = [&](int rank) {
    return 2 * cluster::slots_of(rank, group.size(), num_slots).size() + 2;
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
  double total = 0, log_perplexity = 0;
  bool any_stop = false;
  std::vector<bool> intact;
  auto from = all.begin();
  for (int rank = 0; rank < group.size(); ++rank) {
    for (std::int64_t i = 2; i < count_of(rank); i += 2) {
      total += *from++;
      log_perplexity += *from++;
    }
    const bool stop = *from++ != 0;
    any_stop = any_stop || stop;
    intact.push_back(*from++ != 0);
  }
  require_intact(group, [&](int rank) { return intact[static_cast<std::size_t>(rank)]; });
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
  add_to(total, loss.total.detach());
  add_to(log_perplexity, loss.cross_entropy);
}

StepStats train_step(model::LanguageModel& model, optim::Optimizer& optimizer,
                     const SharedState& shared, std::span<const data::Batch> micro_batches,
                     const StepConfig& config) {
  StepStats stats{.num_targets = num_targets_of(micro_batches)};
  const model::LossScale scale{.scale = 1.0 / static_cast<double>(stats.num_targets),
                               .z_loss = config.z_loss};
  ops::Context context{.form = config.form,
                       .reductions = config.reductions,
                       .training = true,
                       .deterministic = config.deterministic,
                       .seed = config.seed,
                       .step = config.step};
  const auto num_slots = static_cast<std::int64_t>(micro_batches.size());
  dist::Group* const group = config.group;
  const cluster::SlotRange own = group == nullptr
                                     ? cluster::SlotRange{0, num_slots}
                                     : cluster::slots_of(group->rank(), group->size(), num_slots);
  LossSums losses;
  std::vector<LossSums> own_losses;
  shared.gradients.begin(num_slots, own);
  for (std::int64_t slot = 0; slot < own.end; ++slot) {
    const data::Batch& batch = micro_batches[static_cast<std::size_t>(slot)];
    if (slot >= own.begin) {
      context.on_final_gradients = shared.gradients.begin_slot();
      LossSums& of_slot = own_losses.emplace_back();
      if (batch.num_targets > 0) {
        const model::Loss loss = model.loss(eval::to_device(batch, config.device), scale, context);
        loss.total.backward();
        of_slot.add(loss);
        losses.add(loss);
      }
      shared.gradients.finish_slot();
    }
    context.first_sample += batch.num_sequences;
  }
  shared.gradients.finish();
  stats.stop = config.stop;
  if (group != nullptr)
    stats.stop = gather_losses(*group, num_slots, own_losses,
                               {config.stop, shared.weights.is_intact()}, losses);
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
