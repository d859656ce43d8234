#!/usr/bin/env python3
"""A model of the time that the processes of a run spend on a network, fitted and tested.

  network.py                       # measures, fits, predicts settings that were not fitted (5 min)
  network.py --program build/sluice --steps 6
  network.py --table 6.9 1.16 0.0006 0.62   # only the table of docs/distributed.md
  network.py --check 6.9 1.16 0.62          # three settings, predicted with these values (1 min)

Exit code 1 if a prediction is wrong by more than 15 %.

Processes run on hosts of their own (network namespaces, tests/scripts/link.py), whose link delays
frames and limits the rate of each host; this needs root and /dev/net/tun. A step of R processes and
P parameters takes

  compute + exchanges · (delay + (R − 1) · message) + share · 2 (R − 1) / R · 4 P / rate − hidden

with `compute` measured by one process that computes as many micro-batches as each of them, times R
divided by the processors of this machine if these are fewer. `exchanges` and `share` are fitted by
least squares to SETTINGS, whose computation is too short to hide anything. `message` is what an
exchange of two processes of this machine takes, without hosts and almost without parameters. The
micro-batches of a process are a power of two: otherwise it sends several sums.

Gradients, half of the bytes, leave while the backward pass of the last micro-batch runs, those of
the first of L blocks at its end:

  hidden = overlap · (L − 1) / L · min(share · (R − 1) / R · 4 P / rate, backward)

with `backward` two thirds of the computation of a micro-batch. `overlap` is fitted to OVERLAPPED,
one micro-batch per process.
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
model:     {{type: decoder, num_layers: 1, d_model: 64, num_heads: 2, ffn: swiglu, d_ff: 512}}
train:     {{steps: 2, batch_sequences: 8, micro_batch_sequences: 1, sequence_length: 16,
            precision: fp32, device: cpu, threads: 1, tensorboard: false}}
schedule:  {{type: constant}}
evaluate:  {{every_steps: never}}
checkpoint: {{every_steps: 1000}}
distributed: {{timeout: 120s, start_timeout: 60s, check_every_steps: 1000, bucket: 0}}
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
CHECKED = [(2, MIDDLE, 60, 1e6), (3, SMALL, 30, 1e6), (3, MIDDLE, 20, 1.5e6)]
LARGEST_ERROR = 0.15
SLOTS = {2: 4, 3: 4, 4: 2}  # micro-batches of each process
TINY = ["model.d_model=8", "model.d_ff=8", "train.sequence_length=2"]
# processes, sequences of a micro-batch, delay in ms, bytes per second; 0.47 million parameters
OVERLAPPED = [
    (2, 64, 1, 2e6),
    (2, 64, 5, 4e6),
    (3, 32, 5, 4e6),
]
OVERLAPPED_UNSEEN = [
    (2, 48, 10, 3e6),
    (2, 96, 2, 2e6),
    (3, 64, 0, 4e6),
]
NUM_LAYERS = 4
DEEP = [f"model.num_layers={NUM_LAYERS}", "train.sequence_length=128"]


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

    def compute_seconds(self, size, settings):
        """One process with as many micro-batches as each of `size`."""
        seconds, parameters = self.step_seconds(1, settings)
        return seconds * max(1, size / len(os.sched_getaffinity(0))), parameters

    def exchanges_seconds(self):
        """The exchanges of a step of two processes."""
        alone, _ = self.step_seconds(1, [*TINY, f"train.batch_sequences={SLOTS[2]}"])
        together, _ = self.step_seconds(2, [*TINY, f"train.batch_sequences={2 * SLOTS[2]}"])
        return max(0.0, together - alone)

    def on_hosts(self, link, size, settings, delay_ms, rate):
        link.reset()
        link.delay_s, link.bytes_per_s = delay_ms / 1000, rate
        before = [host.command for host in link.hosts[:size]]
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


def fit_overlap(rows, exchanges, share):
    """Least squares, as fit()."""
    top = bottom = 0.0
    for row in rows:
        hidden = row.hidden(share) / row.measured
        top += hidden * (row.in_turn(exchanges, share) / row.measured - 1)
        bottom += hidden * hidden
    return top / bottom


class Row:
    """A measured setting and what the model needs to predict it."""

    def __init__(self, bench, link, setting, exchanges_s, settings_of, num_layers=1):
        self.size, amount, self.delay_ms, self.rate = setting
        settings, micro_batches = settings_of(self.size, amount)
        compute_s, self.parameters = bench.compute_seconds(self.size, settings(1))
        self.measured, self.sent = bench.on_hosts(
            link, self.size, settings(self.size), self.delay_ms, self.rate
        )
        self.fixed = compute_s + (self.size - 1) * exchanges_s
        self.delay_s = self.delay_ms / 1000
        self.ideal = ideal_seconds(self.size, self.parameters, self.rate)
        self.backward = 2 / 3 * compute_s / micro_batches
        self.hideable = (num_layers - 1) / num_layers

    def in_turn(self, exchanges, share):
        return self.fixed + exchanges * self.delay_s + share * self.ideal

    def hidden(self, share):
        """With overlap 1."""
        return self.hideable * min(share * self.ideal / 2, self.backward)


def of_one_block(size, d_ff):
    batch = SLOTS[size]
    return (lambda n: [f"model.d_ff={d_ff}", f"train.batch_sequences={n * batch}"]), batch


def of_many_blocks(size, sequences):
    del size
    return (
        lambda n: [
            *DEEP,
            f"train.micro_batch_sequences={sequences}",
            f"train.batch_sequences={n * sequences}",
        ]
    ), 1


def print_rows(title, rows, exchanges, share, overlap):
    """Returns the largest error."""
    print(f"\n{title}\n")
    print("| processes | parameters | delay | rate | bytes / ideal | measured | model | error |")
    print("|---|---|---|---|---|---|---|---|")
    worst = 0.0
    for row in rows:
        model = row.in_turn(exchanges, share) - overlap * row.hidden(share)
        error = model / row.measured - 1
        worst = max(worst, abs(error))
        print(
            f"| {row.size} | {row.parameters:,} | {row.delay_ms} ms | {row.rate / 1e6:g} MB/s "
            f"| {row.sent:.2f} | {row.measured:.3f} s | {model:.3f} s | {100 * error:+.0f} % |"
        )
    print(f"\nlargest error: {100 * worst:.0f} %")
    return worst


def require_small(error):
    if error > LARGEST_ERROR:
        sys.exit(f"network.py: an error of {100 * error:.0f} %; expected at most 15 %")


def table(exchanges, share, message_s, overlap):
    """Share of a step that is computation, if that takes 10 s, in one micro-batch per process of a
    model with 24 blocks.
    """
    compute_s, num_layers = 10.0, 24
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
                bytes_s = share * ideal_seconds(size, parameters, rate)
                hidden = min(bytes_s / 2, 2 / 3 * compute_s) * (num_layers - 1) / num_layers
                seconds += bytes_s - overlap * hidden
                cells.append(f"{seconds:.2f} s, {100 * compute_s / (compute_s + seconds):.0f} %")
        print(f"| {size:,} | " + " | ".join(cells) + " |")


def check(args):
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args, pathlib.Path(folder))
        exchanges_s = bench.exchanges_seconds()
        link = Link(3)
        try:
            rows = [Row(bench, link, setting, exchanges_s, of_one_block) for setting in CHECKED]
        finally:
            link.close()
    require_small(print_rows("Predicted:", rows, *args.check))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build" / "sluice")
    parser.add_argument("--steps", type=int, default=6, help="measured steps per setting")
    parser.add_argument(
        "--table",
        nargs=4,
        type=float,
        metavar=("EXCHANGES", "SHARE", "MESSAGE_S", "OVERLAP"),
        help="only the table, from these values",
    )
    parser.add_argument(
        "--check",
        nargs=3,
        type=float,
        metavar=("EXCHANGES", "SHARE", "OVERLAP"),
        help="only predict three settings with these values",
    )
    args = parser.parse_args()
    args.program = args.program.resolve()
    if args.table:
        return table(*args.table)
    if args.check:
        return check(args)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args, pathlib.Path(folder))
        exchanges_s = bench.exchanges_seconds()
        link = Link(4)
        try:
            one_block = (exchanges_s, of_one_block)
            many_blocks = (exchanges_s, of_many_blocks, NUM_LAYERS)
            fitted = [Row(bench, link, setting, *one_block) for setting in SETTINGS]
            overlapped = [Row(bench, link, setting, *many_blocks) for setting in OVERLAPPED]
            unseen = [Row(bench, link, setting, *one_block) for setting in UNSEEN]
            unseen += [Row(bench, link, setting, *many_blocks) for setting in OVERLAPPED_UNSEEN]
        finally:
            link.close()
    exchanges, share = fit([(r.delay_s, r.ideal, r.measured - r.fixed, r.measured) for r in fitted])
    message_s = exchanges_s / exchanges
    overlap = fit_overlap(overlapped, exchanges, share)
    print(
        f"exchanges {exchanges:.2f}, share {share:.3f}, message {1e6 * message_s:.0f} µs, "
        f"overlap {overlap:.2f}"
    )
    print_rows("Fitted:", fitted + overlapped, exchanges, share, overlap)
    error = print_rows("Predicted:", unseen, exchanges, share, overlap)
    table(exchanges, share, message_s, overlap)
    require_small(error)


if __name__ == "__main__":
    main()
