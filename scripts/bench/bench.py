#!/usr/bin/env python3
"""Compares Sluice with the same model in plain PyTorch (scripts/reference_train.py).

Measures tokens per second, peak memory and time to the first step. An encoder-decoder
(--config configs/bench_t5.yaml) is compared with T5 of `transformers`; its tokens are those of
inputs and targets.

  bench.py                                 five pairs per precision, updates docs/benchmarks.md
  bench.py --pairs 1 --steps 2 --output -  quick run, report on stdout

`make bench` runs both configurations. Use the Python whose torch Sluice is built with, on an
otherwise idle machine. Both programs run the model of --config with the same number of threads.
The two runs of a pair follow each other directly, in alternating order; ratios are taken within
pairs.
"""

import argparse
import datetime
import json
import os
import pathlib
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import textwrap
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts"))  # the reference models


def stop(message):
    sys.exit(f"bench: {message}")


def run(command, watch=None, env=None):
    """Runs `command`, and `watch(start time, process id)` in parallel.

    `env` is added to the environment. Returns (stdout, peak resident bytes of the process, result
    of `watch`).
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        process = subprocess.Popen(
            command, stdout=out, stderr=err, cwd=ROOT, env={**os.environ, **(env or {})}
        )
        seen = []
        watcher = (
            threading.Thread(target=lambda: seen.append(watch(start, process.pid)))
            if watch
            else None
        )
        if watcher:
            watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if watcher:
            watcher.join()
        out.seek(0)
        err.seek(0)
        if process.returncode != 0:
            stop(
                f"{shlex.join(map(str, command))}: exit code {process.returncode}\n"
                f"{err.read().decode(errors='replace')[-2000:]}"
            )
        return out.read().decode(), usage.ru_maxrss * 1024, seen[0] if seen else None


def train_lines(path):
    """Lines of metrics.jsonl that report a training step."""
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return [line for line in lines if "loss" in line]


def tokens_per_step(config):
    """The inputs of a decoder, the inputs and targets of an encoder-decoder."""
    import reference_model
    import reference_t5

    sections = reference_model.read_yaml(config)
    if sections["model"].get("type") == "encoder_decoder":
        length = int(sections["objective"]["input_length"])
        length += reference_t5.target_length(length)
    else:
        length = int(sections["train"]["sequence_length"])
    return int(sections["train"]["batch_sequences"]) * length


def tokens_per_s(options, lines):
    """From the clock after the warm-up and after the last step: includes time between steps."""
    first, last = lines[options.warmup_steps - 1], lines[-1]
    steps = last["step"] - first["step"]
    return (
        steps
        * tokens_per_step(ROOT / options.config)
        / (last["time"]["seconds"] - first["time"]["seconds"])
    )


def run_sluice(options, precision, steps, folder, watch=None):
    run_dir = pathlib.Path(folder, "run")
    shutil.rmtree(run_dir, ignore_errors=True)
    settings = {
        "train.steps": steps,
        "train.precision": precision,
        "train.threads": options.threads,
    }
    command = [options.sluice, "train", options.config, "--run-dir", str(run_dir)]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    _, peak, seen = run(
        command,
        (lambda start, pid: watch(start, pid, run_dir / "metrics.jsonl")) if watch else None,
    )
    lines = train_lines(run_dir / "metrics.jsonl")
    if len(lines) != steps:
        stop(f"{run_dir}/metrics.jsonl: {len(lines)} steps; expected {steps}")
    return lines, peak, seen


def wait_for_first_line(start, pid, metrics):
    """Seconds from the start of the command until its first step is in metrics.jsonl."""
    while True:
        alive = pathlib.Path(f"/proc/{pid}").exists()
        if metrics.exists() and any(
            '"loss"' in line for line in metrics.read_text().split("\n")[:-1]
        ):
            return time.monotonic() - start
        if not alive:
            return None
        time.sleep(0.002)


def measure_sluice(options, precision, folder):
    lines, peak, _ = run_sluice(options, precision, options.warmup_steps + options.steps, folder)
    _, _, first_step_s = run_sluice(options, precision, 1, folder, wait_for_first_line)
    return {
        "tokens_per_s": tokens_per_s(options, lines),
        "peak_bytes": peak,
        "first_step_s": first_step_s,
    }


def measure_peer(options, precision, _):
    command = [
        sys.executable,
        ROOT / "scripts/reference_train.py",
        "--bench",
        "--config",
        options.config,
        "--dtype",
        precision,
        "--steps",
        str(options.steps),
        "--warmup-steps",
        str(options.warmup_steps),
        "--threads",
        str(options.threads),
    ]
    out, peak, _ = run(command)
    result = json.loads(out)
    return {
        "tokens_per_s": result["tokens_per_s"],
        "peak_bytes": peak,
        "first_step_s": result["first_step_s"],
    }


def measure(options):
    """{precision: [(sluice, peer), ...]}"""
    pairs = {}
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        for precision in options.precisions:
            pairs[precision] = []
            for number in range(options.pairs):
                order = [measure_sluice, measure_peer]
                if number % 2:
                    order.reverse()
                results = {program: program(options, precision, folder) for program in order}
                pairs[precision].append((results[measure_sluice], results[measure_peer]))
                sluice, peer = (results["tokens_per_s"] for results in pairs[precision][-1])
                print(
                    f"{precision} pair {number + 1}: Sluice {sluice:.0f}, PyTorch {peer:.0f} "
                    f"tokens/s, ratio {sluice / peer:.2f}",
                    file=sys.stderr,
                    flush=True,
                )
    return pairs


# -- report ----------------------------------------------------------------------------------------


def with_quartiles(values, form="{:,.0f}"):
    low, middle, high = (
        statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    )
    return f"{form.format(middle)} ({form.format(low)}–{form.format(high)})"


def median(rows, key, scale=1.0):
    values = [row[key] for row in rows if row[key] is not None]
    return f"{statistics.median(values) * scale:,.2f}" if values else "not seen"


def machine():
    def field(path, name):
        with open(path, encoding="utf-8") as file:
            return next(
                (line.split(":", 1)[1].strip() for line in file if line.startswith(name)), "unknown"
            )

    flags = field("/proc/cpuinfo", "flags").split()
    features = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    memory_gib = int(field("/proc/meminfo", "MemTotal").split()[0]) / 2**20
    return (
        f"{field('/proc/cpuinfo', 'model name')} ({', '.join(features)}), "
        f"{len(os.sched_getaffinity(0))} processors, {memory_gib:.0f} GiB"
    )


def bullet(text):
    """A list item of docs/benchmarks.md, filled to 100 columns."""
    return textwrap.fill(
        text,
        100,
        initial_indent="- ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def report(options, pairs, version):
    load = os.getloadavg()[0]
    lines = [
        "| precision | Sluice, tokens/s | PyTorch eager, tokens/s | ratio "
        "| peak MiB, Sluice / PyTorch | first step s, Sluice / PyTorch |",
        "|---|---|---|---|---|---|",
    ]
    for precision, rows in pairs.items():
        sluice, peer = zip(*rows, strict=True)
        cells = [
            precision,
            with_quartiles([r["tokens_per_s"] for r in sluice]),
            with_quartiles([r["tokens_per_s"] for r in peer]),
            with_quartiles([a["tokens_per_s"] / b["tokens_per_s"] for a, b in rows], "{:.2f}"),
            f"{median(sluice, 'peak_bytes', 2**-20)} / {median(peer, 'peak_bytes', 2**-20)}",
            f"{median(sluice, 'first_step_s')} / {median(peer, 'first_step_s')}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    import torch

    facts = [
        f"Medians of {options.pairs} interleaved pairs, quartiles in parentheses; {options.steps} "
        f"measured steps after {options.warmup_steps} warm-up steps; {options.threads} threads.",
        f"Command: `{options.command}`. Model and batch: `{options.config}`.",
        f"Machine: {machine()}. Load average at the end: {load:.1f}; the benchmark accounts for up "
        f"to {options.threads}.",
        f"{version}; Python's torch {torch.__version__}; {datetime.date.today().isoformat()}.",
        "First step: time from the start of the command, with prepared data, to the end of the "
        "first step. Peak: resident memory of the process.",
        "The peer is `scripts/reference_train.py --bench`: SDPA, packed projections (for an "
        "encoder-decoder: unmodified T5 of `transformers`), fused AdamW, autocast for bf16, glibc "
        "configured to retain freed memory.",
    ]
    return "\n".join([*lines, "", *map(bullet, facts)])


def write_report(path, name, text):
    """Replaces the text between the markers of `name`, or appends a section."""
    begin, end = f"<!-- bench {name}: begin -->", f"<!-- bench {name}: end -->"
    page = path.read_text() if path.exists() else "# Benchmarks\n"
    if begin not in page or end not in page:
        page += f"\n## {name}\n\n{begin}{end}\n"
    before, rest = page.split(begin, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end, 1)[1]}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sluice", default="build/sluice")
    parser.add_argument(
        "--config", default="configs/bench.yaml", help="YAML file without `extends`"
    )
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="measured steps per run")
    parser.add_argument("--warmup-steps", type=int, default=3)
    parser.add_argument(
        "--precisions", nargs="+", choices=["fp32", "bf16"], default=["fp32", "bf16"]
    )
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--output", default="docs/benchmarks.md", help="Markdown file, or - for stdout"
    )
    options = parser.parse_args()
    if min(options.pairs, options.steps, options.warmup_steps, options.threads) < 1:
        stop("--pairs, --steps, --warmup-steps, --threads: expected at least 1")
    options.command = shlex.join(["python3", "scripts/bench/bench.py", *sys.argv[1:]])
    if not (ROOT / options.sluice).exists():
        stop(f"{options.sluice}: file not found; run `make build` first")
    load = os.getloadavg()[0]
    if load > 0.5:
        print(
            f"bench: load average {load:.1f}: other processes will distort the figures",
            file=sys.stderr,
        )
    version = run([options.sluice, "--version"])[0].strip()
    run([options.sluice, "prepare", options.config])
    text = report(options, measure(options), version)
    if options.output == "-":
        print(text)
    else:
        write_report(ROOT / options.output, pathlib.Path(options.config).stem, text)
        print(f"bench: {options.output}")


if __name__ == "__main__":
    main()
