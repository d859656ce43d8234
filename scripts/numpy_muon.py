"""Muon in NumPy, float64: a test reference based on the publications only.

Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon/) and Liu et al. 2025 (2502.16982):
the momentum of each matrix is orthogonalized by five quintic Newton-Schulz iterations; AdamW
(Loshchilov & Hutter 2019) trains everything that is not a matrix of an attention or feed-forward
layer.
"""

import numpy as np

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
# The last two are names of T5 in `transformers`.
NOT_HIDDEN = ("embedding.", "position.", "head.", "shared.", "lm_head.")


def to_bf16(x):
    """Rounds to the nearest bf16, ties to even. Finite numbers only."""
    bits = np.asarray(x, dtype=np.float32).view(np.uint32)
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return bits.astype(np.uint32).view(np.float32).astype(np.float64)


def orthogonalized(update, steps=5, kind="bf16"):
    """Newton-Schulz; `kind`: bf16 rounds every product to bf16, fp32 rounds nothing."""
    rounded = to_bf16 if kind == "bf16" else np.asarray
    a, b, c = COEFFICIENTS
    x = rounded(update / max(np.linalg.norm(update), 1e-7))
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    for _ in range(steps):
        gram = rounded(x @ x.T)
        x = rounded(a * x + rounded(b * gram + c * (gram @ gram)) @ x)
    return x.T if tall else x


class Muon:
    """Updates one matrix. `settings`: the YAML section `optimizer`."""

    def __init__(self, shape, decay, settings):
        self.momentum = np.zeros(shape)
        self.rate = float(settings.get("momentum", 0.95))
        self.nesterov = bool(settings.get("nesterov", True))
        self.steps = int(settings.get("newton_schulz_steps", 5))
        self.kind = settings.get("newton_schulz_type", "bf16")
        self.decay = float(settings.get("weight_decay", 0.1)) if decay else 0.0
        rows, columns = shape
        if settings.get("scale", "match_rms_adamw") == "original":
            self.scale = max(1.0, rows / columns) ** 0.5
        else:
            self.scale = 0.2 * max(rows, columns) ** 0.5

    def updated(self, value, gradient, lr):
        self.momentum = self.rate * self.momentum + (1 - self.rate) * gradient
        update = self.momentum
        if self.nesterov:
            update = self.rate * self.momentum + (1 - self.rate) * gradient
        direction = orthogonalized(update, self.steps, self.kind)
        return value * (1 - lr * self.decay) - lr * self.scale * direction

    def state(self):
        return [self.momentum]


class AdamW:
    """Updates one matrix or vector."""

    def __init__(self, shape, decay, settings):
        self.m, self.v, self.t = np.zeros(shape), np.zeros(shape), 0
        self.betas = [float(b) for b in settings.get("betas", (0.9, 0.95))]
        self.eps = float(settings.get("eps", 1e-8))
        self.decay = float(settings.get("weight_decay", 0.1)) if decay else 0.0
        self.factor = float(settings.get("adamw_lr_factor", 1.0))

    def updated(self, value, gradient, lr):
        lr *= self.factor
        self.t += 1
        beta1, beta2 = self.betas
        self.m = beta1 * self.m + (1 - beta1) * gradient
        self.v = beta2 * self.v + (1 - beta2) * gradient**2
        m, v = self.m / (1 - beta1**self.t), self.v / (1 - beta2**self.t)
        return value * (1 - lr * self.decay) - lr * m / (np.sqrt(v) + self.eps)

    def state(self):
        return [self.m, self.v]


class Optimizer:
    """Muon and AdamW on named arrays. `decays`: names of the arrays with weight decay."""

    def __init__(self, shapes, decays, settings):
        self.clip_norm = float(settings.get("clip_norm", 1.0))
        self.parts = {}
        for name, shape in shapes.items():
            hidden = len(shape) == 2 and name in decays and not name.startswith(NOT_HIDDEN)
            self.parts[name] = (Muon if hidden else AdamW)(shape, name in decays, settings)

    def step(self, values, gradients, lr):
        """(new values in float64, global gradient norm)."""
        gradients = {name: np.asarray(g, dtype=np.float64) for name, g in gradients.items()}
        norm = float(np.sqrt(sum(np.square(g).sum() for g in gradients.values())))
        clip = min(1.0, self.clip_norm / norm) if self.clip_norm > 0 else 1.0
        updated = {
            name: part.updated(
                np.asarray(values[name], dtype=np.float64), gradients[name] * clip, lr
            )
            for name, part in self.parts.items()
        }
        return updated, norm
