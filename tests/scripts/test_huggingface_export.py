"""Exported tokenizers, loaded by AutoTokenizer, have the ids and decoded texts of Sluice.

Run once per version of transformers. Needs build/tokenizer_tool (SLUICE_TOKENIZER_TOOL).
"""

import json
import os
import pathlib
import random
import subprocess
import tempfile
import unittest

import make_corpus
from transformers import AutoTokenizer

TOOL = os.environ["SLUICE_TOKENIZER_TOOL"]
NUM_LINES = 10_000

ODD_TEXTS = [
    "", " ", "  ", "   x", "x   ", " a  b   c    d ", "\n", "\n\n \n", "\t", "\ta\t\tb ", "\r\n", "a\rb",
    "\0", "a\0b", "\x01\x7f", "e\u0301", "e\u0301\u0323\u0327", "\u00e9", "\ufb01 \u00a0 \u2003 \uff21",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "\u270b\U0001f3fd", "\u05e9\u05dc\u05d5\u05dd",
    "\u0645\u0631\u062d\u0628\u0627 abc \u202e", "\u2581", "\u2581\u2581 a\u2581b \u2581", "\ufffd", "a\ufffdb", "\ufeffx",
    "\u1112\u1161\u11ab \ud55c", "\u65e5\u672c\u8a9e", "\U0010ffff", "<s>", "</s>", "<unk> </s><s>", "<0x41>", "<0x41", "0x41>",
    "a<0x0A>b<0x>", "<<0x41>>", "x" * 3000, "lorem" * 500, " " * 500, "\n" * 200, "ab " * 500,
    "And God said, Let there be light", "don't 've 123,456.78 C++ #include <x>", "aaaaaaaaa",
    "ooooooo", "ssssss ssss", "\u2028\u2029\u0085", "\x1b[0m", "\u0e01\u0e33", "I\u0307\u0130\u0131",
]


def corpus_lines(count):
    text, _ = make_corpus.strip_references(make_corpus.read_kjv())
    lines = text.split("\n")
    return random.Random(1).sample(lines, min(count, len(lines)))


def random_texts(count):
    """Blanks, controls, marks and letters of all planes, in short texts."""
    draw = random.Random(2)
    pools = [
        " \n\t", "ab", "\0\x01\x7f", "\u0301\u0323\u200d\ufe0f", "\u2581\u2580", "<0x41></s>unk",
        "the lord and in of God", "\u00e9\u00df\u0130\u01c5", "\u05d0\u0627\u0905\u0e01\u4e00\uac00",
        "\U0001f600\U0001f468\U0001f3fd\U0001f1e9",
    ]
    for _ in range(count):
        letters = [draw.choice(draw.choice(pools)) for _ in range(draw.randrange(1, 40))]
        if draw.random() < 0.3:
            letters.append(chr(draw.choice([draw.randrange(0xD800), draw.randrange(0xE000, 0x110000)])))
        yield "".join(letters)


def run_tool(*arguments, **options):
    return subprocess.run([TOOL, *map(str, arguments)], check=True, capture_output=True, **options)


def encode(model, texts):
    """Ids and decoded texts of Sluice."""
    lines = "\n".join(json.dumps(text) for text in texts) + "\n"
    output = run_tool("encode", model, input=lines.encode()).stdout
    records = [json.loads(line) for line in output.splitlines()]
    return [record["ids"] for record in records], [record["text"] for record in records]


class ExportTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.lines = corpus_lines(NUM_LINES)
        cls.sample = cls.folder / "sample.txt"
        cls.sample.write_text("\n".join(cls.lines[:3000]), encoding="utf-8")
        cls.odd = ODD_TEXTS + list(random_texts(3000))

    def train(self, algorithm, vocab_size):
        model = self.folder / f"{algorithm}{vocab_size}.model"
        if not model.exists():
            run_tool("train", algorithm, vocab_size, self.sample, model)
        return model

    def load(self, model, num_sentinels=0, append_eos=0, model_type="llama"):
        out = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        run_tool("export", model, out, num_sentinels, append_eos)
        (out / "config.json").write_text(json.dumps({"model_type": model_type}))
        return AutoTokenizer.from_pretrained(out, local_files_only=True)

    def check(self, model, tokenizer, texts):
        ids, decoded = encode(model, texts)
        differ = []
        for text, expected in zip(texts, ids, strict=True):
            received = tokenizer(text)["input_ids"]
            if received != expected:
                differ.append((text, expected, received))
        self.assertEqual(differ[:5], [], f"{len(differ)} of {len(texts)} texts differ")
        for text, expected_ids, expected in zip(texts, ids, decoded, strict=True):
            received = tokenizer.decode(expected_ids, skip_special_tokens=True)
            self.assertEqual(received, expected, repr(text))

    def test_bpe(self):
        model = self.train("bpe", 2000)
        self.check(model, self.load(model), self.lines + self.odd)

    def test_unigram(self):
        model = self.train("unigram", 2000)
        self.check(model, self.load(model), self.lines + self.odd)

    def test_bytes(self):
        model = self.folder / "tokenizer.json"
        model.write_text('{"type": "bytes", "version": 1, "vocab_size": 257, "eos": 256}')
        self.check(model, self.load(model), self.lines[:2000] + self.odd)


if __name__ == "__main__":
    unittest.main()
