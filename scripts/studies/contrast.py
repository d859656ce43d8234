"""Tests sums and differences of variants, within or across comparisons with the same seeds.

  python3 scripts/studies/contrast.py \\
    "geglu, eight times longer: +runs/x8:geglu -runs/x8:relu -runs/x1:geglu +runs/x1:relu"

asks whether geglu's difference from relu is another after a longer training. Each argument is
`NAME: TERM TERM ...`, a term is `+DIR:LABEL` or `-DIR:LABEL` (or a results.json for DIR; blanks in
LABEL are written `_`). All arguments are one family: p-values are adjusted, and intervals
simultaneous, by the paired sign-flip test of docs/statistics.md.
"""

import argparse
import sys

import flips
import numpy as np
import results


def contrast_of(text, cache):
    """(name, value of each seed) of `NAME: TERM ...`."""
    name, _, terms = text.rpartition(": ")
    if not name or not terms.split():
        raise SystemExit(f"`{text}`: expected `NAME: +DIR:LABEL -DIR:LABEL ...`")
    total, seeds = 0.0, None
    for term in terms.split():
        place, _, label = term[1:].rpartition(":")
        if term[0] not in "+-" or not place:
            raise SystemExit(f"`{term}`: expected +DIR:LABEL or -DIR:LABEL")
        if place not in cache:
            record = results.read(place)
            cache[place] = (record["seeds"], results.values_of(record))
        its_seeds, values = cache[place]
        written = label.replace(" ", "_")
        same = [label] if label in values else [v for v in values if v.replace(" ", "_") == written]
        if len(same) != 1:
            raise SystemExit(f"{place}: no variant `{label}`; expected one of {'; '.join(values)}")
        if seeds not in (None, its_seeds):
            raise SystemExit(f"{place}: seeds {its_seeds}; expected {seeds}, as in the other terms")
        seeds = its_seeds
        total = total + float(term[0] + "1") * np.array(values[same[0]])
    return name, total


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("contrasts", nargs="+", metavar="CONTRAST")
    cache = {}
    rows = [contrast_of(text, cache) for text in parser.parse_args().contrasts]
    if len({len(values) for _, values in rows}) != 1:
        raise SystemExit("contrasts of different numbers of seeds")
    differences = np.array([values for _, values in rows])
    p = flips.adjusted_p(differences)
    print("| contrast | mean | simultaneous 95 % interval | p |\n|---|---|---|---|")
    for i, (name, values) in enumerate(rows):
        low, high = flips.interval(differences, i)
        print(f"| {name} | {values.mean():+.4f} | {low:+.4f} to {high:+.4f} | {p[i]:.4f} |")


if __name__ == "__main__":
    sys.exit(main())
