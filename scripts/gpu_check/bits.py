"""Trains the same run in several ways; losses and weights must be equal bit for bit."""

import concurrent.futures
import dataclasses
import json
import subprocess
import time

import bit_identity
from common import ROOT, CommandFailed, kill

MODELS = {
    "decoder": """
corpus:    {{train: [{corpus}], format: paragraphs, prepared_dir: {prepared}}}
model:     {{type: decoder, num_layers: {layers}, d_model: {width}, num_heads: 2, num_kv_heads: 1,
            ffn: swiglu, dropout: 0.1}}
optimizer: {{type: adamw, lr: 1e-3}}
""",
    "encoder_decoder": """
corpus:    {{train: [{corpus}], format: paragraphs, separator: none, prepared_dir: {prepared}}}
objective: {{type: span_corruption, input_length: 64, sentinels: 30}}
model:     {{type: encoder_decoder, num_layers: {layers}, d_model: {width}, num_heads: 2,
            ffn: geglu, dropout: 0.1}}
optimizer: {{type: adafactor, lr: 0.1}}
""",
}
COMMON = """
run:        {{name: bits, dir: {folder}/none, seed: 1}}
tokenizer:  {{type: bytes}}
schedule:   {{type: constant, warmup_steps: 5}}
train:      {{steps: {steps}, batch_sequences: 8, micro_batch_sequences: 4, threads: 1,
             device: {device}{length}}}
evaluate:   {{every_steps: never}}
checkpoint: {{every_steps: {every}, keep_last: 50, keep_best: false}}
"""
OBSERVERS = ["evaluate.every_steps=7", "evaluate.max_tokens=2000", "checkpoint.every_steps=11"]


@dataclasses.dataclass
class Runs:
    """One configuration that is trained several times."""

    part: object
    config: object
    folder: object
    steps: int

    def command(self, name, changes=()):
        command = [self.part.settings.sluice, "train", self.config]
        command += ["--run-dir", self.folder / name]
        return command + (["--set", *changes] if changes else [])

    def train(self, name, changes=(), env=None):
        self.part.run(self.command(name, changes), env)
        return self.folder / name

    def train_with_a_crash(self, name):
        """kill -9 after a third of the steps, then --resume."""
        metrics = self.folder / name / "metrics.jsonl"
        process = self.part.start(self.command(name))
        process.stdout.close()
        while process.poll() is None and num_steps(metrics) < self.steps // 3:
            self.part.seconds_left()
            time.sleep(0.002)
        kill(process)
        if num_steps(metrics) >= self.steps or process.returncode != -9:
            raise CommandFailed(
                f"{name}: exit code {process.returncode} after {num_steps(metrics)} steps; "
                f"expected a process killed before step {self.steps}"
            )
        self.part.run([*self.command(name), "--resume"])
        return self.folder / name


def num_steps(metrics):
    text = metrics.read_text() if metrics.exists() else ""
    return sum('"loss"' in line for line in text.split("\n"))


def train_lines(run):
    return [line for line in bit_identity.lines_of(run) if "loss" in line]


def difference(one, other):
    """The first difference in the steps' losses, then in the last checkpoint; None if equal."""
    a, b = train_lines(one), train_lines(other)
    if len(a) != len(b):
        return f"{len(a)} and {len(b)} steps"
    for before, after in zip(a, b, strict=True):
        if before != after:
            return f"step {before['step']}: {json.dumps(before)} and {json.dumps(after)}"[:400]
    name = f"step-{a[-1]['step']}"
    checkpoints = [run / "checkpoints" / name for run in (one, other)]
    return next(bit_identity.tensor_differences(*checkpoints), None)


def write_config(part, folder, model, steps):
    settings = part.settings
    small = settings.quick
    text = (COMMON + MODELS[model]).format(
        corpus=ROOT / "data/sample.txt",
        prepared=folder / "prepared",
        folder=folder,
        layers=1 if small else 3,
        width=16 if small else 128,
        steps=steps,
        every=steps // 5,
        device=settings.device,
        length=", sequence_length: 64" if model == "decoder" else "",
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def check_case(part, model, precision):
    """Each way of training against the first run."""
    name = f"{model}, {precision}"
    steps = 150 if part.settings.quick else 600
    folder = part.folder / f"{model}-{precision}"
    subprocess.run(["rm", "-rf", folder], check=True)
    config = write_config(part, folder, model, steps)
    config.write_text(
        config.read_text().replace("threads: 1", f"threads: 1, precision: {precision}")
    )
    runs = Runs(part, config, folder, steps)
    first = runs.train("first")
    ways = {
        "a second run": lambda: runs.train("second"),
        "kill -9 and --resume": lambda: runs.train_with_a_crash("crash"),
        "without CUDA graphs": lambda: runs.train("plain", env={"SLUICE_CUDA_GRAPHS": "0"}),
        "evaluations and checkpoints": lambda: runs.train("observed", OBSERVERS),
    }
    with concurrent.futures.ThreadPoolExecutor(len(ways)) as pool:
        started = {way: pool.submit(train) for way, train in ways.items()}
    for way, trained in started.items():
        try:
            found = difference(first, trained.result())
        except CommandFailed as error:
            found = str(error)
        part.check(f"{name}: {way}", found is None, found or f"{steps} steps")


def run(part):
    cases = [("decoder", "bf16"), ("encoder_decoder", "bf16"), ("decoder", "fp32")]
    for model, precision in cases[:1] if part.settings.quick else cases:
        check_case(part, model, precision)
