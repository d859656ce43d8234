"""The PyTorch decoder against a NumPy implementation, and its training loop."""

import json
import math
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import reference_model
import reference_train
import torch
import yaml
from numpy_adafactor import t5_learning_rates
from safetensors.numpy import save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
erf = np.vectorize(math.erf)


def gelu_tanh(a):
    return 0.5 * a * (1 + np.tanh(math.sqrt(2 / math.pi) * (a + 0.044715 * a**3)))


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def clamped_swish(a):
    a = np.minimum(a, 7)
    return a * sigmoid(1.702 * a)


def softplus(p):
    return np.log1p(np.exp(p))


def xielu(a, p):
    alpha_p, alpha_n = softplus(p["alpha_p"]), 0.5 + softplus(p["alpha_n"])
    return np.where(a > 0, alpha_p * a**2, alpha_n * (np.exp(a) - 1 - a)) + a / 2


def poly_norm(a, p):
    powers = [a**k / np.sqrt((a ** (2 * k)).mean(-1, keepdims=True) + 1e-6) for k in (3, 2, 1)]
    return np.tensordot(p["weight"], powers, 1) + p["bias"]


# Closed forms of Shazeer 2020, eq. 1-6, and of the other variants.
HIDDEN = {
    "relu": lambda a, b: np.maximum(a, 0),
    "gelu": lambda a, b: gelu_tanh(a),
    "swish": lambda a, b: a * sigmoid(a),
    "glu": lambda a, b: sigmoid(a) * b,
    "bilinear": lambda a, b: a * b,
    "reglu": lambda a, b: np.maximum(a, 0) * b,
    "geglu": lambda a, b: gelu_tanh(a) * b,
    "swiglu": lambda a, b: a * sigmoid(a) * b,
    "squared_relu": lambda a, b: np.maximum(a, 0) ** 2,
    "squared_reglu": lambda a, b: np.maximum(a, 0) ** 2 * b,
    "gelu_erf": lambda a, b: 0.5 * a * (1 + erf(a / math.sqrt(2))),
    "geglu_erf": lambda a, b: 0.5 * a * (1 + erf(a / math.sqrt(2))) * b,
    "drelu": lambda a, b: np.maximum(a, 0) * np.maximum(b, 0),
    "swiglu_clamped": lambda a, b: clamped_swish(a) * (np.clip(b, -7, 7) + 1),
}


# Those with learned scalars p.
LEARNED = {
    "swish_beta": lambda a, b, p: a * sigmoid(p["beta"] * a),
    "swiglu_beta": lambda a, b, p: a * sigmoid(p["beta"] * a) * b,
    "xielu": lambda a, b, p: xielu(a, p),
    "polynorm": lambda a, b, p: poly_norm(a, p),
}


class NumpyDecoder:
    """One sequence [T] -> logits [T, V], with explicit loops."""

    def __init__(self, shape, tensors):
        self.shape, self.tensors = shape, tensors

    def linear(self, x, name):
        y = x @ self.tensors[name + ".weight"].T
        return y + self.tensors[name + ".bias"] if name + ".bias" in self.tensors else y

    def norm(self, x, name):
        if self.shape.norm == "layernorm":
            x = x - x.mean(-1, keepdims=True)
        y = (
            x
            / np.sqrt((x**2).mean(-1, keepdims=True) + self.shape.eps)
            * self.tensors[name + ".scale"]
        )
        return y + self.tensors.get(name + ".bias", 0.0)

    def rotated(self, vector, position):
        if self.shape.position != "rope":
            return vector
        half, out = len(vector) // 2, vector.copy()
        for i in range(half):
            pair = complex(vector[i], vector[i + half]) * np.exp(
                1j * position * self.shape.theta ** (-2 * i / len(vector))
            )
            out[i], out[i + half] = pair.real, pair.imag
        return out

    def attention(self, x, name):
        width, (T, _) = self.shape.head_dim, x.shape
        q, k, v = (self.linear(x, f"{name}.{part}") for part in "qkv")
        out = np.zeros((T, self.shape.num_heads * width))
        for head in range(self.shape.num_heads):
            group = head // (self.shape.num_heads // self.shape.num_kv_heads)
            own = slice(head * width, (head + 1) * width)
            shared = slice(group * width, (group + 1) * width)
            for t in range(T):
                query = self.rotated(q[t, own], t)
                scores = np.array(
                    [query @ self.rotated(k[s, shared], s) for s in range(t + 1)]
                ) / math.sqrt(width)
                weights = np.exp(scores - scores.max())
                out[t, own] = weights @ v[: t + 1, shared] / weights.sum()
        return self.linear(out, f"{name}.o")

    def ffn(self, x, name):
        gated = f"{name}.v.weight" in self.tensors
        a, b = self.linear(x, f"{name}.w"), self.linear(x, f"{name}.v") if gated else None
        start = f"{name}.activation."
        scalars = {k[len(start) :]: v for k, v in self.tensors.items() if k.startswith(start)}
        hidden = LEARNED[self.shape.ffn](a, b, scalars) if scalars else HIDDEN[self.shape.ffn](a, b)
        return self.linear(hidden, f"{name}.w2")

    def __call__(self, ids):
        x = self.tensors["embedding.weight"][ids]
        if self.shape.position == "learned":
            x = x + self.tensors["position.weight"][: len(ids)]
        if self.shape.position == "sinusoidal":
            for t in range(len(ids)):
                for i in range(self.shape.d_model):
                    angle = t / 10000 ** (2 * (i // 2) / self.shape.d_model)
                    x[t, i] += math.sin(angle) if i % 2 == 0 else math.cos(angle)
        for n in range(self.shape.num_layers):
            x = x + self.attention(
                self.norm(x, f"blocks.{n}.attention_norm"), f"blocks.{n}.attention"
            )
            x = x + self.ffn(self.norm(x, f"blocks.{n}.ffn_norm"), f"blocks.{n}.ffn")
        x = self.norm(x, "final_norm")
        return (
            x @ self.tensors["embedding.weight"].T
            if self.shape.tie_embeddings
            else self.linear(x, "head")
        )


def small_shape(**changes):
    values = {
        "vocab_size": 19,
        "num_layers": 2,
        "d_model": 12,
        "num_heads": 4,
        "num_kv_heads": 2,
        "head_dim": 6,
        "d_ff": 10,
        "max_length": 9,
    }
    return reference_model.Shape(**{**values, **changes})


def random_decoder(shape):
    torch.manual_seed(3)
    model = reference_model.Decoder(shape).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(
                torch.randn_like(parameter) * 0.5 + (1.0 if parameter.dim() == 1 else 0.0)
            )
    return model


class Forward(unittest.TestCase):
    def check(self, **changes):
        shape = small_shape(**changes)
        model = random_decoder(shape)
        tensors = {
            name: view.numpy() for name, view in reference_model.logical_parameters(model).items()
        }
        ids = np.array([3, 0, 18, 7, 7, 2, 11, 5])
        with torch.no_grad():
            got = model(torch.from_numpy(ids)[None])[0].numpy()
        # The tables of angles are in fp32.
        np.testing.assert_allclose(
            got, NumpyDecoder(shape, tensors)(ids), rtol=1e-5, atol=1e-5, err_msg=str(changes)
        )

    def test_every_ffn_variant(self):
        self.assertEqual(set(HIDDEN) | set(LEARNED), set(reference_model.FFN_VARIANTS))
        for ffn in reference_model.FFN_VARIANTS:
            self.check(ffn=ffn)

    def test_positions_norms_biases_heads(self):
        for position in ("rope", "learned", "sinusoidal", "none"):
            self.check(position=position)
        for norm in ("rmsnorm", "layernorm"):
            for bias in (False, True):
                self.check(norm=norm, bias=bias, tie_embeddings=False)
        self.check(num_kv_heads=4)
        self.check(num_kv_heads=1, theta=500.0)

    def test_attention_is_causal(self):
        model = random_decoder(small_shape())
        first = torch.randint(19, (1, 9))
        second = first.clone()
        second[0, 5:] = (second[0, 5:] + 1) % 19
        with torch.no_grad():
            difference = (model(first) - model(second)).abs().amax(-1)[0]
        self.assertEqual(difference[:5].max().item(), 0.0)
        self.assertGreater(difference[5].item(), 0.0)


class Files(unittest.TestCase):
    def test_round_trip_and_wrong_files(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/model.safetensors"
            model = random_decoder(small_shape()).float()
            other = reference_model.Decoder(small_shape())
            reference_model.save_parameters(model, path)
            reference_model.load_parameters(other, path)
            for name, view in reference_model.logical_parameters(other).items():
                torch.testing.assert_close(
                    view, reference_model.logical_parameters(model)[name], rtol=0, atol=0
                )
            with self.assertRaisesRegex(ValueError, "blocks.2.ffn.w.weight"):
                reference_model.load_parameters(
                    reference_model.Decoder(small_shape(num_layers=3)), path
                )
            with self.assertRaisesRegex(ValueError, r"ffn.w.weight: shape \[10, 12\]"):
                reference_model.load_parameters(reference_model.Decoder(small_shape(d_ff=11)), path)

    def test_names(self):
        names = set(
            reference_model.logical_parameters(
                reference_model.Decoder(
                    small_shape(num_layers=1, tie_embeddings=False, position="learned")
                )
            )
        )
        block = {
            "attention_norm.scale",
            "ffn_norm.scale",
            *(f"attention.{p}.weight" for p in "qkvo"),
            *(f"ffn.{p}.weight" for p in ("w", "v", "w2")),
        }
        self.assertEqual(
            names,
            {f"blocks.0.{n}" for n in block}
            | {"embedding.weight", "position.weight", "final_norm.scale", "head.weight"},
        )

    def test_shape_from_yaml(self):
        shape = reference_model.shape_from_yaml(
            yaml.safe_load("{d_model: 384, num_heads: 6, norm: {eps: 1e-5}, ffn: geglu}"), 100, 64
        )
        self.assertEqual(
            (shape.d_ff, shape.head_dim, shape.num_kv_heads, shape.eps), (1024, 64, 6, 1e-5)
        )
        self.assertEqual(reference_model.shape_from_yaml({"ffn": "relu"}, 100, 64).d_ff, 768)
        with self.assertRaisesRegex(ValueError, "dropout"):
            reference_model.shape_from_yaml({"dropout": 0.1}, 100, 64)


class Schedules(unittest.TestCase):
    def test_values(self):
        factor = reference_train.schedule_factor
        cosine = {"type": "cosine", "warmup_steps": 10, "final_fraction": 0.1}
        self.assertAlmostEqual(factor(cosine, 0, 110), 0.1)
        self.assertAlmostEqual(factor(cosine, 9, 110), 1.0)
        self.assertAlmostEqual(factor(cosine, 60, 110), 0.55)
        self.assertAlmostEqual(factor(cosine, 110, 110), 0.1)
        self.assertAlmostEqual(factor({"type": "linear", "final_fraction": 0.2}, 50, 100), 0.6)
        self.assertAlmostEqual(factor({"type": "inverse_sqrt", "warmup_steps": 4}, 15, 100), 0.5)
        wsd = {"type": "wsd", "warmup_steps": 0, "decay_fraction": 0.2, "final_fraction": 0.0}
        self.assertEqual(
            [round(factor(wsd, s, 100), 6) for s in (0, 79, 80, 90, 95)], [1, 1, 1, 0.5, 0.25]
        )
        self.assertEqual(factor({"type": "constant"}, 70, 100), 1.0)
        for t5, total in (
            ({"type": "t5"}, 12_000),
            ({"type": "t5", "constant_steps": 30, "decay_fraction": 0.25}, 100),
            ({"type": "t5", "constant_steps": 1, "decay_fraction": 0}, 100),
        ):
            rates = t5_learning_rates(
                total, **{key: value for key, value in t5.items() if key != "type"}
            )
            np.testing.assert_allclose(
                [factor(t5, step, total) for step in range(total)], rates, rtol=1e-14
            )
        self.assertAlmostEqual(
            factor(
                {"type": "t5", "constant_steps": 4, "decay_fraction": 0.5, "total_steps": 40},
                25,
                1000,
            ),
            0.15,
        )
        with self.assertRaises(ValueError):
            factor({"type": "staircase"}, 0, 1)


class Training(unittest.TestCase):
    def test_first_update_matches_its_closed_form(self):
        """Adam's first update is -lr * sign(gradient); matrices also decay by lr * weight_decay."""
        model = random_decoder(small_shape()).float()
        before = {n: p.detach().clone() for n, p in model.named_parameters()}
        inputs, targets = torch.randint(19, (2, 8)), torch.randint(19, (2, 8))
        gradients = dict(
            zip(
                before,
                torch.autograd.grad(model.loss_sum(inputs, targets) / 16, list(model.parameters())),
                strict=True,
            )
        )
        norm = math.sqrt(sum(g.double().square().sum().item() for g in gradients.values()))
        trainer = reference_train.Trainer(
            model, {"lr": 0.01, "weight_decay": 0.5, "clip_norm": 0.25, "eps": 1e-30}, "fp32"
        )
        _, reported = trainer.step(inputs, targets, micro_batch=2, factor=0.5)
        self.assertAlmostEqual(reported.item() / norm, 1.0, places=5)
        for name, parameter in model.named_parameters():
            kept = 1 - 0.005 * 0.5 if parameter.dim() == 2 else 1.0
            expected = before[name] * kept - 0.005 * gradients[name].sign()
            solid = gradients[name].abs() > 1e-6
            torch.testing.assert_close(
                parameter.detach()[solid], expected[solid], rtol=1e-5, atol=1e-6
            )

    def test_command(self):
        config = {
            "model": {"d_model": 12, "num_heads": 2, "num_layers": 2, "d_ff": 16, "vocab_size": 19},
            "optimizer": {"type": "adamw", "lr": 0.01, "clip_norm": 0.5},
            "tokenizer": {"type": "bytes"},
            "schedule": {"type": "cosine", "warmup_steps": 2},
            "train": {"steps": 6, "batch_sequences": 4, "sequence_length": 8},
        }
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "config.yaml").write_text(yaml.safe_dump(config))
            tokens = np.random.default_rng(5).integers(19, size=(6, 4, 9), dtype=np.int32)
            targets = tokens[..., 1:].copy()
            targets[:, 0, 3:] = -1
            save_file(
                {"inputs": tokens[..., :-1].copy(), "targets": targets},
                folder / "batches.safetensors",
            )
            model = reference_model.Decoder(reference_model.shape_from_yaml(config["model"], 19, 8))
            reference_model.save_parameters(model, folder / "model.safetensors")
            common = [
                "--config",
                folder / "config.yaml",
                "--initial",
                folder / "model.safetensors",
                "--batches",
                folder / "batches.safetensors",
            ]
            whole, parts = self.run_script(*common), self.run_script(*common, "--micro-batch", "1")
            self.assertEqual(len(whole["losses"]), 6)
            self.assertAlmostEqual(whole["losses"][0], math.log(19), delta=0.1)
            np.testing.assert_allclose(whole["losses"], parts["losses"], rtol=1e-5)
            for dtype in ("fp32", "bf16"):
                measured = self.run_script(
                    "--config",
                    folder / "config.yaml",
                    "--bench",
                    "--dtype",
                    dtype,
                    "--steps",
                    "2",
                    "--warmup-steps",
                    "1",
                )
                self.assertEqual(len(measured["step_s"]), 2)
                self.assertGreater(measured["peak_rss_bytes"], 1e7)
                self.assertGreater(measured["first_step_s"], 0.1)

    def run_script(self, *arguments):
        done = subprocess.run(
            [sys.executable, ROOT / "scripts/reference_train.py", "--threads", "1", *arguments],
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)


if __name__ == "__main__":
    unittest.main()
