"""Runs torch.optim.AdamW and torch.nn.utils.clip_grad_norm_ on given parameters and gradients.

Reads JSON on stdin, writes JSON on stdout.
"""

import json
import sys

import torch

request = json.load(sys.stdin)
dtype = getattr(torch, request["dtype"])
parameters = [
    torch.nn.Parameter(torch.tensor(p["values"], dtype=dtype)) for p in request["parameters"]
]
groups = [
    {
        "params": [
            p
            for p, spec in zip(parameters, request["parameters"], strict=True)
            if spec["decay"] == decay
        ],
        "weight_decay": request["weight_decay"] if decay else 0.0,
    }
    for decay in (True, False)
]
optimizer = torch.optim.AdamW(
    [g for g in groups if g["params"]],
    lr=1.0,
    betas=tuple(request["betas"]),
    eps=request["eps"],
    foreach=False,
)
norms = []
for step in request["steps"]:
    for parameter, gradient in zip(parameters, step["gradients"], strict=True):
        parameter.grad = torch.tensor(gradient, dtype=dtype)
    norms.append(
        torch.nn.utils.clip_grad_norm_(parameters, request["clip_norm"] or float("inf")).item()
    )
    for group in optimizer.param_groups:
        group["lr"] = step["lr"]
    optimizer.step()
json.dump(
    {
        "norms": norms,
        "values": [p.tolist() for p in parameters],
        "exp_avg": [optimizer.state[p]["exp_avg"].tolist() for p in parameters],
        "exp_avg_sq": [optimizer.state[p]["exp_avg_sq"].tolist() for p in parameters],
    },
    sys.stdout,
)
