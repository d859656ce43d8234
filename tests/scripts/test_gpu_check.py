"""scripts/gpu_check.sh: which parts run, that failures are seen, and all parts on the CPU."""

import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts/gpu_check"))

import bits  # noqa: E402
import build_part  # noqa: E402
import check  # noqa: E402
import common  # noqa: E402
import device_tests  # noqa: E402
import kit  # noqa: E402
import oracle  # noqa: E402


class WithFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def part(self, name="tests", **changes):
        settings = {"device": "cpu", "quick": True, "jobs": 1, "deadline": time.monotonic() + 60}
        settings |= {"out": self.folder, "build": self.folder / "build", **changes}
        return common.Part(name, common.Settings(**settings))


def passes(part):
    part.check("one", True, "fine")


def fails(part):
    part.check("two", False, "3; expected 4")
    part.skip("three", "Python has no numpy")


def breaks(_):
    raise common.CommandFailed("cmake ...: exit code 1")


def does_nothing(_):
    pass


class Summary(WithFolder):
    PARTS = {"build": passes, "tests": fails, "oracle": breaks, "bits": does_nothing}

    def run_check(self, *arguments, parts=None):
        """(exit code, console)"""
        console = io.StringIO()
        known, check.PARTS = check.PARTS, parts or self.PARTS
        try:
            with contextlib.redirect_stdout(console):
                code = check.main([str(self.folder / "out"), "--device", "cpu", *arguments])
        finally:
            check.PARTS = known
        return code, console.getvalue()

    def row(self, console, name):
        return next(line for line in console.splitlines() if line.startswith(f"| {name} |"))

    def test_every_part_runs_and_failures_are_counted(self):
        code, console = self.run_check("--only", "bits,oracle,tests,build")
        self.assertEqual(code, 1)
        self.assertIn("| build | passed | 1 | 0 | 0 |", self.row(console, "build"))
        self.assertIn("| tests | FAILED | 0 | 1 | 1 |", self.row(console, "tests"))
        self.assertIn("| oracle | FAILED | 0 | 1 | 0 |", self.row(console, "oracle"))
        self.assertIn("| bits | FAILED | 0 | 1 | 0 |", self.row(console, "bits"))
        self.assertIn("failed  two: 3; expected 4", console)
        self.assertIn("skipped three: Python has no numpy", console)
        self.assertLess(console.index("== build"), console.index("== bits"))
        summary = json.loads((self.folder / "out/summary.json").read_text())
        self.assertEqual(
            summary["parts"]["tests"]["checks"][0],
            {"name": "two", "status": "failed", "detail": "3; expected 4"},
        )
        log = (self.folder / "out/oracle.log").read_text()
        self.assertIn("CommandFailed: cmake ...: exit code 1", log)

    def test_only_the_chosen_parts_run(self):
        code, console = self.run_check("--only", "build")
        self.assertEqual(code, 0)
        self.assertIn("| build |", console)
        self.assertNotIn("| tests |", console)
        for wrong in ("speed", "build,speed", ","):
            with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()) as error:
                self.run_check("--only", wrong)
            self.assertIn("expected some of build,tests,oracle,bits", error.getvalue())

    def test_parts_without_time_left_fail(self):
        code, console = self.run_check("--only", "build", "--limit", "0")
        self.assertEqual(code, 1)
        self.assertIn("time limit", console)

    def test_a_command_is_ended_at_the_time_limit(self):
        part = self.part(deadline=time.monotonic() + 0.2)
        with self.assertRaises(common.OutOfTime):
            part.run(["sleep", "30"])
        with self.assertRaises(common.CommandFailed):
            self.part().run(["false"])


class Build(WithFolder):
    def test_configures_with_the_torch_of_this_python(self):
        (self.folder / "build/kit/usr").mkdir(parents=True)
        command = list(map(str, build_part.configure_command(self.part())))
        self.assertTrue(any(word.startswith("-DTorch_DIR=") for word in command))
        self.assertIn(f"-DSLUICE_PYTHON={sys.executable}", command)
        self.assertIn(f"-DCMAKE_PREFIX_PATH={self.folder / 'build/kit/usr'}", command)
        self.assertNotIn("-DCMAKE_PREFIX_PATH", " ".join(map(str, self.plain_command())))

    def plain_command(self):
        return build_part.configure_command(self.part(build=self.folder / "other"))


class Kit(WithFolder):
    def test_unpacks_into_the_build_folder(self):
        header = self.folder / "usr/include/some.h"
        header.parent.mkdir(parents=True)
        header.write_text("// some header")
        with tarfile.open(self.folder / "kit.tar.gz", "w:gz") as archive:
            archive.add(self.folder / "usr", "./usr")
        kit.prepare(self.folder / "kit.tar.gz", self.folder / "build")
        unpacked = self.folder / "build/kit/usr/include/some.h"
        self.assertEqual(unpacked.read_text(), "// some header")
        kit.prepare(None, self.folder / "build")  # later calls use what is there
        self.assertTrue(unpacked.exists())

    def test_wrong_use_of_gpu_kit(self):
        for arguments in ([], ["a", "3.12", "b"]):
            done = subprocess.run(
                [ROOT / "scripts/gpu_kit.sh", *arguments], capture_output=True, text=True
            )
            self.assertEqual(done.returncode, 1)
            self.assertIn("expected FILE [PYTHON_VERSION]", done.stderr)


REPORT = {
    "testsuites": [
        {
            "name": "All/Norms",
            "testsuite": [
                {"name": "A/cuda_fp32_fused", "status": "RUN", "result": "COMPLETED"},
                {
                    "name": "B/cuda_fp32_fused",
                    "status": "RUN",
                    "result": "COMPLETED",
                    "error_of_allowed": "3.5",
                    "failures": [{"failure": "norm_test.cpp:3\ngradient 1: too far"}],
                },
                {"name": "C/cuda_fp32_fused", "status": "RUN", "result": "SKIPPED"},
                {"name": "D/cpu_fp32_fused", "status": "NOTRUN", "result": "SUPPRESSED"},
            ],
        }
    ]
}


class DeviceTests(WithFolder):
    def test_reads_reports(self):
        self.assertEqual(
            device_tests.tests_of(REPORT),
            {
                "All/Norms.A/cuda_fp32_fused": ("passed", "", None),
                "All/Norms.B/cuda_fp32_fused": ("failed", "gradient 1: too far", 3.5),
                "All/Norms.C/cuda_fp32_fused": ("skipped", "", None),
            },
        )

    def test_says_what_tf32_changes(self):
        passed, failed = ("passed", 0.5), ("failed", 3.0)
        self.assertEqual(device_tests.verdict({"default": passed, "off": passed}), "passes")
        self.assertIn("not TF32", device_tests.verdict({"default": failed, "off": failed}))
        self.assertIn("TF32: passes", device_tests.verdict({"default": failed, "off": passed}))

    def test_a_program_that_crashes_is_a_failure(self):
        part = self.part()
        part.settings.build.mkdir()
        program = part.settings.build / "ops_test"
        program.write_text("#!/bin/sh\necho crashed\nexit 139\n")
        program.chmod(0o755)
        with contextlib.redirect_stdout(io.StringIO()):
            device_tests.run(part)
        self.assertIn(
            ("ops_test-0", "failed", "exit code 139 before the tests ended"),
            [(c.name, c.status, c.detail) for c in part.checks],
        )
        last = next(c for c in part.checks if c.name == "tests on the device")
        self.assertEqual((last.status, last.detail), ("failed", "0 with cpu"))


class Oracle(WithFolder):
    EXACT = [2.0, 1.5, 1.0]
    PEERS = [[2.0, 1.501, 1.001], [2.0, 1.4995, 1.0005]]

    def status_of(self, got):
        part = self.part()
        with contextlib.redirect_stdout(io.StringIO()):
            oracle.compare(part, "loss", got, self.EXACT, self.PEERS)
        return part.checks[0].status

    def test_bounds_are_four_times_the_worst_peer_so_far(self):
        allowed = oracle.bounds(self.EXACT, self.PEERS)
        for got, want in zip(allowed, [0.0, 0.004, 0.004], strict=True):
            self.assertAlmostEqual(got, want, delta=2e-5)

    def test_compares_every_step(self):
        self.assertEqual(self.status_of([2.0, 1.503, 0.997]), "passed")
        self.assertEqual(self.status_of([2.001, 1.5, 1.0]), "failed")
        self.assertEqual(self.status_of([2.0, 1.5, 1.01]), "failed")
        self.assertEqual(self.status_of([2.0, 1.5]), "failed")


def write_run(folder, losses, weights=b"\0\0\0\0"):
    checkpoint = folder / f"checkpoints/step-{len(losses)}"
    checkpoint.mkdir(parents=True)
    lines = [{"step": 0, "eval": {}}]
    lines += [{"step": n + 1, "loss": loss, "time": {}} for n, loss in enumerate(losses)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    for file in ("model.safetensors", "optimizer.safetensors"):
        (checkpoint / file).write_bytes(len(header).to_bytes(8, "little") + header + weights)
    return folder


class Bits(WithFolder):
    def test_finds_a_difference_in_losses_and_weights(self):
        first = write_run(self.folder / "a", [1.0, 0.5])
        self.assertIsNone(bits.difference(first, write_run(self.folder / "b", [1.0, 0.5])))
        for name, other, part in (
            ("c", ([1.0, 0.5000001],), "step 2"),
            ("d", ([1.0],), "2 and 1 steps"),
            ("e", ([1.0, 0.5], b"\0\0\0\1"), "model.safetensors: 1 of 1 tensors"),
        ):
            self.assertIn(part, bits.difference(first, write_run(self.folder / name, *other)))


class DryRun(WithFolder):
    def test_all_parts_but_the_build_on_the_cpu(self):
        program = pathlib.Path(os.environ["SLUICE_PROGRAM"])
        done = subprocess.run(
            [
                ROOT / "scripts/gpu_check.sh",
                "--device",
                "cpu",
                "--quick",
                "--only",
                "tests,oracle,bits,bench",
                "--build",
                program.parent,
                self.folder,
            ],
            capture_output=True,
            text=True,
            env={**os.environ, "SLUICE_PYTHON": sys.executable, "OMP_NUM_THREADS": "1"},
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        summary = json.loads((self.folder / "summary.json").read_text())
        passed = {
            name: [c["name"] for c in part["checks"] if c["status"] == "passed"]
            for name, part in summary["parts"].items()
        }
        self.assertIn("decoder, bf16: kill -9 and --resume", passed["bits"])
        self.assertIn("decoder, adamw, bf16: gradient norm", passed["oracle"])
        self.assertGreater(sum("cpu_fp32_fused" in name for name in passed["tests"]), 0)
        self.assertIn("decoder 2.6M, loss equals the peer's", passed["bench"])
        self.assertIn("T5-base, parameters of PyTorch", passed["bench"])
        self.assertIn("| bench | passed |", done.stdout)
        report = (self.folder / "bench/gpu.md").read_text()
        self.assertIn("<!-- bench gpu: begin -->", report)
        self.assertIn("| decoder 2.6M, torch.compile, CUDA graphs |", report)


if __name__ == "__main__":
    unittest.main()
