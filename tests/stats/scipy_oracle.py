"""The statistics of a comparison, from numpy's least squares and scipy's distributions.

Reads JSON on stdin, writes JSON on stdout.
"""

import itertools
import json
import sys

import numpy as np
from scipy import optimize, stats

MOST_SEEDS = 500


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


def large_flip_p(request):
    """Max-T of more seeds than are enumerated in C++: all flips up to 18 seeds, else a sample."""
    values = np.array(request["values"])
    differences = values[1:] - values[0]
    count, n = differences.shape
    if n <= 18:
        bits = np.arange(2**n)[:, None] >> np.arange(n) & 1
    else:
        bits = np.random.default_rng(n).integers(0, 2, (200_000, n))
        bits[0] = 0
    mean = (1 - 2.0 * bits) @ differences.T / n
    # Flips keep the mean of the squares.
    std = np.sqrt(((differences**2).mean(axis=1) - mean**2) * n / (n - 1))
    t = np.abs(mean) / (std / np.sqrt(n))
    order = np.argsort(-t[0], kind="stable")
    adjusted, last = np.empty(count), 0.0
    for k, i in enumerate(order):
        last = max(last, float(np.mean(t[:, order[k:]].max(axis=1) >= t[0, i] * (1 - 1e-9))))
        adjusted[i] = last
    return adjusted.tolist()


def look_levels(request):
    """The levels of the looks; each spends the largest attainable p of the sign-flip test."""
    looks, level = request["looks"], request["level"]
    levels, spent = [], 0.0
    for look in looks:
        share = look / looks[-1]
        if request["spending"] == "pocock":
            allowed = level * np.log(1 + (np.e - 1) * share)
        else:
            allowed = 2 * stats.norm.sf(stats.norm.isf(level / 2) / np.sqrt(share))
        levels.append(float(allowed - spent))
        flips_of_look = 2.0 ** min(look, 16)
        attainable = np.arange(0, int(flips_of_look) + 1, 2) / flips_of_look
        spent += attainable[attainable <= levels[-1] + 1e-12].max()
    return levels


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


def upper(critical, df, delta):
    """P(T > critical) of the noncentral t; approximate where scipy returns NaN, far in the tail."""
    rough = stats.norm.sf((critical - delta) / np.sqrt(1 + critical**2 / (2 * df)))
    with np.errstate(all="ignore"):
        exact = stats.nct.sf(critical, df, delta)
    return np.where(np.isnan(exact), rough, exact)


def seeds_to_decide(difference, std, comparisons, level, margin, at_least):
    """Fewest seeds with a power of 0.8 for either verdict; `std` is that of the differences.

    None above MOST_SEEDS.
    """
    size, low = abs(difference), at_least
    while low <= MOST_SEEDS:
        s = np.arange(low, min(2 * low, MOST_SEEDS + 1))
        critical, root = stats.t.ppf(1 - level / (2 * comparisons), s - 1), np.sqrt(s) / std
        powers = [upper(critical, s - 1, size * root) + upper(critical, s - 1, -size * root)]
        if size < margin:
            below = upper(critical, s - 1, (margin - size) * root)
            above = upper(critical, s - 1, (margin + size) * root)
            powers.append(below + above - 1)
        enough = np.any(np.array(powers) >= 0.8, axis=0)
        if enough.any():
            return int(s[enough][0])
        low = int(s[-1]) + 1
    return None


def conclusion(difference, p, bounds, level, margin):
    low, high = bounds
    if None not in bounds and -margin < low and high < margin:
        return "equivalent"
    if p <= level:
        return "better" if difference < 0 else "worse"
    return "undecided"


def verdicts(differences, p, intervals, level, margin):
    """Conclusions, seeds that would decide, and the rate of better seeds with its interval."""
    count, num_seeds = differences.shape
    fewest = next(n for n in range(2, 100) if 2 / 2**n <= level)
    result = []
    for row, p_value, bounds in zip(differences, p, intervals, strict=True):
        verdict = conclusion(row.mean(), p_value, bounds, level, margin)
        better = int(np.sum(row < 0))
        rate = stats.binomtest(better, num_seeds).proportion_ci(1 - level, method="exact")
        seeds = None
        if verdict == "undecided":
            at_least = max(fewest, num_seeds + 1)
            seeds = seeds_to_decide(row.mean(), row.std(ddof=1), count, level, margin, at_least)
        result.append(
            {
                "conclusion": verdict,
                "seeds_to_decide": seeds,
                "num_better": better,
                "rate": [rate.low, rate.high],
            }
        )
    return result


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
    flip_p = max_t(differences)
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
        "flip_p": flip_p,
        "verdicts": verdicts(differences, flip_p, intervals, level, request["margin"]),
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
        "looks": [look_levels(k) for k in work["looks"]],
        "large": [large_flip_p(k) for k in work["large"]],
    },
    sys.stdout,
)
