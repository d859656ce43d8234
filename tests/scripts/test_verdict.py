"""sluice verdict: outcomes and exit codes, on the runs of docs/results/t5_prose."""

import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ["SLUICE_PROGRAM"]
DIFFERS, EQUIVALENT, UNDECIDED, BROKEN = 80, 81, 82, 83


class Verdict(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        with tarfile.open(ROOT / "docs" / "results" / "t5_prose" / "cells.tar.xz") as archive:
            archive.extractall(scratch.name)
        self.place = pathlib.Path(scratch.name) / "t5_prose"
        self.file = self.place / "comparison.json"

    def edit(self, change):
        comparison = json.loads(self.file.read_text())
        change(comparison)
        self.file.write_text(json.dumps(comparison))

    def keep(self, *layers, num_seeds=8):
        """Keeps these layers, all if none is named, and the first seeds."""

        def change(comparison):
            for key in ("variants", "cells", "tuning"):
                comparison[key] = [
                    entry
                    for entry in comparison[key]
                    if (not layers or entry["settings"]["model.ffn"] in layers)
                    and entry.get("seed", 0) <= num_seeds
                ]
            comparison["seeds"] = comparison["seeds"][:num_seeds]

        self.edit(change)

    def verdict(self, code):
        done = subprocess.run(
            [PROGRAM, "verdict", str(self.place), "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertEqual(done.stderr, "")
        answer = json.loads(done.stdout)
        self.assertEqual(answer["exit_code"], code)
        lines = subprocess.run(
            [PROGRAM, "verdict", str(self.place)], capture_output=True, text=True, check=False
        )
        self.assertEqual(lines.returncode, code)
        self.assertEqual(len(lines.stdout.splitlines()), len(answer["comparisons"]) + 1)
        self.assertTrue(lines.stdout.endswith(f"verdict  {answer['outcome']}\n"), lines.stdout)
        return answer

    def test_five_seeds_are_undecided(self):
        self.keep(num_seeds=5)
        answer = self.verdict(UNDECIDED)
        self.assertEqual(len(answer["comparisons"]), 7)
        for comparison in answer["comparisons"]:
            self.assertEqual(comparison["verdict"], "undecided")
            self.assertGreaterEqual(comparison["p"], 2 / 32)
            self.assertIsNone(comparison["difference_low"])
            self.assertIn("at least 6 seeds", comparison["reason"])

    def test_eight_seeds_differ(self):
        self.keep("relu", "bilinear", "reglu")
        for comparison in self.verdict(DIFFERS)["comparisons"]:
            self.assertEqual(comparison["verdict"], "better")
            self.assertEqual(comparison["seeds_better"], 8)
            # all differences negative: the identity and its negation only
            self.assertEqual(comparison["p"], 2 / 256)
            self.assertLess(comparison["difference_high"], 0)

    def test_a_wide_margin_makes_them_equivalent(self):
        self.keep("relu", "bilinear", "reglu")
        self.edit(lambda comparison: comparison.update(margin=0.5))
        for comparison in self.verdict(EQUIVALENT)["comparisons"]:
            self.assertEqual(comparison["verdict"], "equivalent")
            self.assertGreater(comparison["difference_low"], -0.5)

    def test_unfinished_runs_are_undecided_without_p(self):
        self.keep("relu", "bilinear")
        shutil.rmtree(next(self.place.glob("cells/bilinear-seed-8-*")))
        comparison = self.verdict(UNDECIDED)["comparisons"][0]
        self.assertIsNone(comparison["p"])
        self.assertIn("preliminary", comparison["reason"])

    def test_looks_are_the_only_occasions(self):
        self.keep("relu", "bilinear")
        self.edit(lambda comparison: comparison.update(looks=[7, 8], spending="pocock"))
        shutil.rmtree(next(self.place.glob("cells/bilinear-seed-8-*")))
        self.assertEqual(self.verdict(DIFFERS)["comparisons"][0]["seeds"], 7)
        self.edit(lambda comparison: comparison.update(looks=[6, 8]))
        comparison = self.verdict(UNDECIDED)["comparisons"][0]
        self.assertIsNone(comparison["p"])
        self.assertIn("between looks", comparison["reason"])

    def test_peeking_is_broken(self):
        self.keep("relu", "bilinear")
        change = "seeds were added after a verdict on 6 seeds was possible"
        self.edit(lambda comparison: comparison.update(plan_changes=[change]))
        self.assertEqual(self.verdict(BROKEN)["comparisons"][0]["reason"], change)

    def test_an_edited_result_is_broken(self):
        self.keep("relu", "bilinear")
        result = next(self.place.glob("cells/bilinear-seed-4-*/run/result.json"))
        text = result.read_text()
        value = json.loads(text)["log_perplexity"]
        self.assertIn(str(value), text)
        result.write_text(text.replace(str(value), str(value - 0.1)))
        self.assertIn("failed", self.verdict(BROKEN)["comparisons"][0]["reason"])

    def test_damaged_looks_are_bad_data(self):
        for looks in ([3, 2], [0, 8], [4, 9]):
            self.edit(lambda comparison, looks=looks: comparison.update(looks=looks))
            done = subprocess.run(
                [PROGRAM, "verdict", str(self.place)], capture_output=True, text=True, check=False
            )
            self.assertEqual(done.returncode, 65, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)


if __name__ == "__main__":
    unittest.main()
