"""Imported tokenizers have the ids of the package `tokenizers`."""

import json
import pathlib
import tempfile
import unittest

from tokenizer_texts import (
    ODD_TEXTS,
    corpus_lines,
    encode,
    random_texts,
    run_tool,
    train_sentencepiece,
)
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

NUM_LINES = 10_000
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def byte_level(pre_tokenizer, normalizer=None):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    return tokenizer, trainer


def split_by(pattern):
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


class ImportTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.lines = corpus_lines(NUM_LINES)
        cls.odd = ODD_TEXTS + random_texts(1000)

    def check(self, tokenizer, texts=None):
        texts = texts or self.odd + self.lines[:1000]
        source = pathlib.Path(tempfile.mkdtemp(dir=self.folder)) / "tokenizer.json"
        tokenizer.save(str(source))
        model = source.with_name("imported.json")
        record = json.loads(run_tool("import", source, model).stdout)
        tokenizer.encode_special_tokens = True
        expected = tokenizer.encode_batch(texts, add_special_tokens=False)
        ids, decoded = encode(model, texts)
        differ = [
            (text, ours, theirs.ids)
            for text, ours, theirs in zip(texts, ids, expected, strict=True)
            if ours != theirs.ids
        ]
        self.assertEqual(differ[:5], [], f"{len(differ)} of {len(texts)} texts differ")
        self.assertEqual(decoded, tokenizer.decode_batch(ids))
        return record

    def train(self, tokenizer, trainer):
        tokenizer.train_from_iterator(self.lines[:3000], trainer)
        return tokenizer

    def test_gpt2(self):
        words = pre_tokenizers.ByteLevel(add_prefix_space=False)
        record = self.check(self.train(*byte_level(words)), self.odd + self.lines)
        self.assertTrue(record["lossless"])
        self.assertEqual(record["eos"], 0)
        self.assertIsNone(record["unk"])

    def test_gpt2_with_prefix_space_and_added_tokens(self):
        tokenizer = self.train(*byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True)))
        tokenizer.add_tokens(["Lord", "the Lord", "ab", "\n\n"])
        self.assertFalse(self.check(tokenizer)["lossless"])

    def test_llama3(self):
        tokenizer = self.train(*byte_level(split_by(LLAMA3)))
        pipeline = json.loads(tokenizer.to_str())
        pipeline["model"]["ignore_merges"] = True
        self.assertTrue(self.check(Tokenizer.from_str(json.dumps(pipeline)))["lossless"])

    def test_qwen2(self):
        self.check(self.train(*byte_level(split_by(QWEN2), normalizers.NFC())))

    def test_llama2(self):
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
        )
        tokenizer.decoder = decoders.Sequence(
            [
                decoders.Replace("\u2581", " "),
                decoders.ByteFallback(),
                decoders.Fuse(),
                decoders.Strip(" ", 1, 0),
            ]
        )
        special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
        trainer = trainers.BpeTrainer(
            vocab_size=2000, special_tokens=special, show_progress=False, max_token_length=16
        )
        self.train(tokenizer, trainer)
        pipeline = json.loads(tokenizer.to_str())
        pipeline["added_tokens"] = pipeline["added_tokens"][:3]
        record = self.check(Tokenizer.from_str(json.dumps(pipeline)))
        self.assertEqual((record["eos"], record["unk"]), (2, None))

    def test_unigram_with_metaspace(self):
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Strip(left=False), normalizers.NFKC()]
        )
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=1000,
            special_tokens=["<pad>", "</s>", "<unk>"],
            unk_token="<unk>",
            show_progress=False,
        )
        self.train(tokenizer, trainer)
        for scheme in ["always", "first", "never"]:
            for split in [True, False]:
                metaspace = {"prepend_scheme": scheme, "split": split}
                tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(**metaspace)
                tokenizer.decoder = decoders.Metaspace(**metaspace)
                with self.subTest(scheme=scheme, split=split):
                    record = self.check(tokenizer, self.odd)
                    self.assertEqual((record["pad"], record["eos"], record["unk"]), (0, 1, 2))

    def test_metaspace_at_the_start(self):
        """`first` is decided by the character of the original text, not of the normalized one."""
        replace, prepend = normalizers.Replace, normalizers.Prepend
        cases = [
            [normalizers.Strip(right=False)],
            [replace("ab", "abab")],
            [replace("a", "")],
            [replace("a", "xyz")],
            [replace(Regex("(a|b)+"), "xy")],
            [replace(Regex(r"\s+"), "_"), prepend("1a")],
            [prepend("ab1"), normalizers.Strip(right=False)],
            [normalizers.NFKD(), prepend("1a")],
            [normalizers.NFC(), replace("a", "")],
        ]
        pre = [
            pre_tokenizers.Metaspace(prepend_scheme="first"),
            pre_tokenizers.Metaspace(prepend_scheme="first", split=False),
        ]
        starts = ["", " ", "a", "ab", "ab ", "ba", " a", "  b", "é", "e\u0301", "ﬁx", "1", "12 a"]
        texts = self.odd[:200] + [first + rest for first in starts for rest in ["", "a", " b1"]]
        for steps in cases:
            for metaspace in pre:
                for before in [[], [pre_tokenizers.Digits(True)]]:
                    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
                    trainer = trainers.BpeTrainer(
                        vocab_size=300, special_tokens=["<unk>", "</s>"], show_progress=False
                    )
                    tokenizer.normalizer = normalizers.Sequence(steps)
                    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*before, metaspace])
                    tokenizer.decoder = decoders.Fuse()
                    tokenizer.train_from_iterator(self.lines[:200] + texts, trainer)
                    with self.subTest(steps=str(steps), before=str(before)):
                        self.check(tokenizer, texts)

    def test_t5(self):
        """The normalization table and the sentinels of T5, as its own conversion writes them."""
        model = self.folder / "spiece.model"
        train_sentencepiece(self.lines[:3000], model, model_type="unigram", vocab_size=1000)
        out = self.folder / "t5"
        run_tool("export", model, out, 100, 1)
        tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
        )
        pipeline = json.loads(tokenizer.to_str())
        pipeline["normalizer"] = pipeline["normalizer"]["normalizers"][0]
        self.assertEqual(pipeline["normalizer"]["type"], "Precompiled")
        record = self.check(Tokenizer.from_str(json.dumps(pipeline)), self.odd + self.lines[:500])
        self.assertEqual(record["sentinels"], 100)
        self.assertEqual(record["vocab_size"], 1000)


if __name__ == "__main__":
    unittest.main()
