"""Checks that this folder's model, loaded by `transformers`, computes what Sluice computed.

    python check_export.py [FOLDER]

Needs torch and transformers. Runs the model on the tokens in selftest.safetensors in float32 and
compares the logits. Prints OK and exits with 0, or names the first layer that deviates and exits
with 1.

Before each norm, the residual stream at the last position is compared as what the model would
predict if it ended there: final norm and output matrix (of an encoder, the embedding) applied.
"""

import pathlib
import sys

import torch
import transformers
from safetensors import safe_open

ALLOWED = 1e-4  # largest difference of a logit, relative to the largest logit if that is above 1


def load(folder):
    config = transformers.AutoConfig.from_pretrained(folder)
    kind = (
        transformers.AutoModelForSeq2SeqLM
        if config.is_encoder_decoder
        else transformers.AutoModelForCausalLM
    )
    return kind.from_pretrained(folder, config=config).float().eval()


def deviation(ours, reference):
    """The largest difference; infinite if a value is not finite or the shape differs."""
    if ours.shape != reference.shape or not torch.isfinite(ours).all():
        return float("inf")
    return ((ours - reference).abs().max() / reference.abs().max().clamp(min=1)).item()


def record_inputs(model, names, run):
    """The input of each named module when `run` is called, and the result."""
    states, hooks = {}, []
    for name in names:

        def remember(module, inputs, name=name):
            states[name] = inputs[0].detach()

        hooks.append(model.get_submodule(name).register_forward_pre_hook(remember))
    out = run()
    for hook in hooks:
        hook.remove()
    return states, out


def prediction(model, names, name, state):
    if name.startswith("encoder."):
        hidden = model.get_submodule("encoder.final_layer_norm")(state[:, -1])
        return torch.nn.functional.linear(hidden, model.get_input_embeddings().weight)[0]
    hidden = model.get_submodule(names[-1])(state[:, -1])
    config = model.config
    if config.model_type == "t5" and getattr(
        config, "scale_decoder_outputs", config.tie_word_embeddings
    ):
        hidden = hidden * config.d_model**-0.5
    return model.get_output_embeddings()(hidden)[0]


def check(folder):
    model = load(folder)
    with safe_open(folder / "selftest.safetensors", "pt") as file:
        test = {name: file.get_tensor(name) for name in file.keys()}
        names = file.metadata()["points"].split()
    inputs = {name: test[name] for name in ("input_ids", "decoder_input_ids") if name in test}
    states, out = record_inputs(model, names, lambda: model(**inputs, use_cache=False))

    at_start = "the embedding or the output matrix"
    first, before = None, at_start
    for name, reference in zip(names, test["points"], strict=True):
        predicted = prediction(model, names, name, states[name])
        if first is None and deviation(predicted, reference) > ALLOWED:
            first = f"{before} (difference {deviation(predicted, reference):.3g})"
        ends_encoder = name.startswith("encoder.final")
        before = at_start if ends_encoder else f"the sublayer after {name}"
    return first, deviation(out.logits[0], test["logits"]), tuple(test["logits"].shape)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    folder = folder if folder.is_dir() else folder.parent
    with torch.no_grad():
        first, difference, (tokens, rows) = check(folder)
    version = f"transformers {transformers.__version__}"
    if first is None and difference <= ALLOWED:
        print(f"OK: {tokens} x {rows} logits, largest difference {difference:.2g} ({version})")
        return 0
    if first is None:
        first = "positions before the last one"
    print(
        f"DEVIATES first in {first}: largest difference of a logit {difference:.3g},"
        f" allowed {ALLOWED:g} ({version})"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
