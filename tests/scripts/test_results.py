"""docs/results/: the commands plan the same runs, and the tables follow from the committed runs."""

import itertools
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import tarfile
import tempfile
import unittest

import numpy as np
from run_readme import commands_of
from scipy import stats

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results"
PROGRAM = os.environ["SLUICE_PROGRAM"]
PAGE = (RESULTS / "README.md").read_text(encoding="utf-8")
FOLDERS = sorted(path.parent for path in RESULTS.glob("*/results.json"))


def sluice(*arguments, folder=ROOT):
    return subprocess.run(
        [PROGRAM, *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False
    )


def comparisons():
    """The arguments of each `build/sluice compare CONFIG ...` in a fenced block of the page."""
    return [
        shlex.split(command)[1:]
        for command in commands_of(PAGE)
        if command.startswith("build/sluice compare configs/")
    ]


def folder_of(arguments):
    """The folder of the results of `compare CONFIG ...`: named as the run directory."""
    for setting in arguments:
        if setting.startswith("run.dir="):
            return RESULTS / pathlib.Path(setting).name
    return RESULTS / pathlib.Path(arguments[1]).stem


def without_version(table):
    """The lines of the table except the one with the version of the program."""
    return [line for line in table.read_text().splitlines() if not line.startswith("Data ")]


class Results(unittest.TestCase):
    def test_the_page_shows_the_command_of_each_comparison(self):
        self.assertTrue(FOLDERS)
        shown = {shlex.join(["build/sluice", *arguments]) for arguments in comparisons()}
        for folder in FOLDERS:
            for command in json.loads((folder / "results.json").read_text())["commands"]:
                self.assertIn(command, shown, folder.name)

    def test_the_commands_plan_the_same_runs(self):
        sizes = ("settings", "num_parameters", "multiply_adds_per_token", "flops_per_token", "d_ff")
        for arguments in comparisons():
            if "--only" in arguments:  # not a whole comparison
                done = sluice(*arguments, "--dry-run", "--json")
                self.assertEqual(done.returncode, 0, done.stderr)
                continue
            committed = json.loads((folder_of(arguments) / "results.json").read_text())
            seeds = ",".join(map(str, committed["seeds"]))  # the first of the configuration's
            done = sluice(*arguments, "--seeds", seeds, "--dry-run", "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            planned = json.loads(done.stdout)
            self.assertEqual(
                [[row[key] for key in sizes] for row in planned["variants"]],
                [[row[key] for key in sizes] for row in committed["summary"]],
            )
            self.assertEqual(
                {row["steps"] for row in planned["variants"]},
                {cell["steps"] for cell in committed["cells"]},
            )
            self.assertEqual(planned["cells"], len(committed["cells"]))
            self.assertEqual(
                planned["tuning_cells"],
                sum(len(point["log_perplexity"]) for point in committed["tuning"]),
            )

    def test_the_tables_are_reproduced_from_the_runs(self):
        for folder in FOLDERS:
            with tempfile.TemporaryDirectory() as scratch:
                with tarfile.open(folder / "cells.tar.xz") as archive:
                    archive.extractall(scratch)
                done = sluice("compare", "--report", folder.name, folder=scratch)
                self.assertEqual(done.returncode, 0, done.stderr)
                made = pathlib.Path(scratch, folder.name)
                self.assertEqual(
                    (made / "results.csv").read_text(),
                    (folder / "results.csv").read_text(),
                    folder.name,
                )
                self.assertEqual(
                    without_version(made / "table.md"),
                    without_version(folder / "table.md"),
                    folder.name,
                )
                new, old = (
                    json.loads((place / "results.json").read_text()) for place in (made, folder)
                )
                self.assertEqual(new["summary"], old["summary"])
                self.assertEqual(new["cells"], old["cells"])

    @staticmethod
    def sign_flip_p(results, values, row):
        """Westfall & Young's step-down p over all flips, from the studentized differences."""
        base = json.dumps(results["baseline"])
        names = [name for name in values if name != base]
        d = np.array([[values[n][s] - values[base][s] for s in results["seeds"]] for n in names])
        signs = np.array(list(itertools.product([1.0, -1.0], repeat=d.shape[1])))
        flipped = signs[:, None, :] * d[None]
        t = np.abs(flipped.mean(axis=2)) / flipped.std(axis=2, ddof=1)
        mine, p = t[0, names.index(json.dumps(row["settings"]))], 0.0
        for k in np.argsort(-t[0], kind="stable"):
            if t[0, k] < mine:
                break
            rest = t[:, t[0] <= t[0, k]].max(axis=1)
            p = max(p, float(np.mean(rest >= t[0, k] * (1 - 1e-9))))
        return p

    def test_the_figures_match_scipy(self):
        for folder in FOLDERS:
            results = json.loads((folder / "results.json").read_text())
            values = {}
            for cell in results["cells"]:
                self.assertEqual(cell["status"], "finished")
                values.setdefault(json.dumps(cell["settings"]), {})[cell["seed"]] = cell[
                    "log_perplexity"
                ]
            base = values[json.dumps(results["baseline"])]
            for row in results["summary"]:
                mine = values[json.dumps(row["settings"])]
                self.assertEqual(sorted(mine), sorted(results["seeds"]))
                self.assertAlmostEqual(row["mean"], statistics.mean(mine.values()), places=12)
                self.assertAlmostEqual(row["std"], statistics.stdev(mine.values()), places=12)
                if not row["baseline"]:
                    self.assertAlmostEqual(
                        row["sign_flip_p"], self.sign_flip_p(results, values, row), places=12
                    )
                    p = stats.ttest_rel(
                        [mine[s] for s in sorted(mine)], [base[s] for s in sorted(mine)]
                    ).pvalue
                    self.assertAlmostEqual(row["paired_p"], p, places=10)


if __name__ == "__main__":
    unittest.main()
