#!/usr/bin/env python3
"""Trains the decoder in plain PyTorch: reference losses for the tests, and the benchmark baseline.
With --bench also an encoder-decoder, unmodified T5 of `transformers`.

  reference_train.py --config RUN/config.yaml --initial model.safetensors --batches FILE
      prints losses as JSON
  reference_train.py --config bench.yaml --bench --dtype bf16
      prints tokens per second as JSON

--batches: a safetensors file with `inputs` and `targets`, int32 [steps, sequences, length], as
written by `sluice train CONFIG --dump-batches FILE`. Targets below 0 are not scored. Without it,
tokens are random.

Optimizer: AdamW (Loshchilov & Hutter 2019) with decay on two-dimensional tensors only, Adafactor
from numpy_adafactor.py or Muon from numpy_muon.py. Gradients are clipped to the global norm
clip_norm. The learning rate is lr * factor(step), with steps counted from 0 (formulas:
src/optim/schedule.h). Sums over micro-batches are divided by the number of scored targets in the
whole step.

Tuned for speed as a user would: SDPA, fused AdamW, autocast for bf16, packed projections, and glibc
configured to retain freed memory (MALLOC_MMAP_THRESHOLD_, MALLOC_TRIM_THRESHOLD_; the script
restarts itself to set them).
"""

import argparse
import json
import math
import os
import resource
import sys
import time

ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(4 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
}


def restart_with_allocator():
    if any(os.environ.get(name) != value for name, value in ALLOCATOR.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})


def seconds_since_process_start():
    """Since the start of the process, also across an exec; resolution 10 ms."""
    with open("/proc/self/stat", encoding="ascii") as file:
        started_ticks = int(file.read().rsplit(")", 1)[1].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_ticks / os.sysconf("SC_CLK_TCK")


def schedule_factor(schedule, step, total_steps):
    """Factor of the peak learning rate for the step after `step` finished steps."""
    kind = schedule.get("type", "cosine")
    default_warmup = {"cosine": 50, "wsd": 50, "inverse_sqrt": 1000}.get(kind, 0)
    warmup = int(schedule.get("warmup_steps", default_warmup))
    if step < warmup:
        return (step + 1) / warmup
    t = (step - warmup) / max(total_steps - warmup, 1)
    final = float(schedule.get("final_fraction", 0.1 if kind == "cosine" else 0.0))
    if kind == "constant":
        return 1.0
    if kind == "linear":
        return 1 - (1 - final) * t
    if kind == "cosine":
        return final + (1 - final) * (1 + math.cos(math.pi * t)) / 2
    if kind == "inverse_sqrt":
        return math.sqrt(max(warmup, 1) / (step + 1))
    if kind == "t5":
        fixed = schedule.get("total_steps", "auto")
        total = total_steps if fixed == "auto" else int(fixed)
        decay_steps = float(schedule.get("decay_fraction", 0.1)) * total
        decay = min(max((total - step) / decay_steps, 0.0), 1.0) if decay_steps > 0 else 1.0
        return decay / math.sqrt(max(step, int(schedule.get("constant_steps", 10_000))))
    if kind == "wsd":
        decay_steps = float(schedule.get("decay_fraction", 0.2)) * total_steps
        decay = (total_steps - step) / decay_steps if decay_steps > 0 else 1.0
        return final + (1 - final) * min(decay, 1.0)
    raise ValueError(
        f"schedule.type: {kind}; expected constant, linear, cosine, inverse_sqrt, wsd or t5"
    )


class Trainer:
    """`model` is on `device`; `dtype`: fp32, bf16 (autocast), or fp64 for a model in float64."""

    def __init__(self, model, optimizer_config, dtype, device="cpu"):
        import torch

        self.torch, self.model, self.dtype, self.device = torch, model, dtype, device
        self.in_numpy = None
        kind = optimizer_config.get("type", "adamw")
        if kind in ("adafactor", "muon"):
            self.use_numpy(kind, optimizer_config)
            return
        if kind != "adamw":
            raise ValueError(f"optimizer.type: {kind}; expected adamw, adafactor or muon")
        self.lr = float(optimizer_config.get("lr", 2e-3))
        self.clip_norm = float(optimizer_config.get("clip_norm", 1.0))
        decays, others = [], []
        for name, p in model.named_parameters():
            is_matrix = p.dim() == 2 and not name.endswith("relative_attention_bias.weight")
            (decays if is_matrix else others).append(p)
        weight_decay = float(optimizer_config.get("weight_decay", 0.1))
        groups = [
            {"params": decays, "weight_decay": weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        betas = tuple(float(b) for b in optimizer_config.get("betas", (0.9, 0.95)))
        self.optimizer = torch.optim.AdamW(
            groups,
            lr=self.lr,
            betas=betas,
            eps=float(optimizer_config.get("eps", 1e-8)),
            fused=True,
        )

    def use_numpy(self, kind, optimizer_config):
        import numpy_adafactor
        import numpy_muon
        import reference_model

        self.logical_parameters = reference_model.logical_parameters
        shapes = {n: tuple(v.shape) for n, v in self.logical_parameters(self.model).items()}
        if kind == "adafactor":
            self.lr = float(optimizer_config.get("lr", 1.0))
            self.in_numpy = numpy_adafactor.Optimizer(shapes, optimizer_config)
            return
        self.lr = float(optimizer_config.get("lr", 2e-3))
        decays = {
            name
            for name, shape in shapes.items()
            if len(shape) == 2 and not name.endswith("relative_attention_bias.weight")
        }
        self.in_numpy = numpy_muon.Optimizer(shapes, decays, optimizer_config)

    def step(self, inputs_BT, targets_BT, micro_batch, factor):
        """Takes an optimizer step.

        Returns (loss in nats per target, gradient norm before clipping) as tensors.
        """
        num_targets = int((targets_BT >= 0).sum())
        loss = 0.0
        for begin in range(0, len(inputs_BT), micro_batch):
            rows = slice(begin, begin + micro_batch)
            with self.torch.autocast(
                self.device, self.torch.bfloat16, enabled=self.dtype == "bf16"
            ):
                part = self.model.loss_sum(inputs_BT[rows], targets_BT[rows]) / num_targets
            part.backward()
            loss = loss + part.detach()
        if self.in_numpy is not None:
            return loss, self.step_in_numpy(factor)
        norm = self.torch.nn.utils.get_total_norm([p.grad for p in self.model.parameters()])
        if self.clip_norm > 0:
            scale = self.torch.clamp(self.clip_norm / norm, max=1.0)
            self.torch._foreach_mul_([p.grad for p in self.model.parameters()], scale)
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * factor
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss, norm

    def step_in_numpy(self, factor):
        values = self.logical_parameters(self.model)
        gradients = self.logical_parameters(self.model, of=lambda parameter: parameter.grad)
        updated, norm = self.in_numpy.step(
            {n: v.cpu().numpy() for n, v in values.items()},
            {n: g.cpu().numpy() for n, g in gradients.items()},
            self.lr * factor,
        )
        for name, value in values.items():
            value.copy_(self.torch.from_numpy(updated[name]))
        self.model.zero_grad(set_to_none=True)
        return self.torch.tensor(norm)


def read_batches(arguments, config, vocab_size):
    import torch
    from safetensors.torch import load_file

    if arguments.batches:
        tensors = load_file(arguments.batches)
        inputs, targets = tensors["inputs"].long(), tensors["targets"].long()
        if inputs.shape != targets.shape or inputs.dim() != 3:
            raise SystemExit(
                f"{arguments.batches}: inputs {list(inputs.shape)}, targets "
                f"{list(targets.shape)}; expected both [steps, sequences, length]"
            )
        return inputs, targets
    train = config.get("train", {})
    if config["model"].get("type") == "encoder_decoder":
        import reference_t5

        length = int(config["objective"].get("input_length", 512))
        shapes = [
            (8, int(train.get("batch_sequences", 16)), n)
            for n in (length, reference_t5.target_length(length))
        ]
        generator = torch.Generator().manual_seed(1)
        return tuple(torch.randint(vocab_size, shape, generator=generator) for shape in shapes)
    shape = (8, int(train.get("batch_sequences", 16)), int(train.get("sequence_length", 256)) + 1)
    tokens = torch.randint(vocab_size, shape, generator=torch.Generator().manual_seed(1))
    return tokens[..., :-1].contiguous(), tokens[..., 1:].contiguous()


def make_model(arguments, config):
    import reference_model
    import torch

    if arguments.initial:
        return reference_model.load_model(arguments.initial, arguments.config)
    torch.manual_seed(1)
    vocab = config["model"].get("vocab_size", "auto")
    if vocab == "auto":
        vocab = config["tokenizer"].get(
            "vocab_size", 257 if config["tokenizer"].get("type") == "bytes" else 4096
        )
    if config["model"].get("type") == "encoder_decoder":
        import reference_t5

        rows = int(vocab) + int(config["objective"].get("sentinels", 100))
        return reference_t5.Peer(config["model"], -(-rows // 128) * 128)
    shape = reference_model.shape_from_yaml(
        config["model"], int(vocab), int(config["train"].get("sequence_length", 256))
    )
    return reference_model.Decoder(shape)


def reproduce(arguments, config, trainer, inputs, targets):
    """Trains on each dumped batch once. Losses are as in Sluice's metrics."""
    total_steps = arguments.total_steps or int(config["train"]["steps"])
    losses, norms, rates = [], [], []
    for step in range(min(arguments.steps or len(inputs), len(inputs))):
        factor = schedule_factor(config.get("schedule", {}), step, total_steps)
        loss, norm = trainer.step(
            inputs[step], targets[step], arguments.micro_batch or inputs.shape[1], factor
        )
        losses.append(loss.item())
        norms.append(norm.item())
        rates.append(trainer.lr * factor)
    return {"losses": losses, "grad_norms": norms, "lr": rates}


def bench(arguments, trainer, inputs, targets):
    """Times steps over the batches in rotation. Reads the loss once, at the end, as in logging."""
    seconds, first_step_s = [], None
    for step in range(arguments.warmup_steps + arguments.steps):
        began = time.perf_counter()
        row = step % len(inputs)
        loss, _ = trainer.step(
            inputs[row], targets[row], arguments.micro_batch or inputs.shape[1], 1.0
        )
        seconds.append(time.perf_counter() - began)
        if step == 0:
            first_step_s = seconds_since_process_start()
            print("first step", file=sys.stderr, flush=True)
    measured = seconds[arguments.warmup_steps :]
    # For an encoder-decoder, both inputs and targets count.
    tokens_per_step = inputs[0].numel() + (
        targets[0].numel() if inputs.shape != targets.shape else 0
    )
    return {
        "tokens_per_s": tokens_per_step * len(measured) / sum(measured) if measured else None,
        "step_s": measured,
        "first_step_s": first_step_s,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "num_parameters": sum(p.numel() for p in trainer.model.parameters()),
        "loss": loss.item(),
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--config",
        required=True,
        help="YAML with the sections model, optimizer, schedule and train (no `extends`)",
    )
    parser.add_argument(
        "--initial", help="model.safetensors to start from (default: random weights)"
    )
    parser.add_argument("--batches", help="dumped batches")
    parser.add_argument("--dtype", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument(
        "--micro-batch", type=int, default=0, help="sequences per pass (default: the whole step)"
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=0,
        help="number of steps (default: all batches; with --bench 20)",
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
    parser.add_argument("--bench", action="store_true")
    parser.add_argument(
        "--warmup-steps", type=int, default=3, help="steps before the measured ones"
    )
    parser.add_argument(
        "--final", help="write the weights after the last step to this safetensors file"
    )
    arguments = parser.parse_args()
    restart_with_allocator()

    import reference_model
    import torch

    torch.set_num_threads(arguments.threads or len(os.sched_getaffinity(0)))
    config = reference_model.read_yaml(arguments.config)
    model = make_model(arguments, config)
    inputs, targets = read_batches(arguments, config, model.shape.vocab_size)
    trainer = Trainer(model, config.get("optimizer", {}), arguments.dtype)
    if arguments.bench:
        arguments.steps = arguments.steps or 20
        result = bench(arguments, trainer, inputs, targets)
    else:
        result = reproduce(arguments, config, trainer, inputs, targets)
    if arguments.final:
        reference_model.save_parameters(model, arguments.final)
    print(
        json.dumps(
            {
                "dtype": arguments.dtype,
                "torch": torch.__version__,
                "threads": torch.get_num_threads(),
                **result,
            }
        )
    )


if __name__ == "__main__":
    main()
