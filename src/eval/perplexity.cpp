#include "eval/perplexity.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <numbers>
#include <span>

#include "base/error.h"
#include "base/signals.h"
#include "eval/feed.h"

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

}  // namespace

Perplexity measure_perplexity(const model::LanguageModel& model,
                              const data::EvaluationBatches& batches,
                              const data::SplitCounts& counts, at::Device device,
                              const ops::Context& context) {
  const at::NoGradGuard no_grad;
  ops::Context without_dropout = context;
  without_dropout.training = false;
  Perplexity result;
  if (batches.is_whole()) result.documents.resize(batches.num_documents());
  DocumentSums documents(batches, result.documents);
  at::Tensor nats = at::zeros({}, at::TensorOptions().dtype(at::kDouble).device(device));
  std::uint64_t num_scored = 0;
  for (std::uint64_t i = 0; i < batches.num_batches(); ++i) {
    throw_if_stopped("evaluation");
    const data::Batch batch = batches.batch(i);
    const at::Tensor nats_BT = model.target_nats(to_device(batch, device), without_dropout);
    nats = nats + nats_BT.sum();
    if (!result.documents.empty()) documents.add(nats_BT);
    num_scored += static_cast<std::uint64_t>(batch.num_targets);
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
