"""Checks a GGUF file against the export of the same model to `transformers`.

Reads the file back with the package `gguf`, and compares the greedy text of llama.cpp (package
`llama-cpp-python`) with that of `transformers`.
"""

import gguf
import llama_cpp
import numpy as np
import sentencepiece
import torch
import transformers
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


def greedy_of_llama_cpp(path, end):
    model = llama_cpp.Llama(
        str(path),
        n_ctx=80,
        n_threads=1,
        type_k=llama_cpp.GGML_TYPE_F32,
        type_v=llama_cpp.GGML_TYPE_F32,
        verbose=False,
    )
    out = model.create_completion(
        PROMPT, max_tokens=NUM_TOKENS, temperature=0, repeat_penalty=1, logit_bias={end: -1e9}
    )
    assert out["usage"]["completion_tokens"] == NUM_TOKENS, out
    return out["choices"][0]["text"]


def greedy_of_transformers(folder, pieces):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    prompt = [pieces.eos_id(), *pieces.encode(PROMPT)]
    suppressed = [pieces.eos_id()]
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
    ours = greedy_of_transformers(folder, pieces)
    theirs = greedy_of_llama_cpp(path, pieces.eos_id())
    # llama-cpp-python leaves out bytes that are not UTF-8.
    assert ours.replace("\ufffd", "") == theirs, (ours, theirs)
    assert len(set(ours)) > 5, ours
