"""Texts for the comparison of tokenizers, and calls of build/tokenizer_tool."""

import json
import os
import random
import subprocess
import unittest

import make_corpus
import sentencepiece

TOOL = os.environ["SLUICE_TOKENIZER_TOOL"]

ODD_TEXTS = [
    "", " ", "  ", "   x", "x   ", " a  b   c    d ", "\n", "\n\n \n", "a\n\n\nb \n c", "\t",
    "\ta\t\tb ",
    "\r\n", "a\rb", "a\r\n\r\nb", "\0", "a\0b", "\x01\x7f", "e\u0301", "e\u0301\u0323\u0327",
    "\u00e9",
    "\ufb01 \u00a0 \u2003 \uff21", "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\U0001f1e9\U0001f1ea", "\u270b\U0001f3fd", "\u05e9\u05dc\u05d5\u05dd",
    "\u0645\u0631\u062d\u0628\u0627 abc \u202e", "\u2581", "\u2581\u2581 a\u2581b \u2581", "\ufffd",
    "a\ufffdb", "\ufeffx", "\u1112\u1161\u11ab \ud55c", "\u65e5\u672c\u8a9e", "\U0010ffff", "<s>",
    "</s>", "<unk> </s><s>", "<0x41>", "<0x41", "0x41>", "a<0x0A>b<0x>", "<<0x41>>", "x" * 3000,
    "lorem" * 500, " " * 500, "\n" * 200, "ab " * 500, "And God said, Let there be light",
    "don't 've I'LL 123,456.78 C++ #include <x>", "aaaaaaaaa", "ooooooo", "ssssss ssss",
    "\u2028\u2029\u0085", "\x1b[0m", "\u0e01\u0e33", "I\u0307\u0130\u0131", "<|endoftext|> x",
    "\u00bd \u00b2 \u2167 \u0661\u0662\u0663",
]  # fmt: skip

POOLS = [
    " \n\t", "ab", "\0\x01\x7f", "\u0301\u0323\u200d\ufe0f", "\u2581\u2580", "<0x41></s>unk",
    "the lord and in of God", "\u00e9\u00df\u0130\u01c5", "\u05d0\u0627\u0905\u0e01\u4e00\uac00",
    "\U0001f600\U0001f468\U0001f3fd\U0001f1e9", "0123456789'sdmt",
]  # fmt: skip


def corpus_lines(count):
    """Verses of the King James Bible, in random order."""
    try:
        text, _ = make_corpus.strip_references(make_corpus.read_kjv())
    except SystemExit as error:
        raise unittest.SkipTest("the package bible-kjv is not installed") from error
    lines = text.split("\n")
    return random.Random(1).sample(lines, min(count, len(lines)))


def random_texts(count):
    """Short texts with blanks, controls, marks and letters of all planes."""
    draw = random.Random(2)
    texts = []
    for _ in range(count):
        letters = [draw.choice(draw.choice(POOLS)) for _ in range(draw.randrange(1, 40))]
        if draw.random() < 0.3:
            code = draw.choice([draw.randrange(0xD800), draw.randrange(0xE000, 0x110000)])
            letters.append(chr(code))
        texts.append("".join(letters))
    return texts


def train_sentencepiece(lines, model, **settings):
    """Trains with the package's defaults: nmt_nfkc, dummy prefix, no extra blanks."""
    with open(model, "wb") as file:
        sentencepiece.SentencePieceTrainer.Train(
            sentence_iterator=iter(lines), model_writer=file, minloglevel=2, **settings
        )


def run_tool(*arguments, **options):
    return subprocess.run([TOOL, *map(str, arguments)], check=True, capture_output=True, **options)


def encode(model, texts):
    """Ids and decoded texts of Sluice."""
    lines = "\n".join(json.dumps(text) for text in texts) + "\n"
    output = run_tool("encode", model, input=lines.encode()).stdout
    records = [json.loads(line) for line in output.splitlines()]
    return [record["ids"] for record in records], [record["text"] for record in records]
