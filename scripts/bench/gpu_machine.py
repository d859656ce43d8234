"""The GPU, its driver and the revision, for reports."""

import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Name in reports -> field of nvidia-smi.
FIELDS = {
    "driver": "driver_version",
    "SM clock": "clocks.sm",
    "highest SM clock": "clocks.max.sm",
    "memory clock": "clocks.mem",
    "power": "power.draw",
    "power limit": "power.limit",
    "temperature": "temperature.gpu",
}


def output_of(command):
    """The first line of its output; None if it fails."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    return done.stdout.strip().splitlines()[0] if done.returncode == 0 and done.stdout else None


def revision():
    commit = output_of(["git", "rev-parse", "--short", "HEAD"])
    if commit is None:
        return "unknown"
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD"], cwd=ROOT).returncode != 0
    return commit + (" with changes" if changed else "")


def now():
    """{name: value} of nvidia-smi; empty without it."""
    query = f"--query-gpu={','.join(FIELDS.values())}"
    line = output_of(["nvidia-smi", "-i", "0", query, "--format=csv,noheader"])
    if line is None:
        return {}
    values = [value.strip() for value in line.split(",")]
    return dict(zip(FIELDS, values, strict=True)) if len(values) == len(FIELDS) else {}


def memory_of(plan, device):
    """(planned, measured) peak bytes in the output of `sluice plan --measure --json`.

    On a GPU both include what the plan assumes for the driver's context.
    """
    if device == "cpu":
        return plan["memory_bytes"], plan["measured_peak_memory_bytes"]
    return plan["gpu_memory_bytes"], plan["measured_peak_gpu_memory_bytes"]


def tensor_peak(plan, device):
    """The measured peak without the driver's context, as PyTorch counts it."""
    parts = plan.get("gpu_memory", {}) if device == "cuda" else {}
    context = sum(size for name, size in parts.items() if name.startswith("CUDA context"))
    return memory_of(plan, device)[1] - context


def facts(device):
    """What identifies a measurement on this machine: {name: text}."""
    import torch

    found = {"commit": revision(), "torch": torch.__version__}
    if device == "cuda":
        if not torch.cuda.is_available():
            return {**found, "GPU": "not found by torch"}
        properties = torch.cuda.get_device_properties(0)
        found["GPU"] = (
            f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, compute capability "
            f"{properties.major}.{properties.minor}"
        )
        found["CUDA"] = f"{torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
        found.update(now())
    else:
        from bench import machine

        found["machine"] = machine()
    return found
