"""Muon on given parameters and gradients: scripts/numpy_muon.py, and torch.optim.Muon for matrices.

Reads JSON on stdin: `settings`, `parameters` (name, shape, decay, values), `gradients` (sets of one
flat list per parameter), `lr` and `scales` by step. The gradient of step s is scales[s] times set s
modulo the number of sets. Writes `norms`, `values`, `state` (flat, by parameter) and, if `torch` is
true, `torch`: values of the hidden matrices by name, without clipping.
"""

import json
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
import numpy_muon  # noqa: E402

request = json.load(sys.stdin)
settings = request["settings"]
shapes = {p["name"]: tuple(p["shape"]) for p in request["parameters"]}
decays = {p["name"] for p in request["parameters"] if p["decay"]}
start = {p["name"]: np.array(p["values"]).reshape(p["shape"]) for p in request["parameters"]}
sets = [
    {name: np.array(flat).reshape(shapes[name]) for name, flat in zip(shapes, one, strict=True)}
    for one in request["gradients"]
]
steps = [
    (lr, {name: g * scale for name, g in sets[step % len(sets)].items()})
    for step, (lr, scale) in enumerate(zip(request["lr"], request["scales"], strict=True))
]

optimizer = numpy_muon.Optimizer(shapes, decays, settings)
values, norms = start, []
for lr, gradients in steps:
    values, norm = optimizer.step(values, gradients, lr)
    norms.append(norm)


def values_of_torch():
    import torch

    torch.set_num_threads(1)
    hidden = {
        name: torch.nn.Parameter(torch.tensor(start[name], dtype=torch.float32))
        for name, part in optimizer.parts.items()
        if isinstance(part, numpy_muon.Muon)
    }
    peer = torch.optim.Muon(
        list(hidden.values()),
        weight_decay=settings["weight_decay"],
        momentum=settings["momentum"],
        nesterov=settings["nesterov"],
        ns_steps=settings["newton_schulz_steps"],
        adjust_lr_fn=settings["scale"],
    )
    for lr, gradients in steps:
        for name, parameter in hidden.items():
            parameter.grad = torch.tensor(gradients[name], dtype=torch.float32)
        peer.param_groups[0]["lr"] = lr
        peer.step()
    return {name: p.detach().flatten().tolist() for name, p in hidden.items()}


json.dump(
    {
        "norms": norms,
        "values": [value.ravel().tolist() for value in values.values()],
        "state": [s.ravel().tolist() for p in optimizer.parts.values() for s in p.state()],
        "torch": values_of_torch() if request["torch"] else None,
    },
    sys.stdout,
)
