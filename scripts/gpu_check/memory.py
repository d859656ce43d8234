"""Compares the measured peak memory of the GPU (on a CPU: the process) with `sluice plan`."""

import json

import gpu_machine
from common import ROOT

ALLOWED = 0.15  # relative difference
CASES = {
    "decoder 110M, bf16": ["configs/bench_gpu_110m.yaml", "train.precision=bf16"],
    "decoder 110M, fp32": ["configs/bench_gpu_110m.yaml", "train.precision=fp32"],
    "decoder 7M, bf16": ["configs/bench_gpu_7m.yaml", "train.precision=bf16"],
    "T5-base, bf16": ["configs/bench_gpu_t5_base.yaml", "train.precision=bf16"],
}
QUICK = {"decoder 2.6M, bf16": ["configs/bench_gpu_2_6m.yaml", "train.batch_sequences=2"]}


def run(part):
    settings = part.settings
    rows = {}
    for name, (config, *changes) in (QUICK if settings.quick else CASES).items():
        command = [settings.sluice, "plan", ROOT / config, "--measure", "--json"]
        command += ["--set", f"train.device={settings.device}", *changes]
        result = json.loads(part.run(command))
        planned, measured = gpu_machine.memory_of(result, settings.device)
        rows[name] = {"planned_bytes": planned, "measured_bytes": measured}
        detail = (
            f"planned {planned / 2**20:,.0f} MiB, measured {measured / 2**20:,.0f} MiB, "
            f"{planned / measured - 1:+.1%}"
        )
        part.check(name, abs(planned / measured - 1) <= ALLOWED, detail)
        part.say(f"{name}: {detail}")
    part.write("memory.json", rows)
