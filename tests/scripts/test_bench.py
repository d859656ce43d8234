"""bench.py with a fake program of known speed."""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import bench
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]

FAKE_PROGRAM = """#!{python}
import json, pathlib, sys, time
if sys.argv[1] == "--version":
    print("sluice 0.0 fake")
if sys.argv[1] == "train":
    settings = dict(a.split("=") for a in sys.argv if a.startswith("train."))
    run = pathlib.Path(sys.argv[sys.argv.index("--run-dir") + 1])
    run.mkdir(parents=True)
    with open(run / "metrics.jsonl", "w") as out:
        print(json.dumps(dict(step=0, eval=dict(log_perplexity=9.0))), file=out)
        for step in range(1, int(settings["train.steps"]) + 1):
            seconds = 10.0 + 0.5 * (step - 1)  # a slow first step, then 0.5 s each
            line = dict(step=step, tokens=64 * step, loss=1.0, time=dict(seconds=seconds))
            print(json.dumps(line), file=out, flush=True)
    if settings["train.precision"] == "{fails_at}":
        sys.exit("disk full")
"""


class Bench(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        config = {
            "model": {"d_model": 16, "num_heads": 2, "num_layers": 1, "d_ff": 16, "vocab_size": 32},
            "tokenizer": {"type": "bytes"},
            "train": {"batch_sequences": 4, "sequence_length": 16},
        }
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config))

    def run_bench(self, fails_at="never", *arguments):
        program = self.folder / "sluice"
        program.write_text(FAKE_PROGRAM.format(python=sys.executable, fails_at=fails_at))
        program.chmod(0o755)
        return subprocess.run(
            [
                sys.executable,
                ROOT / "scripts/bench/bench.py",
                "--sluice",
                program,
                "--config",
                self.folder / "config.yaml",
                "--pairs",
                "2",
                "--steps",
                "3",
                "--warmup-steps",
                "1",
                "--threads",
                "1",
                *arguments,
            ],
            capture_output=True,
            text=True,
        )

    def test_table(self):
        done = self.run_bench("never", "--output", "-")
        self.assertEqual(done.returncode, 0, done.stderr)
        for precision in ("fp32", "bf16"):
            row = next(
                line for line in done.stdout.splitlines() if line.startswith(f"| {precision} |")
            )
            self.assertIn("| 128 (128–128) |", row)  # 64 tokens per 0.5 s
            self.assertNotIn("not seen", row)
            peer = float(re.split(r" \|", row)[2].split("(")[0].strip(" |").replace(",", ""))
            ratio = float(re.split(r" \|", row)[3].split("(")[0].strip(" |"))
            self.assertLess(abs(ratio - 128 / peer), 0.02 + 0.3 * ratio)
        self.assertIn("sluice 0.0 fake", done.stdout)
        for line in done.stdout.splitlines():
            self.assertTrue(len(line) <= 100 or line.startswith("|"), line)

    def test_failure_of_the_program_is_reported(self):
        done = self.run_bench("bf16", "--output", "-", "--precisions", "bf16")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("disk full", done.stderr)
        self.assertEqual(done.stdout, "")

    def test_wrong_use(self):
        self.assertNotEqual(self.run_bench("never", "--pairs", "0").returncode, 0)
        missing = subprocess.run(
            [
                sys.executable,
                ROOT / "scripts/bench/bench.py",
                "--sluice",
                self.folder / "none",
            ],
            capture_output=True,
            text=True,
        )
        self.assertIn("make build", missing.stderr)

    def test_only_the_text_between_the_markers_changes(self):
        page = self.folder / "docs" / "page.md"
        bench.write_report(page, "one", "first")
        bench.write_report(page, "two", "other")
        page.write_text(
            page.read_text().replace("# Benchmarks", "# Benchmarks\n\nManual.", 1)
            + "\nAlso manual.\n"
        )
        bench.write_report(page, "one", "second")
        self.assertEqual(page.read_text().count("bench one: begin"), 1)
        self.assertNotIn("first", page.read_text())
        for part in ("second", "other", "Manual.", "Also manual."):
            self.assertIn(part, page.read_text())


if __name__ == "__main__":
    unittest.main()
