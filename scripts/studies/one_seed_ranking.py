"""How far a ranking by one run of each variant can be trusted.

  python3 scripts/studies/one_seed_ranking.py RUN_DIR OUTPUT_DIR

reads RUN_DIR/results.json and writes OUTPUT_DIR/one_seed.md and one_seed.svg. Each seed gives a
ranking by one run per variant. It is compared with the ranking by the means of the other seeds,
which it has no part in.
"""

import argparse
import pathlib
import sys
import textwrap

import numpy as np
import results
import svg
from scipy import stats


def facts_of(labels, values):
    """Per seed: its best variant, how that one fares in the other seeds, and Kendall's tau."""
    facts = []
    for s in range(values.shape[1]):
        alone, others = values[:, s], np.delete(values, s, axis=1).mean(axis=1)
        best = int(np.argmin(alone))
        facts.append(
            {
                "best": labels[best],
                "place": int(stats.rankdata(others, method="min")[best]),
                "behind": float(others[best] - others.min()),
                "tau": float(stats.kendalltau(alone, others).statistic),
            }
        )
    return facts


def pairs_kept(values):
    """Share of pairs that one seed orders as the means of the others do, over all seeds."""
    kept = []
    for s in range(values.shape[1]):
        alone, others = values[:, s], np.delete(values, s, axis=1).mean(axis=1)
        upper = np.triu_indices(len(alone), 1)
        kept.append(
            np.sign(np.subtract.outer(alone, alone)[upper])
            == np.sign(np.subtract.outer(others, others)[upper])
        )
    return float(np.mean(kept))


def page(record, labels, values, letters):
    num_seeds = values.shape[1]
    facts = facts_of(labels, values)
    means = values.mean(axis=1)
    best = labels[int(np.argmin(means))]
    level = [label for label in labels if set(letters[label]) & set(letters[best])]
    hits = sum(fact["place"] == 1 for fact in facts)
    same = sum(fact["best"] == best for fact in facts)
    lines = [
        textwrap.fill(
            f"Best by the mean of {num_seeds} seeds: **{best}**; {len(level)} of {len(labels)} "
            f"variants share a letter with it. It is the best in {same} of {num_seeds} single "
            "seeds.",
            100,
        ),
        "",
        textwrap.fill(
            f"The best variant of one seed is the best of the other {num_seeds - 1} in **{hits} of "
            f"{num_seeds}** seeds; on average it takes place "
            f"{np.mean([f['place'] for f in facts]):.1f} there, "
            f"{np.mean([f['behind'] for f in facts]):.4f} behind the best. One seed orders "
            f"{100 * pairs_kept(values):.0f} % of all pairs as the other seeds do.",
            100,
        ),
        "",
        "| seed | best in this seed | place in the others | behind their best | Kendall's tau |",
        "|---|---|---|---|---|",
    ]
    for seed, fact in zip(record["seeds"], facts, strict=True):
        lines.append(
            f"| {seed} | {fact['best']} | {fact['place']} | {fact['behind']:.4f} "
            f"| {fact['tau']:.2f} |"
        )
    lines += [
        "",
        "| variant | mean | std | letters | places in single seeds |",
        "|---|---|---|---|---|",
    ]
    places = stats.rankdata(values, axis=0, method="min").astype(int)
    for i in np.argsort(means, kind="stable"):
        lines.append(
            f"| {labels[i]} | {means[i]:.4f} | {values[i].std(ddof=1):.4f} | {letters[labels[i]]} "
            f"| {' '.join(map(str, places[i]))} |"
        )
    return "\n".join(lines) + "\n"


def picture(record, labels, values):
    """Place of every variant in each seed and, at the right, by the mean."""
    num_variants, num_seeds = values.shape
    places = stats.rankdata(values, axis=0, method="ordinal")
    final = stats.rankdata(values.mean(axis=1), method="ordinal")
    chart = svg.Chart(
        "Place in each seed, and by the mean of all seeds",
        (860, 60 + 26 * num_variants),
        (0, num_seeds),
        (num_variants + 0.5, 0.5),
    )
    for i in np.argsort(final):
        color = svg.COLORS[int(final[i] - 1) % len(svg.COLORS)]
        points = [(s, places[i, s]) for s in range(num_seeds)] + [(num_seeds, final[i])]
        chart.line(points, color, 3.0 if final[i] == 1 else 1.2)
        for x, y in points:
            chart.dot(x, y, color)
        chart.text(chart.x(num_seeds) + 8, chart.y(final[i]) + 4, labels[i], color=color)
    for place in range(1, num_variants + 1):
        chart.text(chart.box[0] - 12, chart.y(place) + 4, str(place), "end")
    seeds = {s: f"seed {seed}" for s, seed in enumerate(record["seeds"])}
    chart.x_axis(seeds | {num_seeds: "mean"}, "")
    return str(chart)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run")
    parser.add_argument("output", type=pathlib.Path)
    options = parser.parse_args()
    record = results.read(options.run)
    if results.groups_of(record) != len(record["seeds"]):
        raise SystemExit("expected a comparison without compare.tune.repeat")
    by_label = results.values_of(record)
    labels, values = list(by_label), np.array(list(by_label.values()))
    letters = {results.label_of(row["settings"]): row["letters"] for row in record["summary"]}
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "one_seed.md").write_text(page(record, labels, values, letters))
    (options.output / "one_seed.svg").write_text(picture(record, labels, values))
    print(page(record, labels, values, letters), end="")


if __name__ == "__main__":
    sys.exit(main())
