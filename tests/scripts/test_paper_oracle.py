"""The NumPy Adafactor against manual calculations, the T5 trainer against transformers' loss."""

import json
import math
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import numpy_adafactor
import paper_oracle
import torch
import yaml
from safetensors.numpy import save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]


class AdafactorUpdates(unittest.TestCase):
    def test_first_update_of_a_vector(self):
        """At t = 0 the update is the sign of the gradient, with root mean square 1: no clipping."""
        value, gradient = np.array([3.0, -4.0, 0.0]), np.array([0.5, -7.0, 1e-3])
        updated = numpy_adafactor.Adafactor((3,)).updated(value, gradient, lr=0.1)
        np.testing.assert_allclose(
            updated, value - 0.1 * math.sqrt(25 / 3) * np.sign(gradient), rtol=1e-12
        )

    def test_second_update_uses_the_first_gradient(self):
        optimizer = numpy_adafactor.Adafactor((1,), clip_update=0)
        optimizer.updated(np.array([1.0]), np.array([3.0]), 0.1)
        updated = optimizer.updated(np.array([1.0]), np.array([1.0]), 0.1)
        second_moment = (1 - 2**-0.8) * 9 + 2**-0.8 * 1
        self.assertAlmostEqual(updated[0], 1 - 0.1 / math.sqrt(second_moment), places=12)

    def test_a_matrix_of_rank_one_is_factored_exactly(self):
        """If |gradient| = a b^T, factoring is lossless and the update is again the sign."""
        rng = np.random.default_rng(1)
        a, b = rng.uniform(0.1, 3, 128), rng.uniform(0.1, 3, 130)
        signs = rng.choice([-1.0, 1.0], (128, 130))
        updated = numpy_adafactor.Adafactor((128, 130)).updated(
            np.ones((128, 130)), np.outer(a, b) * signs, 0.5
        )
        np.testing.assert_allclose(updated, 1 - 0.5 * signs, rtol=1e-12)
        self.assertFalse(numpy_adafactor.Adafactor((127, 130)).factored)

    def test_zero_weights_change_by_the_minimum_scale(self):
        updated = numpy_adafactor.Adafactor((4,)).updated(np.zeros(4), np.ones(4), 1.0)
        np.testing.assert_allclose(updated, -1e-3 * np.ones(4), rtol=1e-12)

    def test_updates_are_clipped_by_their_root_mean_square(self):
        optimizer = numpy_adafactor.Adafactor((2,))
        optimizer.updated(np.ones(2), np.full(2, 1e-6), 0.1)
        # The unclipped update has root mean square 2^0.4.
        updated = optimizer.updated(np.ones(2), np.full(2, 5.0), 0.1)
        np.testing.assert_allclose(updated, 0.9, rtol=1e-9)

    def test_learning_rates_of_the_paper(self):
        rates = numpy_adafactor.t5_learning_rates(65_536)
        np.testing.assert_allclose(
            rates[[0, 10_000, 50_000, 58_982]], [0.01, 0.01, 0.004472136, 0.004117563], atol=5e-10
        )
        self.assertEqual(rates[58_982], 1 / math.sqrt(58_982))
        self.assertLess(rates[58_983], 1 / math.sqrt(58_983))


def random_tensors(
    vocab_size=48,
    d_model=16,
    num_heads=2,
    head_dim=6,
    d_ff=20,
    buckets=8,
    layers=(2, 1),
    gated=True,
    tied=True,
):
    rng = np.random.default_rng(7)
    shapes = {"embedding.weight": (vocab_size, d_model)}
    if not tied:
        shapes["head.weight"] = (vocab_size, d_model)
    for stack, depth, attentions in (
        ("encoder", layers[0], ["attention"]),
        ("decoder", layers[1], ["attention", "cross"]),
    ):
        shapes[f"{stack}.position.weight"] = (num_heads, buckets)
        shapes[f"{stack}.final_norm.scale"] = (d_model,)
        for n in range(depth):
            block = f"{stack}.blocks.{n}"
            for name in attentions:
                shapes[f"{block}.{name}_norm.scale"] = (d_model,)
                shapes.update(
                    {
                        f"{block}.{name}.{part}.weight": (num_heads * head_dim, d_model)
                        for part in "qkv"
                    }
                )
                shapes[f"{block}.{name}.o.weight"] = (d_model, num_heads * head_dim)
            shapes[f"{block}.ffn_norm.scale"] = (d_model,)
            shapes.update(
                {f"{block}.ffn.{part}.weight": (d_ff, d_model) for part in ("wv" if gated else "w")}
            )
            shapes[f"{block}.ffn.w2.weight"] = (d_model, d_ff)
    return {
        name: (rng.normal(size=shape) * 0.3 + (1 if name.endswith("scale") else 0)).astype(
            np.float32
        )
        for name, shape in shapes.items()
    }


class Trainer(unittest.TestCase):
    config = {
        "model": {"type": "encoder_decoder", "ffn": "geglu"},
        "optimizer": {"type": "adafactor", "factored_min_dim": 16},
        "schedule": {"type": "t5", "constant_steps": 100},
        "train": {"steps": 6, "z_loss": 0.0},
    }

    def batches(self):
        rng = np.random.default_rng(3)
        return {
            "inputs": rng.integers(2, 48, (1, 4, 9), dtype=np.int32),
            "targets": rng.integers(2, 48, (1, 4, 5), dtype=np.int32),
        }

    def test_the_first_loss_equals_that_of_transformers(self):
        for ffn, projection in paper_oracle.PROJECTIONS.items():
            for tied in (True, False):
                tensors = random_tensors(gated=projection.startswith("gated"), tied=tied)
                model, parameters = paper_oracle.make_model({"ffn": ffn}, tensors, start=0)
                batch = {name: torch.from_numpy(b[0]).long() for name, b in self.batches().items()}
                with torch.no_grad():
                    expected = model(input_ids=batch["inputs"], labels=batch["targets"]).loss.item()
                trainer = paper_oracle.Trainer(model, parameters, self.config, start=0)
                loss, log_perplexity, norm = trainer.step(
                    batch["inputs"], batch["targets"], micro_batch=3, factor=0.1
                )
                self.assertAlmostEqual(loss / expected, 1.0, places=5, msg=ffn)
                self.assertAlmostEqual(log_perplexity / expected, 1.0, places=5, msg=ffn)
                self.assertGreater(norm, 0)

    def test_each_tensor_changes_by_at_most_its_clipped_step(self):
        tensors = random_tensors()
        model, parameters = paper_oracle.make_model(self.config["model"], tensors, start=0)
        trainer = paper_oracle.Trainer(model, parameters, self.config, start=0)
        batch = {name: torch.from_numpy(b[0]).long() for name, b in self.batches().items()}
        trainer.step(batch["inputs"], batch["targets"], micro_batch=4, factor=0.1)
        for name, parameter in parameters.items():
            before = tensors[name].T if paper_oracle.is_transposed(name) else tensors[name]
            step = numpy_adafactor.rms(parameter.detach().numpy() - before) / (
                0.1 * numpy_adafactor.rms(before)
            )
            self.assertGreater(step, 0, name)
            self.assertLess(step, 1.001, name)

    def test_z_loss_is_in_the_loss_but_not_in_the_log_perplexity(self):
        config = {**self.config, "train": {"steps": 6, "z_loss": 0.5}}
        results = []
        for chosen in (self.config, config):
            model, parameters = paper_oracle.make_model(chosen["model"], random_tensors(), start=0)
            batch = {name: torch.from_numpy(b[0]).long() for name, b in self.batches().items()}
            results.append(
                paper_oracle.Trainer(model, parameters, chosen, start=0).step(
                    batch["inputs"], batch["targets"], 4, 0.1
                )
            )
        self.assertAlmostEqual(results[0][1], results[1][1], places=5)
        self.assertGreater(results[1][0], results[0][0] + 0.5)

    def test_wrong_files_are_rejected(self):
        tensors = random_tensors()
        del tensors["decoder.blocks.0.cross.q.weight"]
        with self.assertRaisesRegex(ValueError, "decoder.blocks.0.cross.q.weight"):
            paper_oracle.make_model({"ffn": "geglu"}, tensors, start=0)
        with self.assertRaisesRegex(ValueError, "squared_relu"):
            paper_oracle.make_model({"ffn": "squared_relu"}, random_tensors(gated=False), start=0)

    def test_command(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "config.yaml").write_text(yaml.safe_dump(self.config))
            save_file(random_tensors(), folder / "model.safetensors")
            save_file(
                {name: np.repeat(b, 6, axis=0) for name, b in self.batches().items()},
                folder / "batches.safetensors",
            )
            done = subprocess.run(
                [
                    sys.executable,
                    ROOT / "scripts/paper_oracle.py",
                    "--threads",
                    "1",
                    "--config",
                    folder / "config.yaml",
                    "--initial",
                    folder / "model.safetensors",
                    "--batches",
                    folder / "batches.safetensors",
                ],
                capture_output=True,
                text=True,
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            result = json.loads(done.stdout)
            self.assertEqual(len(result["losses"]), 6)
            self.assertLess(result["losses"][-1], result["losses"][0])  # the same batch six times
            np.testing.assert_allclose(result["lr"][0], 0.1)


if __name__ == "__main__":
    unittest.main()
