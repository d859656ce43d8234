"""Checks exported models with `transformers`: self-test, its ability to fail, greedy text."""

import importlib.util
import json
import pathlib
import shutil
import tempfile

import sentencepiece
import torch
import transformers
from safetensors.torch import load_file

TOLERANCE = 1e-4


def load_script(folder):
    spec = importlib.util.spec_from_file_location("check_export", folder / "check_export.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check_greedy(script, folder):
    prompt, expected = (
        [int(word) for word in line.split()]
        for line in (folder / "greedy.txt").read_text().splitlines()
    )
    model = script.load(folder)
    out = model.generate(
        torch.tensor([prompt]),
        max_new_tokens=64,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
    )[0].tolist()
    start = 1 if model.config.is_encoder_decoder else len(prompt)
    assert out[start:] == expected, (folder.name, out[start:], expected)
    return len(set(expected))


def check_logits(script, folder):
    first, difference, shape = script.check(folder)
    assert first is None and difference <= TOLERANCE, (folder.name, first, difference)
    assert shape[0] == 64, shape
    largest = load_file(folder / "selftest.safetensors")["logits"].abs().max().item()
    assert difference * max(largest, 1) <= TOLERANCE, (folder.name, difference, largest)


def check_tokenizer(folder, text):
    """AutoTokenizer, without remote code, against the SentencePiece library."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    is_t5 = folder.name.startswith("t5")
    for line in text.splitlines():
        expected = pieces.encode(line) + [pieces.eos_id()] * is_t5
        assert tokenizer(line).input_ids == expected, (folder.name, line)
    if is_t5:
        config = json.loads((folder / "config.json").read_text())
        first = pieces.get_piece_size() + config["extra_ids"] - 1
        assert tokenizer.convert_tokens_to_ids("<extra_id_0>") == first


def check_that_it_fails(script, folder, key, value, where):
    """With another activation, the first deviation is in the first feed-forward layer."""
    with tempfile.TemporaryDirectory() as name:
        wrong = pathlib.Path(name) / "wrong"
        shutil.copytree(folder, wrong)
        config = json.loads((wrong / "config.json").read_text())
        assert config[key] != value
        config[key] = value
        (wrong / "config.json").write_text(json.dumps(config))
        first, difference, _ = script.check(wrong)
        assert first and first.startswith(f"the sublayer after {where} "), (folder.name, first)
        assert difference > TOLERANCE, difference


def check_all(models):
    num_tokens = 0
    for folder in models:
        script = load_script(folder)
        check_logits(script, folder)
        num_tokens += check_greedy(script, folder)
    assert num_tokens > 8 * len(models), "texts that repeat themselves show little"
    models = {folder.name: folder for folder in models}
    text = (pathlib.Path(__file__).parents[2] / "LICENSE").read_text()
    for name in ("rope_swiglu", "t5_geglu"):
        check_tokenizer(models[name], text)
    for name, key, value, where in (
        (
            "rope_squared_relu",
            "hidden_act",
            "silu",
            "model.layers.0.post_attention_layernorm",
        ),
        ("learned_gelu", "activation_function", "gelu", "transformer.h.0.ln_2"),
        ("t5_geglu_erf", "feed_forward_proj", "gated-gelu", "encoder.block.0.layer.1.layer_norm"),
    ):
        check_that_it_fails(load_script(models[name]), models[name], key, value, where)
