"""gpu.py: ratios, limits and its report. test_gpu_check.py runs it on the CPU."""

import argparse
import pathlib
import sys
import tempfile
import time
import unittest

import gpu_cases
import gpu_machine
import gpu_report

import gpu

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASE = next(case for case in gpu_cases.CASES if case.name == "decoder 110M")


def measured(sluice_s, peer_s, sluice_bytes=2**30, peer_bytes=2**31):
    return {
        "sluice": {"step_s": sluice_s, "peak_bytes": sluice_bytes},
        "compile": {"step_s": peer_s, "peak_bytes": peer_bytes},
    }


class Gpu(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def bench(self, rounds, device="cuda", first=(2.0, 0.5)):
        options = argparse.Namespace(
            quick=False, device=device, rounds=len(rounds), steps=20, command="gpu.py"
        )
        bench = gpu.Bench(CASE, options, self.folder)
        bench.result["rounds"] = rounds
        bench.result["peers"] = {"compile": {"first_step_s": 20.0}}
        bench.result["sluice_first_step_s"] = dict(zip(("cold", "warm"), first, strict=True))
        bench.summarize()
        return bench

    def failed(self, bench):
        return [check["name"] for check in bench.result["checks"] if not check["passed"]]

    def test_ratios_are_taken_within_rounds(self):
        bench = self.bench([measured(1.0, 1.2), measured(2.0, 2.6), measured(4.0, 4.4)])
        peer = bench.result["peers"]["compile"]
        self.assertEqual([round(r, 3) for r in peer["ratios"]], [1.2, 1.3, 1.1])
        self.assertEqual(peer["memory_ratio"], 0.5)
        self.assertEqual(bench.result["tokens_per_step"], 32 * 1024)
        self.assertEqual(self.failed(bench), [])

    def test_limits_hold_on_gpus(self):
        slow = [measured(1.0, 1.05, sluice_bytes=2**32)]
        self.assertEqual(
            self.failed(self.bench(slow, first=(5.5, 1.5))),
            [
                "speed against torch.compile",
                "memory",
                "first step, cold cache",
                "first step, warm cache",
            ],
        )
        self.assertEqual(self.failed(self.bench(slow, device="cpu")), [])

    def test_memory_of_plans(self):
        plan = {
            "memory_bytes": 10,
            "measured_peak_memory_bytes": 11,
            "gpu_memory_bytes": 700,
            "measured_peak_gpu_memory_bytes": 650,
            "gpu_memory": {"weights, fp32": 200, "CUDA context, assumed": 500},
        }
        self.assertEqual(gpu_machine.memory_of(plan, "cpu"), (10, 11))
        self.assertEqual(gpu_machine.memory_of(plan, "cuda"), (700, 650))
        self.assertEqual(gpu_machine.tensor_peak(plan, "cuda"), 150)
        self.assertEqual(gpu_machine.tensor_peak(plan, "cpu"), 11)

    def test_report(self):
        bench = self.bench([measured(0.05, 0.06), measured(0.05, 0.05)])
        text = gpu_report.report(bench.options, {"GPU": "a card"}, [bench.result], "sluice 0.0")
        row = next(line for line in text.splitlines() if line.startswith("| decoder 110M"))
        self.assertIn("| decoder 110M, torch.compile | 50.00 (50.00–50.00), 655,360 |", row)
        self.assertIn("| **1.10** (1.00–1.20) | 1.00 / 2.00 | 2.00, 0.50 / 20.00 |", row)
        self.assertIn("GPU: a card", text)
        self.assertNotIn("Not as expected", text)
        bench.check("memory", False, "1.2; expected at most 1.0")
        text = gpu_report.report(bench.options, {}, [bench.result], "sluice 0.0")
        self.assertIn("Not as expected: decoder 110M: memory: 1.2", text)
        for line in text.splitlines():
            self.assertTrue(len(line) <= 100 or line.startswith("|"), line)

    def test_a_peer_that_ends_or_hangs_is_a_failure(self):
        for program, reason in (("raise SystemExit('out of memory')", "out of memory"), ("", "")):
            (self.folder / "peer.py").write_text(program or "import time; time.sleep(60)")
            peer = gpu.Peer.__new__(gpu.Peer)
            peer.start([sys.executable, self.folder / "peer.py"], "eager", self.folder)
            began = time.monotonic()
            with self.assertRaisesRegex(gpu.Failed, f"PyTorch: exit code .*{reason}"):
                peer.answer(10 if reason else 0.2)
            self.assertLess(time.monotonic() - began, 30)
            peer.stop()


if __name__ == "__main__":
    unittest.main()
