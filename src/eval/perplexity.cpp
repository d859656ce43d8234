#include "eval/perplexity.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <array>
#include <cmath>
#include <numbers>
#include <span>

#include "base/error.h"
#include "base/signals.h"
#include "eval/feed.h"
#include "ops/portable.h"

namespace sluice::eval {
namespace {

// Adds the nats of targets to their documents. Values stay on the device until several batches are
// there, so that the next batches are prepared while the device computes.
class DocumentSums {
 public:
  DocumentSums(const data::EvaluationBatches& batches, std::vector<store::DocumentLoss>& documents)
      : batches_(batches), documents_(documents) {}

  // nats_BT: float64, of the next batch.
  void add(const at::Tensor& nats_BT) {
    pending_.push_back(nats_BT.flatten());
    num_pending_ += nats_BT.numel();
    if (num_pending_ >= kMostPending) read();
  }
  void read() {
    if (pending_.empty()) return;
    const at::Tensor host = at::cat(pending_).to(at::kCPU);
    const auto* nats = static_cast<const double*>(host.const_data_ptr());
    for (const at::Tensor& one : pending_) {
      add_batch({nats, static_cast<std::size_t>(one.numel())});
      nats += one.numel();
    }
    pending_.clear();
    num_pending_ = 0;
  }

 private:
  static constexpr std::int64_t kMostPending = 1 << 20;  // targets; 8 MiB

  void add_batch(std::span<const double> nats) {
    const std::vector<std::uint32_t> document_of_target = batches_.documents_of(next_batch_++);
    invariant(nats.size() == document_of_target.size(), "each target has a document");
    for (std::size_t i = 0; i < nats.size(); ++i) {
      if (document_of_target[i] == data::kNoDocument) continue;
      store::DocumentLoss& document = documents_.at(document_of_target[i]);
      document.nats += nats[i];
      ++document.num_targets;
    }
  }

  const data::EvaluationBatches& batches_;
  std::vector<store::DocumentLoss>& documents_;
  std::vector<at::Tensor> pending_;
  std::int64_t num_pending_ = 0;
  std::uint64_t next_batch_ = 0;
};

// The nats of each target, batch by batch. Several processes compute them beforehand.
class NatsOfTargets {
 public:
  struct Nats {
    at::Tensor nats_BT;  // float64
    std::int64_t num_targets = 0;
  };

  NatsOfTargets(const model::LanguageModel& model, const data::EvaluationBatches& batches,
                at::Device device, const ops::Context& context, const Processes& processes)
      : model_(model), batches_(batches), device_(device), context_(context) {
    context_.training = false;  // no dropout
    if (processes.size > 1) compute_all(processes);
  }
  Nats of(std::uint64_t i) const { return computed_.empty() ? compute(i) : computed_.at(i); }

 private:
  Nats compute(std::uint64_t i) const {
    const data::Batch batch = batches_.batch(i);
    return {model_.target_nats(to_device(batch, device_), context_), batch.num_targets};
  }
  void compute_all(const Processes& processes) {
    const auto num_batches = static_cast<std::int64_t>(batches_.num_batches());
    const auto begin_of = [&](int rank) { return num_batches * rank / processes.size; };
    const std::int64_t own = begin_of(processes.rank), own_end = begin_of(processes.rank + 1);
    std::vector<std::int64_t> at = {0};  // of each batch in `all`
    std::vector<std::array<std::int64_t, 2>> shapes;
    for (std::int64_t i = 0; i < num_batches; ++i) {
      const data::Batch batch = batches_.batch(static_cast<std::uint64_t>(i));
      shapes.push_back({batch.num_sequences, batch.target_length});
      at.push_back(at.back() + batch.num_sequences * batch.target_length);
      computed_.push_back({{}, batch.num_targets});
      if (i >= own && i < own_end)
        computed_.back().nats_BT = model_.target_nats(to_device(batch, device_), context_);
    }
    if (processes.same_passes &&
        own_end - own < (num_batches + processes.size - 1) / processes.size)
      model_.target_nats(to_device(batches_.batch(0), device_), context_);
    const at::Tensor all = at::zeros({at.back()}, at::kDouble);
    for (std::size_t i = 0; i < computed_.size(); ++i) {
      const at::Tensor place = all.narrow(0, at[i], at[i + 1] - at[i]).view(shapes[i]);
      if (computed_[i].nats_BT.defined()) place.copy_(computed_[i].nats_BT);
      computed_[i].nats_BT = place;
    }
    processes.gather({all.data_ptr<double>(), static_cast<std::size_t>(all.numel())},
                     [&](int rank) {
                       return at[static_cast<std::size_t>(begin_of(rank + 1))] -
                              at[static_cast<std::size_t>(begin_of(rank))];
                     });
  }

  const model::LanguageModel& model_;
  const data::EvaluationBatches& batches_;
  at::Device device_;
  ops::Context context_;
  std::vector<Nats> computed_;
};

}  // namespace

Perplexity measure_perplexity(const model::LanguageModel& model,
                              const data::EvaluationBatches& batches,
                              const data::SplitCounts& counts, at::Device device,
                              const ops::Context& context, const Processes& processes) {
  const at::NoGradGuard no_grad;
  Perplexity result;
  if (batches.is_whole()) result.documents.resize(batches.num_documents());
  DocumentSums documents(batches, result.documents);
  // Of several processes, the nats are in host memory.
  at::Tensor nats = at::zeros({}, at::TensorOptions()
                                      .dtype(at::kDouble)
                                      .device(processes.size == 1 ? device : at::Device(at::kCPU)));
  std::uint64_t num_scored = 0;
  const NatsOfTargets of_targets(model, batches, device, context, processes);
  for (std::uint64_t i = 0; i < batches.num_batches(); ++i) {
    if (processes.size == 1) throw_if_stopped("evaluation");
    const auto [nats_BT, num_targets] = of_targets.of(i);
    nats = nats + ops::ordered_sum(nats_BT);
    if (!result.documents.empty()) documents.add(nats_BT);
    num_scored += static_cast<std::uint64_t>(num_targets);
  }
  documents.read();
  invariant(num_scored == batches.num_targets(),
            "an evaluation scores every target of its windows once");
  require(num_scored > 0, ExitCode::kBadData, "held-out set", "no tokens");

  const double sum = nats.item<double>();
  result.num_tokens = num_scored;
  result.whole = batches.is_whole();
  result.num_bytes = counts.num_bytes;
  result.num_words = counts.num_words;
  result.num_unknown = counts.num_unknown;
  result.num_dropped_tokens = batches.num_dropped_tokens();
  store::HeldOutFigures& figures = result.figures;
  figures.log_perplexity = sum / static_cast<double>(num_scored);
  figures.perplexity = std::exp(*figures.log_perplexity);
  // Without a start token the first token of the set is not scored. The effect is negligible.
  if (batches.is_whole() && counts.num_bytes > 0)
    figures.bits_per_byte = sum / (std::numbers::ln2 * static_cast<double>(counts.num_bytes));
  if (batches.is_whole() && counts.num_words > 0)
    figures.word_perplexity = std::exp(sum / static_cast<double>(counts.num_words));
  return result;
}

}  // namespace sluice::eval
