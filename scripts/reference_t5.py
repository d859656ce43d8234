"""T5 of `transformers` (4.57.6 or 5.24.0) with Sluice's names: a test reference for the
encoder-decoder, and the baseline of its benchmark.

The two versions interpret `tie_word_embeddings` differently (tests/scripts/test_t5_versions.py):
4  If true, the output matrix is the embedding and the decoder's outputs are scaled by d_model^-0.5.
5  If true, the decoder's outputs are scaled (`scale_decoder_outputs`); the output matrix is always
   the embedding.
make_model follows version 4 and the paper's code with both: tied and scaled, or neither.
"""

import math
import types

# The paper's names -> feed_forward_proj. In transformers, `gated-gelu` is the tanh form, `gelu` the
# erf form.
FEED_FORWARD = {
    "relu": "relu",
    "gelu": "gelu_new",
    "swish": "silu",
    "glu": "gated-sigmoid",
    "bilinear": "gated-linear",
    "reglu": "gated-relu",
    "geglu": "gated-gelu",
    "swiglu": "gated-silu",
}
SUBLAYERS = {
    "encoder": {"attention": (0, "SelfAttention"), "ffn": (1, "DenseReluDense")},
    "decoder": {
        "attention": (0, "SelfAttention"),
        "cross": (1, "EncDecAttention"),
        "ffn": (2, "DenseReluDense"),
    },
}


def transformers_name(name, gated):
    """(name in transformers, whether it is transposed) of a logical parameter."""
    words = name.split(".")
    if name in ("embedding.weight", "head.weight"):
        return {"embedding.weight": "shared.weight", "head.weight": "lm_head.weight"}[name], False
    stack = words[0]
    if words[1] == "position":
        return f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight", True
    if words[1] == "final_norm":
        return f"{stack}.final_layer_norm.weight", False
    index, module = SUBLAYERS[stack][words[3].removesuffix("_norm")]
    place = f"{stack}.block.{words[2]}.layer.{index}"
    if words[4] == "scale":
        return f"{place}.layer_norm.weight", False
    matrix = words[4]
    if words[3] == "ffn":
        matrix = {"w": "wi_0" if gated else "wi", "v": "wi_1", "w2": "wo"}[matrix]
    return f"{place}.{module}.{matrix}.weight", False


def is_gated(variant):
    return FEED_FORWARD[variant].startswith("gated-")


def untie_head(model):
    """Gives `model` an output matrix separate from the embedding. Returns `model`."""
    from torch.nn import Parameter

    if model.lm_head.weight is model.shared.weight:
        model.lm_head.weight = Parameter(model.shared.weight.detach().clone())
    return model


def make_model(section, vocab_size, start_id=0, attention=None):
    """T5ForConditionalGeneration.

    section: the YAML section `model`; keys may be missing, `auto` or `match`.
    vocab_size: rows of the embedding, including padding.
    attention: None for the default of the version, or "eager", the only one in version 4.
    """
    from transformers import T5Config, T5ForConditionalGeneration

    def given(key, default):
        value = section.get(key, "auto")
        return default if value in ("auto", "match") else value

    d_model, variant = int(section["d_model"]), section.get("ffn", "swiglu")
    reference = int(given("d_ff_reference", 4 * d_model))
    position = section.get("position", {})
    tied = section.get("tie_embeddings", True)
    model = T5ForConditionalGeneration(
        T5Config(
            vocab_size=vocab_size,
            d_model=d_model,
            d_kv=int(given("head_dim", d_model // int(section["num_heads"]))),
            d_ff=int(given("d_ff", round(reference * 2 / 3) if is_gated(variant) else reference)),
            num_layers=int(section["num_layers"]),
            num_decoder_layers=int(given("num_decoder_layers", section["num_layers"])),
            num_heads=int(section["num_heads"]),
            relative_attention_num_buckets=int(position.get("num_buckets", 32)),
            relative_attention_max_distance=int(position.get("max_distance", 128)),
            dropout_rate=float(section.get("dropout", 0.0)),
            feed_forward_proj=FEED_FORWARD[variant],
            tie_word_embeddings=tied,
            decoder_start_token_id=start_id,
            pad_token_id=start_id,
            use_cache=False,
            attn_implementation=attention,
        )
    )
    return model if tied else untie_head(model)


def matching_parameters(model, tensors, gated):
    """[(parameter, whether it is transposed)] of each (logical name, shape) in `tensors`.

    Asserts that `tensors` covers each parameter of the model once.
    """
    parameters = dict(model.named_parameters())
    names = [transformers_name(name, gated) for name, _ in tensors]
    assert sorted(name for name, _ in names) == sorted(parameters), sorted(
        {name for name, _ in names} ^ set(parameters)
    )
    assert sum(p.numel() for p in parameters.values()) == sum(
        math.prod(shape) for _, shape in tensors
    )
    return [(parameters[name], transposed) for name, transposed in names]


def target_length(input_length, noise_density=0.15, mean_span_length=3.0):
    """Target length of span corruption for this input length.

    The raw segment is the longest that yields at most `input_length` inputs.
    """

    def lengths(raw):
        noise = min(max(round(raw * noise_density), 1), raw - 1)  # round() is half to even
        spans = max(round(noise / mean_span_length), 1)
        return raw - noise + spans + 1, noise + spans + 1

    raw = input_length
    while lengths(raw + 1)[0] <= input_length:
        raw += 1
    if lengths(raw)[0] != input_length:
        raise SystemExit(
            f"objective.input_length: {input_length}; no segment length yields exactly that many"
        )
    return lengths(raw)[1]


class Peer:
    """The model with the interface that reference_train.Trainer expects."""

    def __init__(self, section, vocab_size):
        self.shape = types.SimpleNamespace(vocab_size=vocab_size)
        self.model = make_model(section, vocab_size).train()

    def parameters(self):
        return self.model.parameters()

    def named_parameters(self):
        return self.model.named_parameters()

    def loss_sum(self, inputs_BS, targets_BT):
        labels = targets_BT.masked_fill(targets_BT < 0, -100)
        return self.model(input_ids=inputs_BS, labels=labels).loss * (labels >= 0).sum()
