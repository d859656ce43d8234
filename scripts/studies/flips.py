"""The paired sign-flip test of docs/statistics.md in NumPy: max-T p-values and their inversion."""

import itertools

import numpy as np

TIE = 1 - 1e-9  # flips this close to the observed statistic count as at least as extreme


def all_flips(num_seeds):
    """All signs [2^seeds, seeds], the identity first."""
    return np.array(list(itertools.product([1.0, -1.0], repeat=num_seeds)))


def is_constant(differences):
    """Whether a difference other than 0 is the same in every seed: the test does not apply."""
    d = np.asarray(differences, dtype=float)
    return bool(np.ptp(d) <= 1e-13 * np.abs(d).max()) and bool(d.any())


def statistic(differences):
    """|sum| / root of the sum of squares over the last axis."""
    size = np.sqrt((differences**2).sum(axis=-1))
    return np.abs(differences.sum(axis=-1)) / np.where(size > 0, size, 1)


def adjusted_p(differences):
    """Step-down max-T p-values of [comparisons, seeds] (Westfall & Young 1993)."""
    d = np.asarray(differences, dtype=float)
    d = np.where([[is_constant(row)] for row in d], 0.0, d)  # p = 1
    t = statistic(all_flips(d.shape[1])[:, None, :] * d)
    order = np.argsort(-t[0], kind="stable")
    p, largest = np.empty(len(d)), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, float(np.mean(t[:, order[rank:]].max(axis=1) >= TIE * t[0, i])))
        p[i] = largest
    return p


def interval(differences, i, level=0.05):
    """Simultaneous interval of comparison i, by bisection on the values that are not rejected."""
    d = np.asarray(differences, dtype=float)
    num_seeds = d.shape[1]
    if is_constant(d[i]):
        return np.nan, np.nan
    if 2.0 ** (1 - num_seeds) > level:
        return -np.inf, np.inf
    flips, middle = all_flips(num_seeds), d[i].mean()
    others = np.delete(d - d.mean(axis=1, keepdims=True), i, axis=0)
    reach = (
        statistic(flips[:, None, :] * others).max(axis=1) if len(others) else np.zeros(len(flips))
    )

    def is_inside(theta):
        t = np.maximum(statistic(flips * (d[i] - theta)), reach)
        return np.sum(t >= TIE * statistic(d[i] - theta)) > level * len(flips)

    def bound(direction):
        near, far = 0.0, max(float(np.ptp(d[i])), 1e-12)
        while is_inside(middle + direction * far):
            far *= 2
        for _ in range(80):
            half = (near + far) / 2
            near, far = (half, far) if is_inside(middle + direction * half) else (near, half)
        return middle + direction * near

    return bound(-1), bound(+1)
