"""Runs scripts/bench/gpu.py and keeps its report."""

import json
import sys

from common import ROOT, CommandFailed


def run(part):
    settings = part.settings
    report = part.folder / "gpu.json"
    command = [sys.executable, ROOT / "scripts/bench/gpu.py", "--sluice", settings.sluice]
    command += ["--device", settings.device, "--json", report, "--page", part.folder / "gpu.md"]
    command += ["--limit", str(max(1, int(part.seconds_left() - 5)))]
    if settings.quick:
        command.append("--quick")
    report.unlink(missing_ok=True)
    try:
        part.run(command)
    except CommandFailed as error:
        part.log(str(error))  # the report says what failed
    finally:
        if report.exists():
            read(part, report)
        else:
            part.check("gpu.py", False, f"no report; see {part.log_path}")


def read(part, report):
    for case in json.loads(report.read_text())["cases"]:
        for check in case["checks"]:
            part.check(f"{case['name']}, {check['name']}", check["passed"], check["detail"])
        for missing in case["skipped"]:
            part.skip(f"{case['name']}, {missing['name']}", missing["why"])
        for line in case["lines"]:
            part.say(line)
