"""Loss, logits and gradients of `transformers`' T5ForConditionalGeneration, float32, for the cases in FOLDER/cases.yaml.

Each case: name, model (the YAML section, d_ff resolved), vocab_size, batch, inputs, targets, tensors (a list of [logical name, shape]).
FOLDER/NAME.weights holds these tensors as fp32 one after the other, FOLDER/NAME.tokens inputs and targets as int64, -1 where a target is not
scored. Written: FOLDER/NAME.outputs, float64: the mean loss per scored target, the logits, the gradients in the order of the tensors.

A case with masks (a list of [place, elements]) trains with dropout: FOLDER/NAME.masks holds in fp32 what each place multiplies its elements
by, in the order in which T5 comes to its places. Then follows how far the logits move when one place after the other is left out: the
largest difference, in largest logits.

Arguments: FOLDER, and how the version of `transformers` must begin: "4." or "5.".
"""

import math
import pathlib
import sys

import numpy as np
import torch
import transformers
import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
import reference_t5  # noqa: E402


DROPOUT = torch.nn.functional.dropout


class Masks:
    """Stands in for torch.nn.functional.dropout, which every place of T5 calls: takes the next mask instead of drawing one."""

    def __init__(self, folder, case):
        sizes = [elements for _, elements in case["masks"]]
        self.masks = torch.from_numpy(np.fromfile(folder / f"{case['name']}.masks", dtype=np.float32)).split(sizes)
        self.restart()

    def restart(self, left_out=None):
        self.next, self.left_out = 0, left_out

    def dropout(self, x, p=0.5, training=True, inplace=False):
        place, self.next = self.next, self.next + 1
        assert training and p > 0, (place, p)
        return x if place == self.left_out else x * self.masks[place].view(x.shape)

    def all_taken(self):
        return self.next == len(self.masks)


def moved_without_each_place(masks, logits, forward):
    moved = []
    for place in range(len(masks.masks)):
        masks.restart(left_out=place)
        with torch.no_grad():
            moved.append((forward().logits - logits).abs().max() / logits.abs().max())
    return torch.stack(moved)


def run(folder, case):
    # Version 5 prefers SDPA, which draws the mask of the probabilities itself.
    model = reference_t5.make_model(case["model"], case["vocab_size"], attention="eager").train("masks" in case)
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
    def forward():
        return model(input_ids=inputs, labels=targets.masked_fill(targets < 0, -100))

    masks = Masks(folder, case) if "masks" in case else None
    torch.nn.functional.dropout = masks.dropout if masks else DROPOUT
    out = forward()
    assert not masks or masks.all_taken(), f"{masks.next} places of {len(masks.masks)}"
    out.loss.backward()
    gradients = [p.grad.t() if transposed else p.grad for p, transposed in places]
    results = [out.loss.detach(), out.logits.detach()] + gradients
    if masks:
        results.append(moved_without_each_place(masks, out.logits.detach(), forward))
    torch.cat([x.flatten().double() for x in results]).numpy().tofile(folder / f"{case['name']}.outputs")


def main():
    torch.set_num_threads(1)
    folder = pathlib.Path(sys.argv[1])
    assert transformers.__version__.startswith(sys.argv[2]), (transformers.__version__, sys.argv[2])
    for case in yaml.safe_load((folder / "cases.yaml").read_text()):
        run(folder, case)


if __name__ == "__main__":
    main()
