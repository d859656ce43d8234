"""Generation speed of Sluice and of `transformers` with the same weights, on a CPU.

Exports the newest checkpoint of RUN (a decoder that scripts/reference_llama.py holds) to a
LlamaForCausalLM in memory, in the precision of the run, and measures both in turn: greedy
continuations of the same prompts, in new tokens per second of the whole batch. Sluice runs as a
process, so its time is the difference between two lengths; that of `transformers` is measured in
the same way. In fp32 the texts must be equal. On a machine with other work, --cpu-time measures the
processor time instead; the run should then have one thread (train.threads: 1).

  python3 scripts/bench/generate.py runs/small --batch 1 8
"""

import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import sentencepiece
import torch
import yaml
from safetensors.torch import load_file

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import reference_llama  # noqa: E402

PROGRAM = pathlib.Path(__file__).resolve().parents[2] / "build" / "sluice"
PROMPT = "In the beginning God created the heaven and the earth. And the earth was without form"


class Clock:
    cpu_time = False

    def __call__(self, of_children=False):
        if not self.cpu_time:
            return time.perf_counter()
        who = resource.RUSAGE_CHILDREN if of_children else resource.RUSAGE_SELF
        usage = resource.getrusage(who)
        return usage.ru_utime + usage.ru_stime


clock = Clock()


def newest(run):
    checkpoints = sorted(run.glob("checkpoints/step-*"), key=lambda p: int(p.name[5:]))
    if not checkpoints:
        sys.exit(f"{run}: no checkpoint; train the run first")
    return checkpoints[-1]


def ours(run, prompts, num_tokens):
    """(seconds of the process, ids of each text)"""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts)
        file.flush()
        started = clock(of_children=True)
        lines = subprocess.run(
            [PROGRAM, "generate", run, "--input", file.name, "--batch", str(len(prompts))]
            + ["--temperature", "0", "--tokens", str(num_tokens)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        seconds = clock(of_children=True) - started
    tokens = [json.loads(line)["tokens"] for line in lines]
    for ids in tokens:
        if len(ids) != num_tokens:
            sys.exit(f"{run}: a text of {len(ids)} tokens; expected {num_tokens} (the end token)")
    return seconds, tokens


def theirs(model, prompt_ids, num_tokens):
    started = clock()
    tokens = reference_llama.greedy(model, prompt_ids, num_tokens)
    return clock() - started, tokens


def end_token(checkpoint):
    file = checkpoint / "tokenizer.model"
    if not file.exists():
        return 256  # of the byte tokenizer
    return sentencepiece.SentencePieceProcessor(model_file=str(file)).eos_id()


def prompt_ids(run, eos):
    """The ids that Sluice reads before it generates: the end token, then the prompt."""
    out = subprocess.run(
        [PROGRAM, "score", run, "--text", PROMPT, "--json"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [eos, *json.loads(out)["tokens"]]


def rate(measure, batch, lengths):
    """New tokens per second of the whole batch, and the longer texts."""
    (short, _), (long, tokens) = (measure(length) for length in lengths)
    return batch * (lengths[1] - lengths[0]) / (long - short), tokens


def compare(args, model, ids, batch):
    lengths = (args.tokens // 5, args.tokens)
    rates = {"sluice": [], "transformers": []}
    for _ in range(args.rounds):
        our_rate, our_tokens = rate(lambda n: ours(args.run, [PROMPT] * batch, n), batch, lengths)
        their_rate, their_tokens = rate(lambda n: theirs(model, [ids] * batch, n), batch, lengths)
        rates["sluice"].append(our_rate)
        rates["transformers"].append(their_rate)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "batch": batch,
        "tokens_per_s": {name: round(value, 1) for name, value in medians.items()},
        "ratios": [
            round(a / b, 2) for a, b in zip(rates["sluice"], rates["transformers"], strict=True)
        ],
        "same_text": our_tokens == their_tokens,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--tokens", type=int, default=160, help="length of the longer texts")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpu-time", action="store_true")
    args = parser.parse_args()
    clock.cpu_time = args.cpu_time
    checkpoint = newest(args.run)
    config = yaml.safe_load((args.run / "config.yaml").read_text())
    values = load_file(checkpoint / "model.safetensors")
    rows = values["embedding.weight"].shape[0]
    model = reference_llama.make_model(config["model"], rows, values)
    precision = config["train"]["precision"]
    if precision == "bf16":
        model = model.to(torch.bfloat16)
    ids = prompt_ids(args.run, end_token(checkpoint))
    torch.set_num_threads(int(config["train"]["threads"]))
    for batch in args.batch:
        result = {
            "parameters": sum(value.numel() for value in values.values()),
            "precision": precision,
            "threads": torch.get_num_threads(),
            "time": "cpu" if args.cpu_time else "wall",
            **compare(args, model, ids, batch),
        }
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
