#!/usr/bin/env python3
"""Adds up the JUnit files of a test run and prints the one closing line. Exit 1 if anything failed or
a suite left no result at all."""
import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def count(path):
    passed = failed = skipped = 0
    for case in ElementTree.parse(path).iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed += 1
        elif "skipped" in kinds:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def main():
    totals = [0, 0, 0]
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.xml")):
        row = count(path)
        print(f"{path.stem}: {row[0]} passed, {row[1]} failed, {row[2]} skipped")
        totals = [a + b for a, b in zip(totals, row)]
    missing = [name for name in sys.argv[2:] if not (pathlib.Path(sys.argv[1]) / f"{name}.xml").exists()]
    for name in missing:
        print(f"{name}: ended without a result")
        totals[1] += 1
    tail = f", {totals[2]} skipped" if totals[2] else ""
    print(f"{totals[0]} passed, {totals[1]} failed{tail}")
    sys.exit(1 if totals[1] or totals[0] == 0 else 0)


main()
