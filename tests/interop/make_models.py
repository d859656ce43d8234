"""Saves small random models of `transformers`, and compares them with their exports."""

import shutil

import torch
from transformers import (
    ArceeConfig,
    ArceeForCausalLM,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPT2Model,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

ROPE = dict(
    vocab_size=360,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=80,
    initializer_range=0.2,
    bos_token_id=None,
    eos_token_id=2,
)
GPT2 = dict(
    vocab_size=360, n_embd=32, n_layer=2, n_head=4, n_positions=80, initializer_range=0.2,
    bos_token_id=None, eos_token_id=2,
)  # fmt: skip
T5 = dict(
    vocab_size=400,
    d_model=32,
    d_kv=8,
    d_ff=48,
    num_layers=2,
    num_heads=4,
    dropout_rate=0.0,
    pad_token_id=2,
    eos_token_id=2,
    decoder_start_token_id=2,
    extra_ids=20,
    n_positions=80,
    initializer_factor=4.0,
)


def models():
    # Rows of padding, which are dropped.
    padded = {**ROPE, "vocab_size": 376, "num_key_value_heads": 2}
    yield "llama_fp32", LlamaForCausalLM(LlamaConfig(**padded)), {}
    yield (
        "llama_bf16_sharded",
        LlamaForCausalLM(
            LlamaConfig(**ROPE, tie_word_embeddings=True, hidden_act="gelu")
        ).bfloat16(),
        {"max_shard_size": "20KB"},
    )
    yield "arcee_fp16", ArceeForCausalLM(ArceeConfig(**ROPE)).half(), {}
    yield "gpt2", GPT2LMHeadModel(GPT2Config(**GPT2)), {}
    # Without the head: names have no prefix.
    yield "gpt2_prefixless", GPT2Model(GPT2Config(**GPT2)), {}
    yield "t5_tied", T5ForConditionalGeneration(T5Config(**T5)), {}
    yield (
        "t5_untied_sharded",
        untied(T5Config(**T5, feed_forward_proj="gated-gelu", tie_word_embeddings=False)),
        {"max_shard_size": "40KB"},
    )
    yield (
        "t5_bf16",
        T5ForConditionalGeneration(
            T5Config(**T5, feed_forward_proj="gated-silu", num_decoder_layers=1)
        ).bfloat16(),
        {},
    )


def untied(config):
    model = T5ForConditionalGeneration(config)
    model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.shared.weight))
    if hasattr(model, "all_tied_weights_keys"):  # version 5 would tie it again while saving
        model.all_tied_weights_keys.pop("lm_head.weight", None)
    return model


def save_all(root, tokenizer):
    """`tokenizer`: a SentencePiece model of 360 pieces."""
    torch.manual_seed(3)
    for name, model, options in models():
        folder = root / name
        for parameter in model.parameters():  # norms and biases that matter
            parameter.add_(torch.randn_like(parameter) * 0.1)
        model.save_pretrained(folder, **options)
        assert ("sharded" in name) == (folder / "model.safetensors.index.json").exists(), name
        shutil.copy(tokenizer, folder / "tokenizer.model")


def load(folder, seq2seq):
    kind = AutoModelForSeq2SeqLM if seq2seq else AutoModelForCausalLM
    return kind.from_pretrained(folder).float().eval()


def compare_all(root):
    """The logits of each model and of its export NAME/exported, in float32."""
    folders = sorted(root.iterdir())
    assert len(folders) == 8, folders
    for folder in folders:
        seq2seq = folder.name.startswith("t5")
        inputs = {"input_ids": torch.randint(0, 360, (2, 60))}
        if seq2seq:
            inputs["decoder_input_ids"] = torch.randint(0, 360, (2, 30))
        before, after = (
            load(place, seq2seq)(**inputs).logits for place in (folder, folder / "exported")
        )
        if folder.name == "llama_fp32":
            before = before[..., :360]
        assert before.std() > 0.1, (folder.name, before.std())
        difference = (before - after).abs().max().item()
        assert difference <= 1e-4, (folder.name, difference, before.abs().max())
