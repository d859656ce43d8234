#!/usr/bin/env python3
"""What `sluice compare` costs beside its runs, and how long a report from 1,000 cells takes -> its part of docs/benchmarks.md.

  bench_compare.py                     on an otherwise idle machine; about four times as long as the comparison of --config
  bench_compare.py --pairs 1 --output -

Overhead: the whole comparison in a fresh directory, then the same runs one after the other with `sluice train`; ratio of the times.
Report: the finished runs of that comparison are copied under as many seeds as give 1,000 cells, then `sluice compare --report`.
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

from bench import ROOT, machine, run, write_report

CELLS = 1000


def timed(command):
    start = time.monotonic()
    run(command)
    return time.monotonic() - start


def one_pair(options, folder):
    """Seconds of the comparison, and of its runs alone."""
    shutil.rmtree(folder, ignore_errors=True)
    compare_s = timed([options.sluice, "compare", options.config, "--jobs", "1", "--set", f"run.dir={folder}"])
    cells = sorted((folder / "cells").iterdir())
    alone_s = sum(timed([options.sluice, "train", cell / "config.yaml", "--run-dir", folder / "alone" / cell.name]) for cell in cells)
    print(f"compare {compare_s:.1f} s, its {len(cells)} runs {alone_s:.1f} s", file=sys.stderr, flush=True)
    return compare_s, alone_s, len(cells)


def with_copied_seeds(folder, target):
    """A comparison of CELLS cells in `target`, each a copy of a finished one in `folder` under a seed of its own."""
    comparison = json.loads((folder / "comparison.json").read_text())
    originals = comparison["cells"]
    comparison["seeds"] = list(range(1, CELLS // len(originals) + 1))
    comparison["cells"] = []
    for seed in comparison["seeds"]:
        for cell in originals:
            copy = {**cell, "seed": seed, "directory": f"cells/{seed}-{pathlib.Path(cell['directory']).name}"}
            shutil.copytree(folder / cell["directory"], target / copy["directory"], ignore=shutil.ignore_patterns("checkpoints"))
            comparison["cells"].append(copy)
    (target / "comparison.json").write_text(json.dumps(comparison))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluice", default="build/sluice")
    parser.add_argument("--config", default="configs/compare/quickstart.yaml")
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--output", default="docs/benchmarks.md", help="Markdown file, or - for stdout")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as scratch:
        folder, many = pathlib.Path(scratch, "few"), pathlib.Path(scratch, "many")
        pairs = [one_pair(options, folder) for _ in range(options.pairs)]
        with_copied_seeds(folder, many)
        report_s = [timed([options.sluice, "compare", "--report", many]) for _ in range(3)]
        results = json.loads((many / "results.json").read_text())
        finished = sum(cell["status"] == "finished" for cell in results["cells"])
        page_mib = (many / "report.html").stat().st_size / 2**20
    ratio = statistics.median(a / b for a, b, _ in pairs)
    text = "\n".join([
        "| what | measured |", "|---|---|",
        f"| `sluice compare {options.config}`: {pairs[0][2]} runs | " + ", ".join(f"{a:.1f} s" for a, _, _ in pairs) + " |",
        "| its runs alone, one after the other | " + ", ".join(f"{b:.1f} s" for _, b, _ in pairs) + " |",
        f"| ratio (median) | {ratio:.3f} |",
        f"| `sluice compare --report` from {finished:,} finished cells, page of {page_mib:.1f} MiB | {statistics.median(report_s):.2f} s |", "",
        f"- Command: `{shlex.join(['python3', 'scripts/bench_compare.py', *sys.argv[1:]])}`. Machine: {machine()}. {run([options.sluice, '--version'])[0].strip()}."])
    if options.output == "-":
        print(text)
    else:
        write_report(ROOT / options.output, "compare", text)


if __name__ == "__main__":
    main()
