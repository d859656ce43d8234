"""Outputs and gradients of `transformers`' T5ForConditionalGeneration in float32.

Computes the cases in FOLDER/cases.yaml. Each case has name, model (the YAML section, d_ff
resolved), vocab_size, batch, inputs, targets, and tensors (a list of [logical name, shape]).
FOLDER/NAME.weights contains these tensors as fp32, FOLDER/NAME.tokens inputs and targets as int64,
-1 for unscored targets. Writes FOLDER/NAME.outputs as float64: the mean loss per scored target, the
logits, and the gradients in the order of the tensors.

A case with masks (a list of [site, elements]) trains with dropout: FOLDER/NAME.masks contains the
factors of each dropout site in fp32, in T5's execution order. Its outputs also include, for each
site, the effect of skipping it: the largest change of a logit relative to the largest logit.

Arguments: FOLDER, and the required prefix of the `transformers` version: "4." or "5.".
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
    """Replacement for torch.nn.functional.dropout that applies the given masks in order."""

    def __init__(self, folder, case):
        sizes = [elements for _, elements in case["masks"]]
        self.masks = torch.from_numpy(
            np.fromfile(folder / f"{case['name']}.masks", dtype=np.float32)
        ).split(sizes)
        self.restart()

    def restart(self, skipped=None):
        self.next, self.skipped = 0, skipped

    def dropout(self, x, p=0.5, training=True, inplace=False):
        site, self.next = self.next, self.next + 1
        assert training and p > 0, (site, p)
        return x if site == self.skipped else x * self.masks[site].view(x.shape)

    def all_used(self):
        return self.next == len(self.masks)


def effects_of_skipping_each_site(masks, logits, forward):
    effects = []
    for site in range(len(masks.masks)):
        masks.restart(skipped=site)
        with torch.no_grad():
            effects.append((forward().logits - logits).abs().max() / logits.abs().max())
    return torch.stack(effects)


def run(folder, case):
    # Version 5 prefers SDPA, which generates the dropout mask of the probabilities internally.
    model = reference_t5.make_model(case["model"], case["vocab_size"], attention="eager").train(
        "masks" in case
    )
    places = reference_t5.matching_parameters(
        model, case["tensors"], reference_t5.is_gated(case["model"]["ffn"])
    )
    values = torch.from_numpy(np.fromfile(folder / f"{case['name']}.weights", dtype=np.float32))
    first = 0
    with torch.no_grad():
        for (_, shape), (parameter, transposed) in zip(case["tensors"], places, strict=True):
            value = values[first : first + math.prod(shape)].view(shape)
            parameter.copy_(value.t() if transposed else value)
            first += math.prod(shape)

    tokens = torch.from_numpy(np.fromfile(folder / f"{case['name']}.tokens", dtype=np.int64))
    inputs, targets = (
        x.view(case["batch"], -1)
        for x in tokens.split([case["batch"] * case["inputs"], case["batch"] * case["targets"]])
    )

    def forward():
        return model(input_ids=inputs, labels=targets.masked_fill(targets < 0, -100))

    masks = Masks(folder, case) if "masks" in case else None
    torch.nn.functional.dropout = masks.dropout if masks else DROPOUT
    out = forward()
    assert not masks or masks.all_used(), f"{masks.next} of {len(masks.masks)} dropout sites used"
    out.loss.backward()
    gradients = [p.grad.t() if transposed else p.grad for p, transposed in places]
    results = [out.loss.detach(), out.logits.detach()] + gradients
    if masks:
        results.append(effects_of_skipping_each_site(masks, out.logits.detach(), forward))
    torch.cat([x.flatten().double() for x in results]).numpy().tofile(
        folder / f"{case['name']}.outputs"
    )


def main():
    torch.set_num_threads(1)
    folder = pathlib.Path(sys.argv[1])
    assert transformers.__version__.startswith(sys.argv[2]), (transformers.__version__, sys.argv[2])
    for case in yaml.safe_load((folder / "cases.yaml").read_text()):
        run(folder, case)


if __name__ == "__main__":
    main()
