"""Kneser-Ney against a direct implementation of its formula and the grammar's exact entropy."""

import collections
import itertools
import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

import grammar
import kneser_ney
import numpy as np


class Direct:
    """Chen & Goodman's definition with dictionaries; slow."""

    def __init__(self, tokens, vocab_size, order, start):
        self.order, self.vocab_size = order, vocab_size
        stream = [start] * (order - 1) + list(tokens)
        windows = {
            n: [tuple(stream[i : i + n]) for i in range(len(stream) - n + 1)]
            for n in range(1, order + 2)
        }
        self.counts = {order: collections.Counter(windows[order])}
        for n in range(1, order):
            before = collections.defaultdict(set)
            for longer in windows[n + 1]:
                before[longer[1:]].add(longer[0])
            self.counts[n] = collections.Counter({g: len(words) for g, words in before.items()})
        self.discounts = {n: self.estimate(c.values()) for n, c in self.counts.items()}

    @staticmethod
    def estimate(values):
        n = [sum(v == k for v in values) for k in range(5)]
        if min(n[1:]) == 0:
            return [0, 0.5, 1.0, 1.5]
        y = n[1] / (n[1] + 2 * n[2])
        found = [0] + [k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)]
        return found if all(0 <= d <= k for k, d in enumerate(found)) else [0, 0.5, 1.0, 1.5]

    def probability(self, context, word):
        n = len(context) + 1
        lower = 1 / self.vocab_size if n == 1 else self.probability(context[1:], word)
        followers = {g[-1]: c for g, c in self.counts[n].items() if g[:-1] == context}
        total = sum(followers.values())
        if total == 0:
            return lower
        discount = self.discounts[n]
        kept = {w: max(c - discount[min(c, 3)], 0) for w, c in followers.items()}
        return kept.get(word, 0) / total + (1 - sum(kept.values()) / total) * lower


def toy_text(length, vocab_size, seed):
    """Skewed and dependent on the last token, so that each order can learn something."""
    draw = random.Random(seed)
    tokens = [0]
    for _ in range(length - 1):
        tokens.append(
            (tokens[-1] * 3 + int(vocab_size * draw.random() ** 3)) % vocab_size
            if draw.random() < 0.8
            else draw.randrange(vocab_size)
        )
    return tokens


class Toy(unittest.TestCase):
    def test_equals_the_definition(self):
        for vocab_size, order, length in (
            (5, 3, 60),
            (7, 5, 400),
            (12, 2, 300),
            (4, 1, 50),
            (11, 4, 8),
        ):
            # One word of the vocabulary never occurs.
            text = toy_text(length, vocab_size - 1, seed=order)
            model = kneser_ney.KneserNey(text, vocab_size, order, start=0)
            direct = Direct(text, vocab_size, order, start=0)
            draw = random.Random(1)
            ngrams = [[draw.randrange(vocab_size) for _ in range(order)] for _ in range(100)]
            ngrams += [(text + text)[i : i + order] for i in range(min(length, 100))]
            expected = [direct.probability(tuple(g[:-1]), g[-1]) for g in ngrams]
            np.testing.assert_allclose(model.probabilities(ngrams), expected, rtol=1e-12)

    def test_sums_to_one(self):
        vocab_size, order = 6, 4
        model = kneser_ney.KneserNey(toy_text(500, 5, seed=4), vocab_size, order)
        ngrams = np.array(list(itertools.product(range(vocab_size), repeat=order)))
        sums = model.probabilities(ngrams).reshape(-1, vocab_size).sum(axis=1)
        np.testing.assert_allclose(sums, 1.0, rtol=1e-12)

    def test_log_perplexity_scores_each_token_once(self):
        text, held_out, order, start = toy_text(300, 6, seed=8), toy_text(50, 7, seed=9), 4, 3
        model = kneser_ney.KneserNey(text, 7, order, start)
        direct = Direct(text, 7, order, start)
        padded = [start] * (order - 1) + held_out
        logs = [
            math.log(direct.probability(tuple(padded[i : i + order - 1]), padded[i + order - 1]))
            for i in range(len(held_out))
        ]
        for block in (7, 1 << 18):
            self.assertAlmostEqual(
                model.log_perplexity(held_out, block), -sum(logs) / len(logs), places=12
            )

    def test_figures(self):
        figures = kneser_ney.figures(2.0, num_tokens=100, num_bytes=400, num_words=50)
        self.assertAlmostEqual(figures["perplexity"], math.e**2)
        self.assertAlmostEqual(figures["bits_per_byte"], 0.5 / math.log(2))
        self.assertAlmostEqual(figures["word_perplexity"], math.e**4)


class KnownEntropy(unittest.TestCase):
    def test_approaches_the_best_5gram_closely(self):
        # With three pairs, each 5-gram is frequent in a million tokens.
        process = grammar.Grammar(0, num_pairs=3)
        text, _ = grammar.generate(process, "letters", 1_300_000, seed=21)
        tokens = np.frombuffer(text.encode(), np.uint8)
        model = kneser_ney.KneserNey(tokens[:1_200_000], 256, order=5, start=10)
        excess = model.log_perplexity(tokens[1_200_000:]) - process.ngram_entropy(5)
        self.assertGreater(excess, -0.005)  # sampling error
        self.assertLess(excess, 0.01)


class PreparedData(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.train, self.valid = [*toy_text(40_000, 9, seed=1), 9], [*toy_text(300, 9, seed=2), 9]
        self.write(
            "train-00000.tokens",
            self.train[:25_000],
            [3, 2, 90_000, 900, 25_000, 0],
            width=2,
            ends=[9_000, 24_000],
        )
        self.write(
            "train-00001.tokens", self.train[25_000:], [6, 5, 160_000, 1_600, 40_001, 0], width=2
        )
        self.write("valid-00000.tokens", self.valid, [7, 1, 1_200, 80, 301, 0], width=2)

    def write(self, name, ids, sums, width, ends=()):
        """Writes the format in src/data/shard.h."""
        header = bytearray(128)
        header[0:8] = b"SLUICTOK"
        for offset, size, value in [
            (8, 4, 2),
            (12, 4, width),
            (16, 8, len(ids)),
            (40, 8, 10),
            (108, 4, len(ends)),
            *((56 + 8 * i, 8, v) for i, v in enumerate(sums)),
        ]:
            header[offset : offset + size] = value.to_bytes(size, "little")
        (self.folder / name).write_bytes(
            bytes(header)
            + b"".join(i.to_bytes(width, "little") for i in ids)
            + b"".join(end.to_bytes(4, "little") for end in ends)
        )

    def run_script(self, *arguments):
        return subprocess.run(
            [sys.executable, kneser_ney.__file__, self.folder, *arguments],
            capture_output=True,
            text=True,
        )

    def test_figures_of_both_splits(self):
        done = self.run_script("--json", "--order", "3")
        self.assertEqual(done.returncode, 0, done.stderr)
        result = json.loads(done.stdout)
        expected = kneser_ney.KneserNey(self.train, 10, 3, start=9).log_perplexity(self.valid)
        self.assertAlmostEqual(result["log_perplexity"], expected, places=12)
        self.assertEqual(
            (result["num_tokens"], result["num_bytes"], result["num_words"]), (301, 1200, 80)
        )
        self.assertAlmostEqual(
            result["word_perplexity"],
            math.exp(expected * 301 / 80),
            delta=1e-6 * result["word_perplexity"],
        )

    def test_a_run_names_its_data(self):
        run = self.folder / "run"
        run.mkdir()
        (run / "run.json").write_text(json.dumps({"data": {"directory": str(self.folder)}}))
        done = subprocess.run(
            [sys.executable, kneser_ney.__file__, run, "--json"], capture_output=True, text=True
        )
        self.assertEqual(done.stdout, self.run_script("--json").stdout, done.stderr)
        self.assertIn("log_perplexity", done.stdout)

    def test_wide_ids(self):
        self.write("valid-00000.tokens", self.valid, [7, 1, 1_200, 80, 301, 0], width=4)
        self.assertEqual(self.run_script().returncode, 0)

    def test_damage(self):
        whole = (self.folder / "train-00001.tokens").read_bytes()
        for damaged in (whole[:-1], whole[:100], b"X" + whole[1:], whole[:8] + b"\1" + whole[9:]):
            (self.folder / "train-00001.tokens").write_bytes(damaged)
            done = self.run_script()
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn("train-00001.tokens", done.stderr)
            self.assertNotIn("Traceback", done.stderr)
        (self.folder / "train-00001.tokens").unlink()
        (self.folder / "train-00000.tokens").unlink()
        self.assertIn("sluice prepare", self.run_script().stderr)


if __name__ == "__main__":
    unittest.main()
