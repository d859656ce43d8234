"""Span corruption in NumPy, float64, with masks over the segment, as in T5's preprocessor.

Reads JSON from stdin, writes JSON to stdout.
"""

import json
import sys

import numpy as np


def shapes(length, density, mean):
    """Noise tokens, spans, inputs and targets of segments, one column each."""
    noise = np.clip(np.rint(np.float64(density) * length), 1, length - 1)
    spans = np.maximum(np.rint(noise / mean), 1)
    return np.stack([noise, spans, length - noise + spans + 1, noise + spans + 1], axis=1).astype(
        int
    )


def segment_lengths(begin, end, density, mean):
    """For each input length, the largest segment with exactly that length, by exhaustive search."""
    lengths = np.arange(2, int(end / (1 - density)) + 10)
    inputs = shapes(lengths, density, mean)[:, 2]
    return [int(lengths[inputs == wanted].max()) for wanted in range(begin, end)]


def corrupt(tokens, kept, noise, first_sentinel, eos):
    tokens = np.array(tokens)
    lengths = np.stack([kept, noise], axis=1).reshape(-1)
    is_noise = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    is_first = is_noise & ~np.concatenate([[False], is_noise[:-1]])
    sentinels = first_sentinel + 1 - np.cumsum(is_first)
    inputs = np.where(is_first, sentinels, tokens)[~is_noise | is_first]
    targets = np.insert(tokens, np.flatnonzero(is_first), sentinels[is_first])[
        np.insert(is_noise, np.flatnonzero(is_first), True)
    ]
    return [[*inputs.tolist(), eos], [*targets.tolist(), eos]]


request = json.load(sys.stdin)
settings = [(s["begin"], s["end"], s["density"], s["mean"]) for s in request["settings"]]
json.dump(
    {
        "shapes": [
            shapes(np.arange(begin, end), density, mean).tolist()
            for begin, end, density, mean in settings
        ],
        "segments": [segment_lengths(*s) for s in settings],
        "rows": [
            corrupt(r["tokens"], r["kept"], r["noise"], r["pieces"] + r["sentinels"] - 1, r["eos"])
            for r in request["rows"]
        ],
    },
    sys.stdout,
)
