"""Outputs and gradients of the decoder in plain PyTorch, float64.

Computes the cases in FOLDER/cases.yaml. Each case has name, model (the YAML section), vocab_size,
batch, length, and tensors (a list of [logical name, shape]). FOLDER/NAME.weights contains these
tensors as fp32, FOLDER/NAME.tokens inputs and targets as int64. Writes FOLDER/NAME.outputs as
float64: the mean loss per scored target, the logits, and the gradients in the order of the tensors.
"""

import math
import pathlib
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
import reference_model  # noqa: E402


def run(folder, case):
    shape = reference_model.shape_from_yaml(case["model"], case["vocab_size"], case["length"])
    shape.d_ff = dict((name, shape) for name, shape in case["tensors"])["blocks.0.ffn.w.weight"][0]
    model = reference_model.Decoder(shape).double()
    values = torch.from_numpy(
        np.fromfile(folder / f"{case['name']}.weights", dtype=np.float32)
    ).double()
    views = reference_model.logical_parameters(model)
    assert set(views) == {name for name, _ in case["tensors"]}, (case["name"], sorted(views))
    first = 0
    for name, size in case["tensors"]:
        views[name].copy_(values[first : first + math.prod(size)].view(size))
        first += math.prod(size)

    tokens = torch.from_numpy(np.fromfile(folder / f"{case['name']}.tokens", dtype=np.int64)).view(
        2, case["batch"], case["length"]
    )
    loss = model.loss_sum(tokens[0], tokens[1]) / (tokens[1] >= 0).sum()
    loss.backward()
    with torch.no_grad():
        logits = model(tokens[0])
    for parameter in model.parameters():
        parameter.data = (
            parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
        )
    gradients = reference_model.logical_parameters(model)
    outputs = [loss.detach(), logits] + [gradients[name] for name, _ in case["tensors"]]
    torch.cat([x.flatten() for x in outputs]).numpy().tofile(folder / f"{case['name']}.outputs")


def main():
    torch.set_num_threads(1)
    folder = pathlib.Path(sys.argv[1])
    for case in reference_model.read_yaml(folder / "cases.yaml"):
        run(folder, case)


if __name__ == "__main__":
    main()
