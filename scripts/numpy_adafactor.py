"""Adafactor and T5's learning rate in NumPy, float64: a test reference based on the papers only.

Shazeer & Stern 2018 without momentum, as used in "GLU Variants Improve Transformer" (Shazeer 2020):
second moments decay by 1 - (t + 1)^-0.8 in update t = 0, 1, ...; a tensor whose second-largest
dimension is at least 128 keeps row and column means of the squared gradient; an update is scaled
down to root mean square 1; steps are relative to the root mean square of the parameter.
"""

import numpy as np


def rms(x):
    return np.sqrt(np.mean(np.square(x)))


def t5_learning_rates(total_steps, constant_steps=10_000, decay_fraction=0.1):
    """Learning rates of steps 0 .. total_steps - 1."""
    t = np.arange(total_steps, dtype=np.float64)
    rates = 1 / np.sqrt(np.maximum(t, constant_steps))
    if decay_fraction > 0:
        rates *= np.minimum(1, (total_steps - t) / (decay_fraction * total_steps))
    return rates


class Adafactor:
    """Updates one logical matrix or vector."""

    def __init__(
        self,
        shape,
        decay_rate=0.8,
        clip_update=1.0,
        factored_min_dim=128,
        eps=1e-30,
        min_scale=1e-3,
    ):
        self.decay_rate, self.clip_update = decay_rate, clip_update
        self.eps, self.min_scale = eps, min_scale
        self.t = 0
        self.factored = len(shape) == 2 and sorted(shape)[-2] >= factored_min_dim
        self.row = np.zeros(shape[0]) if self.factored else None
        self.column = np.zeros(shape[1]) if self.factored else None
        self.full = None if self.factored else np.zeros(shape)

    def updated(self, value, gradient, lr):
        """The value after an update. Does not modify `value` and `gradient`."""
        beta = 1 - (self.t + 1.0) ** -self.decay_rate
        self.t += 1
        squares = np.square(gradient) + self.eps
        if self.factored:
            self.row = beta * self.row + (1 - beta) * squares.mean(axis=1)
            self.column = beta * self.column + (1 - beta) * squares.mean(axis=0)
            update = (
                gradient
                / np.sqrt(self.row / self.row.mean())[:, None]
                / np.sqrt(self.column)[None, :]
            )
        else:
            self.full = beta * self.full + (1 - beta) * squares
            update = gradient / np.sqrt(self.full)
        if self.clip_update > 0:
            update = update / max(1.0, rms(update) / self.clip_update)
        return value - lr * max(rms(value), self.min_scale) * update


class Optimizer:
    """Adafactor on named arrays. `settings`: the YAML section `optimizer`."""

    def __init__(self, shapes, settings):
        names = ("decay_rate", "clip_update", "eps", "min_scale")
        chosen = {name: float(settings[name]) for name in names if name in settings}
        if "factored_min_dim" in settings:
            chosen["factored_min_dim"] = int(settings["factored_min_dim"])
        self.clip_norm = float(settings.get("clip_norm", 0.0))
        self.parts = {name: Adafactor(shape, **chosen) for name, shape in shapes.items()}

    def step(self, values, gradients, lr):
        """(new values in float64, global gradient norm)."""
        gradients = {
            name: np.asarray(gradient, dtype=np.float64) for name, gradient in gradients.items()
        }
        norm = float(np.sqrt(sum(np.square(gradient).sum() for gradient in gradients.values())))
        clip = min(1.0, self.clip_norm / norm) if self.clip_norm > 0 else 1.0
        updated = {
            name: part.updated(
                np.asarray(values[name], dtype=np.float64), gradients[name] * clip, lr
            )
            for name, part in self.parts.items()
        }
        return updated, norm
