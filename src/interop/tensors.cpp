#include "interop/tensors.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cstring>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/log.h"
#include "base/text_format.h"

namespace sluice::interop {
namespace {

std::string text_of(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += cat(i == 0 ? "" : ", ", shape[i]);
  return text + "]";
}

std::optional<at::ScalarType> type_of(store::Dtype dtype) {
  switch (dtype) {
    case store::Dtype::kF32:
      return at::kFloat;
    case store::Dtype::kF16:
      return at::kHalf;
    case store::Dtype::kBF16:
      return at::kBFloat16;
    default:
      return std::nullopt;
  }
}

// Buffers that older versions saved with the weights: masks, rotary frequencies, and copies of the
// embedding.
bool is_redundant(std::string_view name) {
  return name.ends_with(".rotary_emb.inv_freq") || name.ends_with(".attn.masked_bias") ||
         (name.ends_with(".attn.bias") && name.find("h.") != std::string_view::npos) ||
         name == "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight";
}

// Reads the tensors of one model and notes which were used.
class Reader {
 public:
  Reader(const Layout& layout, const WeightFiles& files) : layout_(layout), files_(files) {}

  // kBadData unless the files have the tensor in its shape.
  const store::TensorView& check(const TensorRule& rule) {
    const std::string expected = cat("F32, F16 or BF16 ", text_of(rule.shape));
    const WeightFiles::Found* found = find(rule.theirs);
    if (found == nullptr)
      fail(ExitCode::kBadData, cat(files_.source(), ": ", rule.theirs),
           cat("missing tensor; expected ", expected));
    const store::TensorView& view = *found->view;
    if (!type_of(view.dtype) || (view.shape != rule.shape && !has_more_rows(rule, view)))
      fail(ExitCode::kBadData, cat(found->file, ": ", rule.theirs),
           cat(store::name_of(view.dtype), " ", text_of(view.shape)), expected);
    return view;
  }

  // The same, and that a tensor with a row per token has those of config.json.
  void check_rows(const TensorRule& rule, std::int64_t vocab_size) {
    const store::TensorView& view = check(rule);
    if (has_row_per_token(rule) && view.shape[0] != vocab_size)
      fail(ExitCode::kBadData, cat(files_.source(), ": ", rule.theirs), cat(view.shape[0], " rows"),
           cat(vocab_size, ", the vocab_size of config.json"));
  }

  // fp32, in the layout of the files.
  at::Tensor read(const TensorRule& rule) {
    const store::TensorView& view = check(rule);
    const at::Tensor all = fp32_of(view);
    require(at::isfinite(all).all().item<bool>(), ExitCode::kBadData,
            cat(files_.source(), ": ", rule.theirs), "a value that is not finite", "finite values");
    if (!has_more_rows(rule, view)) return all;
    log::warn(cat(files_.source(), ": ", rule.theirs, ": using ", rule.shape[0], " of ",
                  view.shape[0], " rows, one per token; the others are not in the softmax here"));
    return all.narrow(0, 0, rule.shape[0]);
  }

  // Copies of the embedding: kBadData if one differs.
  void check_copy(const std::string& name, const TensorRule& rule) {
    const WeightFiles::Found* copy = find(name);
    const WeightFiles::Found* original = find(rule.theirs);
    if (copy == nullptr || original == nullptr) return;
    const bool equal = copy->view->shape == original->view->shape &&
                       copy->view->dtype == original->view->dtype &&
                       std::memcmp(copy->view->bytes.data(), original->view->bytes.data(),
                                   copy->view->bytes.size()) == 0;
    require(equal, ExitCode::kBadData, cat(copy->file, ": ", name),
            cat("values that differ from ", rule.theirs),
            "the same values, since config.json ties the two");
  }

  void require_all_used() const {
    for (const auto& [name, found] : files_.all())
      if (!used_.contains(name) && !is_redundant(name))
        fail(ExitCode::kBadData, cat(found.file, ": ", printable(name)), "unexpected tensor");
  }

 private:
  // Embedding and head may be padded.
  static bool has_row_per_token(const TensorRule& rule) {
    return rule.ours.front() == "embedding.weight" || rule.ours.front() == "head.weight";
  }
  static bool has_more_rows(const TensorRule& rule, const store::TensorView& view) {
    return has_row_per_token(rule) && view.shape.size() == 2 && view.shape[0] > rule.shape[0] &&
           view.shape[1] == rule.shape[1];
  }

  // Files of the class without a head omit the prefix.
  const WeightFiles::Found* find(std::string_view name) {
    const WeightFiles::Found* found = files_.find(name);
    if (found == nullptr && !layout_.prefix.empty() && name.starts_with(layout_.prefix)) {
      name.remove_prefix(layout_.prefix.size());
      found = files_.find(name);
    }
    if (found != nullptr) used_.insert(found->view->name);
    return found;
  }

  // The bytes in the file may be unaligned.
  static at::Tensor fp32_of(const store::TensorView& view) {
    const at::Tensor raw = at::empty(view.shape, at::TensorOptions(*type_of(view.dtype)));
    std::memcpy(raw.mutable_data_ptr(), view.bytes.data(), view.bytes.size());
    return raw.to(at::kFloat);
  }

  const Layout& layout_;
  const WeightFiles& files_;
  std::set<std::string_view> used_;
};

// The rules for files that may lack a head. Version 5 saves a T5 without a head of its own, even if
// its outputs are not scaled; then the head has the values of the embedding.
std::vector<TensorRule> rules_for(const Layout& layout, const WeightFiles& files,
                                  const ops::Parameters& parameters) {
  std::vector<TensorRule> rules = tensor_rules(layout, parameters);
  if (layout.model_type == "t5" && files.find("lm_head.weight") == nullptr)
    for (TensorRule& rule : rules)
      if (rule.theirs == "lm_head.weight") rule.theirs = "shared.weight";
  return rules;
}

}  // namespace

void HostTensors::add(const std::string& name, const at::Tensor& tensor) {
  const at::Tensor host = tensor.detach().to(at::kCPU).contiguous();
  const bool is_int = host.scalar_type() == at::kLong;
  invariant(is_int || host.scalar_type() == at::kFloat, "exports hold fp32 and int64");
  views.push_back({name,
                   is_int ? store::Dtype::kI64 : store::Dtype::kF32,
                   host.sizes().vec(),
                   {static_cast<const std::byte*>(host.const_data_ptr()), host.nbytes()}});
  owners.push_back(host);
}

HostTensors export_tensors(const Layout& layout, const ops::Parameters& parameters) {
  const at::NoGradGuard no_grad;
  std::map<std::string, at::Tensor> values;
  for (const ops::Parameters::Named& one : parameters.named())
    values.emplace(one.spec->name, one.value.detach());
  HostTensors tensors;
  for (const TensorRule& rule : tensor_rules(layout, parameters)) {
    std::vector<at::Tensor> parts;
    for (const std::string& name : rule.ours) parts.push_back(values.at(name));
    const at::Tensor stacked = parts.size() == 1 ? parts.front() : at::cat(parts, 0);
    tensors.add(rule.theirs, rule.transposed ? stacked.t() : stacked);
  }
  return tensors;
}

void check_tensors(const Layout& layout, const WeightFiles& files,
                   const ops::Parameters& parameters, std::int64_t vocab_size) {
  Reader reader(layout, files);
  for (const TensorRule& rule : rules_for(layout, files, parameters))
    reader.check_rows(rule, vocab_size);
}

void import_tensors(const Layout& layout, const WeightFiles& files, ops::Parameters& parameters) {
  const at::NoGradGuard no_grad;
  std::map<std::string, at::Tensor> values;
  for (const ops::Parameters::Named& one : parameters.named())
    values.emplace(one.spec->name, one.value.detach());
  Reader reader(layout, files);
  const bool tied = !values.contains("head.weight");
  for (const TensorRule& rule : rules_for(layout, files, parameters)) {
    const bool is_embedding = rule.ours.front() == "embedding.weight";
    at::Tensor theirs = reader.read(rule);
    if (rule.transposed) theirs = theirs.t();
    std::int64_t row = 0;
    for (const std::string& name : rule.ours) {
      const at::Tensor& ours = values.at(name);
      ours.copy_(theirs.narrow(0, row, ours.size(0)));
      row += ours.size(0);
    }
    if (!is_embedding) continue;
    if (tied) reader.check_copy("lm_head.weight", rule);
    for (const char* copy : {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"})
      reader.check_copy(copy, rule);
  }
  reader.require_all_used();
  parameters.refresh_compute();
}

}  // namespace sluice::interop
