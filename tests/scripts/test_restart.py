"""torchrun starts a killed run again, which goes on within five seconds at 7 million parameters."""

import pathlib
import subprocess
import sys
import unittest

from small_run import PROGRAM, free_port

BENCH = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "bench"


class Restart(unittest.TestCase):
    def test_each_process_once(self):
        done = subprocess.run(
            [
                *(sys.executable, BENCH / "restart.py", "--program", PROGRAM),
                *("--kills", "2", "--limit", "5", "--port", str(free_port())),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(done.stdout.count("s to the next step"), 2)


if __name__ == "__main__":
    unittest.main()
