#!/usr/bin/env python3
"""Trains the encoder-decoder with `transformers` and NumPy: reference losses for paper settings.

  paper_oracle.py --config RUN/config.yaml --initial RUN/checkpoints/step-0/model.safetensors
                  --batches FILE

Prints JSON. --batches: a safetensors file with `inputs` and `targets`, int32 [steps, sequences,
length], as written by `sluice train CONFIG --dump-batches FILE`. Targets below 0 are not scored.

Model: T5ForConditionalGeneration without dropout, in float32, with the weights of --initial; the
decoder inputs are the targets shifted right after the start token. Loss: cross-entropy
+ z_loss * (log Z)^2, summed over the scored targets and divided by their number in the whole step.
Optimizer: Adafactor in float64 from numpy_adafactor.py, one instance per matrix; learning rate
optimizer.lr * schedule.

Sizes are taken from the tensors; the YAML file provides everything else.
"""

import argparse
import json
import os

import numpy as np
from numpy_adafactor import Optimizer
from reference_t5 import untie_head
from reference_train import schedule_factor

# The paper's layers -> feed_forward_proj of transformers, whose `gelu` is the exact form.
PROJECTIONS = {
    "relu": "relu",
    "gelu": "gelu_new",
    "swish": "silu",
    "glu": "gated-sigmoid",
    "bilinear": "gated-linear",
    "reglu": "gated-relu",
    "geglu": "gated-gelu",
    "swiglu": "gated-silu",
    "gelu_erf": "gelu",
}


def transformers_names(num_layers, num_decoder_layers, gated, tied):
    """{name in Sluice: name in transformers}, which transposes the position bias tables."""
    ffn = {"w": "wi_0", "v": "wi_1", "w2": "wo"} if gated else {"w": "wi", "w2": "wo"}
    names = {"embedding.weight": "shared.weight"}
    if not tied:
        names["head.weight"] = "lm_head.weight"
    for stack, depth, sublayers in (
        ("encoder", num_layers, [("attention", "SelfAttention")]),
        (
            "decoder",
            num_decoder_layers,
            [("attention", "SelfAttention"), ("cross", "EncDecAttention")],
        ),
    ):
        names[f"{stack}.final_norm.scale"] = f"{stack}.final_layer_norm.weight"
        names[f"{stack}.position.weight"] = (
            f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        )
        for n in range(depth):
            here, there = f"{stack}.blocks.{n}", f"{stack}.block.{n}.layer"
            for place, (ours, theirs) in enumerate(sublayers):
                names[f"{here}.{ours}_norm.scale"] = f"{there}.{place}.layer_norm.weight"
                names.update(
                    {
                        f"{here}.{ours}.{part}.weight": f"{there}.{place}.{theirs}.{part}.weight"
                        for part in "qkvo"
                    }
                )
            last = len(sublayers)
            names[f"{here}.ffn_norm.scale"] = f"{there}.{last}.layer_norm.weight"
            names.update(
                {
                    f"{here}.ffn.{ours}.weight": f"{there}.{last}.DenseReluDense.{theirs}.weight"
                    for ours, theirs in ffn.items()
                }
            )
    return names


def is_transposed(name):
    return name.endswith(".position.weight")


def depth_of(tensors, stack):
    return len({name.split(".")[2] for name in tensors if name.startswith(f"{stack}.blocks.")})


def make_model(model_section, tensors, start):
    """(T5 with the weights `tensors`, {name in Sluice: parameter})."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    ffn = model_section.get("ffn", "swiglu")
    gated = "encoder.blocks.0.ffn.v.weight" in tensors
    tied = "head.weight" not in tensors
    if ffn not in PROJECTIONS:
        raise ValueError(f"model.ffn: {ffn}; expected one of {', '.join(PROJECTIONS)}")
    if float(model_section.get("dropout", 0.0)) != 0.0:
        raise ValueError(f"model.dropout: received {model_section['dropout']}; expected 0")
    vocab_size, d_model = tensors["embedding.weight"].shape
    num_heads, num_buckets = tensors["encoder.position.weight"].shape
    config = T5Config(
        vocab_size=vocab_size,
        d_model=d_model,
        num_heads=num_heads,
        d_kv=tensors["encoder.blocks.0.attention.q.weight"].shape[0] // num_heads,
        d_ff=tensors["encoder.blocks.0.ffn.w.weight"].shape[0],
        num_layers=depth_of(tensors, "encoder"),
        num_decoder_layers=depth_of(tensors, "decoder"),
        relative_attention_num_buckets=num_buckets,
        relative_attention_max_distance=int(
            model_section.get("position", {}).get("max_distance", 128)
        ),
        dropout_rate=0.0,
        layer_norm_epsilon=float(model_section.get("norm", {}).get("eps", 1e-6)),
        feed_forward_proj=PROJECTIONS[ffn],
        tie_word_embeddings=tied,
        decoder_start_token_id=start,
        pad_token_id=0,
        eos_token_id=1,
        use_cache=False,
    )
    model = T5ForConditionalGeneration(config).float().eval()
    if not tied:
        untie_head(model)
    names = transformers_names(config.num_layers, config.num_decoder_layers, gated, tied)
    if set(names) != set(tensors):
        raise ValueError(
            f"unexpected tensors {sorted(set(tensors) - set(names))}; "
            f"missing {sorted(set(names) - set(tensors))}"
        )
    theirs = dict(model.named_parameters())
    if set(names.values()) != set(theirs):
        raise ValueError(
            f"unmatched parameters of transformers: {sorted(set(theirs) ^ set(names.values()))}"
        )
    parameters = {name: theirs[their] for name, their in names.items()}
    with torch.no_grad():
        for name, parameter in parameters.items():
            value = torch.from_numpy(
                np.ascontiguousarray(tensors[name].T if is_transposed(name) else tensors[name])
            )
            if value.shape != parameter.shape:
                raise ValueError(
                    f"{name}: shape {list(value.shape)}; expected {list(parameter.shape)}"
                )
            parameter.copy_(value)
    return model, parameters


class Trainer:
    def __init__(self, model, parameters, config, start):
        if config["optimizer"].get("type", "adamw") != "adafactor":
            raise ValueError(
                f"optimizer.type: {config['optimizer'].get('type', 'adamw')}; expected adafactor"
            )
        self.model, self.parameters, self.start = model, parameters, start
        self.lr = float(config["optimizer"].get("lr", 1.0))
        self.z_loss = float(config["train"].get("z_loss", 0.0))
        self.optimizer = Optimizer(
            {name: tuple(p.shape) for name, p in parameters.items()}, config["optimizer"]
        )

    def losses(self, inputs_BT, targets_BT):
        """(cross-entropy in nats, (log Z)^2), summed over the scored targets."""
        import torch

        start_B1 = torch.full_like(targets_BT[:, :1], self.start)
        read_BT = torch.where(targets_BT < 0, self.start, targets_BT)
        shifted_BT = torch.cat([start_B1, read_BT[:, :-1]], dim=1)
        logits_BTV = self.model(input_ids=inputs_BT, decoder_input_ids=shifted_BT).logits.float()
        log_z_BT = torch.logsumexp(logits_BTV, dim=-1)
        target_BT = logits_BTV.gather(-1, targets_BT.clamp(min=0)[..., None])[..., 0]
        scored_BT = targets_BT >= 0
        return (log_z_BT - target_BT)[scored_BT].sum(), log_z_BT[scored_BT].square().sum()

    def step(self, inputs_BT, targets_BT, micro_batch, factor):
        """Takes a step. Returns (loss, log-perplexity, gradient norm) as numbers."""
        import torch

        num_targets = int((targets_BT >= 0).sum())
        loss, log_perplexity = 0.0, 0.0
        for begin in range(0, len(inputs_BT), micro_batch):
            rows = slice(begin, begin + micro_batch)
            cross_entropy, squared_log_z = self.losses(inputs_BT[rows], targets_BT[rows])
            part = (cross_entropy + self.z_loss * squared_log_z) / num_targets
            part.backward()
            loss += part.item()
            log_perplexity += cross_entropy.item() / num_targets
        values = {name: parameter.detach().numpy() for name, parameter in self.parameters.items()}
        gradients = {name: parameter.grad.numpy() for name, parameter in self.parameters.items()}
        updated, norm = self.optimizer.step(values, gradients, self.lr * factor)
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(torch.from_numpy(updated[name]))
                parameter.grad = None
        return loss, log_perplexity, norm


def read_tensors(path):
    from safetensors.numpy import load_file

    return load_file(path)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--config",
        required=True,
        help="YAML with the sections model, optimizer, schedule and train (no `extends`)",
    )
    parser.add_argument("--initial", required=True, help="model.safetensors to start from")
    parser.add_argument("--batches", required=True, help="dumped batches")
    parser.add_argument(
        "--start",
        type=int,
        default=0,
        help="id before the first target: the tokenizer's pad, or end of text if it has none "
        "(default: 0)",
    )
    parser.add_argument(
        "--micro-batch", type=int, default=0, help="sequences per pass (default: the whole step)"
    )
    parser.add_argument(
        "--steps", type=int, default=0, help="number of steps (default: all batches)"
    )
    parser.add_argument(
        "--total-steps",
        type=int,
        default=0,
        help="length of the schedule (default: train.steps of the YAML)",
    )
    parser.add_argument(
        "--threads", type=int, default=0, help="default: the processors available to the process"
    )
    arguments = parser.parse_args()

    import torch
    import transformers
    import yaml

    torch.set_num_threads(arguments.threads or len(os.sched_getaffinity(0)))
    with open(arguments.config, encoding="utf-8") as file:
        config = yaml.safe_load(file)
    model, parameters = make_model(
        config["model"], read_tensors(arguments.initial), arguments.start
    )
    trainer = Trainer(model, parameters, config, arguments.start)
    batches = read_tensors(arguments.batches)
    inputs, targets = (torch.from_numpy(batches[name]).long() for name in ("inputs", "targets"))
    count = min(arguments.steps or len(inputs), len(inputs))
    total_steps = arguments.total_steps or int(config["train"]["steps"])
    factors = [
        schedule_factor(config.get("schedule", {}), step, total_steps) for step in range(count)
    ]
    steps = [
        trainer.step(inputs[i], targets[i], arguments.micro_batch or inputs.shape[1], factors[i])
        for i in range(count)
    ]
    print(
        json.dumps(
            {
                "losses": [s[0] for s in steps],
                "log_perplexities": [s[1] for s in steps],
                "grad_norms": [s[2] for s in steps],
                "lr": [trainer.lr * factor for factor in factors],
                "transformers": transformers.__version__,
                "torch": torch.__version__,
                "threads": torch.get_num_threads(),
            }
        )
    )


if __name__ == "__main__":
    main()
