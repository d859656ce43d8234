"""Runs the tests that use the device, and says which of them change with TF32."""

import concurrent.futures
import dataclasses
import json

from common import kill, missing_modules

# Processes at a time on one GPU: each holds half a gigabyte of it and compiles the kernels that
# the others have not put into the cache yet.
PROCESSES = 4


@dataclasses.dataclass
class Program:
    name: str
    filter: str  # of GoogleTest; {device} is cuda or cpu
    shards: int = 1


PROGRAMS = [
    Program("ops_test", "*/*{device}_*", 4),
    Program("nn_test", "*/*{device}_*:*FfnVariants*", 2),
    Program("model_test", "*/*{device}_*", 4),
    Program("optim_test", "*OnGpu.EveryGpuUpdatesLikeTheCpu*"),
    Program("eval_test", "Feed.*"),
    Program("train_test", "DeviceSums.*"),
    Program("gpu_test", "CudaDevice*:Nvrtc*:KernelCache*"),
]
QUICK = [Program("ops_test", "*Linear.EqualsFloat64*/*{device}_*", 2)]

# Tests that start Python, and the modules that they import there.
ORACLES = {
    "DecoderOracle.*": ["numpy", "yaml", "safetensors"],
    "*EncoderDecoderOracle*/transformers_4": ["numpy", "yaml", "safetensors", "transformers"],
}

# These failed on an H200 in an earlier version (docs/gpu.md). Each runs as it is, with TF32
# impossible and with TF32 in cuBLAS. The control shows that the settings work: TF32 rounds its
# probabilities. (The inputs of the op tests have few enough bits for TF32.)
TF32_TESTS = {
    "ops_test": ["All/Attention.EqualsFloat64/{device}_bf16_fused"],
    "model_test": [
        "All/EncoderDecoders.MicroBatchesAddUpToTheWholeBatch/{device}_fp32_fused",
        "All/EncoderDecoders.MicroBatchesAddUpToTheWholeBatch/{device}_fp32_reference",
    ],
}
TF32_CONTROL = ("ops_test", "All/Attention.EqualsFloat64/{device}_fp32_reference")
TF32_SETTINGS = {
    "default": {},
    "off": {"NVIDIA_TF32_OVERRIDE": "0", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "0"},
    "on": {"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"},
}


def programs(settings):
    return [program.name for program in (QUICK if settings.quick else PROGRAMS)]


def tests_of(report):
    """{name: (status, message, error of what is allowed or None)} of a GoogleTest JSON report."""
    found = {}
    for suite in report.get("testsuites", []):
        for test in suite["testsuite"]:
            if test.get("status") != "RUN":
                continue
            status, message = "passed", ""
            if test.get("failures"):
                status = "failed"
                message = test["failures"][0]["failure"].strip().splitlines()[-1]
            elif test.get("result") == "SKIPPED":
                status = "skipped"
            error = test.get("error_of_allowed")
            name = f"{suite['name']}.{test['name']}"
            found[name] = (status, message, None if error is None else float(error))
    return found


def run_program(part, program, filter_, label, env=None):
    """The tests that ran, or a message if the program did not finish."""
    report = part.folder / f"{label}.json"
    report.unlink(missing_ok=True)
    command = [part.settings.build / program, f"--gtest_filter={filter_}", "--gtest_brief=1"]
    process = part.start(
        [*command, f"--gtest_output=json:{report}"],
        {"OMP_NUM_THREADS": "1", "GTEST_COLOR": "no", **(env or {})},
    )
    try:
        out, _ = process.communicate(timeout=part.seconds_left())
    except BaseException:
        kill(process)
        raise
    part.log(out)
    if not report.exists():
        return f"exit code {process.returncode} before the tests ended"
    return tests_of(json.loads(report.read_text()))


def filter_of(part, program):
    text = program.filter
    if program.name == "model_test":
        for oracle, modules in ORACLES.items():
            missing = missing_modules(*modules)
            if "transformers" in modules and not missing and not has_transformers_4():
                missing = ["transformers 4"]
            if missing:
                part.skip(oracle, f"Python has no {', '.join(missing)}")
            else:
                text += f":{oracle}"
    return text.replace("{device}", part.settings.device)


def has_transformers_4():
    import importlib.metadata

    return importlib.metadata.version("transformers").startswith("4.")


def run_all(part):
    tasks = []
    for program in QUICK if part.settings.quick else PROGRAMS:
        filter_ = filter_of(part, program)
        for shard in range(program.shards):
            env = {"GTEST_TOTAL_SHARDS": str(program.shards), "GTEST_SHARD_INDEX": str(shard)}
            tasks.append((program.name, filter_, f"{program.name}-{shard}", env))
    workers = max(1, min(PROCESSES, part.settings.jobs))
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        results = list(pool.map(lambda task: run_program(part, *task), tasks))
    seen = {}
    for (_, _, label, _), result in zip(tasks, results, strict=True):
        if isinstance(result, str):
            part.check(label, False, result)
        else:
            seen.update(result)
    return seen


def report_errors(part, seen):
    """The tests that came closest to what is allowed."""
    errors = {name: error for name, (_, _, error) in seen.items() if error is not None}
    part.write("errors.json", dict(sorted(errors.items(), key=lambda item: -item[1])))
    for name, error in sorted(errors.items(), key=lambda item: -item[1])[:5]:
        part.say(f"{error:8.2f} of the allowed error: {name}")


def tf32_rows(part):
    """{test: {setting: (status, error of what is allowed)}}"""
    device = part.settings.device
    groups = {} if part.settings.quick else {p: list(tests) for p, tests in TF32_TESTS.items()}
    groups.setdefault(TF32_CONTROL[0], []).append(TF32_CONTROL[1])
    rows = {}
    for program, tests in groups.items():
        filter_ = ":".join(tests).replace("{device}", device)
        for setting, env in TF32_SETTINGS.items():
            seen = run_program(part, program, filter_, f"tf32-{program}-{setting}", env)
            if isinstance(seen, str):
                part.check(f"TF32 {setting}, {program}", False, seen)
                continue
            for name, (status, _, error) in seen.items():
                rows.setdefault(name, {})[setting] = (status, error)
    return rows


def verdict(row):
    """What the three runs of a test say about TF32."""
    default, off = row["default"][0], row["off"][0]
    if default == "passed":
        return "passes"
    return "TF32: passes without it" if off == "passed" else "not TF32: fails without it too"


def report_tf32(part):
    rows = tf32_rows(part)
    part.write("tf32.json", rows)
    part.say("error of what is allowed, with TF32 as it is / off / on:")
    for name, row in rows.items():
        if len(row) < len(TF32_SETTINGS):
            part.check(name, False, "did not run with every setting of TF32")
            continue
        errors = " / ".join(
            "none" if row[s][1] is None else f"{row[s][1]:.2f}" for s in TF32_SETTINGS
        )
        part.say(f"{errors}  {name}: {verdict(row)}")
    if part.settings.device != "cuda":
        part.skip("TF32 control", "only GPUs have TF32")
        return
    control = rows.get(TF32_CONTROL[1].replace("{device}", "cuda"), {})
    error = control.get("on", ("", None))[1]
    part.check(
        "TF32 control",
        error is not None and error > 1,
        f"with TF32 the error of attention is {error} of what is allowed; expected above 1",
    )


def run(part):
    seen = run_all(part)
    for name, (status, message, _) in seen.items():
        if status == "skipped":
            part.skip(name, "skipped itself")
        else:
            part.check(name, status == "passed", message)
    on_device = sum(f"{part.settings.device}_" in name for name in seen)
    part.check("tests on the device", on_device > 0, f"{on_device} with {part.settings.device}")
    report_errors(part, seen)
    report_tf32(part)
