"""The statistics of a comparison, from numpy's least squares and scipy's distributions.

Reads JSON on stdin, writes JSON on stdout.
"""

import itertools
import json
import sys

import numpy as np
from scipy import optimize, stats


def holm(p):
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(
        np.minimum(1, np.asarray(p)[order] * np.arange(len(p), 0, -1))
    )
    return adjusted.tolist()


def fit(values):
    """Fits variant + seed with an intercept by least squares.

    Returns coefficients, their covariance, residual mean square and degrees of freedom.
    """
    v, s = values.shape
    rows = [(i, j) for i in range(v) for j in range(s)]
    x = np.zeros((v * s, 1 + (v - 1) + (s - 1)))
    x[:, 0] = 1
    for row, (i, j) in enumerate(rows):
        if i > 0:
            x[row, i] = 1
        if j > 0:
            x[row, v - 1 + j] = 1
    y = values.reshape(-1)
    coefficients, _, rank, _ = np.linalg.lstsq(x, y, rcond=None)
    df = v * s - rank
    residual = np.sum((y - x @ coefficients) ** 2) / df
    return coefficients, residual * np.linalg.inv(x.T @ x), residual, df


def flips(num_seeds):
    return np.array(list(itertools.product([1.0, -1.0], repeat=num_seeds)))


def t_values(differences, signs):
    """|t| of every flip (rows) and comparison (columns)."""
    n = differences.shape[1]
    with np.errstate(divide="ignore"):
        flipped = signs[:, None, :] * differences[None, :, :]
        return np.abs(flipped.mean(axis=2)) / (flipped.std(axis=2, ddof=1) / np.sqrt(n))


def max_t(differences):
    """Westfall & Young's step-down adjusted p-values over all sign flips."""
    t = t_values(differences, flips(differences.shape[1]))
    observed, order = t[0], np.argsort(-t[0], kind="stable")
    adjusted, last = np.empty(len(observed)), 0.0
    for k, i in enumerate(order):
        largest = t[:, order[k:]].max(axis=1)
        last = max(last, float(np.mean(largest >= observed[i] * (1 - 1e-9))))
        adjusted[i] = last
    return adjusted.tolist()


def flip_interval(differences, i, level):
    """The interval of comparison i by bisection of its p; None for an unbounded side."""
    signs = flips(differences.shape[1])
    centered = np.delete(differences, i, axis=0)
    centered = centered - centered.mean(axis=1, keepdims=True)
    others = t_values(centered, signs).max(axis=1) if len(centered) else np.zeros(len(signs))
    mean, std = differences[i].mean(), differences[i].std(ddof=1)

    def is_inside(theta):
        t = t_values(differences[i : i + 1] - theta, signs)[:, 0]
        return np.mean(np.maximum(t, others) >= t[0] * (1 - 1e-12)) > level

    bounds = []
    for side in (-1, 1):
        inside, outside = 0.0, std
        while is_inside(mean + side * outside) and outside < 1e4 * std:
            inside, outside = outside, 4 * outside
        if outside >= 1e4 * std:
            bounds.append(None)
            continue
        for _ in range(50):
            middle = (inside + outside) / 2
            inside, outside = (
                (middle, outside) if is_inside(mean + side * middle) else (inside, middle)
            )
        bounds.append(mean + side * inside)
    return bounds


def permutation_p(differences):
    """The p of scipy's own exact paired test of one comparison."""
    row = differences[0]
    result = stats.permutation_test(
        (row, np.zeros(len(row))),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
    return result.pvalue


def table(request):
    values = np.array(request["values"])
    v, level = len(values), request["level"]
    coefficients, covariance, residual, df = fit(values)

    def compare(a, b):
        contrast = np.zeros(len(coefficients))
        if a > 0:
            contrast[a] += 1
        if b > 0:
            contrast[b] -= 1
        difference, error = contrast @ coefficients, np.sqrt(contrast @ covariance @ contrast)
        return difference, error, 2 * stats.t.sf(abs(difference) / error, df)

    baseline = request["baseline"]
    others = [i for i in range(v) if i != baseline]
    compared = [compare(i, baseline) for i in others]
    differences = np.array([values[i] - values[baseline] for i in others])
    intervals = [flip_interval(differences, k, level) for k in range(len(others))]
    p = [c[2] for c in compared]
    paired_p = [stats.ttest_rel(values[i], values[baseline]).pvalue for i in others]
    pairs = [(a, b) for a in range(v) for b in range(a + 1, v)]
    return {
        "mean": values.mean(axis=1).tolist(),
        "std": values.std(axis=1, ddof=1).tolist(),
        "residual_std": np.sqrt(residual),
        "df": int(df),
        "difference": [c[0] for c in compared],
        "low": [bounds[0] for bounds in intervals],
        "high": [bounds[1] for bounds in intervals],
        "flip_p": max_t(differences),
        "permutation_p": permutation_p(differences) if v == 2 else None,
        "p": p,
        "p_holm": holm(p),
        "paired_p": paired_p,
        "paired_p_holm": holm(paired_p),
        "pairs_p": max_t(np.array([values[a] - values[b] for a, b in pairs])),
    }


def power(v, s, std, level, difference):
    df, delta = s - 1, difference / (std * np.sqrt(2 / s))
    critical = stats.t.ppf(1 - level / (2 * (v - 1)), df)
    return stats.nct.sf(critical, df, delta) + stats.nct.sf(critical, df, -delta)


def design(request):
    v, s, std, level, wanted = (request[k] for k in ("variants", "seeds", "std", "level", "power"))
    high = std
    while power(v, s, std, level, high) < wanted:  # small steps: scipy's nct is NaN far beyond
        high *= 1.5
    detectable = optimize.brentq(lambda d: power(v, s, std, level, d) - wanted, 0, high, xtol=1e-15)
    fewest = next(n for n in range(2, 100) if 2 / 2**n <= level)
    needed = next(
        n for n in range(fewest, 10_000) if power(v, n, std, level, request["difference"]) >= wanted
    )
    return {
        "power": power(v, s, std, level, request["difference"]),
        "detectable": detectable,
        "needed": needed,
    }


def documents(request):
    """Ratio of sums, and its standard error.

    The error uses the residuals of a regression through the origin, with the ratio as slope.
    """
    difference = np.mean(np.array(request["variant"]) - np.array(request["baseline"]), axis=0)
    targets = np.array(request["targets"], dtype=float)
    ratio, count = difference.sum() / targets.sum(), len(targets)
    error = np.sqrt(count * np.var(difference - ratio * targets, ddof=1)) / targets.sum()
    return {"difference": ratio, "std_error": error}


work = json.load(sys.stdin)
json.dump(
    {
        "tables": [table(t) for t in work["tables"]],
        "designs": [design(d) for d in work["designs"]],
        "documents": [documents(d) for d in work["documents"]],
    },
    sys.stdout,
)
