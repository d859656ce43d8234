#!/usr/bin/env python3
"""A model of configs/bench_gpu_*.yaml in PyTorch on one device: the peer of scripts/bench/gpu.py.

  gpu_peer.py --config FILE --kind eager|compile|reduce-overhead --device cuda
      trains one step, prints a line of JSON, then for each line `N` of stdin trains N steps and
      prints their times and the peak memory
  gpu_peer.py --config FILE --device cuda --initial WEIGHTS --batches FILE
      prints the loss in fp32 of the first dumped batch (see scripts/reference_train.py)

Decoder: that of reference_model.py, with its rotary table on the device. Encoder-decoder:
unmodified T5 of `transformers`. Tuned as a user would: bf16 autocast, SDPA, fused AdamW, fp32
products that remain in TF32, `torch.compile` of model and loss. Each step is synchronized.
"""

import argparse
import json
import pathlib
import resource
import sys
import time

import torch

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import reference_model  # noqa: E402
import reference_t5  # noqa: E402
import reference_train  # noqa: E402

NUM_BATCHES = 8  # in rotation, so that the model does not memorize one


class Decoder(reference_model.Decoder):
    """reference_model.Decoder whose forward pass returns the mean loss."""

    def __init__(self, shape, length):
        super().__init__(shape)
        for name, table in zip(
            ("cos", "sin"),
            reference_model.rotary_table(length, shape.head_dim, shape.theta),
            strict=True,
        ):
            self.register_buffer(name, table, persistent=False)

    def rotary(self, length):
        return self.cos[:length], self.sin[:length]

    def hidden(self, inputs_BT):
        x_BTD = self.embedding(inputs_BT)
        rotary = self.rotary(inputs_BT.shape[1])
        for block in self.blocks:
            x_BTD = block(x_BTD, rotary)
        return self.final_norm(x_BTD)

    def forward(self, inputs_BT, targets_BT):
        logits = torch.nn.functional.linear(self.hidden(inputs_BT), self.embedding.weight)
        return torch.nn.functional.cross_entropy(
            logits.flatten(0, 1).float(), targets_BT.flatten(), ignore_index=-1
        )


class T5(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model.train()

    def forward(self, inputs_BS, targets_BT):
        labels = targets_BT.masked_fill(targets_BT < 0, -100)
        return self.model(input_ids=inputs_BS, labels=labels).loss


def is_decoder(config):
    return config["model"].get("type", "decoder") == "decoder"


def make_model(config):
    """(model, rows of the embedding)"""
    vocab_size = int(config["tokenizer"]["vocab_size"])
    if is_decoder(config):
        length = int(config["train"]["sequence_length"])
        shape = reference_model.shape_from_yaml(config["model"], vocab_size, length)
        if shape.position != "rope" or not shape.tie_embeddings:
            raise SystemExit("gpu_peer: expected rotary positions and tied embeddings")
        return Decoder(shape, length), vocab_size
    rows = -(-(vocab_size + int(config["objective"].get("sentinels", 100))) // 128) * 128
    return T5(reference_t5.make_model(config["model"], rows)), rows


def random_batches(config, vocab_size, device):
    train = config["train"]
    B = int(train["batch_sequences"])
    generator = torch.Generator().manual_seed(1)
    if is_decoder(config):
        T = int(train["sequence_length"])
        tokens = torch.randint(vocab_size, (NUM_BATCHES, B, T + 1), generator=generator)
        inputs, targets = tokens[..., :-1], tokens[..., 1:]
    else:
        S = int(config["objective"]["input_length"])
        shapes = [(NUM_BATCHES, B, n) for n in (S, reference_t5.target_length(S))]
        inputs, targets = (torch.randint(1, vocab_size, s, generator=generator) for s in shapes)
    return list(zip(inputs.contiguous().to(device), targets.contiguous().to(device), strict=True))


class Trainer:
    def __init__(self, arguments, config):
        self.device = arguments.device
        torch.manual_seed(1)
        torch.set_float32_matmul_precision("high")
        model, rows = make_model(config)
        model = model.to(self.device)
        self.parameters = list(model.parameters())
        self.batches = random_batches(config, rows, self.device)
        self.forward = model
        if arguments.kind != "eager":
            mode = arguments.kind if arguments.kind != "compile" else None
            self.forward = torch.compile(
                model,
                mode=mode if arguments.backend == "inductor" else None,
                backend=arguments.backend,
                dynamic=False,
            )
        settings = config["optimizer"]
        self.clip_norm = float(settings["clip_norm"])
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=float(settings["lr"]),
            betas=tuple(float(beta) for beta in settings["betas"]),
            weight_decay=float(settings["weight_decay"]),
            fused=True,
        )
        self.step_number = 0

    def step(self):
        """Seconds of one step, synchronized."""
        start = time.perf_counter()
        inputs, targets = self.batches[self.step_number % NUM_BATCHES]
        self.step_number += 1
        torch.compiler.cudagraph_mark_step_begin()
        with torch.autocast(self.device, torch.bfloat16):
            loss = self.forward(inputs, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    def peak_bytes(self):
        if self.device == "cuda":
            return torch.cuda.max_memory_allocated()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def loss_of(arguments, config):
    """In fp32, for the weights and the batch that the program wrote."""
    from safetensors.torch import load_file

    torch.set_float32_matmul_precision("highest")
    batches = load_file(arguments.batches)
    inputs, targets = (
        batches[name][0].long().to(arguments.device) for name in ("inputs", "targets")
    )
    if is_decoder(config):
        model = reference_model.load_model(arguments.initial, arguments.config)
        peer = Decoder(model.shape, inputs.shape[1])
        peer.load_state_dict(model.state_dict())
    else:
        import paper_oracle

        tensors = {name: t.numpy() for name, t in load_file(arguments.initial).items()}
        peer = T5(paper_oracle.make_model(config["model"], tensors, arguments.start)[0])
    with torch.no_grad():
        return peer.to(arguments.device)(inputs, targets).item()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", required=True, help="YAML file without `extends`")
    parser.add_argument("--kind", choices=["eager", "compile", "reduce-overhead"], default="eager")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--backend", default="inductor", help="of torch.compile")
    parser.add_argument("--initial", help="model.safetensors of the program")
    parser.add_argument("--batches", help="dumped batches")
    parser.add_argument("--start", type=int, default=256, help="id before the first target")
    arguments = parser.parse_args()
    config = reference_model.read_yaml(arguments.config)
    if arguments.initial:
        print(json.dumps({"loss": loss_of(arguments, config)}), flush=True)
        return
    trainer = Trainer(arguments, config)
    trainer.step()
    first = {
        "first_step_s": reference_train.seconds_since_process_start(),
        "num_parameters": sum(p.numel() for p in trainer.parameters),
    }
    print(json.dumps(first), flush=True)
    for line in sys.stdin:
        seconds = [trainer.step() for _ in range(int(line))]
        print(json.dumps({"step_s": seconds, "peak_bytes": trainer.peak_bytes()}), flush=True)


if __name__ == "__main__":
    main()
