#!/usr/bin/env python3
"""The peak memory of the processes of a run, measured and as `sluice plan --processes` says.

  shared_memory.py                 # the table in docs/distributed.md: 85 million parameters
  shared_memory.py --program build/sluice --processes 2 4

Trains a few steps on data/sample.txt with `sluice launch` and reads the peak resident memory of
each process from /proc; prints that of the largest one.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = f"""
run:       {{dir: run}}
corpus:    {{train: [{ROOT}/data/sample.txt]}}
tokenizer: {{type: bytes}}
model:     {{type: decoder, num_layers: 12, d_model: 768, num_heads: 12, ffn: swiglu, d_ff: match}}
optimizer: {{type: adamw, lr: 1e-3}}
schedule:  {{type: constant, warmup_steps: 0}}
train:
  {{steps: 2, batch_sequences: 4, micro_batch_sequences: 1, sequence_length: 128, precision: fp32,
   device: cpu, threads: 1}}
evaluate:  {{every_steps: never}}
"""


def plan_of(program, folder, num, settings=()):
    """The output of `plan --json` for config.yaml in `folder`."""
    command = [program, "plan", "config.yaml", "--json", "--processes", str(num)]
    if settings:
        command += ["--set", *settings]
    return json.loads(subprocess.check_output(command, cwd=folder, stderr=subprocess.DEVNULL))


def peaks_of(program, folder, num, settings=()):
    """Exit code, standard error, and the peak resident bytes by process of a run of config.yaml."""
    command = [program, "launch", "-n", str(num), "train", "config.yaml", "--fresh"]
    if settings:
        command += ["--set", *settings]
    launcher = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    children = pathlib.Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children")
    peaks = {}
    while launcher.poll() is None:
        for pid in children.read_text().split():
            try:
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            for line in status.splitlines():
                if line.startswith("VmHWM:"):
                    peaks[pid] = int(line.split()[1]) * 1024
        time.sleep(0.01)
    text = launcher.stderr.read()
    launcher.stderr.close()
    return launcher.returncode, text, sorted(peaks.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=str(ROOT / "build" / "sluice"))
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 4])
    arguments = parser.parse_args()
    program = str(pathlib.Path(arguments.program).resolve())
    print("processes  distributed.shard  measured  planned, MiB")
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "config.yaml").write_text(CONFIG)
        for num in arguments.processes:
            for shard in ("optimizer", "parameters"):
                settings = (f"distributed.shard={shard}",)
                planned = plan_of(program, folder, num, settings)["memory_bytes"]
                code, text, peaks = peaks_of(program, folder, num, settings)
                if code != 0:
                    raise SystemExit(text)
                mib = (f"{size / 2**20:,.0f}" for size in (peaks[-1], planned))
                print(f"{num:9}  {shard:17}  {next(mib):>8}  {next(mib):>7}", flush=True)


if __name__ == "__main__":
    main()
