"""Sluice's decoder as `transformers`' LlamaForCausalLM, for tests and benchmarks.

Holds decoders with rope, rmsnorm, without biases, and a gated feed-forward layer.
"""

import torch
import transformers

# ffn -> hidden_act
ACTIVATIONS = {
    "swiglu": "silu",
    "geglu": "gelu_pytorch_tanh",
    "geglu_erf": "gelu",
    "reglu": "relu",
    "squared_reglu": "relu2",
    "glu": "sigmoid",
    "bilinear": "linear",
}

LAYER = {
    "attention_norm.scale": "input_layernorm.weight",
    "attention.q.weight": "self_attn.q_proj.weight",
    "attention.k.weight": "self_attn.k_proj.weight",
    "attention.v.weight": "self_attn.v_proj.weight",
    "attention.o.weight": "self_attn.o_proj.weight",
    "ffn_norm.scale": "post_attention_layernorm.weight",
    "ffn.w.weight": "mlp.gate_proj.weight",
    "ffn.v.weight": "mlp.up_proj.weight",
    "ffn.w2.weight": "mlp.down_proj.weight",
}


def theirs(name):
    """Their name of a parameter of the decoder."""
    if name.startswith("blocks."):
        _, layer, rest = name.split(".", 2)
        return f"model.layers.{layer}.{LAYER[rest]}"
    return {
        "embedding.weight": "model.embed_tokens.weight",
        "final_norm.scale": "model.norm.weight",
        "head.weight": "lm_head.weight",
    }[name]


def make_model(config, vocab_size, values):
    """LlamaForCausalLM in float32.

    config: the section `model` of a resolved configuration.
    values: the parameters of the decoder by logical name.
    """
    position, norm = config.get("position", {}), config.get("norm", {})
    expected = [
        (position.get("type", "rope"), "rope"),
        (norm.get("type", "rmsnorm"), "rmsnorm"),
        (config.get("bias", False), False),
    ]
    for received, wanted in expected:
        if received != wanted:
            raise SystemExit(f"model: received {received}; expected {wanted}")
    theta = float(position.get("theta", 10000))
    # version 5 has one field for all kinds of rope
    rope = (
        {"rope_theta": theta}
        if transformers.__version__.startswith("4.")
        else {"rope_parameters": {"rope_type": "default", "rope_theta": theta}}
    )
    heads, width = config["num_heads"], config["d_model"]
    made = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=vocab_size,
            hidden_size=width,
            intermediate_size=config["d_ff"],
            num_hidden_layers=config["num_layers"],
            num_attention_heads=heads,
            num_key_value_heads=config.get("num_kv_heads", heads),
            head_dim=config.get("head_dim", width // heads),
            hidden_act=ACTIVATIONS[config["ffn"]],
            max_position_embeddings=1 << 16,
            rms_norm_eps=float(norm.get("eps", 1e-6)),
            tie_word_embeddings=config.get("tie_embeddings", True),
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=None,
            **rope,
        )
    ).float()
    state = {theirs(name): value for name, value in values.items()}
    if config.get("tie_embeddings", True):
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    made.load_state_dict(state, strict=True)
    return made.eval()


def greedy(model, prompts, num_tokens):
    """num_tokens new ids after each of the prompts, lists of ids of equal length."""
    inputs = torch.tensor(prompts)
    with torch.no_grad():
        out = model.generate(
            inputs,
            attention_mask=torch.ones_like(inputs),
            max_new_tokens=num_tokens,
            do_sample=False,
            use_cache=True,
        )
    return out[:, inputs.shape[1] :].tolist()
