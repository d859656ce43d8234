"""What the parts of scripts/gpu_check.sh share: commands with logs, checks, the machine."""

import contextlib
import dataclasses
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "scripts/bench")]


class OutOfTime(Exception):
    """The time limit of the whole check is reached."""


class CommandFailed(Exception):
    """A command ended with another exit code than 0."""


@dataclasses.dataclass
class Check:
    name: str
    status: str  # passed, failed or skipped
    detail: str = ""


@dataclasses.dataclass
class Settings:
    out: pathlib.Path
    build: pathlib.Path
    device: str  # cuda or cpu
    quick: bool
    jobs: int
    deadline: float  # time.monotonic()

    @property
    def sluice(self):
        return self.build / "sluice"


class Part:
    """A running part: its checks, and its log in OUT/NAME.log."""

    def __init__(self, name, settings):
        self.name, self.settings = name, settings
        self.checks = []
        self.folder = settings.out / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log_path = settings.out / f"{name}.log"
        self.log_path.write_text("")

    def log(self, text):
        with self.log_path.open("a") as file:
            file.write(text.rstrip("\n") + "\n")

    def say(self, text):
        """On the console and in the log."""
        self.log(text)
        print(f"  {text}", flush=True)

    def check(self, name, passed, detail=""):
        self.checks.append(Check(name, "passed" if passed else "failed", detail))
        line = f"{self.checks[-1].status:7} {name}{': ' if detail else ''}{detail}"
        if passed:
            self.log(line)
        else:
            self.say(line)
        return passed

    def skip(self, name, why):
        self.checks.append(Check(name, "skipped", why))
        self.say(f"skipped {name}: {why}")

    def seconds_left(self):
        left = self.settings.deadline - time.monotonic()
        if left <= 0:
            raise OutOfTime
        return left

    def start(self, command, env=None, stdin=None):
        """A process in its own group; its errors go to the log."""
        self.log(f"$ {shlex.join(map(str, command))}")
        with self.log_path.open("a") as log:
            return subprocess.Popen(
                [str(word) for word in command],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )

    def run(self, command, env=None, may_fail=False):
        """Standard output of the command, which is also logged."""
        process = self.start(command, env)
        try:
            out, _ = process.communicate(timeout=self.seconds_left())
        except subprocess.TimeoutExpired:
            kill(process)
            process.stdout.close()
            raise OutOfTime from None
        self.log(out)
        if process.returncode != 0 and not may_fail:
            raise CommandFailed(
                f"{shlex.join(map(str, command[:3]))} ...: exit code {process.returncode}; "
                f"see {self.log_path}"
            )
        return out

    def write(self, name, content):
        (self.folder / name).write_text(json.dumps(content, indent=1) + "\n")


def kill(process):
    """Ends a process of start() and its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def missing_modules(*names):
    """Those of the Python modules that cannot be imported."""
    import importlib.util

    return [name for name in names if importlib.util.find_spec(name) is None]
