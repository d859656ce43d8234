"""T5's relative position buckets in float64 NumPy, independent of the project's code.

Prints one line per rule: buckets, max_distance, 1 if bidirectional, then the bucket of every
query - key from -600 to 600.
"""

import numpy as np


def buckets_of(distances, num_buckets, max_distance, bidirectional):
    n = distances.astype(np.float64)
    upper = np.zeros_like(distances)
    if bidirectional:
        num_buckets //= 2
        upper = np.where(n < 0, num_buckets, 0)
        n = np.abs(n)
    else:
        n = np.maximum(n, 0)
    exact = num_buckets // 2
    with np.errstate(divide="ignore"):
        steps = np.log(n / exact) / np.log(max_distance / exact) * (num_buckets - exact)
    far = np.minimum(exact + np.floor(np.where(n < exact, 0, steps)), num_buckets - 1)
    return upper + np.where(n < exact, n, far).astype(np.int64)


for num_buckets, max_distance in [(32, 128), (32, 512), (64, 100), (8, 20)]:
    for bidirectional in (True, False):
        row = buckets_of(np.arange(-600, 601), num_buckets, max_distance, bidirectional)
        print(num_buckets, max_distance, int(bidirectional), *row)
