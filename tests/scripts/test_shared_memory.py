"""The memory of the processes of a run is what `sluice plan --processes` says of them."""

import json
import pathlib
import subprocess
import tempfile
import time
import unittest

from small_run import PROGRAM, WITHOUT_LAUNCHER

# 11 million parameters, whose buffers are most of the memory.
CONFIG = """
run:       {dir: run}
corpus:    {train: [text.txt]}
tokenizer: {type: bytes}
model:     {type: decoder, num_layers: 6, d_model: 384, num_heads: 6, ffn: swiglu, d_ff: match}
optimizer: {type: OPTIMIZER, lr: 1e-3}
train:
  {steps: 3, batch_sequences: 6, micro_batch_sequences: 1, sequence_length: 32, precision: fp32,
   threads: 1}
evaluate:  {every_steps: never}
"""
TOLERANCE = 0.1


def peaks_of(root):
    """Peak resident bytes by process of the run, from /proc while it runs."""
    launcher = subprocess.Popen(
        [PROGRAM, "launch", "-n", "3", "train", "config.yaml"],
        cwd=root,
        env=WITHOUT_LAUNCHER,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    peaks = {}
    while launcher.poll() is None:
        children = pathlib.Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children")
        for pid in children.read_text().split():
            try:
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            for line in status.splitlines():
                if line.startswith("VmHWM:"):
                    peaks[pid] = int(line.split()[1]) * 1024
        time.sleep(0.01)
    text = launcher.stderr.read()
    launcher.stderr.close()
    return launcher.returncode, text, sorted(peaks.values())


class SharedMemory(unittest.TestCase):
    def test_is_as_planned(self):
        for optimizer in ("adamw", "muon"):
            with self.subTest(optimizer), tempfile.TemporaryDirectory() as folder:
                root = pathlib.Path(folder)
                lines = (f"Line {i} is about {i * i % 97}.\n\n" for i in range(400))
                (root / "text.txt").write_text("".join(lines))
                (root / "config.yaml").write_text(CONFIG.replace("OPTIMIZER", optimizer))
                planned = {
                    num: json.loads(
                        subprocess.check_output(
                            [PROGRAM, "plan", "config.yaml", "--json", "--processes", str(num)],
                            cwd=root,
                        )
                    )["memory_bytes"]
                    for num in (1, 3)
                }
                self.assertLess(planned[3], planned[1])
                code, text, peaks = peaks_of(root)
                self.assertEqual(code, 0, text)
                self.assertEqual(len(peaks), 3)
                self.assertLess(abs(peaks[-1] / planned[3] - 1), TOLERANCE, (peaks, planned))


if __name__ == "__main__":
    unittest.main()
