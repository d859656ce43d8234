#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "base/error.h"
#include "model/decoding.h"
#include "model/language_model.h"

namespace sluice::model {
namespace {

at::Tensor as_row(std::span<const std::int32_t> ids, c10::Device device) {
  const at::Tensor row = at::empty({1, static_cast<std::int64_t>(ids.size())}, at::kLong);
  std::copy(ids.begin(), ids.end(), static_cast<std::int64_t*>(row.mutable_data_ptr()));
  return row.to(device);
}

class RecomputedDecoding final : public Decoding {
 public:
  RecomputedDecoding(const LanguageModel& model, std::int64_t num_sequences,
                     const ops::Context& context)
      : model_(model), context_(context), sequences_(static_cast<std::size_t>(num_sequences)) {}

  void start(std::int64_t sequence, std::span<const std::int32_t> inputs) override {
    Sequence& s = at(sequence);
    s.inputs.assign(inputs.begin(), inputs.end());
    s.ids.clear();
  }

  at::Tensor append(std::span<const Feed> feeds) override {
    const at::NoGradGuard no_grad;
    std::vector<at::Tensor> rows;
    for (const Feed& feed : feeds) {
      invariant(!feed.ids.empty(), "a feed has at least one id");
      Sequence& s = at(feed.sequence);
      s.ids.insert(s.ids.end(), feed.ids.begin(), feed.ids.end());
      const auto length = static_cast<std::int64_t>(s.ids.size()),
                 wanted = feed.every_position ? static_cast<std::int64_t>(feed.ids.size()) : 1;
      rows.push_back(logits(s)[0].narrow(0, length - wanted, wanted).to(at::kCPU));
    }
    return at::cat(rows).contiguous();
  }

  std::int64_t length(std::int64_t sequence) const override {
    return static_cast<std::int64_t>(sequences_.at(static_cast<std::size_t>(sequence)).ids.size());
  }

 private:
  struct Sequence {
    std::vector<std::int32_t> inputs, ids;
  };
  Sequence& at(std::int64_t sequence) { return sequences_.at(static_cast<std::size_t>(sequence)); }

  at::Tensor logits(const Sequence& s) const {
    const c10::Device device = model_.parameters().master().device();
    if (!model_.start_id()) return model_.logits({as_row(s.ids, device), {}}, context_);
    invariant(s.ids.front() == *model_.start_id(),
              "an encoder-decoder reads its start token first");
    // The decoder's inputs are the start token and all targets but the last.
    std::vector<std::int32_t> targets(s.ids.begin() + 1, s.ids.end());
    targets.push_back(-1);
    return model_.logits({as_row(s.inputs, device), as_row(targets, device)}, context_);
  }

  const LanguageModel& model_;
  ops::Context context_;
  std::vector<Sequence> sequences_;
};

}  // namespace

std::unique_ptr<Decoding> make_recomputed_decoding(const LanguageModel& model,
                                                   std::int64_t num_sequences,
                                                   const ops::Context& context) {
  return std::make_unique<RecomputedDecoding>(model, num_sequences, context);
}

}  // namespace sluice::model
