#!/usr/bin/env python3
"""How long a killed run stands still until torchrun has started it again.

  restart.py                       # 7 million parameters, two processes, five kills
  restart.py --program build/sluice --processes 2 --kills 5
  restart.py --limit 5             # exit code 1 if one takes more seconds

Trains a decoder of 7 million parameters on data/sample.txt with `torchrun --max-restarts`, and
kills one process after the other (rank 1, rank 0, rank 1 ...) with SIGKILL. Measures the seconds
from each kill until metrics.jsonl has the next step: noticing the loss, the start of new processes,
the checkpoint, the first step. torchrun looks at its processes ten times per second
(--monitor-interval).
"""

import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT_S = 120
CONFIG = """
run:        {{dir: run}}
corpus:     {{train: [{root}/data/sample.txt], holdout: 0.1}}
tokenizer:  {{type: bytes}}
model:      {{type: decoder, num_layers: 9, d_model: 256, num_heads: 4, ffn: swiglu, d_ff: 683}}
train:      {{steps: 1000000, batch_sequences: 4, micro_batch_sequences: 1, sequence_length: 64,
             precision: fp32, device: cpu, threads: 1, tensorboard: false}}
evaluate:   {{every_steps: never}}
checkpoint: {{every_steps: 10, keep_last: 2}}
"""


class Job:
    """The run, in `folder`."""

    def __init__(self, args, folder):
        self.folder = folder
        (folder / "config.yaml").write_text(CONFIG.format(root=ROOT))
        command = [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node"),
            *(str(args.processes), "--no-python", "--max-restarts", str(args.kills)),
            *("--master-port", str(args.port), str(args.program), "train", "config.yaml"),
            "--resume",
        ]
        self.errors = (folder / "stderr").open("w")
        self.torchrun = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=self.errors,
        )

    def text(self):
        return (self.folder / "stderr").read_text()

    def lines(self):
        """Complete ones."""
        metrics = self.folder / "run" / "metrics.jsonl"
        return metrics.read_text().split("\n")[:-1] if metrics.exists() else []

    def step(self):
        """The last one that metrics.jsonl has."""
        lines = self.lines()
        return json.loads(lines[-1])["step"] if lines else 0

    def processes(self):
        """By rank, as torchrun starts them."""
        pid = self.torchrun.pid
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(word) for word in text.split()]

    def wait_for(self, condition):
        end_s = time.monotonic() + LIMIT_S
        while not condition():
            if self.torchrun.poll() is not None or time.monotonic() > end_s:
                sys.exit(f"restart.py: the run does not go on\n{self.text()}")
            time.sleep(0.005)

    def end(self):
        self.torchrun.terminate()
        self.torchrun.wait()
        self.errors.close()


def seconds_to_next_step(job, rank):
    starts = job.text().count("continuing from step")
    begin = job.step()
    job.wait_for(lambda: job.step() >= begin + 15)  # at least one checkpoint since
    os.kill(job.processes()[rank], signal.SIGKILL)
    begin_s = time.monotonic()
    job.wait_for(lambda: job.text().count("continuing from step") > starts)
    saved = int(job.text().rsplit("continuing from step ", 1)[1].split("\n")[0])
    # Steps after the checkpoint were removed from metrics.jsonl and come again.
    job.wait_for(lambda: job.step() <= saved)
    job.wait_for(lambda: job.step() > saved)
    return time.monotonic() - begin_s


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build" / "sluice")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--port", type=int, default=29531)
    parser.add_argument("--limit", type=float, default=float("inf"), metavar="SECONDS")
    args = parser.parse_args()
    args.program = args.program.resolve()
    with tempfile.TemporaryDirectory() as folder:
        job = Job(args, pathlib.Path(folder))
        seconds = []
        try:
            for number in range(args.kills):
                seconds.append(seconds_to_next_step(job, (number + 1) % args.processes))
                print(f"kill {number + 1}: {seconds[-1]:.2f} s to the next step", flush=True)
        finally:
            job.end()
    print(
        f"median {statistics.median(seconds):.2f} s, "
        f"{min(seconds):.2f} to {max(seconds):.2f} s, {args.processes} processes"
    )
    if max(seconds) > args.limit:
        sys.exit(f"restart.py: expected at most {args.limit} s")


if __name__ == "__main__":
    main()
