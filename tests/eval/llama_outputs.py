"""Greedy continuations by `transformers`' LlamaForCausalLM in float32.

FOLDER/cases.yaml lists cases with name, model (the YAML section, widths resolved), vocab_size,
prompt (ids), num_tokens and tensors (a list of [logical name, shape]); FOLDER/NAME.weights contains
these tensors as fp32. Writes FOLDER/NAME.outputs as float64: the new ids, then the log-probability
of each.

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
import reference_llama  # noqa: E402


def run(folder, case):
    flat = torch.from_numpy(np.fromfile(folder / f"{case['name']}.weights", dtype=np.float32))
    sizes = [math.prod(shape) for _, shape in case["tensors"]]
    values = {
        name: part.view(shape)
        for (name, shape), part in zip(case["tensors"], flat.split(sizes), strict=True)
    }
    model = reference_llama.make_model(case["model"], case["vocab_size"], values)
    prompt = case["prompt"]
    (ids,) = reference_llama.greedy(model, [prompt], case["num_tokens"])
    with torch.no_grad():
        logits = model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1].double()
    chosen = torch.log_softmax(logits, -1).gather(1, torch.tensor(ids)[:, None])[:, 0]
    np.concatenate([np.array(ids, dtype=np.float64), chosen.numpy()]).tofile(
        folder / f"{case['name']}.outputs"
    )


def main():
    folder = pathlib.Path(sys.argv[1])
    assert transformers.__version__.startswith(sys.argv[2]), transformers.__version__
    for case in yaml.safe_load((folder / "cases.yaml").read_text()):
        run(folder, case)


if __name__ == "__main__":
    main()
