"""Exported tokenizers, loaded by AutoTokenizer, have the ids and decoded texts of Sluice.

Run once per version of transformers. Needs build/tokenizer_tool (SLUICE_TOKENIZER_TOOL).
"""

import json
import pathlib
import tempfile
import unittest

from tokenizer_texts import ODD_TEXTS, corpus_lines, encode, random_texts, run_tool
from transformers import AutoTokenizer

NUM_LINES = 10_000


class ExportTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.lines = corpus_lines(NUM_LINES)
        cls.sample = cls.folder / "sample.txt"
        cls.sample.write_text("\n".join(cls.lines[:3000]), encoding="utf-8")
        cls.odd = ODD_TEXTS + random_texts(3000)

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
