"""Runs started by real programs: `mpirun`, `torchrun`, GNU parallel."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import unittest

from small_run import CONFIG, PROGRAM, WITHOUT_LAUNCHER, SmallRun, free_port, wait_until

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


class Torchrun(SmallRun):
    def torchrun(self, *settings, restarts=0):
        before = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
        before += ["--no-python", "--master-port", str(free_port())]
        before += ["--max-restarts", str(restarts)]
        return self.run_program(
            "train", "config.yaml", "--resume", "--set", *settings, before=before
        )

    def test_the_bits_of_one_process(self):
        codes, texts = self.ends_of([self.torchrun("run.dir=several")])
        self.assertEqual(codes, [0], texts)
        self.assertIn("2 processes share each step", texts[0])
        self.expect_bits_of_one_process("several", 8)

    def test_a_stop_saves_and_returns_1(self):
        job = self.torchrun("train.steps=20000", "evaluate.every_steps=never", restarts=1)
        self.wait_for_steps(10)
        job.terminate()
        codes, texts = self.ends_of([job])
        self.assertEqual(codes, [1], texts)
        saved = f"after step {self.newest_step()}, checkpoint saved"
        self.assertIn(saved, texts[0])
        self.assertEqual(texts[0].count("checkpoint saved"), 1, texts)

    def test_a_stop_of_one_process_counts_as_a_failure(self):
        job = self.torchrun("train.steps=20000", "evaluate.every_steps=never", restarts=1)
        self.wait_for_steps(10)
        with open(f"/proc/{job.pid}/task/{job.pid}/children") as file:
            os.kill(int(file.read().split()[0]), signal.SIGTERM)
        wait_until(lambda: "continuing from step" in self.text_of(job), "a new start")
        saved = int(self.text_of(job).rsplit("continuing from step ", 1)[1].split("\n")[0])
        self.assertIn(f"after step {saved}, checkpoint saved", self.text_of(job))
        job.terminate()
        self.ends_of([job])


SSH = """#!/bin/sh
shift
[ "$1" != -- ] || shift
SHELL=/bin/sh exec sh -c "$*"
"""


class Parallel(SmallRun):
    """The commands of docs/comparison.md. `ssh` is a stub that runs them on this machine.

    Like sshd, it sets SHELL, without which GNU parallel runs nothing and returns 0.
    """

    COMPARE = """
compare:
  vary: {model.ffn: [relu, geglu]}
  seeds: [1, 2]
"""

    def setUp(self):
        super().setUp()
        (self.root / "c.yaml").write_text(CONFIG + self.COMPARE)
        programs = self.root / "programs"
        programs.mkdir()
        (programs / "sluice").symlink_to(PROGRAM)
        (programs / "ssh").write_text(SSH)
        (programs / "ssh").chmod(0o755)
        self.environment = {**WITHOUT_LAUNCHER, "PATH": f"{programs}:{os.environ['PATH']}"}

    def expect_whole_comparison(self, pattern):
        page = pathlib.Path(__file__).resolve().parents[2] / "docs" / "comparison.md"
        command = re.search(rf"(?m)^{pattern}.*?[^\\]$", page.read_text(), re.DOTALL)[0]
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertTrue((self.root / "run" / "results.json").exists(), done.stdout)
        results = json.loads((self.root / "run" / "results.json").read_text())
        self.assertEqual([cell["status"] for cell in results["cells"]], ["finished"] * 4)

    def require_parallel(self):
        if shutil.which("parallel") is None:
            self.skipTest("no GNU parallel")

    def test_parts_on_this_machine(self):
        self.require_parallel()
        self.expect_whole_comparison("OMP_NUM_THREADS=4 parallel")

    def test_parts_on_others(self):
        self.require_parallel()
        self.expect_whole_comparison("parallel --jobs 1 --sshlogin")

    def test_parts_by_ssh(self):
        self.expect_whole_comparison("for k in 1 2")


if __name__ == "__main__":
    unittest.main()
