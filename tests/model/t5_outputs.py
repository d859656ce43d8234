"""Loss, logits and gradients of `transformers`' T5ForConditionalGeneration, float32, for the cases in FOLDER/cases.yaml.

Each case: name, variant (the paper's name), config (num_layers, num_decoder_layers, d_model, num_heads, head_dim, d_ff, num_buckets,
max_distance, tied), vocab_size, batch, inputs, targets, tensors (a list of [logical name, shape]). FOLDER/NAME.weights holds these tensors as fp32
one after the other, FOLDER/NAME.tokens inputs and targets as int64, -1 where a target is not scored. Written: FOLDER/NAME.outputs, float64: the
mean loss per scored target, the logits, the gradients in the order of the tensors.
"""

import math
import pathlib
import sys

import numpy as np
import torch
import yaml
from transformers import T5Config, T5ForConditionalGeneration

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
    "decoder": {"attention": (0, "SelfAttention"), "cross": (1, "EncDecAttention"), "ffn": (2, "DenseReluDense")},
}


def module_name(name, gated):
    """The name of a logical parameter there, and whether it lies the other way round."""
    words = name.split(".")
    if name == "embedding.weight":
        return "shared.weight", False
    if name == "head.weight":
        return "lm_head.weight", False
    stack = words[0]
    if words[1] == "position":
        return f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight", True
    if words[1] == "final_norm":
        return f"{stack}.final_layer_norm.weight", False
    sublayer, matrix = words[3].removesuffix("_norm"), words[4]
    index, module = SUBLAYERS[stack][sublayer]
    place = f"{stack}.block.{words[2]}.layer.{index}"
    if matrix == "scale":
        return f"{place}.layer_norm.weight", False
    if sublayer == "ffn":
        matrix = {"w": "wi_0" if gated else "wi", "v": "wi_1", "w2": "wo"}[matrix]
    return f"{place}.{module}.{matrix}.weight", False


def make_model(case):
    c = case["config"]
    config = T5Config(
        vocab_size=case["vocab_size"],
        d_model=c["d_model"],
        d_kv=c["head_dim"],
        d_ff=c["d_ff"],
        num_layers=c["num_layers"],
        num_decoder_layers=c["num_decoder_layers"],
        num_heads=c["num_heads"],
        relative_attention_num_buckets=c["num_buckets"],
        relative_attention_max_distance=c["max_distance"],
        dropout_rate=0.0,
        feed_forward_proj=FEED_FORWARD[case["variant"]],
        tie_word_embeddings=c["tied"],
        decoder_start_token_id=0,
        pad_token_id=0,
        use_cache=False,
    )
    return T5ForConditionalGeneration(config).eval()


def run(folder, case):
    model = make_model(case)
    gated = FEED_FORWARD[case["variant"]].startswith("gated-")
    parameters = dict(model.named_parameters())
    assert sum(p.numel() for p in parameters.values()) == sum(math.prod(shape) for _, shape in case["tensors"]), case["name"]
    values = torch.from_numpy(np.fromfile(folder / f"{case['name']}.weights", dtype=np.float32))
    places, first = [], 0
    with torch.no_grad():
        for name, shape in case["tensors"]:
            there, turned = module_name(name, gated)
            value = values[first : first + math.prod(shape)].view(shape)
            parameters[there].copy_(value.t() if turned else value)
            places.append((there, turned))
            first += math.prod(shape)
    assert {there for there, _ in places} == set(parameters)

    tokens = torch.from_numpy(np.fromfile(folder / f"{case['name']}.tokens", dtype=np.int64))
    inputs, targets = tokens.split([case["batch"] * case["inputs"], case["batch"] * case["targets"]])
    targets = targets.view(case["batch"], -1)
    out = model(input_ids=inputs.view(case["batch"], -1), labels=targets.masked_fill(targets < 0, -100))
    out.loss.backward()
    gradients = [parameters[there].grad.t() if turned else parameters[there].grad for there, turned in places]
    results = [out.loss.detach(), out.logits.detach()] + gradients
    torch.cat([x.flatten().double() for x in results]).numpy().tofile(folder / f"{case['name']}.outputs")


def main():
    torch.set_num_threads(1)
    folder = pathlib.Path(sys.argv[1])
    for case in yaml.safe_load((folder / "cases.yaml").read_text()):
        run(folder, case)


if __name__ == "__main__":
    main()
