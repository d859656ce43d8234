"""Exported tokenizers, loaded by AutoTokenizer, have the ids and decoded texts of Sluice.

Run once per version of transformers. Needs build/tokenizer_tool (SLUICE_TOKENIZER_TOOL).
"""

import json
import os
import pathlib
import subprocess
import tempfile
import unicodedata
import unittest

from tokenizer_texts import (
    ODD_TEXTS,
    corpus_lines,
    encode,
    random_texts,
    run_tool,
    train_sentencepiece,
)
from transformers import AutoTokenizer

NUM_LINES = 10_000


def is_alone(character):
    """Whether the character is a grapheme in any text."""
    is_emoji = (
        "\U0001f1e6" <= character <= "\U0001f1ff" or "\U0001f3fb" <= character <= "\U0001f3ff"
    )
    is_hangul = "\u1100" <= character <= "\u11ff" or "\uac00" <= character <= "\ud7ff"
    return unicodedata.category(character) not in ("Mn", "Mc", "Me", "Cf") and not (
        is_emoji or is_hangul or character in "\u0e33\r"
    )


def has_name(text):
    return any(name in text for name in ["<s>", "</s>", "<unk>"])


class ExportTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.lines = corpus_lines(NUM_LINES)
        cls.sample = cls.folder / "sample.txt"
        cls.sample.write_text("\n".join(cls.lines[:3000]), encoding="utf-8")
        cls.odd = ODD_TEXTS + random_texts(1000)

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

    def check(self, model, tokenizer, texts, unknown=()):
        """Compares ids, and decoded texts without the ids `unknown`."""
        ids, decoded = encode(model, texts)
        differ = []
        for text, expected in zip(texts, ids, strict=True):
            received = tokenizer(text)["input_ids"]
            if received != expected:
                differ.append((text, expected, received))
        self.assertEqual(differ[:5], [], f"{len(differ)} of {len(texts)} texts differ")
        for text, expected_ids, expected in zip(texts, ids, decoded, strict=True):
            if set(expected_ids) & set(unknown):
                continue  # SentencePiece decodes them as " \u2047 "
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
        self.check(model, self.load(model), self.lines[:1000] + self.odd)
        out = self.folder / "bytes"
        run_tool("export", model, out, 0, 0)
        run_tool("import", out / "tokenizer.json", out / "imported")
        self.assertEqual(json.loads((out / "imported").read_text()), json.loads(model.read_text()))

    def test_default_normalization(self):
        """nmt_nfkc, dummy prefix, no extra blanks: T5's settings, and the same for BPE.

        Without combining marks: the library normalizes graphemes, SentencePiece characters.
        """
        texts = [text for text in self.odd if all(map(is_alone, text)) and not has_name(text)]
        self.assertGreater(len(texts), 150)
        for kind in ["unigram", "bpe"]:
            model = self.folder / f"{kind}.model"
            settings = {"model_type": kind, "byte_fallback": kind == "bpe", "vocab_size": 1000}
            train_sentencepiece(self.lines[:3000], model, **settings)
            with self.subTest(kind):
                self.check(model, self.load(model), self.lines[:1000] + texts, unknown=[0])

    @unittest.skipUnless("SLUICE_T5_MODEL" in os.environ, "SLUICE_T5_MODEL is not set")
    def test_t5(self):
        model = pathlib.Path(os.environ["SLUICE_T5_MODEL"])
        tokenizer = self.load(model, num_sentinels=100, model_type="t5")
        texts = [text for text in self.odd if all(map(is_alone, text)) and not has_name(text)]
        self.check(model, tokenizer, self.lines + texts, unknown=[2])
        self.assertEqual(tokenizer.convert_tokens_to_ids("<extra_id_0>"), 32099)

    def test_user_defined_pieces(self):
        model = self.folder / "user.model"
        train_sentencepiece(
            self.lines[:3000],
            model,
            model_type="bpe",
            vocab_size=1000,
            byte_fallback=True,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            user_defined_symbols=[
                "Lord",
                "the Lord",
                "the\u2581God",
                "God",
                "ab",
                "aab",
                "\n",
                "\n\n",
                "0x",
            ],
        )
        self.check(model, self.load(model), self.lines[:2000] + self.odd)

    def test_sentinels(self):
        model = self.train("bpe", 2000)
        tokenizer = self.load(model, num_sentinels=100, append_eos=1, model_type="t5")
        self.assertEqual(len(tokenizer), 2100)
        self.assertEqual(tokenizer.convert_tokens_to_ids("<extra_id_0>"), 2099)
        self.assertEqual(tokenizer.convert_tokens_to_ids("<extra_id_99>"), 2000)
        (before, after), _ = encode(model, ["In the", " God created"])
        ids = tokenizer("In the <extra_id_0> God created")["input_ids"]
        self.assertEqual(ids, [*before, 2099, *after, tokenizer.eos_token_id])
        self.assertEqual(tokenizer.decode(ids, skip_special_tokens=True), "In the God created")

    def test_model_types(self):
        """The class of the model's usual tokenizer must not replace the pipeline."""
        model = self.train("bpe", 2000)
        for model_type in ["llama", "arcee", "gpt2", "t5"]:
            with self.subTest(model_type):
                self.check(model, self.load(model, model_type=model_type), ODD_TEXTS)

    def test_round_trip(self):
        model = self.train("unigram", 2000)
        first, second = self.folder / "first", self.folder / "second"
        run_tool("export", model, first, 10, 1)
        run_tool("import", first / "tokenizer.json", self.folder / "imported.json")
        run_tool("export", self.folder / "imported.json", second, 10, 1)
        for name in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]:
            self.assertEqual((first / name).read_bytes(), (second / name).read_bytes(), name)
        self.assertEqual((first / "tokenizer.model").read_bytes(), model.read_bytes())

    def test_refusals(self):
        rows = [
            ({"treat_whitespace_as_suffix": True}, "treat_whitespace_as_suffix: received true"),
            ({"user_defined_symbols": ["God"]}, "user-defined piece `God`"),
        ]
        for settings, message in rows:
            model = self.folder / "refused.model"
            train_sentencepiece(self.lines[:500], model, vocab_size=200, **settings)
            with self.assertRaises(subprocess.CalledProcessError) as raised:
                run_tool("export", model, self.folder / "refused", 0, 0)
            self.assertEqual(raised.exception.returncode, 2)
            self.assertIn(message, raised.exception.stderr.decode())


if __name__ == "__main__":
    unittest.main()
