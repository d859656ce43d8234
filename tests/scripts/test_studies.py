"""scripts/studies: sign flips against SciPy and the program, and the committed pages."""

import copy
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

import numpy as np
from scipy import stats

ROOT = pathlib.Path(__file__).resolve().parents[2]
STUDIES = ROOT / "scripts" / "studies"
RESULTS = ROOT / "docs" / "results"
sys.path.insert(0, str(STUDIES))

import flips  # noqa: E402
import one_seed_ranking  # noqa: E402
import results  # noqa: E402
import svg  # noqa: E402

EIGHT_SEEDS = [
    path.parent
    for path in sorted(RESULTS.glob("*/results.json"))
    if len(json.loads(path.read_text())["seeds"]) >= 6
]


def study(name, *arguments):
    done = subprocess.run(
        [sys.executable, STUDIES / f"{name}.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def table_of(text):
    """The cells of the rows of the first table, without its head."""
    rows = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


class Studies(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = pathlib.Path(scratch.name)

    def test_one_comparison_is_scipys_permutation_test(self):
        random = np.random.default_rng(1)
        for shift in (0.0, 0.5, 1.5):
            d = random.normal(size=8) + shift
            expected = stats.permutation_test(
                (d,), np.sum, permutation_type="samples", n_resamples=np.inf
            ).pvalue
            self.assertAlmostEqual(flips.adjusted_p([d])[0], expected, places=12)
            low, high = flips.interval([d], 0)
            for bound, inside in ((low, 1e-6), (high, -1e-6)):
                p = [
                    stats.permutation_test(
                        (d - bound - step,), np.sum, permutation_type="samples", n_resamples=np.inf
                    ).pvalue
                    for step in (inside, -inside)
                ]
                self.assertGreater(p[0], 0.05)
                self.assertLessEqual(p[1], 0.05)

    def test_few_seeds_give_no_bounds(self):
        self.assertEqual(flips.interval(np.array([[1.0, 2, 3, 4, 5]]), 0), (-np.inf, np.inf))

    def test_contrasts_with_the_baseline_are_the_programs_figures(self):
        self.assertTrue(EIGHT_SEEDS)
        for folder in EIGHT_SEEDS:
            record = json.loads((folder / "results.json").read_text())
            label = {
                json.dumps(r["settings"]): ", ".join(r["settings"].values())
                for r in record["summary"]
            }
            base = label[json.dumps(record["baseline"])].replace(" ", "_")
            rows = [row for row in record["summary"] if not row["baseline"]]
            names = [label[json.dumps(row["settings"])] for row in rows]
            terms = [f"{n}: +{folder}:{n.replace(' ', '_')} -{folder}:{base}" for n in names]
            code, out, err = study("contrast", *terms)
            self.assertEqual(code, 0, err)
            for row, (name, mean, bounds, p) in zip(rows, table_of(out), strict=True):
                self.assertEqual(name, label[json.dumps(row["settings"])])
                self.assertAlmostEqual(float(mean), row["difference"], delta=6e-5)
                low, high = map(float, bounds.split(" to "))
                self.assertAlmostEqual(low, row["difference_low"], delta=6e-5)
                self.assertAlmostEqual(high, row["difference_high"], delta=6e-5)
                self.assertAlmostEqual(float(p), row["sign_flip_p"], delta=6e-5)

    def test_groups_of_seeds_are_compared_by_their_means(self):
        cells = [
            {"settings": {"k": v}, "seed": s, "status": "finished", "m": s * (v == "b")}
            for v in "ab"
            for s in range(1, 7)
        ]
        record = {"name": "n", "metric": "m", "seeds": list(range(1, 7)), "cells": cells}
        record["summary"] = [{"settings": {"k": v}} for v in "ab"]
        self.assertEqual(results.values_of(record)["b"], [1, 2, 3, 4, 5, 6])
        record["seed_groups"] = 3
        self.assertEqual(results.values_of(record)["b"], [1.5, 3.5, 5.5])

    def test_a_constant_difference_has_no_test(self):
        self.assertEqual(flips.adjusted_p([[0.01] * 8])[0], 1)
        self.assertTrue(np.isnan(flips.interval(np.full((1, 8), 0.01), 0)).all())

    def test_contrasts_refuse_what_they_cannot_compare(self):
        folder = EIGHT_SEEDS[0]
        for text in ("no terms", "a: b", "a: +nowhere", f"a: +{folder}:nothing"):
            code, _, err = study("contrast", text)
            self.assertEqual(code, 1, text)
            self.assertNotIn("Traceback", err)

    def test_the_change_over_lengths_is_tested_by_seed(self):
        record = json.loads((EIGHT_SEEDS[0] / "results.json").read_text())
        base, long = record["baseline"], copy.deepcopy(record)
        for cell in long["cells"]:
            cell["steps"] *= 8
            if cell["settings"] != base:  # the difference of every layer shrinks by 0.01 or 0.02
                cell["log_perplexity"] += 0.01 if cell["seed"] % 2 else 0.02
        for name, one in (("short", record), ("long", long)):
            (self.scratch / name).mkdir()
            (self.scratch / name / "results.json").write_text(json.dumps(one))
        code, out, err = study(
            "gap_by_length", self.scratch / "long", self.scratch / "short", self.scratch / "out"
        )
        self.assertEqual(code, 0, err)
        self.assertEqual(out, (self.scratch / "out" / "length.md").read_text())
        changes = table_of(out.split("Change of the difference")[1])
        self.assertEqual(len(changes), len(record["summary"]) - 1)
        for _, change, _, p, _ in changes:
            self.assertEqual((change, p), ("+0.0150", "0.0078"))
        xml.etree.ElementTree.parse(self.scratch / "out" / "length.svg")

    def test_a_ranking_without_noise_survives(self):
        labels, values = list("abcd"), np.array([[2.0, 2.1], [1.0, 1.1], [3.0, 3.1], [4.0, 4.1]])
        for fact in one_seed_ranking.facts_of(labels, values):
            self.assertEqual((fact["best"], fact["place"], fact["behind"]), ("b", 1, 0))
            self.assertAlmostEqual(fact["tau"], 1)
        self.assertEqual(one_seed_ranking.pairs_kept(values), 1)
        # Two seeds that contradict each other in one of six pairs.
        values[1, 1] = 2.5
        facts = one_seed_ranking.facts_of(labels, values)
        self.assertEqual([fact["best"] for fact in facts], ["b", "a"])
        self.assertEqual([fact["place"] for fact in facts], [2, 2])
        self.assertAlmostEqual(facts[0]["behind"], 0.4)
        self.assertAlmostEqual(facts[1]["behind"], 1.0)
        self.assertAlmostEqual(one_seed_ranking.pairs_kept(values), 5 / 6)

    def test_ticks_cover_the_range(self):
        for low, high in ((-0.1312, 0.0), (0.0, 7.0), (3.9, 4.05)):
            values, digits = svg.ticks(low, high)
            self.assertLessEqual(values[0], low + 1e-9)
            self.assertGreaterEqual(values[-1], high - 1e-9)
            self.assertLessEqual(len(values), 8)
            self.assertEqual(len({f"{v:.{digits}f}" for v in values}), len(values))

    def test_the_committed_pages_follow_from_the_results(self):
        for page in RESULTS.glob("*/one_seed.md"):
            code, out, err = study("one_seed_ranking", page.parent, self.scratch)
            self.assertEqual(code, 0, err)
            self.assertEqual(out, page.read_text())
            made = (self.scratch / "one_seed.svg").read_text()
            self.assertEqual(made, page.with_suffix(".svg").read_text())


if __name__ == "__main__":
    unittest.main()
