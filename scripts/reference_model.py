"""The decoder (`model: {type: decoder}`) in plain PyTorch: a test reference and benchmark baseline.

Reads a checkpoint's model.safetensors and the run's resolved config.yaml. Sizes are taken from the
tensors; the YAML file provides the rest (number of heads, types of norm and position, feed-forward
variant).

Conventions: matrices are [out, in]; y = x W^T.
Pre-norm: x += attention(norm(x)); x += ffn(norm(x)); logits = norm(x) head^T.
Rotary positions rotate (element i of the first half of a head, element i of the second half) by
position * theta^(-2i/head_dim), the half-split form of GPT-NeoX.
Grouped queries: query head h uses key and value head h // (num_heads / num_kv_heads).

Shapes: B sequences, T positions, D model width, H heads, K key/value heads, E head width,
V vocabulary.
"""

import dataclasses
import math

import torch
import torch.nn.functional as F
import yaml
from safetensors.torch import load_file, save_file
from torch import nn


class SwishBeta(nn.Module):
    def __init__(self):
        super().__init__()
        self.beta = nn.Parameter(torch.ones(1))

    def forward(self, a):
        return a * torch.sigmoid(self.beta * a)


class Xielu(nn.Module):
    """Huang & Schlag 2024, arXiv 2411.13010."""

    def __init__(self):
        super().__init__()
        self.alpha_p = nn.Parameter(torch.tensor([0.8]).expm1().log())
        self.alpha_n = nn.Parameter(torch.tensor([0.3]).expm1().log())

    def forward(self, a):
        negative = a.clamp(max=0)
        return 0.5 * a + torch.where(
            a > 0,
            F.softplus(self.alpha_p) * a.square(),
            (0.5 + F.softplus(self.alpha_n)) * (torch.expm1(negative) - negative),
        )


class PolyNorm(nn.Module):
    """Zhuo et al. 2024, arXiv 2411.03884; the first weight is that of the cube."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.full((3,), 1 / 3))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, a):
        powers = [F.rms_norm(a**k, a.shape[-1:], eps=1e-6) for k in (3, 2, 1)]
        return sum(w * p for w, p in zip(self.weight, powers, strict=True)) + self.bias


def clamped_swish(a):
    a = a.clamp(max=7)
    return a * torch.sigmoid(1.702 * a)


# name -> (activation or the class of its module, gated)
FFN_VARIANTS = {
    "relu": (F.relu, False),
    "gelu": (lambda a: F.gelu(a, approximate="tanh"), False),
    "swish": (F.silu, False),
    "glu": (torch.sigmoid, True),
    "bilinear": (lambda a: a, True),
    "reglu": (F.relu, True),
    "geglu": (lambda a: F.gelu(a, approximate="tanh"), True),
    "swiglu": (F.silu, True),
    "squared_relu": (lambda a: F.relu(a).square(), False),
    "squared_reglu": (lambda a: F.relu(a).square(), True),
    "gelu_erf": (F.gelu, False),
    "geglu_erf": (F.gelu, True),
    "drelu": (F.relu, True),
    "swiglu_clamped": (clamped_swish, True),
    "swish_beta": (SwishBeta, False),
    "swiglu_beta": (SwishBeta, True),
    "xielu": (Xielu, False),
    "polynorm": (PolyNorm, False),
}
# Gated variants whose second factor is not x V itself.
FACTORS = {"drelu": F.relu, "swiglu_clamped": lambda b: b.clamp(-7, 7) + 1}


@dataclasses.dataclass
class Shape:
    vocab_size: int
    num_layers: int = 4
    d_model: int = 192
    num_heads: int = 3
    num_kv_heads: int = 3
    head_dim: int = 64
    ffn: str = "swiglu"
    d_ff: int = 512
    norm: str = "rmsnorm"
    eps: float = 1e-6
    position: str = "rope"
    theta: float = 10000.0
    max_length: int = 256  # for learned positions
    bias: bool = False
    tie_embeddings: bool = True


def number_or(value, default):
    return default if value in (None, "auto") else int(value)


def shape_from_yaml(model, vocab_size, sequence_length):
    """`model`: the YAML section. Missing keys have Sluice's defaults."""
    d_model, heads = int(model.get("d_model", 192)), int(model.get("num_heads", 3))
    ffn = model.get("ffn", "swiglu")
    matrices = 3 if FFN_VARIANTS[ffn][1] else 2
    d_ff = model.get("d_ff", "match")
    if d_ff == "match":
        reference = number_or(model.get("d_ff_reference"), 4 * d_model)
        multiple = int(model.get("d_ff_multiple", 1))
        d_ff = round(2 * reference / matrices / multiple) * multiple
    position, norm = model.get("position", {}), model.get("norm", {})
    if float(model.get("dropout", 0.0)) != 0.0:
        raise ValueError(f"model.dropout: received {model['dropout']}; expected 0")
    return Shape(
        vocab_size=vocab_size,
        num_layers=int(model.get("num_layers", 4)),
        d_model=d_model,
        num_heads=heads,
        num_kv_heads=number_or(model.get("num_kv_heads"), heads),
        head_dim=number_or(model.get("head_dim"), d_model // heads),
        ffn=ffn,
        d_ff=int(d_ff),
        norm=norm.get("type", "rmsnorm"),
        eps=float(norm.get("eps", 1e-6)),
        position=position.get("type", "rope"),
        theta=float(position.get("theta", 10000)),
        max_length=number_or(position.get("max_length"), sequence_length),
        bias=bool(model.get("bias", False)),
        tie_embeddings=bool(model.get("tie_embeddings", True)),
    )


class Norm(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.kind, self.eps = shape.norm, shape.eps
        self.scale = nn.Parameter(torch.ones(shape.d_model))
        self.bias = (
            nn.Parameter(torch.zeros(shape.d_model))
            if shape.norm == "layernorm" and shape.bias
            else None
        )

    def forward(self, x_BTD):
        if self.kind == "layernorm":
            return F.layer_norm(x_BTD, self.scale.shape, self.scale, self.bias, self.eps)
        return F.rms_norm(x_BTD, self.scale.shape, self.scale, self.eps)


def rotary_table(length, head_dim, theta):
    rates = theta ** (-2 * torch.arange(head_dim // 2, dtype=torch.float64) / head_dim)
    angles = torch.arange(length, dtype=torch.float64)[:, None] * rates
    return angles.cos().float(), angles.sin().float()


def rotate(x_BHTE, cos, sin):
    first, second = x_BHTE.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


class Attention(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.rows = [shape.num_heads * shape.head_dim] + 2 * [shape.num_kv_heads * shape.head_dim]
        self.qkv = nn.Linear(shape.d_model, sum(self.rows), bias=shape.bias)
        self.o = nn.Linear(self.rows[0], shape.d_model, bias=shape.bias)

    def forward(self, x_BTD, rotary):
        B, T, _ = x_BTD.shape
        q, k, v = (
            part.view(B, T, -1, self.shape.head_dim).transpose(1, 2)
            for part in self.qkv(x_BTD).split(self.rows, dim=-1)
        )
        if rotary is not None:
            cos, sin = rotary[0].to(q.dtype), rotary[1].to(q.dtype)
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        groups = self.shape.num_heads // self.shape.num_kv_heads
        if groups > 1:
            k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o(y.transpose(1, 2).reshape(B, T, -1))


class FeedForward(nn.Module):
    def __init__(self, shape):
        super().__init__()
        activation, self.gated = FFN_VARIANTS[shape.ffn]
        self.activation = activation() if isinstance(activation, type) else activation
        self.factor = FACTORS.get(shape.ffn, lambda b: b)
        self.wv = nn.Linear(shape.d_model, (2 if self.gated else 1) * shape.d_ff, bias=shape.bias)
        self.w2 = nn.Linear(shape.d_ff, shape.d_model, bias=shape.bias)

    def forward(self, x_BTD):
        if not self.gated:
            return self.w2(self.activation(self.wv(x_BTD)))
        a, b = self.wv(x_BTD).chunk(2, dim=-1)
        return self.w2(self.activation(a) * self.factor(b))


class Block(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.attention_norm, self.attention = Norm(shape), Attention(shape)
        self.ffn_norm, self.ffn = Norm(shape), FeedForward(shape)

    def forward(self, x_BTD, rotary):
        x_BTD = x_BTD + self.attention(self.attention_norm(x_BTD), rotary)
        return x_BTD + self.ffn(self.ffn_norm(x_BTD))


class Decoder(nn.Module):
    def __init__(self, shape, std=0.02):
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocab_size, shape.d_model)
        self.position = (
            nn.Embedding(shape.max_length, shape.d_model) if shape.position == "learned" else None
        )
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.num_layers))
        self.final_norm = Norm(shape)
        self.head = (
            None if shape.tie_embeddings else nn.Linear(shape.d_model, shape.vocab_size, bias=False)
        )
        self._rotary = (0, None)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                residual = name.endswith(("attention.o.weight", "ffn.w2.weight"))
                nn.init.normal_(
                    parameter, std=std / math.sqrt(2 * shape.num_layers) if residual else std
                )
            elif name.endswith(".bias"):
                nn.init.zeros_(parameter)

    def rotary(self, length):
        if self.shape.position != "rope":
            return None
        if self._rotary[0] < length:
            self._rotary = (length, rotary_table(length, self.shape.head_dim, self.shape.theta))
        return tuple(table[:length].to(self.final_norm.scale) for table in self._rotary[1])

    def hidden(self, inputs_BT):
        T = inputs_BT.shape[1]
        x_BTD = self.embedding(inputs_BT)
        if self.position is not None:
            x_BTD = x_BTD + self.position.weight[:T]
        elif self.shape.position == "sinusoidal":
            x_BTD = x_BTD + sinusoids(T, self.shape.d_model).to(x_BTD.dtype)
        rotary = self.rotary(T)
        for block in self.blocks:
            x_BTD = block(x_BTD, rotary)
        return self.final_norm(x_BTD)

    def forward(self, inputs_BT):
        x_BTD = self.hidden(inputs_BT)
        return F.linear(x_BTD, self.embedding.weight) if self.head is None else self.head(x_BTD)

    def loss_sum(self, inputs_BT, targets_BT):
        """Cross-entropy in nats, summed over the non-negative targets."""
        logits = self(inputs_BT)
        logits = (
            logits.flatten(0, 1) if logits.dtype == torch.float64 else logits.flatten(0, 1).float()
        )
        return F.cross_entropy(
            logits, targets_BT.flatten().long(), ignore_index=-1, reduction="sum"
        )


def sinusoids(length, d_model):
    """sin in even columns, cos in odd ones (Vaswani et al. 2017, section 3.5)."""
    rates = 10000.0 ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
    angles = torch.arange(length, dtype=torch.float64)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :d_model].float()


# -- files -----------------------------------------------------------------------------------------

# Packed matrices, and the names of their parts in files.
PACKED = {"attention.qkv": ("q", "k", "v"), "ffn.wv": ("w", "v")}


def logical_parameters(model, of=lambda parameter: parameter.detach()):
    """{name in files: view}. `of`: maps a parameter to the viewed tensor, such as its gradient."""
    views = {}
    for name, parameter in model.named_parameters():
        owner, kind = name.rsplit(".", 1)
        group = next((g for g in PACKED if owner.endswith(g)), None)
        if group is None:
            views[name] = of(parameter)
            continue
        module = model.get_submodule(owner.rsplit(".", 1)[0])
        rows = (
            module.rows
            if group == "attention.qkv"
            else [model.shape.d_ff] * (2 if module.gated else 1)
        )
        prefix = owner[: -len(group)] + group.split(".")[0]
        for part, piece in zip(PACKED[group], of(parameter).split(rows), strict=False):
            views[f"{prefix}.{part}.{kind}"] = piece
    return views


def load_parameters(model, path):
    tensors, views = load_file(path), logical_parameters(model)
    if set(tensors) != set(views):
        raise ValueError(
            f"{path}: unexpected tensors {sorted(set(tensors) - set(views))}; "
            f"missing {sorted(set(views) - set(tensors))}"
        )
    for name, view in views.items():
        if tensors[name].shape != view.shape:
            raise ValueError(
                f"{path}: {name}: shape {list(tensors[name].shape)}; expected {list(view.shape)}"
            )
        view.copy_(tensors[name])


def save_parameters(model, path):
    save_file(
        {name: view.clone().contiguous() for name, view in logical_parameters(model).items()}, path
    )


def read_yaml(path):
    with open(path, encoding="utf-8") as file:
        return yaml.safe_load(file)


def load_model(weights_path, config_path):
    config = read_yaml(config_path)
    tensors = load_file(weights_path)
    shape = shape_from_yaml(
        config["model"],
        tensors["embedding.weight"].shape[0],
        int(config["train"]["sequence_length"]),
    )
    shape.d_ff = tensors["blocks.0.ffn.w.weight"].shape[0]
    model = Decoder(shape)
    load_parameters(model, weights_path)
    return model
