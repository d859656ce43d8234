#include "interop/export_gguf.h"

#include <ATen/ATen.h>

#include <variant>

#include "base/error.h"
#include "base/text_format.h"
#include "interop/gguf.h"
#include "interop/staged_directory.h"
#include "interop/tensors.h"
#include "text/sentencepiece_model.h"

namespace sluice::interop {
namespace {

using model::DecoderConfig;
using For = LayoutRow::For;

constexpr LayoutRow kGgufRows[] = {
    {.theirs = "token_embd.weight", .ours = {"embedding.weight"}},
    {.theirs = "blk.#.attn_norm.weight", .ours = {"blocks.#.attention_norm.scale"}},
    {.theirs = "blk.#.attn_q.weight", .ours = {"blocks.#.attention.q.weight"}},
    {.theirs = "blk.#.attn_k.weight", .ours = {"blocks.#.attention.k.weight"}},
    {.theirs = "blk.#.attn_v.weight", .ours = {"blocks.#.attention.v.weight"}},
    {.theirs = "blk.#.attn_output.weight", .ours = {"blocks.#.attention.o.weight"}},
    {.theirs = "blk.#.ffn_norm.weight", .ours = {"blocks.#.ffn_norm.scale"}},
    {.theirs = "blk.#.ffn_gate.weight", .ours = {"blocks.#.ffn.w.weight"}, .models = For::kGated},
    {.theirs = "blk.#.ffn_up.weight", .ours = {"blocks.#.ffn.v.weight"}, .models = For::kGated},
    {.theirs = "blk.#.ffn_up.weight", .ours = {"blocks.#.ffn.w.weight"}, .models = For::kUngated},
    {.theirs = "blk.#.ffn_down.weight", .ours = {"blocks.#.ffn.w2.weight"}},
    {.theirs = "output_norm.weight", .ours = {"final_norm.scale"}},
    {.theirs = "output.weight", .ours = {"head.weight"}},
};
constexpr Layout kGgufLayout{.model_type = "gguf", .rows = kGgufRows};

[[noreturn]] void refuse_gguf(std::string_view field, std::string_view received,
                              std::string_view expected) {
  fail(ExitCode::kUsage, field, received, cat(expected, ", as in llama.cpp"));
}

// The architecture of llama.cpp that computes the same function.
std::string architecture_of(const model::ModelConfig& config) {
  const auto* c = std::get_if<DecoderConfig>(&config);
  if (c == nullptr) refuse_gguf("model.type", "encoder_decoder", "decoder");
  if (!std::holds_alternative<nn::RopeConfig>(c->position))
    refuse_gguf("model.position.type", "no rotation of queries and keys", "rope");
  if (c->norm.type != nn::NormType::kRmsNorm)
    refuse_gguf("model.norm.type", "layernorm", "rmsnorm");
  if (c->bias) refuse_gguf("model.bias", "true", "false");
  if (c->ffn->name == "swiglu") return "llama";
  if (c->ffn->name == "squared_relu") return "arcee";
  refuse_gguf("model.ffn", c->ffn->name, "swiglu (llama) or squared_relu (arcee)");
}

std::uint32_t number(std::int64_t value) { return static_cast<std::uint32_t>(value); }

GgufKeys model_keys(const std::string& architecture, const ExportSource& source) {
  const auto& c = std::get<DecoderConfig>(source.config.model);
  GgufKeys keys{{"general.architecture", architecture},
                {"general.name", source.config.run.name},
                {"general.file_type", std::uint32_t{0}}};  // all tensors fp32
  const auto add = [&](std::string_view name, GgufValue value) {
    keys.emplace_back(cat(architecture, ".", name), std::move(value));
  };
  add("vocab_size", number(source.facts.vocab_rows));
  add("context_length", number(source.facts.context_length));
  add("embedding_length", number(c.d_model));
  add("block_count", number(c.num_layers));
  add("feed_forward_length", number(c.resolved_d_ff().d_ff));
  add("attention.head_count", number(c.num_heads));
  add("attention.head_count_kv", number(c.resolved_kv_heads()));
  add("attention.key_length", number(c.resolved_head_dim()));
  add("attention.value_length", number(c.resolved_head_dim()));
  add("attention.layer_norm_rms_epsilon", static_cast<float>(c.norm.eps));
  add("rope.dimension_count", number(c.resolved_head_dim()));
  add("rope.freq_base", static_cast<float>(std::get<nn::RopeConfig>(c.position).theta));
  return keys;
}

void check_sentencepiece(const text::SentencePieceModel& model) {
  if (model.type != text::SentencePieceModel::Type::kBpe)
    refuse_gguf("tokenizer.algorithm", "unigram", "bpe with byte fallback");
  if (!model.byte_fallback) refuse_gguf("tokenizer", "no byte fallback", "byte fallback");
  if (!model.normalizer.charsmap.empty() || model.normalizer.remove_extra_whitespaces ||
      !model.normalizer.escape_whitespaces || model.whitespace_as_suffix)
    refuse_gguf("tokenizer", "normalization of the text", "none");
}

void add_tokenizer(const text::Tokenizer& tokenizer, GgufKeys& keys) {
  if (tokenizer.file_name() != "tokenizer.model")
    refuse_gguf("tokenizer.type", "not sentencepiece", "sentencepiece");
  const text::SentencePieceModel model = text::check_model(tokenizer.serialized(), "tokenizer");
  check_sentencepiece(model);
  std::vector<std::string> tokens;
  std::vector<float> scores;
  std::vector<std::int32_t> types;
  for (const text::Piece& piece : model.pieces) {
    tokens.emplace_back(piece.text);
    scores.push_back(piece.score);
    types.push_back(static_cast<std::int32_t>(piece.type));  // the same numbers
  }
  keys.emplace_back("tokenizer.ggml.model", std::string("llama"));
  keys.emplace_back("tokenizer.ggml.pre", std::string("default"));
  keys.emplace_back("tokenizer.ggml.tokens", std::move(tokens));
  keys.emplace_back("tokenizer.ggml.scores", std::move(scores));
  keys.emplace_back("tokenizer.ggml.token_type", std::move(types));
  const auto add_id = [&](const char* name, std::optional<std::int32_t> id) {
    if (id) keys.emplace_back(cat("tokenizer.ggml.", name, "_token_id"), number(*id));
  };
  add_id("eos", tokenizer.eos());
  add_id("bos", tokenizer.start());
  add_id("unknown", tokenizer.unk());
  add_id("padding", tokenizer.pad());
  keys.emplace_back("tokenizer.ggml.add_bos_token", tokenizer.start().has_value());
  keys.emplace_back("tokenizer.ggml.add_eos_token", false);
  keys.emplace_back("tokenizer.ggml.add_space_prefix", model.normalizer.add_dummy_prefix);
}

// Element i of the first half of each head becomes row 2i, that of the second half row 2i + 1.
at::Tensor interleaved(const at::Tensor& rows, std::int64_t num_heads) {
  const std::int64_t half = rows.size(0) / num_heads / 2;
  return rows.view({num_heads, 2, half, rows.size(1)}).transpose(1, 2).reshape(rows.sizes());
}

HostTensors gguf_tensors(const ExportSource& source) {
  const auto& c = std::get<DecoderConfig>(source.config.model);
  const HostTensors exported = export_tensors(kGgufLayout, source.model->parameters());
  HostTensors tensors;
  for (std::size_t i = 0; i < exported.views.size(); ++i) {
    const std::string& name = exported.views[i].name;
    const at::Tensor& value = exported.owners[i];
    tensors.add(name, name.ends_with("attn_q.weight")   ? interleaved(value, c.num_heads)
                      : name.ends_with("attn_k.weight") ? interleaved(value, c.resolved_kv_heads())
                                                        : value);
  }
  return tensors;
}

}  // namespace

Exported export_gguf(const ExportRequest& request) {
  const ExportSource source = open_source(request);
  const std::string architecture = architecture_of(source.config.model);
  GgufKeys keys = model_keys(architecture, source);
  add_tokenizer(*source.tokenizer, keys);
  const HostTensors tensors = gguf_tensors(source);
  write_staged(request.out, "--out",
               [&](OutputFile& file) { write_gguf(file, keys, tensors.views); });
  return {.class_name = architecture,
          .step = source.checkpoint.manifest.step,
          .num_parameters = source.model->parameters().num_parameters()};
}

}  // namespace sluice::interop
