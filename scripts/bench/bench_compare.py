#!/usr/bin/env python3
"""Measures the overhead of `sluice compare` and the time of a report on 1,000 cells.

  bench_compare.py             updates docs/benchmarks.md
  bench_compare.py --output -  report on stdout

Run it on an otherwise idle machine; it takes as long as the comparison of --config.
Overhead: time of the comparison in a new directory against the sum of its runs.
Report: time of `sluice compare --report` after the finished runs have been copied under additional
seeds to make 1,000 cells.
"""

import argparse
import json
import pathlib
import shlex
import shutil
import statistics
import sys
import tempfile
import time

from bench import ROOT, bullet, machine, run, write_report

CELLS = 1000


def timed(command):
    start = time.monotonic()
    run(command)
    return time.monotonic() - start


def overhead(options, folder):
    """(seconds of the comparison, summed seconds of its processes, number of runs).

    Both are from the same comparison, as the speed of a machine drifts.
    """
    compare_s = timed(
        [options.sluice, "compare", options.config, "--jobs", "1", "--set", f"run.dir={folder}"]
    )
    runs_s = [
        json.loads((cell / "cell.json").read_text())["wall_seconds"]
        for cell in sorted((folder / "cells").iterdir())
    ]
    print(
        f"compare {compare_s:.1f} s, its {len(runs_s)} runs {sum(runs_s):.1f} s",
        file=sys.stderr,
        flush=True,
    )
    return compare_s, sum(runs_s), len(runs_s)


def with_copied_seeds(folder, target):
    """Writes a comparison of CELLS cells to `target`, copied from `folder` with new seeds."""
    comparison = json.loads((folder / "comparison.json").read_text())
    originals = comparison["cells"]
    comparison["seeds"] = list(range(1, CELLS // len(originals) + 1))
    comparison["cells"] = []
    for seed in comparison["seeds"]:
        for cell in originals:
            copy = {
                **cell,
                "seed": seed,
                "directory": f"cells/{seed}-{pathlib.Path(cell['directory']).name}",
            }
            shutil.copytree(
                folder / cell["directory"],
                target / copy["directory"],
                ignore=shutil.ignore_patterns("checkpoints"),
            )
            comparison["cells"].append(copy)
    (target / "comparison.json").write_text(json.dumps(comparison))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sluice", default="build/sluice")
    parser.add_argument("--config", default="configs/compare/quickstart.yaml")
    parser.add_argument(
        "--output", default="docs/benchmarks.md", help="Markdown file, or - for stdout"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as scratch:
        folder, many = pathlib.Path(scratch, "few"), pathlib.Path(scratch, "many")
        compare_s, runs_s, num_runs = overhead(options, folder)
        with_copied_seeds(folder, many)
        report_s = [timed([options.sluice, "compare", "--report", many]) for _ in range(3)]
        results = json.loads((many / "results.json").read_text())
        finished = sum(cell["status"] == "finished" for cell in results["cells"])
        page_mib = (many / "report.html").stat().st_size / 2**20
    command = shlex.join(["python3", "scripts/bench/bench_compare.py", *sys.argv[1:]])
    version = run([options.sluice, "--version"])[0].strip()
    text = "\n".join(
        [
            "| what | measured |",
            "|---|---|",
            f"| `sluice compare {options.config}`: {num_runs} runs | {compare_s:.1f} s |",
            f"| the sum of its runs, from start to end of each process | {runs_s:.1f} s |",
            f"| ratio | {compare_s / runs_s:.3f} |",
            f"| `sluice compare --report` from {finished:,} finished cells, "
            f"page of {page_mib:.1f} MiB | {statistics.median(report_s):.2f} s |",
            "",
            bullet(f"Command: `{command}`. Machine: {machine()}. {version}."),
        ]
    )
    if options.output == "-":
        print(text)
    else:
        write_report(ROOT / options.output, "compare", text)


if __name__ == "__main__":
    main()
