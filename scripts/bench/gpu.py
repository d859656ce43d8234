#!/usr/bin/env python3
"""Compares Sluice on a GPU with PyTorch and torch.compile (scripts/bench/gpu_peer.py).

  gpu.py                          all cases, updates docs/benchmarks.md
  gpu.py --only 110M --page -     one case, report on stdout

The peers compile together if the memory suffices, and stay in memory. Sluice and each peer are
measured in turn, in alternating order, each step synchronized (`sluice plan --measure-steps N` and
the peer's own loop, both on random tokens); ratios are taken within a round. Also measured: peak
memory, and the time from the start of the process to the end of its first step, with an empty and
with a filled kernel cache. Before, the peer must have exactly as many parameters as `sluice plan`
counts, and, on the weights and a batch that Sluice writes (byte vocabulary, fp32), the same loss.
"""

import argparse
import contextlib
import copy
import importlib.util
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import gpu_machine
import yaml
from bench import ROOT, run, tokens_per_step, train_lines, write_report
from gpu_cases import cases
from gpu_report import PEER_NAMES, peak, report

# |loss - peer's loss| relative to the loss: 64 roundings in fp32, as in tests/ops/settings.h.
LOSS_TOLERANCE = 64 * 2.0**-23
MEASURING_S = 20  # a case that has less time left is not begun


class Failed(Exception):
    """A program ended early or did not answer in time."""


class Peer:
    """A running gpu_peer.py."""

    def __init__(self, kind, options, folder):
        command = [sys.executable, ROOT / "scripts/bench/gpu_peer.py", "--device", options.device]
        command += ["--config", folder / "config.yaml", "--kind", kind]
        if options.quick:  # the compiler itself takes half a minute
            command += ["--backend", "eager"]
        self.start(command, kind, folder)

    def start(self, command, kind, folder):
        self.kind, self.log = kind, folder / f"{kind}.err"
        cache = {"TORCHINDUCTOR_CACHE_DIR": str(folder / f"inductor-{kind}")}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env={**os.environ, **cache},
            )

    def answer(self, limit_s):
        timer = threading.Timer(max(limit_s, 0.1), self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if not line:
            code = self.process.wait()
            last = (self.log.read_text().strip().splitlines() or ["no message"])[-1]
            raise Failed(f"{PEER_NAMES[self.kind]}: exit code {code}: {last[:300]}")
        return json.loads(line)

    def steps(self, number, limit_s):
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        return self.answer(limit_s)

    def stop(self):
        self.process.kill()
        self.process.communicate()


def merged(config, changes):
    result = copy.deepcopy(config)
    for section, values in changes.items():
        result.setdefault(section, {}).update(values)
    return result


class Bench:
    """The measurements of one case."""

    def __init__(self, case, options, folder):
        self.case, self.options, self.folder = case, options, folder
        config = yaml.safe_load((ROOT / case.config).read_text())
        if options.quick:
            config = merged(config, case.small)
        self.config = folder / "config.yaml"
        self.config.write_text(yaml.safe_dump(config))
        self.content = config
        self.cache = {"SLUICE_CACHE": str(folder / "kernels")}
        self.result = {"name": case.name, "config": case.config, "checks": [], "skipped": []}
        self.result |= {"lines": [], "peers": {}}
        self.peers = {}  # running

    def left(self):
        return self.options.deadline - time.monotonic()

    def check(self, name, passed, detail):
        self.result["checks"].append({"name": name, "passed": bool(passed), "detail": detail})

    def plan(self, *arguments):
        command = [self.options.sluice, "plan", self.config, "--json", *arguments]
        command += ["--set", f"train.device={self.options.device}", "train.precision=bf16"]
        return json.loads(run(list(map(str, command)), env=self.cache)[0])

    def sluice_steps(self):
        result = self.plan("--measure-steps", self.options.steps)
        return {
            "step_s": result["seconds_per_step"],
            "peak_bytes": gpu_machine.tensor_peak(result, self.options.device),
        }

    def first_steps(self):
        """With an empty kernel cache, then with the filled one."""
        times = [self.plan("--measure-steps", 1)["first_step_seconds"] for _ in range(2)]
        self.result["sluice_first_step_s"] = {"cold": times[0], "warm": times[1]}

    def compare_losses(self):
        """The loss of the program's first step against the peer's, both in fp32."""
        changes = {
            "corpus": {"train": ["data/sample.txt"], "prepared_dir": str(self.folder / "prepared")},
            "train": {"steps": 1, "batch_sequences": 2, "precision": "fp32"},
            "checkpoint": {"every_steps": 1, "keep_last": 2},
        }
        config = merged(self.content, changes)
        config["train"]["device"] = self.options.device
        config["tokenizer"] = {"type": "bytes"}
        run_dir, path = self.folder / "loss", self.folder / "loss.yaml"
        batches = self.folder / "batches.safetensors"
        path.write_text(yaml.safe_dump(config))
        command = [self.options.sluice, "train", path, "--run-dir", run_dir]
        command += ["--dump-batches", batches, "--dump-steps", "1"]
        run(list(map(str, command)), env={"SLUICE_CACHE": str(self.folder / "kernels-fp32")})
        loss = train_lines(run_dir / "metrics.jsonl")[0]["loss"]
        command = [sys.executable, ROOT / "scripts/bench/gpu_peer.py", "--batches", batches]
        command += ["--config", run_dir / "config.yaml", "--device", self.options.device]
        command += ["--initial", run_dir / "checkpoints/step-0/model.safetensors"]
        peer = json.loads(run(list(map(str, command)))[0])["loss"]
        self.check(
            "loss equals the peer's",
            abs(loss - peer) <= LOSS_TOLERANCE * abs(peer),
            f"{loss:.9g} and {peer:.9g}",
        )

    def launch(self):
        """Starts the peers, which compile, and compares the losses meanwhile."""
        try:
            self.peers = {kind: Peer(kind, self.options, self.folder) for kind in self.case.peers}
            if self.case.compares_losses:
                self.compare_losses()
        except SystemExit as error:
            self.check("loss equals the peer's", False, str(error))

    def wait_for_peers(self):
        """Until each has trained a step. Those that cannot are left out."""
        planned = self.plan()["num_parameters"]
        for kind, peer in list(self.peers.items()):
            try:
                first = peer.answer(self.left())
            except Failed as error:
                self.peers.pop(kind).stop()
                self.check(PEER_NAMES[kind], False, str(error))
                continue
            self.result["peers"][kind] = {"first_step_s": first["first_step_s"]}
            self.check(
                f"parameters of {PEER_NAMES[kind]}",
                first["num_parameters"] == planned,
                f"{first['num_parameters']:,} and {planned:,}",
            )

    def stop(self):
        for peer in self.peers.values():
            peer.stop()
        self.peers = {}

    def measure(self):
        rounds = []
        for peer in self.peers.values():
            peer.steps(3, self.left())  # warm-up
        for number in range(self.options.rounds):
            order = ["sluice", *self.peers]
            if number % 2:
                order.reverse()
            measured = {}
            for name in order:
                if name == "sluice":
                    measured[name] = self.sluice_steps()
                    continue
                answer = self.peers[name].steps(self.options.steps, self.left())
                answer["step_s"] = statistics.median(answer["step_s"])
                measured[name] = answer
            rounds.append(measured)
            self.say_round(number, measured)
        self.result["rounds"] = rounds

    def say_round(self, number, measured):
        times = ", ".join(f"{name} {m['step_s'] * 1e3:.3f} ms" for name, m in measured.items())
        print(f"{self.case.name}, round {number + 1}: {times}", file=sys.stderr, flush=True)

    def run(self):
        """After launch()."""
        try:
            self.wait_for_peers()
            self.first_steps()
            self.measure()
            self.summarize()
        except (Failed, SystemExit) as error:
            self.check("measurement", False, str(error))
        finally:
            self.stop()

    def summarize(self):
        """Ratios of speed and memory, and whether they reach the case's limits."""
        rounds, limits = self.result["rounds"], self.options.device == "cuda"
        self.result["tokens_per_step"] = tokens_per_step(self.config)
        for kind, peer in self.result["peers"].items():
            peer["ratios"] = [r[kind]["step_s"] / r["sluice"]["step_s"] for r in rounds]
            peer["memory_ratio"] = peak(rounds, "sluice") / peak(rounds, kind)
            ratio, floor = statistics.median(peer["ratios"]), self.case.peers[kind]
            low, high = min(peer["ratios"]), max(peer["ratios"])
            self.result["lines"].append(
                f"{self.case.name} against {PEER_NAMES[kind]}: {ratio:.2f} times as fast "
                f"({low:.2f}-{high:.2f}), {peer['memory_ratio']:.2f} of its memory"
            )
            if limits and floor is not None:
                detail = f"{ratio:.2f}; expected at least {floor}"
                self.check(f"speed against {PEER_NAMES[kind]}", ratio >= floor, detail)
            if limits and kind == "compile" and self.case.memory is not None:
                detail = f"{peer['memory_ratio']:.2f}; expected at most {self.case.memory}"
                self.check("memory", peer["memory_ratio"] <= self.case.memory, detail)
        if limits:
            times = self.result["sluice_first_step_s"]
            for cache, allowed in (("cold", 5), ("warm", 1)):
                detail = f"{times[cache]:.2f} s; expected at most {allowed}"
                self.check(f"first step, {cache} cache", times[cache] <= allowed, detail)


def can_run(bench):
    """False with a reason in the result."""
    if "t5" in bench.case.config and importlib.util.find_spec("transformers") is None:
        bench.result["skipped"].append({"name": "peers", "why": "Python has no transformers"})
        return False
    return True


def fit_together(options):
    """Whether the peers of all cases fit into the device's memory, about 80 GiB."""
    if options.device == "cpu":
        return True
    import torch

    return torch.cuda.get_device_properties(0).total_memory >= 120 * 2**30


def run_all(options, write):
    """Runs all cases; calls `write` with their results after each."""
    with contextlib.ExitStack() as stack:
        benches = []
        for case in cases(options):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sluice-bench-"))
            benches.append(Bench(case, options, pathlib.Path(folder)))
            stack.callback(benches[-1].stop)
        results = [bench.result for bench in benches]
        runnable = [bench for bench in benches if can_run(bench)]
        together = fit_together(options)
        for bench in runnable if together else []:
            bench.launch()
        for bench in runnable:
            if bench.left() < (1 if options.quick else MEASURING_S):
                bench.check("measurement", False, "not begun: too little time left")
                continue
            if not together:
                bench.launch()
            bench.run()
            write(results)
        return results


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sluice", default=ROOT / "build/sluice", type=pathlib.Path)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20, help="steps per round and program")
    parser.add_argument("--limit", type=float, default=3600, help="seconds for everything")
    parser.add_argument("--json", type=pathlib.Path, help="also write the results to this file")
    parser.add_argument(
        "--page", default="docs/benchmarks.md", help="Markdown file, or - for stdout"
    )
    parser.add_argument(
        "--quick", action="store_true", help="tiny models and few steps, to test this script"
    )
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.steps = 2, 3
    if min(options.rounds, options.steps) < 1:
        sys.exit("gpu: --rounds, --steps: expected at least 1")
    options.deadline = time.monotonic() + options.limit
    options.command = shlex.join(["python3", "scripts/bench/gpu.py", *sys.argv[1:]])
    options.sluice = options.sluice.resolve()
    if not options.sluice.exists():
        sys.exit(f"gpu: {options.sluice}: file not found; run `make build` first")
    return options


def main():
    options = parse()
    facts = gpu_machine.facts(options.device)
    version = run([str(options.sluice), "--version"])[0].strip()

    def write(results):
        if options.json:
            content = {"machine": facts, "command": options.command, "version": version}
            text = json.dumps({**content, "cases": results}, indent=1)
            options.json.write_text(text + "\n")

    results = run_all(options, write)
    if options.device == "cuda":
        facts |= {f"{name} at the end": value for name, value in gpu_machine.now().items()}
    write(results)
    text = report(options, facts, results, version)
    if options.page == "-":
        print(text)
    else:
        write_report(ROOT / options.page, "gpu", text)
    return 0 if all(c["passed"] for r in results for c in r["checks"]) else 1


if __name__ == "__main__":
    sys.exit(main())
