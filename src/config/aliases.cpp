#include "config/aliases.h"

#include <algorithm>
#include <array>

#include "config/scalars.h"

namespace sluice::config {
namespace {

using enum AliasKind;

// Names used by Hugging Face, nanoGPT, llama, fairseq, T5, Megatron and Lightning.
constexpr auto kAliases = std::to_array<Alias>({
    // Keys.
    {kKey, "model.d_model",
     "hidden_size n_embd n_embed embed_dim embedding_dim embedding_size dim d_embed "
     "model_dim hidden_dim width"},
    {kKey, "model.d_ff",
     "intermediate_size n_inner ffn_dim ffn_hidden_size ffn_size mlp_dim d_inner d_mlp "
     "d_hidden dim_feedforward feedforward_dim ff_dim hidden_dim encoder_ffn_dim "
     "decoder_ffn_dim"},
    {kKey, "model.d_ff_reference", "mlp_ratio ffn_mult ffn_dim_multiplier expansion_factor"},
    {kKey, "model.d_ff_multiple", "multiple_of"},
    {kKey, "model.num_layers",
     "num_hidden_layers n_layer n_layers num_layer layers depth num_blocks n_blocks "
     "encoder_layers num_encoder_layers"},
    {kKey, "model.num_decoder_layers", "decoder_layers n_decoder_layers"},
    {kKey, "model.num_heads",
     "n_head n_heads num_attention_heads heads nhead attention_heads "
     "encoder_attention_heads"},
    {kKey, "model.num_kv_heads",
     "num_key_value_heads n_kv_heads n_kv_head kv_heads num_query_groups"},
    {kKey, "model.head_dim", "d_kv head_size kv_channels d_head"},
    {kKey, "model.ffn",
     "hidden_act activation activation_function act_fn hidden_activation feed_forward_proj "
     "dense_act_fn ffn_type mlp_type mlp"},
    {kKey, "model.dropout",
     "dropout_rate dropout_prob hidden_dropout hidden_dropout_prob resid_pdrop embd_pdrop "
     "attn_pdrop attention_dropout"},
    {kKey, "model.tie_embeddings",
     "tie_word_embeddings tied_embeddings share_embeddings weight_tying"},
    {kKey, "model.bias", "use_bias add_bias linear_bias mlp_bias attention_bias"},
    {kKey, "model.position.theta", "rope_theta rope_base rotary_base rotary_emb_base"},
    {kKey, "model.position.num_buckets", "relative_attention_num_buckets"},
    {kKey, "model.position.max_distance", "relative_attention_max_distance"},
    {kKey, "model.position.type",
     "position_embedding_type pos_emb positional_encoding position_embedding"},
    {kKey, "model.norm.eps", "rms_norm_eps layer_norm_eps layer_norm_epsilon norm_eps epsilon"},
    {kKey, "model.norm.type", "norm_type normalization"},
    {kKey, "model.init.std", "initializer_range init_std init_method_std"},
    {kKey, "model.type", "model_type architecture arch"},
    {kKey, "model.pad_vocab_multiple", "make_vocab_size_divisible_by pad_vocab_size_multiple"},
    {kKey, "tokenizer.vocab_size", "n_vocab num_embeddings vocabulary_size vocab"},
    {kKey, "tokenizer.model", "tokenizer_path tokenizer_model tokenizer_file vocab_file spm_model"},
    {kKey, "tokenizer.type", "tokenizer_type"},
    {kKey, "objective.type", "objective_type task"},
    {kKey, "objective.input_length", "inputs_length"},
    {kKey, "objective.mean_span_length", "mean_noise_span_length"},
    {kKey, "optimizer.lr", "learning_rate max_lr peak_lr base_lr lr_max"},
    {kKey, "optimizer.betas", "adam_beta1 adam_beta2 beta1 beta2 adam_betas"},
    {kKey, "optimizer.eps", "adam_epsilon adam_eps epsilon"},
    {kKey, "optimizer.weight_decay", "wd decay l2"},
    {kKey, "optimizer.clip_norm",
     "grad_clip max_grad_norm gradient_clip_val clip_grad clip_grad_norm gradient_clipping "
     "gradient_clip_norm"},
    {kKey, "optimizer.type", "optim optimizer_type optimizer_name"},
    {kKey, "schedule.warmup_steps",
     "warmup num_warmup_steps warmup_iters lr_warmup_steps warmup_ratio lr_warmup_iters"},
    {kKey, "schedule.final_fraction", "min_lr min_lr_ratio final_lr_fraction"},
    {kKey, "schedule.decay_fraction", "cooldown_fraction cooldown"},
    {kKey, "schedule.type",
     "lr_scheduler_type lr_scheduler scheduler lr_schedule lr_decay_style schedule_type"},
    {kKey, "train.steps",
     "max_steps max_iters num_steps num_iterations iterations iters n_steps total_steps "
     "train_steps num_train_steps training_steps train_iters"},
    {kKey, "train.epochs", "num_train_epochs num_epochs max_epochs n_epochs"},
    {kKey, "train.tokens", "train_tokens num_tokens token_budget total_tokens"},
    {kKey, "train.batch_sequences",
     "batch_size global_batch_size train_batch_size total_batch_size batch"},
    {kKey, "train.micro_batch_sequences",
     "micro_batch_size device_batch_size per_device_train_batch_size micro_batch "
     "gradient_accumulation_steps grad_accum accumulate_grad_batches"},
    {kKey, "train.sequence_length",
     "block_size seq_len seq_length max_seq_len max_seq_length max_length context_length "
     "context_size context_window ctx_len n_ctx max_sequence_length max_position_embeddings "
     "n_positions context"},
    {kKey, "train.precision", "dtype mixed_precision torch_dtype bf16 fp16 amp"},
    {kKey, "train.device", "accelerator"},
    {kKey, "train.threads", "num_threads cpu_threads num_workers n_threads"},
    {kKey, "train.log_interval", "log_every logging_steps log_every_n_steps log_interval_s"},
    {kKey, "run.dir", "output_dir out_dir save_dir log_dir checkpoint_dir run_dir output"},
    {kKey, "run.name", "run_name experiment_name exp_name experiment project"},
    {kKey, "run.seed", "random_seed manual_seed"},
    {kKey, "corpus.train",
     "dataset dataset_name data data_path train_data train_file train_files data_dir "
     "dataset_path files input text_file path paths"},
    {kKey, "corpus.valid",
     "validation val valid_data eval_data validation_file val_file val_data test"},
    {kKey, "corpus.holdout",
     "val_split valid_fraction validation_split test_size split_ratio val_fraction"},
    {kKey, "corpus.text_field", "field text_column text_key content_field json_field"},
    {kKey, "corpus.format", "data_format file_format"},
    {kKey, "corpus.prepared_dir", "cache_dir"},
    {kKey, "evaluate.every_steps",
     "eval_interval eval_steps eval_every eval_freq val_interval val_check_interval "
     "evaluation_steps"},
    {kKey, "evaluate.max_tokens", "eval_iters eval_tokens max_eval_tokens"},
    {kKey, "checkpoint.every_steps",
     "save_steps save_interval save_every checkpoint_interval ckpt_interval save_freq"},
    {kKey, "checkpoint.keep_last", "save_total_limit max_checkpoints keep_checkpoints"},
    {kKey, "checkpoint.keep_best", "load_best_model_at_end save_best"},
    {kKey, "compare.vary", "sweep grid variants search_space"},
    {kKey, "compare.baseline", "reference control"},
    {kKey, "train", "trainer training training_args"},
    {kKey, "model", "network model_config"},
    {kKey, "corpus", "data dataset datasets"},
    {kKey, "schedule", "scheduler lr_scheduler"},
    {kKey, "evaluate", "eval evaluation validation"},
    {kKey, "checkpoint", "checkpoints ckpt checkpointing"},
    {kKey, "optimizer", "optim"},
    // Values.
    {kValue, "swish", "silu swish1 sil"},
    {kValue, "gelu", "gelu_tanh gelu_new gelu_pytorch_tanh gelu_fast gelu_approximate"},
    {kValue, "gelu_erf", "gelu_exact gelu_none"},
    {kValue, "geglu", "geglu_tanh gated_gelu gated_gelu_new gelu_glu gelu_gated"},
    {kValue, "geglu_erf", "geglu_exact"},
    {kValue, "swiglu",
     "gated_silu gated_swish silu_glu swish_glu silu_and_mul swiglu_mlp siglu llama"},
    {kValue, "reglu", "gated_relu relu_glu"},
    {kValue, "glu", "sigmoid_glu gated_sigmoid"},
    {kValue, "bilinear", "gated_linear linear_glu bilinear_glu"},
    {kValue, "squared_relu", "relu2 relu_squared relu_sq sqrelu"},
    {kValue, "squared_reglu", "relu2_glu reglu2"},
    {kValue, "drelu", "double_relu relu_relu"},
    {kValue, "swiglu_clamped", "clamped_swiglu swiglu_oai swigluoai gpt_oss"},
    {kValue, "swish_beta", "learned_swish silu_beta"},
    {kValue, "polynorm", "poly_norm polycom"},
    {kValue, "adamw", "adam adamw_torch adamw_torch_fused fused_adamw sgd"},
    {kValue, "adafactor", "adafactor_pytorch"},
    {kValue, "bf16", "bfloat16 bf16_mixed bf16_true half float16 fp16 fp16_mixed 16"},
    {kValue, "fp32", "float32 fp32_true float single 32 32_true"},
    {kValue, "cuda", "gpu"},
    {kValue, "rmsnorm", "rms_norm llama_rms_norm t5_layer_norm"},
    {kValue, "layernorm", "layer_norm ln"},
    {kValue, "rope", "rotary rotary_embedding"},
    {kValue, "learned", "absolute"},
    {kValue, "none", "nope no"},
    {kValue, "t5_relative", "relative relative_bias"},
    {kValue, "decoder", "gpt gpt2 llama causal decoder_only transformer lm"},
    {kValue, "encoder_decoder", "t5 seq2seq bart encdec"},
    {kValue, "causal_lm", "clm lm language_modeling next_token causal autoregressive"},
    {kValue, "span_corruption", "mlm t5 denoising span_denoising infilling"},
    {kValue, "sentencepiece", "spm bpe unigram sp"},
    {kValue, "bytes", "byte char chars character byte_level"},
    {kValue, "cosine",
     "cosine_with_warmup cosine_with_min_lr cosine_annealing cosineannealinglr warmup_cosine "
     "cosine_warmup"},
    {kValue, "linear", "linear_with_warmup warmup_linear polynomial"},
    {kValue, "constant", "constant_with_warmup fixed none"},
    {kValue, "inverse_sqrt", "inverse_square_root invsqrt rsqrt noam"},
    {kValue, "wsd", "warmup_stable_decay trapezoidal"},
    {kValue, "text", "txt file raw plain"},
    {kValue, "lines", "line"},
    {kValue, "jsonl", "json ndjson jsonlines"},
    {kValue, "valid", "val validation test dev eval"},
    {kValue, "log_perplexity", "loss nll perplexity ppl cross_entropy"},
    {kValue, "bits_per_byte", "bpb"},
    {kValue, "halt", "stop raise abort error"},
    {kValue, "rollback", "rewind"},
    {kValue, "steps", "tokens flops"},
    // Options that are not keys; `CONFIG` and `RUN` are positional arguments.
    {kOption, "CONFIG", "--config -c --config-file --cfg"},
    {kOption, "--run-dir", "--output-dir --out-dir --output -o --save-dir --checkpoint-dir --dir"},
    {kOption, "--resume", "--continue --resume-from --resume-from-checkpoint"},
    {kOption, "--fresh", "--restart --force --overwrite"},
    {kOption, "--set", "--override --overrides --opt -s"},
    {kOption, "--tokens", "--max-new-tokens --max-tokens --num-tokens --n-tokens --length -n"},
    {kOption, "--temperature", "--temp -t"},
    {kOption, "--top-p", "--nucleus"},
    {kOption, "--prompt", "-p --text --input"},
    {kOption, "--text-field", "--field --text-column"},
    {kOption, "--data", "--input --file --files --dataset"},
    {kOption, "--seed", "--random-seed"},
    {kOption, "--jobs", "--workers --parallel --num-workers -j"},
    {kOption, "--only", "--variants"},
    {kOption, "--dry-run", "--dry -n"},
    {kOption, "--measure", "--profile --benchmark"},
    {kOption, "RUN", "--checkpoint --ckpt --model --run --run-dir"},
    {kOption, "--stride", "--window"},
    {kOption, "--max-tokens", "--limit"},
    // Commands.
    {kCommand, "train", "fit run start resume continue pretrain finetune"},
    {kCommand, "prepare", "preprocess tokenize tokenise data"},
    {kCommand, "eval", "evaluate test score perplexity ppl validate"},
    {kCommand, "generate", "sample infer inference predict complete completion chat"},
    {kCommand, "plan", "estimate profile cost"},
    {kCommand, "compare", "sweep grid search ablate report"},
    {kCommand, "verify", "check fsck validate"},
    {kCommand, "config", "show docs schema"},
    {kCommand, "doctor", "info env version environment"},
});

// Whether the space-separated list contains a name whose folded form is `wanted`.
bool has_name(std::string_view list, const std::string& wanted) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(' '), list.size());
    if (folded(list.substr(0, end)) == wanted) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

}  // namespace

std::span<const Alias> aliases() { return kAliases; }

std::string folded(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z') out += static_cast<char>(c - 'A' + 'a');
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) out += c;
  }
  return out;
}

std::vector<std::string_view> names_for(AliasKind kind, std::string_view alias) {
  constexpr std::size_t kMaxLength = 64;
  std::vector<std::string_view> names;
  const std::string wanted = folded(alias.substr(0, kMaxLength + 1));
  if (wanted.empty() || alias.size() > kMaxLength) return names;
  for (const Alias& row : kAliases) {
    if (row.kind == kind && has_name(row.aliases, wanted)) names.push_back(row.name);
  }
  return names;
}

std::string_view suggested(std::string_view text, std::span<const std::string_view> names) {
  for (const std::string_view name : names_for(AliasKind::kValue, text)) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found != names.end()) return *found;
  }
  return nearest(text, names);
}

}  // namespace sluice::config
