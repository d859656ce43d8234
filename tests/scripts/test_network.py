"""The model of docs/distributed.md predicts the time of a step on a network within 15 %."""

import pathlib
import re
import unittest

from link import Link, Unavailable
from small_run import output_of_bench

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
        output = output_of_bench(self, "network.py", "--check", *fitted.groups())
        self.assertEqual(output.count(" MB/s |"), 3)


if __name__ == "__main__":
    unittest.main()
