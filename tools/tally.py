#!/usr/bin/env python3
"""Adds up the JUnit files of a test run: what failed, by name and with the end of what it said, a line a suite,
and the one closing line. Exit 1 if anything failed or a suite left no result at all.

Beside NAME.xml, NAME.again.xml is of those that failed and were run once more. What passed then counts as passed, and
is told of with what it said at first; if that is so in more than FLAKY_FILES files of tests, it is no accident, and
all of them failed (docs/decisions/0311)."""
import collections
import pathlib
import sys
import xml.etree.ElementTree as ElementTree


SAID_LINES, SAID_COLUMNS = 40, 200
FLAKY_FILES = 2


class Suite:
    """What became of its tests: counts of passed and skipped, the elements of what failed and of what is flaky."""

    def __init__(self, path):
        self.name, self.passed, self.skipped, self.failed, self.flaky = path.stem, 0, 0, [], []
        again = outcomes(path.with_suffix(".again.xml"))
        for key, (outcome, case) in outcomes(path).items():
            if outcome == "failed" and again.get(key, ("failed",))[0] == "passed":
                self.flaky.append(case)
            elif outcome == "failed":
                self.failed.append(case)
            elif outcome == "skipped":
                self.skipped += 1
            else:
                self.passed += 1

    def tell(self, heading, cases):
        for case in cases:
            said = [node.text or node.get("message") or "" for node in case if node.tag in ("failure", "error")]
            print(f"{heading} {self.name}: {case.get('classname')}: {case.get('name')}")
            for line in "\n".join(said).strip().splitlines()[-SAID_LINES:]:
                print("   ", line[:SAID_COLUMNS])


def outcomes(path):
    """{(file, name, which of the same name): (outcome, element)}; nothing for a file that is not there."""
    found, seen = {}, collections.Counter()
    for case in ElementTree.parse(path).iter("testcase") if path.exists() else ():
        kinds, name = {child.tag for child in case}, (case.get("classname"), case.get("name"))
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        found[*name, seen[name]] = (outcome, case)
        seen[name] += 1
    return found


def main():
    folder = pathlib.Path(sys.argv[1])
    suites = [Suite(path) for path in sorted(folder.glob("*.xml")) if not path.stem.endswith(".again")]
    if len({case.get("classname") for suite in suites for case in suite.flaky}) > FLAKY_FILES:
        for suite in suites:
            suite.failed, suite.flaky = suite.failed + suite.flaky, []
    for suite in suites:
        suite.tell("FAILED", suite.failed)
        suite.tell("PASSED ONLY WHEN RUN AGAIN", suite.flaky)
    passed = failed = skipped = 0
    for suite in suites:
        kept = suite.passed + len(suite.flaky)
        print(f"{suite.name}: {kept} passed, {len(suite.failed)} failed, {suite.skipped} skipped")
        passed, failed, skipped = passed + kept, failed + len(suite.failed), skipped + suite.skipped
    for name in sys.argv[2:]:
        if not (folder / f"{name}.xml").exists():
            print(f"{name}: ended without a result")
            failed += 1
    tail = f", {skipped} skipped" if skipped else ""
    print(f"{passed} passed, {failed} failed{tail}")
    sys.exit(1 if failed or passed == 0 else 0)


main()
