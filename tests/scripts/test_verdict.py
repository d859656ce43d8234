"""sluice verdict: outcomes and exit codes, on runs of docs/results, honest and edited.

The runs of t5_prose do not carry their plan, being from a version before that, so that they can
serve as a smaller comparison if file and configuration agree. Those of all_layers carry it.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ["SLUICE_PROGRAM"]
DIFFERS, EQUIVALENT, UNDECIDED, BROKEN = 80, 81, 82, 83


def layer_of(entry):
    return entry["settings"]["model.ffn"]


def with_key(config, key, value):
    """The configuration with another `compare.KEY`."""
    head, section = config.split("\ncompare:\n")
    section, count = re.subn(rf"(?m)^  {key}: .*$", f"  {key}: {value}", section)
    assert count == 1, key
    return f"{head}\ncompare:\n{section}"


class Comparison(unittest.TestCase):
    name = ""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        with tarfile.open(ROOT / "docs" / "results" / self.name / "cells.tar.xz") as archive:
            archive.extractall(scratch.name)
        self.place = pathlib.Path(scratch.name) / self.name
        self.file = self.place / "comparison.json"

    def edit(self, change, **keys):
        """Edits comparison.json, and `compare` in the configuration that it contains."""
        comparison = json.loads(self.file.read_text())
        change(comparison)
        for key, value in keys.items():
            comparison["config"] = with_key(comparison["config"], key, value)
        self.file.write_text(json.dumps(comparison))

    def run_command(self, *arguments):
        return subprocess.run(
            [PROGRAM, *arguments], capture_output=True, text=True, check=False, cwd=self.place
        )


class Verdict(Comparison):
    name = "t5_prose"

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
            self.seeds = comparison["seeds"]
            self.layers = [layer_of(variant) for variant in comparison["variants"]]
            comparison["config"] = with_key(comparison["config"], "seeds", self.seeds)
            varied = f"{{model.ffn: [{', '.join(self.layers)}]}}"
            comparison["config"] = with_key(comparison["config"], "vary", varied)

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
            # 0.025 ** (1 / 8)
            self.assertAlmostEqual(comparison["better_rate_low"], 0.6306, places=4)
            self.assertEqual(comparison["better_rate_high"], 1)

    def test_a_wide_margin_makes_them_equivalent(self):
        self.keep("relu", "bilinear", "reglu")
        self.edit(lambda comparison: comparison.update(margin=0.5), margin=0.5)
        for comparison in self.verdict(EQUIVALENT)["comparisons"]:
            self.assertEqual(comparison["verdict"], "equivalent")
            self.assertGreater(comparison["difference_low"], -0.5)

    def test_unfinished_runs_are_undecided_without_p(self):
        self.keep("relu", "bilinear")
        shutil.rmtree(next(self.place.glob("cells/bilinear-seed-8-*")))
        comparison = self.verdict(UNDECIDED)["comparisons"][0]
        self.assertIsNone(comparison["p"])
        self.assertIn("preliminary", comparison["reason"])

    def test_one_waiting_variant_leaves_all_without_verdict(self):
        self.keep("relu", "bilinear", "reglu")
        shutil.rmtree(next(self.place.glob("cells/bilinear-seed-8-*")))
        for comparison in self.verdict(UNDECIDED)["comparisons"]:
            self.assertIsNone(comparison["p"])

    def test_looks_are_the_only_occasions(self):
        self.keep("relu", "bilinear")
        change = {"looks": [7, 8], "spending": "pocock"}
        self.edit(lambda comparison: comparison.update(change), **change)
        shutil.rmtree(next(self.place.glob("cells/bilinear-seed-8-*")))
        self.assertEqual(self.verdict(DIFFERS)["comparisons"][0]["seeds"], 7)
        self.edit(lambda comparison: comparison.update(looks=[6, 8]), looks=[6, 8])
        comparison = self.verdict(UNDECIDED)["comparisons"][0]
        self.assertIsNone(comparison["p"])
        self.assertIn("between looks", comparison["reason"])

    def test_an_edited_result_is_broken(self):
        self.keep("relu", "bilinear")
        result = next(self.place.glob("cells/bilinear-seed-4-*/run/result.json"))
        text = result.read_text()
        value = json.loads(text)["log_perplexity"]
        self.assertIn(str(value), text)
        result.write_text(text.replace(str(value), str(value - 0.1)))
        reason = self.verdict(BROKEN)["comparisons"][0]["reason"]
        self.assertTrue(reason.startswith("bilinear: 1 of 8 failed (seed 4: "), reason)
        self.assertIn("result.json: hash mismatch", reason)

    def test_damaged_looks_are_bad_data(self):
        for looks in ([3, 2], [0, 8], [4, 9]):
            self.edit(lambda comparison, looks=looks: comparison.update(looks=looks))
            done = self.run_command("verdict", ".")
            self.assertEqual(done.returncode, 65, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)


class Edited(Comparison):
    """What was fixed cannot be edited afterwards without being found."""

    name = "all_layers"

    def expect_bad_data(self, command, text):
        done = self.run_command(*command)
        self.assertEqual(done.returncode, 65, done.stdout + done.stderr)
        self.assertIn(text, done.stderr)

    def test_the_file_without_its_configuration(self):
        original = self.file.read_text()
        comparison = json.loads(original)
        no_seed_7 = {
            "seeds": [1, 2, 3, 4, 5, 6, 8],
            "cells": [cell for cell in comparison["cells"] if cell["seed"] != 7],
        }
        no_glu = {
            key: [entry for entry in comparison[key] if layer_of(entry) != "glu"]
            for key in ("variants", "cells", "tuning")
        }
        for change, text in (
            ({"margin": 0.2}, "margin 0.2 instead of 0.01"),
            ({"average_last": 2}, "average_last 2 instead of 1"),
            ({"baseline": 1}, "baseline gelu instead of relu"),
            (no_seed_7, "seeds [1, 2, 3, 4, 5, 6, 8] instead of [1, 2, 3, 4, 5, 6, 7, 8]"),
            (no_glu, "variants relu | "),
        ):
            with self.subTest(text):
                self.file.write_text(original)
                self.edit(lambda comparison, change=change: comparison.update(change))
                for command in (("verdict", "."), ("audit", ".", "--cells", "0")):
                    self.expect_bad_data(command, text)

    def test_the_file_and_its_configuration(self):
        self.edit(lambda comparison: comparison.update(margin=0.2), margin=0.2)
        done = self.run_command("verdict", ".")
        self.assertEqual(done.returncode, BROKEN)
        self.assertIn("under another plan: margin 0.01 instead of 0.2", done.stdout)

    def test_a_removed_seed_leaves_its_runs(self):
        seeds = [1, 2, 3, 4, 5, 6, 8]

        def change(comparison):
            comparison["seeds"] = seeds
            comparison["cells"] = [cell for cell in comparison["cells"] if cell["seed"] != 7]

        self.edit(change, seeds=seeds)
        self.expect_bad_data(
            ("audit", ".", "--cells", "0"), "received a result of relu, seed 7; expected only"
        )

    def test_exchanged_runs_are_broken(self):
        def change(comparison):
            cells = {
                layer_of(cell): cell
                for cell in comparison["cells"]
                if cell["seed"] == 1 and layer_of(cell) in ("relu", "glu")
            }
            for key in ("hash", "directory"):
                cells["relu"][key], cells["glu"][key] = cells["glu"][key], cells["relu"][key]

        self.edit(change)
        done = self.run_command("verdict", ".")
        self.assertEqual(done.returncode, BROKEN)
        self.assertIn("cell.json is that of glu, seed 1", done.stdout)

    def test_reports_of_other_versions_are_checked(self):
        shutil.copy(ROOT / "docs" / "results" / self.name / "results.json", self.place)
        results = self.place / "results.json"
        for key, value in (("verdict", "better"), ("sign_flip_p", 0.0078)):
            text = json.loads(results.read_text())
            row = next(row for row in text["summary"] if layer_of(row) == "swish")
            row[key] = value
            results.write_text(json.dumps(text))
            self.expect_bad_data(("audit", ".", "--cells", "0"), f"].{key}: received ")


if __name__ == "__main__":
    unittest.main()
