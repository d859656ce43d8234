#!/usr/bin/env python3
"""A model of the time that the processes of a run spend on a network, fitted and tested.

  network.py                       # measures, fits, predicts settings that were not fitted (3 min)
  network.py --program build/sluice --steps 6
  network.py --table 6.48 1.175 0.0012   # only the table of docs/distributed.md

Processes run on hosts of their own (network namespaces, tests/scripts/link.py), whose link delays
frames and limits the rate of each host; this needs root and /dev/net/tun. A step of R processes and
P parameters takes

  compute + exchanges · (delay + (R − 1) · message) + share · 2 (R − 1) / R · 4 P / rate

with `compute` measured by one process that computes as many micro-batches as each of them, times R
divided by the processors of this machine if these are fewer. Nothing overlaps: gradients are sent
after the backward pass. `exchanges` and `share` are fitted to SETTINGS by least squares. `message`
is what an exchange of two processes of this machine takes, without hosts and almost without
parameters. The micro-batches of a process are a power of two: otherwise it sends several sums.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "scripts"))

from link import Link  # noqa: E402

CONFIG = """
run:       {{dir: run}}
corpus:    {{train: [{root}/data/sample.txt], holdout: 0.1}}
tokenizer: {{type: bytes}}
model:     {{type: decoder, num_layers: 1, d_model: 64, num_heads: 2, ffn: swiglu}}
train:     {{steps: 2, batch_sequences: 8, micro_batch_sequences: 1, sequence_length: 16,
            precision: fp32, device: cpu, threads: 1, tensorboard: false}}
schedule:  {{type: constant}}
evaluate:  {{every_steps: never}}
checkpoint: {{every_steps: 1000}}
distributed: {{timeout: 120s, start_timeout: 60s, check_every_steps: 1000}}
"""
SMALL, MIDDLE, LARGE = 512, 1024, 2048  # d_ff: 0.12, 0.22 and 0.42 million parameters
# processes, d_ff, delay in ms, bytes per second
SETTINGS = [
    (2, SMALL, 0, 1e6),
    (2, SMALL, 20, 1e6),
    (2, LARGE, 5, 3e6),
    (2, LARGE, 40, 1e6),
    (3, SMALL, 10, 2e6),
    (3, LARGE, 0, 3e6),
    (3, MIDDLE, 40, 1e6),
]
UNSEEN = [
    (2, MIDDLE, 10, 2e6),
    (3, LARGE, 20, 2e6),
    (4, MIDDLE, 5, 2e6),
    (4, LARGE, 30, 1e6),
    (4, SMALL, 15, 1e6),
]
SLOTS = {2: 4, 3: 4, 4: 2}  # micro-batches of each process
TINY = ["model.d_model=8", "model.d_ff=8", "train.sequence_length=2"]


def environment(rank, size, address):
    return {
        "RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_RANK": "0",
        "MASTER_ADDR": address,
        "MASTER_PORT": "29533",
        "OMP_NUM_THREADS": "1",
    }


class Bench:
    def __init__(self, args, folder):
        self.args, self.folder, self.number = args, folder, 0
        (folder / "config.yaml").write_text(CONFIG.format(root=ROOT))

    def step_seconds(self, size, settings, before=(), address="127.0.0.1"):
        """Median over the steps but the first; the number of parameters."""
        self.number += 1
        run = f"run{self.number}"
        command = [str(self.args.program), "train", "config.yaml", "--set", f"run.dir={run}"]
        command += [f"train.steps={self.args.steps + 1}", *settings]
        processes = []
        for rank in range(size):
            variables = environment(rank, size, address) if size > 1 else {"OMP_NUM_THREADS": "1"}
            process = subprocess.Popen(
                [*(before[rank] if before else ()), *command],
                cwd=self.folder,
                env={**os.environ, **variables},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            processes.append(process)
        ends = [(process.communicate()[1], process.returncode) for process in processes]
        for text, code in ends:
            if code != 0:
                raise SystemExit(f"network.py: exit code {code}: {text}")
        lines = (self.folder / run / "metrics.jsonl").read_text().splitlines()
        steps = [json.loads(line)["time"]["step_seconds"] for line in lines if '"loss"' in line]
        record = json.loads((self.folder / run / "run.json").read_text())
        return statistics.median(steps[1:]), record["num_parameters"]

    def compute_seconds(self, size, d_ff):
        """One process with as many micro-batches as the process with the most of `size`."""
        seconds, parameters = self.step_seconds(
            1, [f"model.d_ff={d_ff}", f"train.batch_sequences={SLOTS[size]}"]
        )
        return seconds * max(1, size / len(os.sched_getaffinity(0))), parameters

    def exchanges_seconds(self):
        """The exchanges of a step of two processes."""
        alone, _ = self.step_seconds(1, [*TINY, f"train.batch_sequences={SLOTS[2]}"])
        together, _ = self.step_seconds(2, [*TINY, f"train.batch_sequences={2 * SLOTS[2]}"])
        return max(0.0, together - alone)

    def on_hosts(self, link, size, d_ff, delay_ms, rate):
        link.reset()
        link.delay_s, link.bytes_per_s = delay_ms / 1000, rate
        before = [host.command for host in link.hosts[:size]]
        settings = [f"model.d_ff={d_ff}", f"train.batch_sequences={size * SLOTS[size]}"]
        seconds, parameters = self.step_seconds(size, settings, before, link.hosts[0].address)
        sent = link.num_bytes / size / (self.args.steps + 1)
        return seconds, sent / (2 * (size - 1) / size * 4 * parameters)


def ideal_seconds(size, parameters, rate):
    return 2 * (size - 1) / size * 4 * parameters / rate


def fit(rows):
    """Least squares of (x, y, target), each divided by the measured time."""
    a = b = c = d = e = 0.0
    for x, y, target, measured in rows:
        x, y, target = x / measured, y / measured, target / measured
        a, b, c, d, e = a + x * x, b + x * y, c + y * y, d + x * target, e + y * target
    det = a * c - b * b
    return (d * c - e * b) / det, (a * e - b * d) / det


def measure(bench, link, settings, exchanges_s, compute):
    """(processes, parameters, delay, rate, bytes sent by ideal, then the model: what needs no fit,
    delay in s, ideal time, measured)
    """
    rows = []
    for size, d_ff, delay_ms, rate in settings:
        if (size, d_ff) not in compute:
            compute[size, d_ff] = bench.compute_seconds(size, d_ff)
        alone_s, parameters = compute[size, d_ff]
        measured, sent = bench.on_hosts(link, size, d_ff, delay_ms, rate)
        fixed = alone_s + (size - 1) * exchanges_s
        ideal_s = ideal_seconds(size, parameters, rate)
        setting = (size, parameters, delay_ms, rate, sent)
        rows.append((*setting, fixed, delay_ms / 1000, ideal_s, measured))
    return rows


def print_rows(title, rows, exchanges, share):
    print(f"\n{title}\n")
    print("| processes | parameters | delay | rate | bytes / ideal | measured | model | error |")
    print("|---|---|---|---|---|---|---|---|")
    worst = 0.0
    for size, parameters, delay_ms, rate, sent, fixed, x, y, measured in rows:
        model = fixed + exchanges * x + share * y
        error = model / measured - 1
        worst = max(worst, abs(error))
        print(
            f"| {size} | {parameters:,} | {delay_ms} ms | {rate / 1e6:g} MB/s | {sent:.2f} "
            f"| {measured:.3f} s | {model:.3f} s | {100 * error:+.0f} % |"
        )
    print(f"\nlargest error: {100 * worst:.0f} %")


def table(exchanges, share, message_s):
    """Share of a step that is computation, if that takes 10 s."""
    compute_s = 10.0
    networks = [("10 Gbit/s, 50 µs", 1.25e9, 50e-6), ("100 Gbit/s, 5 µs", 12.5e9, 5e-6)]
    models = [("124 million", 124e6), ("1.3 billion", 1.3e9)]
    names = [f"{model}, {network}" for model, _ in models for network, *_ in networks]
    print("\n| processes | " + " | ".join(names) + " |")
    print("|---|" + "---|" * len(names))
    for size in (8, 16, 32, 64, 128, 256, 512, 1024):
        cells = []
        for _, parameters in models:
            for _, rate, delay_s in networks:
                seconds = exchanges * (delay_s + (size - 1) * message_s)
                seconds += share * ideal_seconds(size, parameters, rate)
                cells.append(f"{seconds:.2f} s, {100 * compute_s / (compute_s + seconds):.0f} %")
        print(f"| {size:,} | " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build" / "sluice")
    parser.add_argument("--steps", type=int, default=6, help="measured steps per setting")
    parser.add_argument(
        "--table",
        nargs=3,
        type=float,
        metavar=("EXCHANGES", "SHARE", "MESSAGE_S"),
        help="only the table, from these values",
    )
    args = parser.parse_args()
    args.program = args.program.resolve()
    if args.table:
        return table(*args.table)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args, pathlib.Path(folder))
        exchanges_s = bench.exchanges_seconds()
        link = Link(4)
        try:
            compute = {}
            fitted = measure(bench, link, SETTINGS, exchanges_s, compute)
            unseen = measure(bench, link, UNSEEN, exchanges_s, compute)
        finally:
            link.close()
    exchanges, share = fit([(x, y, t - fixed, t) for *_, fixed, x, y, t in fitted])
    message_s = exchanges_s / exchanges
    print(f"exchanges {exchanges:.2f}, share {share:.3f}, message {1e6 * message_s:.0f} µs")
    print_rows("Fitted:", fitted, exchanges, share)
    print_rows("Predicted:", unseen, exchanges, share)
    table(exchanges, share, message_s)


if __name__ == "__main__":
    main()
