#!/usr/bin/env python3
"""Interpolated modified Kneser-Ney n-gram model on Sluice's tokens: a baseline for perplexity.

  kneser_ney.py FOLDER [--order 5] [--json]    FOLDER: runs/kjv, or data/prepared/FINGERPRINT

Chen & Goodman 1999, "An empirical study of smoothing techniques for language modeling", section 3:

    P(w | h) = max(a(hw) - D(a(hw)), 0) / a(h.) + gamma(h) P(w | h')
    gamma(h) = sum over w of min(a(hw), D(a(hw))) / a(h.)

h' is h without its first word. a(g) is the count of g in the training text at the highest order,
and the number of different words before g at lower orders. D(1), D(2) and D(3 or more) are
estimated per order from the numbers of n-grams with a = 1, 2, 3, 4. Unigrams are interpolated with
the uniform distribution over the vocabulary.

As for the model, the text is one sequence: contexts cross document boundaries, each document ends
with a separator token, and separators precede the first token. Every held-out token is scored once.
"""

import argparse
import json
import math
import pathlib
import struct
import sys

import numpy as np


def discounts(adjusted):
    """0, D(1), D(2), D(3+) of one order; 0, 0.5, 1, 1.5 if the formula has too few counts."""
    n = np.bincount(np.minimum(adjusted[adjusted > 0], 5), minlength=6)[1:5].astype(float)
    if np.all(n > 0):
        y = n[0] / (n[0] + 2 * n[1])
        found = [k - (k + 1) * y * n[k] / n[k - 1] for k in (1, 2, 3)]
        if all(0 <= d <= k for k, d in enumerate(found, 1)):
            return np.array([0.0, *found])
    return np.array([0.0, 0.5, 1.0, 1.5])


class KneserNey:
    def __init__(self, tokens, vocab_size, order=5, start=0):
        """tokens: int array [N]; `start` fills the contexts before the first token."""
        self.order, self.vocab_size, self.start = order, vocab_size, start
        stream = np.concatenate([np.full(order - 1, start, np.int64), np.asarray(tokens, np.int64)])
        self._keys, ids, first = [], np.zeros(len(stream) + 1, np.int64), [np.zeros(1, np.int64)]
        self._ids_by_length, counts = [ids], [None]
        for length in range(1, order + 1):
            # An n-gram is a pair (shorter n-gram, last word); its id is the rank of the pair.
            pairs = ids[: len(stream) - length + 1] * vocab_size + stream[length - 1 :]
            keys, index, ids, count = np.unique(
                pairs, return_index=True, return_inverse=True, return_counts=True
            )
            self._keys.append(keys)
            self._ids_by_length.append(ids)
            first.append(index)
            counts.append(count)
        self._tables = [self._table(length, first, counts) for length in range(1, order + 1)]
        del self._ids_by_length

    def _table(self, length, first, counts):
        """(discounted probability of each n-gram, gamma of each context)"""
        size = len(self._keys[length - 1])
        if length == self.order:
            adjusted = counts[length]
        else:
            adjusted = np.bincount(
                self._ids_by_length[length][first[length + 1] + 1], minlength=size
            )
        contexts = self._keys[length - 1] // self.vocab_size
        num_contexts = 1 if length == 1 else len(self._keys[length - 2])
        total = np.bincount(contexts, weights=adjusted, minlength=num_contexts)
        taken = np.minimum(discounts(adjusted)[np.minimum(adjusted, 3)], adjusted)
        seen = total > 0
        total = np.where(seen, total, 1.0)
        gamma = np.where(
            seen, np.bincount(contexts, weights=taken, minlength=num_contexts) / total, 1.0
        )
        return (adjusted - taken) / total[contexts], gamma

    def probabilities(self, ngrams):
        """ngrams: int array [M, order], each row a context and the word to predict. Returns [M]."""
        ngrams = np.asarray(ngrams, np.int64)
        p = np.full(len(ngrams), 1.0 / self.vocab_size)
        for length in range(1, self.order + 1):
            context, ngram = np.zeros(len(ngrams), np.int64), None
            for k, word in enumerate(ngrams.T[self.order - length :], 1):
                context = context if ngram is None else ngram
                ngram = self._find(k, context, word)
            share, gamma = self._tables[length - 1]
            known = context >= 0
            own = np.where(ngram >= 0, share[np.maximum(ngram, 0)], 0.0)
            p = np.where(known, own + gamma[np.maximum(context, 0)] * p, p)
        return p

    def _find(self, length, context, word):
        """Ids of n-grams, -1 for those not in the training text."""
        keys = self._keys[length - 1]
        wanted = context * self.vocab_size + word
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where((context >= 0) & (keys[place] == wanted), place, -1)

    def log_perplexity(self, tokens, block=1 << 18):
        """Mean negative log probability in nats per token of a sequence [N]."""
        stream = np.concatenate(
            [np.full(self.order - 1, self.start, np.int64), np.asarray(tokens, np.int64)]
        )
        windows = np.lib.stride_tricks.sliding_window_view(stream, self.order)
        total = sum(
            -np.log(self.probabilities(windows[i : i + block])).sum()
            for i in range(0, len(windows), block)
        )
        return float(total) / len(windows)


def figures(log_perplexity, num_tokens, num_bytes, num_words):
    """As `sluice eval` defines them (docs/metrics.md)."""
    nats = log_perplexity * num_tokens
    return {
        "log_perplexity": log_perplexity,
        "perplexity": math.exp(log_perplexity),
        "bits_per_byte": nats / num_bytes / math.log(2),
        "word_perplexity": math.exp(nats / num_words),
        "num_tokens": num_tokens,
        "num_bytes": num_bytes,
        "num_words": num_words,
    }


# -- prepared data ---------------------------------------------------------------------------------

HEADER = struct.Struct("<8s2IQ16s2Q6Q4xI16x")  # src/data/shard.h
SUMS = ("num_blocks", "num_documents", "num_bytes", "num_words", "num_tokens", "num_unknown")


def stop(message):
    sys.exit(f"kneser_ney: {message}")


def read_shard(path):
    """(ids, vocabulary size, sums up to the end of this shard). Checks sizes, not hashes."""
    data = path.read_bytes()
    if len(data) < HEADER.size:
        stop(f"{path}: {len(data)} bytes; expected a header of {HEADER.size}")
    magic, version, width, num_tokens, _, vocab_size, _, *sums, num_ends = HEADER.unpack_from(data)
    if magic != b"SLUICTOK" or version != 2 or width not in (2, 4):
        stop(
            f"{path}: magic {magic!r}, version {version}, {width} bytes per token; "
            "expected a token shard of version 2"
        )
    size = HEADER.size + num_tokens * width + 4 * num_ends
    if len(data) != size:
        stop(f"{path}: {len(data)} bytes; expected {size}")
    ids = np.frombuffer(data, "<u2" if width == 2 else "<u4", num_tokens, HEADER.size).astype(
        np.int64
    )
    return ids, vocab_size, dict(zip(SUMS, sums, strict=True))


def read_split(folder, split):
    paths = sorted(folder.glob(f"{split}-*.tokens"))
    if not paths:
        stop(f"{folder}: no {split}-*.tokens; expected a folder written by `sluice prepare`")
    shards = [read_shard(path) for path in paths]
    ids, (_, vocab_size, sums) = np.concatenate([shard[0] for shard in shards]), shards[-1]
    if len(ids) != sums["num_tokens"]:
        stop(f"{folder}: {len(ids)} {split} tokens; expected {sums['num_tokens']}")
    return ids, vocab_size, sums


def prepared_folder(path):
    """The prepared data of the run in `path`, or `path` itself if it is not a run."""
    record = path / "run.json"
    return (
        pathlib.Path(json.loads(record.read_text())["data"]["directory"])
        if record.exists()
        else path
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=pathlib.Path, help="a run directory, or prepared data")
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    arguments = parser.parse_args()
    if arguments.order < 1:
        stop(f"--order {arguments.order}; expected at least 1")
    folder = prepared_folder(arguments.folder)
    train, vocab_size, _ = read_split(folder, "train")
    valid, _, sums = read_split(folder, "valid")
    separator = int(train[-1])  # a split ends with the separator of its last document
    model = KneserNey(train, vocab_size, arguments.order, separator)
    result = figures(model.log_perplexity(valid), len(valid), sums["num_bytes"], sums["num_words"])
    if arguments.json:
        print(json.dumps(result))
        return
    print(
        f"interpolated modified Kneser-Ney, order {arguments.order}: "
        f"{len(train)} training tokens, vocabulary {vocab_size}"
    )
    for key, value in result.items():
        print(f"{key:16} {value:.4f}" if isinstance(value, float) else f"{key:16} {value}")


if __name__ == "__main__":
    main()
