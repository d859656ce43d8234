"""Values of a comparison from its results.json."""

import json
import pathlib


def label_of(settings):
    """ "geglu"; "muon, geglu" if several keys vary."""
    return ", ".join(settings.values())


def read(place):
    """The record in a results.json, or in the one of a directory."""
    path = pathlib.Path(place)
    return json.loads((path / "results.json" if path.is_dir() else path).read_text())


def groups_of(record):
    """Number of values that the tests compare: groups of seeds tuned separately, or the seeds."""
    groups = record.get("seed_groups", 1)
    return groups if groups > 1 else len(record["seeds"])


def values_of(record):
    """{label: [value of each seed]}, in the order of the configuration; all runs finished.

    With compare.tune.repeat, the mean of each group of seeds.
    """
    values = {label_of(row["settings"]): {} for row in record["summary"]}
    for cell in record["cells"]:
        if cell["status"] != "finished":
            raise SystemExit(f"{record['name']}: {label_of(cell['settings'])}: {cell['status']}")
        values[label_of(cell["settings"])][cell["seed"]] = cell[record["metric"]]
    size = len(record["seeds"]) // groups_of(record)
    table = {label: [by_seed[s] for s in record["seeds"]] for label, by_seed in values.items()}
    return {
        label: [sum(row[i : i + size]) / size for i in range(0, len(row), size)]
        for label, row in table.items()
    }
