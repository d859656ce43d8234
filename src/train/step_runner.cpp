#include "train/step_runner.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <bit>
#include <iterator>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace sluice::train {
namespace {

// Layout of the start of `inputs_`, in elements of 8 bytes; tokens follow, 64-byte aligned.
enum Slot : std::int64_t { kStep, kLr, kScale, kLossLimit, kNormLimit, kTokens = 8 };

// LibTorch has one thread for the backward passes of a GPU. While it takes part in a recording, it
// must not launch the backward pass of another run of this process.
std::mutex& recording_mutex() {
  static std::mutex mutex;
  return mutex;
}

// The micro-batches that this process computes; `first_sample`: the index of their first row.
std::span<const data::Batch> own_of(std::span<const data::Batch> micro_batches,
                                    const dist::Group* group, std::int64_t& first_sample) {
  first_sample = 0;
  if (group == nullptr) return micro_batches;
  const cluster::SlotRange own =
      cluster::slots_of(group->rank(), group->size(), std::ssize(micro_batches));
  const auto begin = static_cast<std::size_t>(own.begin);
  for (const data::Batch& batch : micro_batches.first(begin)) first_sample += batch.num_sequences;
  return micro_batches.subspan(begin, static_cast<std::size_t>(own.size()));
}

bool is_any_stopping(dist::Group& group, bool stop) {
  const std::vector<bool> all = group.gather_flags(stop);
  return std::count(all.begin(), all.end(), true) > 0;
}

}  // namespace

StepRunner::StepRunner(model::LanguageModel& model, optim::Optimizer& optimizer,
                       MakeRecorder make_recorder, GradientSumsConfig sums,
                       SectionWeights* section_weights, DeviceSums* device_sums)
    : model_(model),
      optimizer_(optimizer),
      weights_(model.parameters(), optimizer.shards(),
               optimizer.shards().is_divided() ? sums.group : nullptr),
      gradients_(model.parameters(), sums),
      device_sums_(device_sums),
      make_recorder_(std::move(make_recorder)) {
  if (section_weights != nullptr)
    passes_.emplace(model.parameters(), optimizer.shards(), *sums.group, *section_weights);
}

StepStats StepRunner::run(std::span<const data::Batch> micro_batches, const StepConfig& config) {
  if (config.gpu == nullptr)
    return train_step(model_, optimizer_, {gradients_, weights_, passes_ ? &*passes_ : nullptr},
                      micro_batches, config);
  StepStats stats{.num_targets = num_targets_of(micro_batches), .stop = config.stop};
  const std::span<const data::Batch> own = own_of(micro_batches, config.group, first_sample_);
  if (config.group != nullptr) stats.stop = is_any_stopping(*config.group, config.stop);
  std::vector<Sizes> sizes;
  for (const data::Batch& batch : own)
    sizes.push_back({batch.num_sequences, batch.input_length, batch.target_length});
  if (sizes != sizes_ || !inputs_.defined()) {
    recorder_ = nullptr;
    num_plain_ = 0;
    sizes_ = std::move(sizes);
    allocate(own, config.device);
  }
  feed(own, stats.num_targets, config);
  std::unique_lock<std::mutex> lock;  // replays run at the same time
  if (make_recorder_ && recorder_ == nullptr && num_plain_ <= kPlainSteps)
    lock = std::unique_lock(recording_mutex());
  if (num_plain_ == kPlainSteps && recorder_ == nullptr && make_recorder_) {
    recorder_ = make_recorder_();
    if (recorder_ != nullptr)
      recorder_->record([this, config] { compute(config); });
    else
      log::info(ops::records_graphs()
                    ? "this LibTorch does not record CUDA graphs: each step launches its kernels"
                    : "SLUICE_CUDA_GRAPHS is 0: each step launches its kernels");
  }
  if (recorder_ != nullptr) {
    recorder_->replay();
  } else {
    compute(config);
    ++num_plain_;
  }
  if (lock.owns_lock()) lock.unlock();
  const at::Tensor values = outputs_.clone();  // the next step overwrites outputs_
  stats.loss = values[0];
  stats.log_perplexity = values[1];
  stats.grad_norm = values[2];
  stats.applied = values[3];
  return stats;
}

void StepRunner::allocate(std::span<const data::Batch> micro_batches, at::Device device) {
  std::int64_t num_tokens = 0;
  for (const data::Batch& batch : micro_batches)
    num_tokens += batch.num_sequences * (batch.input_length + batch.target_length);
  const auto options = at::TensorOptions().dtype(at::kLong).device(device);
  inputs_ = at::zeros({kTokens + num_tokens}, options);
  outputs_ = at::zeros({4}, options.dtype(at::kDouble));
  step_ = inputs_[kStep];
  const at::Tensor numbers = inputs_.narrow(0, 0, kTokens).view(at::kDouble);
  lr_ = numbers[kLr];
  scale_ = numbers[kScale];
  loss_limit_ = numbers[kLossLimit];
  norm_limit_ = numbers[kNormLimit];
  batches_.clear();
  std::int64_t at = kTokens;
  const auto next = [&](std::int64_t rows, std::int64_t columns) {
    at += rows * columns;
    return inputs_.narrow(0, at - rows * columns, rows * columns).view({rows, columns});
  };
  for (const data::Batch& batch : micro_batches) {
    const at::Tensor inputs = next(batch.num_sequences, batch.input_length);
    batches_.push_back({inputs, next(batch.num_sequences, batch.target_length)});
  }
}

// One copy per step, from pinned memory that LibTorch reuses when the copy is done.
void StepRunner::feed(std::span<const data::Batch> micro_batches, std::int64_t num_targets,
                      const StepConfig& config) {
  const at::Tensor host =
      at::empty(inputs_.sizes(),
                at::TensorOptions().dtype(at::kLong).pinned_memory(inputs_.device().is_cuda()));
  auto* values = static_cast<std::int64_t*>(host.mutable_data_ptr());
  std::fill(values, values + kTokens, 0);
  values[kStep] = static_cast<std::int64_t>(config.step);
  values[kLr] = std::bit_cast<std::int64_t>(config.lr);
  values[kScale] = std::bit_cast<std::int64_t>(1.0 / static_cast<double>(num_targets));
  values[kLossLimit] = std::bit_cast<std::int64_t>(config.loss_limit);
  values[kNormLimit] = std::bit_cast<std::int64_t>(config.norm_limit);
  values += kTokens;
  for (const data::Batch& batch : micro_batches) {
    values = std::copy(batch.inputs.begin(), batch.inputs.end(), values);
    values = std::copy(batch.targets.begin(), batch.targets.end(), values);
  }
  inputs_.copy_(host, /*non_blocking=*/true);
}

// Reads and writes nothing on the host that differs between steps.
void StepRunner::compute(const StepConfig& config) {
  ops::Context context{.form = config.form,
                       .gpu = config.gpu,
                       .reductions = config.reductions,
                       .training = true,
                       .deterministic = config.deterministic,
                       .seed = config.seed,
                       .device_step = step_,
                       .first_sample = first_sample_};
  const model::LossScale scale{.z_loss = config.z_loss, .device_scale = scale_};
  LossSums sums;
  for (const model::Batch& batch : batches_) {
    const model::Loss loss = model_.loss(batch, scale, context);
    loss.total.backward();
    sums.add(loss);
    context.first_sample += batch.targets_BT.size(0);
  }
  if (device_sums_ != nullptr) {
    const at::NoGradGuard no_grad;
    const at::Tensor losses = batches_.empty() ? at::zeros({2}, outputs_.options())
                                               : at::stack({sums.total, sums.log_perplexity});
    device_sums_->add_all(losses);
    device_sums_->add_all(model_.parameters().gradient());
    sums = {losses[0], losses[1]};
  }
  const optim::UpdateReport report = optimizer_.update(
      {.loss = sums.total, .loss_limit = loss_limit_, .norm_limit = norm_limit_, .device_lr = lr_});
  const at::NoGradGuard no_grad;
  outputs_.copy_(at::stack(
      {sums.total, sums.log_perplexity, report.grad_norm, report.applied.to(at::kDouble)}));
}

}  // namespace sluice::train
