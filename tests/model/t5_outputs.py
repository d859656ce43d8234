"""Loss, logits and gradients of `transformers`' T5ForConditionalGeneration, float32, for the cases in FOLDER/cases.yaml.

Each case: name, model (the YAML section, d_ff resolved), vocab_size, batch, inputs, targets, tensors (a list of [logical name, shape]).
FOLDER/NAME.weights holds these tensors as fp32 one after the other, FOLDER/NAME.tokens inputs and targets as int64, -1 where a target is not
scored. Written: FOLDER/NAME.outputs, float64: the mean loss per scored target, the logits, the gradients in the order of the tensors.
"""

import math
import pathlib
import sys

import numpy as np
import torch
import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
import reference_t5  # noqa: E402


def run(folder, case):
    model = reference_t5.make_model(case["model"], case["vocab_size"]).eval()
    places = reference_t5.places_of(model, case["tensors"], reference_t5.is_gated(case["model"]["ffn"]))
    values = torch.from_numpy(np.fromfile(folder / f"{case['name']}.weights", dtype=np.float32))
    first = 0
    with torch.no_grad():
        for (_, shape), (parameter, transposed) in zip(case["tensors"], places):
            value = values[first : first + math.prod(shape)].view(shape)
            parameter.copy_(value.t() if transposed else value)
            first += math.prod(shape)

    tokens = torch.from_numpy(np.fromfile(folder / f"{case['name']}.tokens", dtype=np.int64))
    inputs, targets = (x.view(case["batch"], -1) for x in tokens.split([case["batch"] * case["inputs"], case["batch"] * case["targets"]]))
    out = model(input_ids=inputs, labels=targets.masked_fill(targets < 0, -100))
    out.loss.backward()
    gradients = [p.grad.t() if transposed else p.grad for p, transposed in places]
    results = [out.loss.detach(), out.logits.detach()] + gradients
    torch.cat([x.flatten().double() for x in results]).numpy().tofile(folder / f"{case['name']}.outputs")


def main():
    torch.set_num_threads(1)
    folder = pathlib.Path(sys.argv[1])
    for case in yaml.safe_load((folder / "cases.yaml").read_text()):
        run(folder, case)


if __name__ == "__main__":
    main()
