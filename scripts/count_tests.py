#!/usr/bin/env python3
"""Counts the tests of the last `make test`.

    scripts/count_tests.py BUILD

Prints "N passed, N failed, N skipped". CTest runs some modules in parts, each a process with many
tests (tests/CMakeLists.txt); for those, the records of GoogleTest are counted.
"""

import pathlib
import sys
import xml.etree.ElementTree as ET


def outcome(case):
    """Outcome of a <testcase> in the XML of CTest or GoogleTest."""
    if case.find("failure") is not None:
        return "failed"
    skipped = case.find("skipped") is not None or case.get("status") in ("disabled", "notrun")
    return "skipped" if skipped else "passed"


def count(build):
    """{"passed": N, "failed": N, "skipped": N}"""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for case in ET.parse(build / "results.xml").iter("testcase"):
        folder, _, part = case.get("name").partition(".part_")
        if not part:
            counts[outcome(case)] += 1
            continue
        cases = list(ET.parse(build / "gtest" / f"{folder}-{part}.xml").iter("testcase"))
        for one in cases:
            counts[outcome(one)] += 1
        if outcome(case) == "failed" and all(outcome(one) != "failed" for one in cases):
            counts["failed"] += 1  # the process crashed
    return counts


def main():
    counts = count(pathlib.Path(sys.argv[1]))
    print(", ".join(f"{number} {what}" for what, number in counts.items()))


if __name__ == "__main__":
    main()
