#!/usr/bin/env python3
"""Checks Sluice on a machine with an NVIDIA GPU.

  scripts/gpu_check.sh OUT                     all parts
  scripts/gpu_check.sh --only tests,bench OUT  some of them

Needs g++, CMake, Ninja, the packages of scripts/setup.sh or --kit FILE (scripts/gpu_kit.sh), and a
Python with a CUDA build of torch. Parts that need transformers, numpy, safetensors or yaml skip
what they cannot import, and say so.

build    configures and builds the program and the tests
tests    the tests that use the GPU; which of them change with TF32
oracle   50 steps of both architectures and optimizers against float64 in PyTorch and transformers
bits     equal bits: two runs, a resume after kill -9, without CUDA graphs, other evaluations
memory   the measured peak against `sluice plan`
bench    scripts/bench/gpu.py: speed and memory against PyTorch and torch.compile

OUT receives a log per part, the parts' results as JSON, and summary.json and summary.md. A failed
part does not stop the others. Exit codes: 0 nothing failed, 1 something failed or was not run.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import sys
import time
import traceback

import bench_part
import bits
import build_part
import device_tests
import kit
import memory
import oracle
from common import ROOT, Check, OutOfTime, Part, Settings

PARTS = {
    "build": build_part.run,
    "tests": device_tests.run,
    "oracle": oracle.run,
    "bits": bits.run,
    "memory": memory.run,
    "bench": bench_part.run,
}


def chosen(text):
    names = [name for name in text.split(",") if name]
    unknown = [name for name in names if name not in PARTS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"received {text!r}; expected some of {','.join(PARTS)}")
    return [name for name in PARTS if name in names]


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="scripts/gpu_check.sh",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", metavar="OUT", type=pathlib.Path, help="folder for results")
    parser.add_argument("--only", type=chosen, default=list(PARTS), metavar="PARTS")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", metavar="DIR")
    parser.add_argument("--kit", type=pathlib.Path, help="packages from scripts/gpu_kit.sh")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--limit", type=float, default=540, help="seconds for everything")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes and few tests, to test this script"
    )
    return parser.parse_args(arguments)


def run_part(name, settings):
    """(checks, seconds) of a part, whatever happens in it."""
    part = Part(name, settings)
    print(f"== {name}", flush=True)
    start = time.monotonic()
    try:
        part.seconds_left()
        PARTS[name](part)
        if not part.checks:
            part.check(name, False, "checked nothing")
    except OutOfTime:
        part.check("time limit", False, "reached; what follows in this part was not run")
    except Exception as error:
        part.log(traceback.format_exc())
        part.check(type(error).__name__, False, str(error))
    return part.checks, time.monotonic() - start


def count(checks, status):
    return sum(check.status == status for check in checks)


def table(results):
    rows = [["part", "result", "passed", "failed", "skipped", "seconds"]]
    for name, (checks, seconds) in results.items():
        result = "FAILED" if count(checks, "failed") else "passed"
        if result == "passed" and not count(checks, "passed"):
            result = "skipped"
        counts = [str(count(checks, status)) for status in ("passed", "failed", "skipped")]
        rows.append([name, result, *counts, f"{seconds:.1f}"])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def write_summary(settings, facts, results):
    content = {
        "machine": facts,
        "parts": {
            name: {"seconds": round(seconds, 1), "checks": [dataclasses.asdict(c) for c in checks]}
            for name, (checks, seconds) in results.items()
        },
    }
    (settings.out / "summary.json").write_text(json.dumps(content, indent=1) + "\n")
    (settings.out / "summary.md").write_text(table(results) + "\n")


def main(arguments=None):
    options = parse(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    settings = Settings(
        out=options.out.resolve(),
        build=options.build.resolve(),
        device=options.device,
        quick=options.quick,
        jobs=options.jobs,
        deadline=time.monotonic() + options.limit,
    )
    kit.prepare(options.kit, settings.build)
    import gpu_machine

    facts = gpu_machine.facts(settings.device)
    print("\n".join(f"{name}: {value}" for name, value in facts.items()), flush=True)
    results: dict[str, tuple[list[Check], float]] = {}
    for name in options.only:
        results[name] = run_part(name, settings)
        write_summary(settings, facts, results)
    print("\n" + table(results), flush=True)
    failed = any(count(checks, "failed") for checks, _ in results.values())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
