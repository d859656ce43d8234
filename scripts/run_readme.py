#!/usr/bin/env python3
"""Runs the commands in the code blocks of README.md, in order, from the project's root.

A command is a line that begins with `make `, `build/sluice ` or `.venv/bin/python `, or a block of
Python, which .venv runs with the packages of the tests. Skips
`make test` and `make lint`, which .ci/run runs itself. Shortens the comparison and the
training runs, which take minutes, to a few steps; README.md shows the figures of the full ones.
"""

import pathlib
import re
import shlex
import subprocess
import sys
import time

SKIPPED = {"make test", "make lint"}
SHORTENED = {
    "make quickstart": "SETTINGS=train.steps=40",
    "make train": "SETTINGS=train.steps=100",
    "build/sluice train configs/kjv.yaml --resume": "--set train.steps=60",
}


def blocks_of(text):
    """(language, lines) of each fenced block."""
    language, lines = None, []
    for line in text.splitlines():
        if not line.startswith("```"):
            lines.append(line)
        elif language is None:
            language, lines = line[3:].strip(), []
        else:
            yield language, lines
            language = None


def commands_of(text):
    """The commands of the fenced blocks without a language, without comments; Python blocks.

    A command continues on the next line after a backslash.
    """
    commands = []
    for language, lines in blocks_of(text):
        if language == "python":
            commands.append(f".venv/bin/python -c {shlex.quote(chr(10).join(lines))}")
        whole_lines = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).split("\n")
        for line in whole_lines if language == "" else []:
            command = re.sub(r"\s+#.*", "", line).strip()
            if (
                command.startswith(("make ", "build/sluice ", ".venv/bin/python "))
                and command not in SKIPPED
            ):
                commands.append(command)
    return commands


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    commands = commands_of((root / "README.md").read_text(encoding="utf-8"))
    if len(commands) < 5:
        sys.exit(f"README.md: found {len(commands)} commands; expected at least 5")
    if not SHORTENED.keys() <= set(commands):
        sys.exit(f"README.md: missing commands; expected {sorted(SHORTENED)}")
    for command in commands:
        command = " ".join([command, SHORTENED.get(command, "")]).strip()
        start = time.monotonic()
        result = subprocess.run(
            command,
            shell=True,
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        seconds = time.monotonic() - start
        print(f"README: {command}: exit code {result.returncode} after {seconds:.0f} s")
        if result.returncode != 0:
            sys.exit(result.stdout[-3000:])
    print(f"README: all {len(commands)} commands passed")


if __name__ == "__main__":
    main()
