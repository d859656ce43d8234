"""The model of docs/distributed.md predicts the time of a step on a network within 15 %."""

import pathlib
import re
import subprocess
import sys
import unittest

from link import Link, Unavailable
from small_run import PROGRAM

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Network(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            Link(1).close()
        except Unavailable as error:
            raise unittest.SkipTest(f"no hosts: {error}") from error

    def test_settings_that_were_not_fitted(self):
        page = " ".join((ROOT / "docs" / "distributed.md").read_text().split())
        fitted = re.search(
            r"([\d.]+) exchanges per step, a share of ([\d.]+) .*? an overlap of ([\d.]+)\.", page
        )
        done = subprocess.run(
            [
                *(sys.executable, ROOT / "scripts" / "bench" / "network.py"),
                *("--program", PROGRAM, "--check", *fitted.groups()),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(done.stdout.count(" MB/s |"), 3)


if __name__ == "__main__":
    unittest.main()
