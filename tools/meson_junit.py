#!/usr/bin/env python3
"""meson_junit.py LOG.json OUT.xml: a run of `meson test` as JUnit. Meson's own file leaves out that a test ran out of
its time, which then would count as passed."""
import json
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

PASSED, SKIPPED = {"OK", "EXPECTEDFAIL"}, {"SKIP"}


def case(suite, line):
    test = json.loads(line)
    node = ElementTree.SubElement(suite, "testcase", classname="meson", name=test["name"],
                                  time=f"{test['duration']:.2f}")
    if test["result"] in SKIPPED:
        ElementTree.SubElement(node, "skipped")
    elif test["result"] not in PASSED:
        said = test.get("stdout", "") + test.get("stderr", "")
        failure = ElementTree.SubElement(node, "failure", message=test["result"])
        failure.text = re.sub(r"[^\t\n\x20-\ufffd]", "?", said)


def main():
    log, out = map(pathlib.Path, sys.argv[1:])
    suite = ElementTree.Element("testsuite", name=log.stem)
    for line in log.read_text(encoding="utf-8").splitlines():
        case(suite, line)
    ElementTree.ElementTree(suite).write(out)


main()
