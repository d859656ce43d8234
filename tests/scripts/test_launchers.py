"""Runs started by a real `mpirun`."""

import os
import shutil
import signal
import subprocess
import unittest

from small_run import SmallRun

# Open MPI refuses these two by default: as root, and more processes than cores.
OPTIONS = ("--allow-run-as-root", "--oversubscribe")


def has_open_mpi():
    if shutil.which("mpirun") is None:
        return False
    version = subprocess.run(["mpirun", "--version"], capture_output=True, text=True, check=False)
    return "Open MPI" in version.stdout


class OpenMpi(SmallRun):
    @classmethod
    def setUpClass(cls):
        if not has_open_mpi():
            raise unittest.SkipTest("no mpirun of Open MPI (openmpi-bin in Debian)")

    def mpirun(self, *settings, num=2):
        before = ["mpirun", *OPTIONS, "-n", str(num)]
        return self.run_program(
            "train", "config.yaml", "--resume", "--set", *settings, before=before
        )

    def test_the_bits_of_one_process(self):
        codes, texts = self.ends_of([self.mpirun("run.dir=several", num=3)])
        self.assertEqual(codes, [0], texts)
        self.assertIn("3 processes share each step", texts[0])
        self.expect_bits_of_one_process("several", 8)

    def test_a_signal_that_it_passes_on_saves_once(self):
        job = self.mpirun("train.steps=20000", "evaluate.every_steps=never")
        self.wait_for_steps(10)
        os.kill(job.pid, signal.SIGUSR1)
        codes, texts = self.ends_of([job])
        self.assertEqual(codes, [75], texts)
        step = self.newest_step()
        self.assertIn(f"after step {step}, checkpoint saved", texts[0])
        resumed = self.mpirun(f"train.steps={step + 2}", "evaluate.every_steps=never")
        codes, texts = self.ends_of([resumed])
        self.assertEqual(codes, [0], texts)
        self.expect_bits_of_one_process("run", step + 2, "evaluate.every_steps=never")


if __name__ == "__main__":
    unittest.main()
