"""A run of a few thousand weights for tests of several processes, and starting its processes."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = os.environ["SLUICE_PROGRAM"]
TIMEOUT_S = 2
CONFIG = """
run:       {dir: run}
corpus:    {train: [text.txt], format: paragraphs, holdout: 0.2}
tokenizer: {type: bytes}
model:     {type: decoder, num_layers: 1, d_model: 24, num_heads: 2, ffn: swiglu, d_ff: 40}
train:     {steps: 8, batch_sequences: 6, micro_batch_sequences: 1, sequence_length: 32,
            precision: fp32, device: cpu, threads: 1, tensorboard: false}
schedule:  {type: constant}
evaluate:  {every_steps: 4, max_tokens: 256, final_max_tokens: 256}
checkpoint: {every_steps: 4, keep_last: 2}
distributed: {timeout: 2s, start_timeout: 30s}
"""
SAVED_FILES = ("model.safetensors", "optimizer.safetensors", "train_state.json")
WITHOUT_LAUNCHER = {
    name: value
    for name, value in os.environ.items()
    if name not in ("RANK", "WORLD_SIZE") and not name.startswith(("SLURM_", "OMPI_", "PMI_"))
}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_until(condition, what, limit_s=60.0):
    end_s = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end_s:
            raise AssertionError(f"not within {limit_s} s: {what}")
        time.sleep(0.01)


def num_connections(port):
    """Established ones to a port of this machine."""
    num = 0
    for name in ("tcp", "tcp6"):
        with open(f"/proc/net/{name}") as file:
            for line in file.readlines()[1:]:
                words = line.split()
                num += words[1].endswith(f":{port:04X}") and words[3] == "01"
    return num


def output_of_bench(test, script, *options):
    """What scripts/bench/SCRIPT prints for the program under test; it must succeed."""
    folder = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "bench"
    done = subprocess.run(
        [sys.executable, folder / script, "--program", PROGRAM, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    test.assertEqual(done.returncode, 0, done.stdout + done.stderr)
    return done.stdout


class SmallRun(unittest.TestCase):
    """A temporary folder with the configuration and its text."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)
        (self.root / "config.yaml").write_text(CONFIG)
        words = (f"The {i}th line is about {i * i % 97} and {i % 13}.\n\n" for i in range(400))
        (self.root / "text.txt").write_text("".join(words))
        self.processes = []
        self.addCleanup(self.kill)

    def kill(self):
        for process in self.processes:
            process.kill()
            process.wait()

    def run_program(self, *command, before=()):
        """Starts `PROGRAM command`, through the command `before`."""
        with self.errors_of(len(self.processes)).open("w") as errors:
            process = subprocess.Popen(
                [*before, "env", "OMP_NUM_THREADS=1", PROGRAM, *command],
                cwd=self.root,
                env=WITHOUT_LAUNCHER,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        self.processes.append(process)
        return process

    def errors_of(self, number):
        return self.root / f"stderr-{number}"

    def text_of(self, process):
        """What it has written to stderr so far."""
        return self.errors_of(self.processes.index(process)).read_text()

    def ends_of(self, processes):
        """Exit codes and what was written to stderr."""
        codes = [process.wait(timeout=60) for process in processes]
        return codes, [self.text_of(process) for process in processes]

    def wait_for_steps(self, num, run="run"):
        metrics = self.root / run / "metrics.jsonl"
        last = self.processes[-1]

        def is_there():
            if last.poll() is not None:
                self.fail(self.text_of(last))
            return metrics.exists() and metrics.read_bytes().count(b"\n") >= num

        wait_until(is_there, f"{num} steps")

    def newest_step(self, run="run"):
        names = [path.name for path in (self.root / run / "checkpoints").iterdir()]
        return max(int(name[5:]) for name in names if "." not in name)

    def expect_bits_of_one_process(self, run, step, *settings):
        """Compares `run` after its last step with one process that was not interrupted."""
        one = self.run_program(
            "train", "config.yaml", "--set", "run.dir=one", f"train.steps={step}", *settings
        )
        codes, texts = self.ends_of([one])
        self.assertEqual(codes, [0], texts)
        for name in SAVED_FILES:
            files = [
                self.root / each / "checkpoints" / f"step-{step}" / name for each in ("one", run)
            ]
            self.assertEqual(files[0].read_bytes(), files[1].read_bytes(), name)
        self.assertEqual(self.losses_of("one"), self.losses_of(run))

    def losses_of(self, run):
        """The lines of the steps in metrics.jsonl, without times."""
        lines = map(json.loads, (self.root / run / "metrics.jsonl").read_text().splitlines())
        steps = [line for line in lines if "loss" in line]
        for line in steps:
            del line["time"]
        return steps
