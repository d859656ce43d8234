"""The memory of the processes of a run is what `sluice plan --processes` says of them."""

import pathlib
import tempfile
import unittest

import shared_memory
from small_run import PROGRAM

# 11 million parameters, in blocks, whose buffers are most of the memory.
MODELS = {
    "decoder": """
model:
  {type: decoder, num_layers: 6, d_model: 384, num_heads: 6, ffn: swiglu, d_ff: match}
objective: {type: causal_lm}
""",
    "encoder_decoder": """
model:
  {type: encoder_decoder, num_layers: 3, num_decoder_layers: 3, d_model: 384, num_heads: 6,
   head_dim: 64, ffn: swiglu, d_ff: match}
objective: {type: span_corruption, input_length: 32}
""",
}
CONFIG = """
run:       {dir: run}
corpus:    {train: [text.txt], separator: none}
tokenizer: {type: bytes}
optimizer: {type: OPTIMIZER, lr: 1e-3}
train:
  {steps: 3, batch_sequences: 6, micro_batch_sequences: 1, sequence_length: LENGTH, threads: 1,
   precision: PRECISION}
evaluate:  {every_steps: never}
distributed: {shard: SHARD}
"""
TOLERANCE = 0.1
HAS_FAST_BF16 = any(
    name in pathlib.Path("/proc/cpuinfo").read_text() for name in ("avx512_bf16", "amx_bf16")
)


def write_run(root, optimizer, shard, precision, model="decoder"):
    lines = (f"Line {i} is about {i * i % 97}.\n\n" for i in range(400))
    (root / "text.txt").write_text("".join(lines))
    (root / "config.yaml").write_text(
        MODELS[model]
        + CONFIG.replace("OPTIMIZER", optimizer)
        .replace("SHARD", shard)
        .replace("PRECISION", precision)
        .replace("LENGTH", "32" if model == "decoder" else "auto")
    )


class SharedMemory(unittest.TestCase):
    def peak_of(self, root):
        """Of the process of three that needs most."""
        code, text, peaks = shared_memory.peaks_of(PROGRAM, root, 3)
        self.assertEqual(code, 0, text)
        self.assertEqual(len(peaks), 3)
        return peaks[-1]

    def test_is_as_planned(self):
        sharded = {}  # what the plan says of sharded parameters
        for model, optimizer, shard, precision in (
            ("decoder", "adamw", "optimizer", "fp32"),
            ("decoder", "muon", "optimizer", "fp32"),
            ("encoder_decoder", "adafactor", "optimizer", "fp32"),
            ("encoder_decoder", "adamw", "parameters", "fp32"),
            ("decoder", "adamw", "parameters", "fp32"),
            ("decoder", "adamw", "optimizer", "bf16"),
        ):
            # Without bf16 in hardware, products have temporary copies, which the plan does not
            # count.
            if precision == "bf16" and not HAS_FAST_BF16:
                continue
            case = f"{model} {optimizer} {shard} {precision}"
            with self.subTest(case), tempfile.TemporaryDirectory() as folder:
                root = pathlib.Path(folder)
                write_run(root, optimizer, shard, precision, model)
                plans = {num: shared_memory.plan_of(PROGRAM, root, num) for num in (1, 3)}
                planned = {num: plan["memory_bytes"] for num, plan in plans.items()}
                self.assertLess(planned[3], planned[1])
                sharded[case] = (
                    planned[3] if shard == "parameters" else plans[3]["sharded_memory_bytes"]
                )
                peak = self.peak_of(root)
                self.assertLess(abs(peak / planned[3] - 1), TOLERANCE, (peak, planned))
        said, planned = (
            sharded[f"decoder adamw {shard} fp32"] for shard in ("optimizer", "parameters")
        )
        self.assertAlmostEqual(said / planned, 1, delta=0.01)

    def test_sharding_saves_in_bf16_what_is_planned(self):
        """On any CPU: the temporary copies are in both."""
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            peaks, plans = [], []
            for shard in ("optimizer", "parameters"):
                write_run(root, "adamw", shard, "bf16")
                plans.append(shared_memory.plan_of(PROGRAM, root, 3)["memory_bytes"])
                peaks.append(self.peak_of(root))
            error = (peaks[0] - peaks[1]) - (plans[0] - plans[1])
            self.assertLess(abs(error), TOLERANCE * plans[1], (peaks, plans))


if __name__ == "__main__":
    unittest.main()
