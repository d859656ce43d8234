#!/usr/bin/env python3
"""Compares two builds of Sluice: losses and checkpoints of the same runs must be bit-identical.

  bit_identity.py OLD [NEW]                      OLD: program of an earlier revision
                                                 NEW: default build/sluice
  bit_identity.py OLD --steps 20 --only decoder  quick run

A refactoring must not change any figure. Cases: both architectures, both optimizers, fp32 and bf16,
200 steps each, without dropout, on the King James Bible. Compared per case: each line of
metrics.jsonl except for timings, and the bytes of each tensor in the last checkpoint
(model.safetensors and optimizer.safetensors). Both programs use the same number of threads.

To build an earlier revision:

  git worktree add /tmp/old REVISION
  cmake -S /tmp/old -B /tmp/old/build -C build/setup.cmake -DCMAKE_BUILD_TYPE=Release
  cmake --build /tmp/old/build --target sluice

Exit codes: 0 all equal, 1 a difference, 2 wrong usage or a failed program.
"""

import argparse
import functools
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

COMMON = """
run:        {{name: identity, dir: {folder}/run, seed: 1}}
tokenizer:  {{type: sentencepiece, algorithm: bpe, vocab_size: 2048}}
train:
  {{steps: {steps}, batch_sequences: 8, micro_batch_sequences: 4, threads: {threads},
   precision: {precision}{length}}}
evaluate:   {{every_steps: {half}, max_tokens: 20000, final_max_tokens: 20000}}
checkpoint: {{every_steps: {half}, keep_last: 1, keep_best: false}}
"""
ARCHITECTURES = {
    "decoder": """
corpus:    {{train: [{corpus}], format: paragraphs, prepared_dir: {prepared}}}
model:     {{type: decoder, num_layers: 2, d_model: 128, num_heads: 4, num_kv_heads: 2, ffn: {ffn}}}
""",
    "encoder_decoder": """
corpus:
  {{train: [{corpus}], format: paragraphs, separator: none, prepared_dir: {prepared}}}
objective: {{type: span_corruption, input_length: 128, sentinels: 30}}
model:     {{type: encoder_decoder, num_layers: 2, d_model: 128, num_heads: 4, ffn: {ffn}}}
""",
}
OPTIMIZERS = {
    "adamw": """
optimizer: {{type: adamw, lr: 1e-3, clip_norm: 1.0}}
schedule:  {{type: cosine, warmup_steps: 20}}
""",
    "adafactor": """
optimizer: {{type: adafactor, lr: 1.0, factored_min_dim: 64}}
schedule:  {{type: t5, constant_steps: 100}}
""",
}


def stop(message):
    sys.exit(f"bit_identity: {message}")


def cases(options):
    """(name, function of `folder` that returns the YAML configuration) of each case."""
    layers = iter(["swiglu", "gelu", "geglu", "relu", "reglu", "swish", "glu", "bilinear"])
    for architecture, model_sections in ARCHITECTURES.items():
        for optimizer, optimizer_sections in OPTIMIZERS.items():
            for precision in ("fp32", "bf16"):
                ffn = next(layers)
                name = f"{architecture}, {optimizer}, {precision}, {ffn}"
                if options.only in name:
                    make_config = functools.partial(
                        (COMMON + model_sections + optimizer_sections).format,
                        corpus=options.corpus,
                        prepared=options.work / "prepared",
                        steps=options.steps,
                        half=options.steps // 2,
                        threads=options.threads,
                        precision=precision,
                        length=", sequence_length: 128" if architecture == "decoder" else "",
                        ffn=ffn,
                    )
                    yield name, make_config


def train(program, folder, config):
    folder.mkdir()
    (folder / "config.yaml").write_text(config)
    result = subprocess.run(
        [program, "train", folder / "config.yaml"], capture_output=True, text=True
    )
    if result.returncode != 0:
        sys.stderr.write(result.stderr[-2000:])
        print(f"bit_identity: {program}: exit code {result.returncode}", file=sys.stderr)
        sys.exit(2)
    return folder / "run"


def lines_of(run):
    """metrics.jsonl without timings."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("time", None)
    return lines


def tensors_of(path):
    """{name: (dtype, shape, hash of the bytes)} of a safetensors file."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    body = memoryview(data)[8 + size :]
    return {
        name: (t["dtype"], t["shape"], hashlib.sha256(body[slice(*t["data_offsets"])]).hexdigest())
        for name, t in header.items()
    }


def tensor_differences(old, new):
    """One line for each file of two checkpoints in which tensors differ."""
    for file in ("model.safetensors", "optimizer.safetensors"):
        a, b = tensors_of(old / file), tensors_of(new / file)
        wrong = sorted(name for name in {**a, **b} if a.get(name) != b.get(name))
        if wrong:
            count = f"{len(wrong)} of {len(a)} tensors differ"
            yield f"{old.name}/{file}: {count}, the first is {wrong[0]}"


def differences(old, new):
    """One line for the first difference of each kind."""
    before, after = lines_of(old), lines_of(new)
    if len(before) != len(after):
        yield f"metrics.jsonl: {len(before)} and {len(after)} lines"
    for a, b in zip(before, after, strict=False):
        if a != b:
            key = next(k for k in {**a, **b} if a.get(k) != b.get(k))
            yield f"metrics.jsonl, step {a.get('step')}: {key} {a.get(key)} and {b.get(key)}"
            break
    checkpoint = sorted(old.glob("checkpoints/step-*"), key=lambda path: int(path.name[5:]))[-1]
    yield from tensor_differences(checkpoint, new / "checkpoints" / checkpoint.name)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=pathlib.Path)
    parser.add_argument("new", type=pathlib.Path, nargs="?", default=ROOT / "build/sluice")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--corpus", type=pathlib.Path, default=ROOT / "data/kjv.txt")
    options = parser.parse_args()
    for path in (options.old, options.new, options.corpus):
        if not path.exists():
            stop(f"{path}: file not found")
    if options.steps < 2:
        stop(f"--steps: received {options.steps}; expected at least 2")
    different = 0
    with tempfile.TemporaryDirectory() as work:
        options.work = pathlib.Path(work)
        for number, (name, make_config) in enumerate(cases(options)):
            runs = []
            for which, program in (("old", options.old), ("new", options.new)):
                folder = options.work / f"{number}-{which}"
                runs.append(train(program.resolve(), folder, make_config(folder=folder)))
            found = list(differences(*runs))
            different += bool(found)
            last = lines_of(runs[1])[-1]
            print(
                f"{'DIFFERS' if found else 'equal'}  {name}, {options.steps} steps, "
                f"final {json.dumps(last)[:90]}"
            )
            for line in found:
                print(f"         {line}")
    print(f"bit_identity: {different} of {number + 1} cases differ")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
