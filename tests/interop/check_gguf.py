"""Checks a GGUF file against the export of the same model to `transformers`.

Reads the file back with the package `gguf`, and compares the
greedy text of llama.cpp (package `xllamacpp`) with that of `transformers`.
"""

import gguf
import numpy as np
import sentencepiece
import torch
import transformers
import xllamacpp
from safetensors.numpy import load_file

PROMPT = "You may reproduce"
NUM_TOKENS = 40


def check_tensors(reader, folder):
    """The same values; rows of q and k in another order."""
    theirs = {tensor.name: tensor.data for tensor in reader.tensors}
    ours = load_file(folder / "model.safetensors")
    assert len(theirs) == len(ours), (sorted(theirs), sorted(ours))
    for name, data in theirs.items():
        assert any(
            value.shape == data.shape and np.array_equal(np.sort(value, 0), np.sort(data, 0))
            for value in ours.values()
        ), name


def check_tokenizer(reader, pieces):
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    assert tokens == [pieces.id_to_piece(i) for i in range(pieces.get_piece_size())]
    scores = reader.fields["tokenizer.ggml.scores"].contents()
    assert np.allclose(scores, [pieces.get_score(i) for i in range(len(tokens))])


def greedy_of_llama_cpp(path):
    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.n_parallel = 1
    settings.cpuparams.n_threads = 1
    settings.cache_type_k = settings.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    settings.verbosity = -1
    server = xllamacpp.Server(settings)
    out = server.handle_completions(
        {"prompt": PROMPT, "max_tokens": NUM_TOKENS, "temperature": 0, "ignore_eos": True}
    )
    assert out["usage"]["completion_tokens"] == NUM_TOKENS, out
    return out["choices"][0]["text"]


def greedy_of_transformers(folder, pieces):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    prompt = [pieces.eos_id(), *pieces.encode(PROMPT)]
    suppressed = [pieces.eos_id()]  # as ignore_eos
    out = model.generate(
        torch.tensor([prompt]), max_new_tokens=NUM_TOKENS, do_sample=False, pad_token_id=0,
        eos_token_id=None, suppress_tokens=suppressed,
    )[0].tolist()  # fmt: skip
    return pieces.decode(out[len(prompt) :])


def check(path, folder):
    reader = gguf.GGUFReader(path)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    check_tensors(reader, folder)
    check_tokenizer(reader, pieces)
    ours, theirs = greedy_of_transformers(folder, pieces), greedy_of_llama_cpp(path)
    assert ours == theirs, (ours, theirs)
    assert len(set(ours)) > 5, ours
