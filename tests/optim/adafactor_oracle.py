"""Runs scripts/numpy_adafactor.py on given parameters and gradients. Reads a JSON request on stdin.

The tensors are in raw files, parameter after parameter: `values` and `gradients` (several sets) in
`dtype`, and the output `result` (values, then statistics by parameter) in float64. The gradient of
step s is scales[s] times set s modulo the number of sets, multiplied in `dtype`.
"""

import json
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
from numpy_adafactor import Adafactor  # noqa: E402

request = json.load(sys.stdin)
dtype, shapes = np.dtype(request["dtype"]), request["shapes"]
sizes = [int(np.prod(shape)) for shape in shapes]


def split(flat):
    return [
        part.reshape(shape)
        for part, shape in zip(np.split(flat, np.cumsum(sizes)[:-1]), shapes, strict=True)
    ]


values = [value.astype(np.float64) for value in split(np.fromfile(request["values"], dtype))]
sets = np.fromfile(request["gradients"], dtype).reshape(-1, sum(sizes))
optimizers = [Adafactor(shape, **request["settings"]) for shape in shapes]
norms = []
for step, (lr, scale) in enumerate(zip(request["lr"], request["scales"], strict=True)):
    flat = (sets[step % len(sets)] * dtype.type(scale)).astype(np.float64)
    norm = float(np.sqrt(np.square(flat).sum()))
    norms.append(norm)
    if request["clip_norm"] > 0:
        flat = flat * min(1.0, request["clip_norm"] / norm)
    values = [
        optimizer.updated(value, gradient, lr)
        for optimizer, value, gradient in zip(optimizers, values, split(flat), strict=True)
    ]

statistics = [s for o in optimizers for s in ((o.row, o.column) if o.factored else (o.full,))]
np.concatenate([x.ravel() for x in values + statistics]).tofile(request["result"])
json.dump({"norms": norms, "factored": [o.factored for o in optimizers]}, sys.stdout)
