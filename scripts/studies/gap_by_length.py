"""Differences from the baseline by length of training, each length a comparison of its own.

  python3 scripts/studies/gap_by_length.py RUN_DIR [RUN_DIR ...] OUTPUT_DIR

reads the results.json of comparisons that differ in train.steps only, the shortest first, and
writes OUTPUT_DIR/length.md and length.svg: differences with their simultaneous intervals, and a
test of whether each differs between the shortest and the longest training (paired sign-flip test
over the seeds, adjusted for the number of variants).
"""

import argparse
import pathlib
import sys

import flips
import numpy as np
import results
import svg


def gaps_of(record):
    """{label: difference from the baseline in each seed}"""
    values = results.values_of(record)
    base = np.array(values[results.label_of(record["baseline"])])
    return {
        label: np.array(one) - base
        for label, one in values.items()
        if label != results.label_of(record["baseline"])
    }


def steps_of(record):
    return record["cells"][0]["steps"]


def page(records):
    first, last = gaps_of(records[0]), gaps_of(records[-1])
    labels = list(first)
    lines = [
        "| layer | " + " | ".join(f"{steps_of(r):,} steps" for r in records) + " |",
        "|---|" + "---|" * len(records),
    ]
    for label in labels:
        cells = []
        for record in records:
            row = next(r for r in record["summary"] if results.label_of(r["settings"]) == label)
            cells.append(
                f"{row['difference']:+.4f} ({row['difference_low']:+.4f} to "
                f"{row['difference_high']:+.4f}) {row['verdict']}"
            )
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    changes = np.array([last[label] - first[label] for label in labels])
    p = flips.adjusted_p(changes)
    lines += [
        "",
        f"Change of the difference from {steps_of(records[0]):,} to {steps_of(records[-1]):,} "
        "steps.",
        "",
        "| layer | change | simultaneous 95 % interval | p | share of the difference left |",
        "|---|---|---|---|---|",
    ]
    for i, label in enumerate(labels):
        low, high = flips.interval(changes, i)
        left = last[label].mean() / first[label].mean()
        lines.append(
            f"| {label} | {changes[i].mean():+.4f} | {low:+.4f} to {high:+.4f} | {p[i]:.4f} "
            f"| {100 * left:.0f} % |"
        )
    return "\n".join(lines) + "\n"


def picture(records):
    labels = list(gaps_of(records[0]))
    steps = [steps_of(record) for record in records]
    rows = {
        label: [
            next(r for r in record["summary"] if results.label_of(r["settings"]) == label)
            for record in records
        ]
        for label in labels
    }
    bounds = [
        r[k] for one in rows.values() for r in one for k in ("difference_low", "difference_high")
    ]
    values, digits = svg.ticks(min([*bounds, 0]), max([*bounds, 0]))
    chart = svg.Chart(
        f"Difference from {results.label_of(records[0]['baseline'])} by length of training",
        (640, 380),
        (np.log2(steps[0]), np.log2(steps[-1])),
        (values[0], values[-1]),
    )
    chart.y_axis(values, digits, "nats per target token")
    for i, label in enumerate(labels):
        color = svg.COLORS[i % len(svg.COLORS)]
        places = np.log2(steps)
        chart.band(
            [
                (x, r["difference_low"], r["difference_high"])
                for x, r in zip(places, rows[label], strict=True)
            ],
            color,
        )
        chart.line([(x, r["difference"]) for x, r in zip(places, rows[label], strict=True)], color)
        for x, r in zip(places, rows[label], strict=True):
            chart.dot(x, r["difference"], color)
        last = rows[label][-1]["difference"]
        chart.text(chart.box[2] + 8, chart.y(last) + 4, label, color=color)
    chart.line([(np.log2(steps[0]), 0), (np.log2(steps[-1]), 0)], "#111827", 1, "4 3")
    chart.x_axis({np.log2(s): f"{s:,}" for s in steps}, "steps, each with its own schedule")
    return str(chart)


def require_intervals(records):
    for record in records:
        for row in record["summary"]:
            if not row["baseline"] and None in (row["difference_low"], row["difference_high"]):
                raise SystemExit(f"{record['name']}: no interval; expected six seeds or more")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", metavar="RUN_DIR")
    parser.add_argument("output", type=pathlib.Path)
    options = parser.parse_args()
    records = sorted(map(results.read, options.runs), key=steps_of)
    if len({tuple(record["seeds"]) for record in records}) != 1:
        raise SystemExit("comparisons with different seeds")
    require_intervals(records)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "length.md").write_text(page(records))
    (options.output / "length.svg").write_text(picture(records))
    print(page(records), end="")


if __name__ == "__main__":
    sys.exit(main())
