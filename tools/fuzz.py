#!/usr/bin/env python3
"""Runs the libFuzzer targets of tests/fuzz (./dev fuzz and the suite fuzz of ./dev test).

By default each target is fuzzed for a while, one after another, its corpus kept between runs; a table
closes the run: executions, speed, coverage. An input that breaks a target is written to
tests/fuzz/found/NAME/, to be committed with the mend. --replay is the test: seeds and found inputs
once, then a short run from them with a fixed seed.
"""
import argparse
import dataclasses
import fcntl
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

FUZZ = pathlib.Path("tests/fuzz")
INPUT_BYTES_MAX = 16384
LIMITS = [f"-max_len={INPUT_BYTES_MAX}", "-timeout=25", "-rss_limit_mb=2048", "-report_slow_units=20",
          "-print_final_stats=1"]
TAIL_LINES = 40


@dataclasses.dataclass
class Result:
    name: str
    passed: bool
    seconds: float
    output: str
    cpu_seconds: float = 0
    executions: int = 0
    edges: int = 0
    features: int = 0
    corpus: int = 0
    lines: str = "–"


def targets(wanted):
    known = sorted(path.stem.removeprefix("fuzz_") for path in FUZZ.glob("fuzz_*.c"))
    for name in wanted:
        if name not in known:
            sys.exit(f'fuzz: there is no target "{name}"; there are: {", ".join(known)}')
    return list(wanted) or known


def covered_files(name):
    """The sources whose lines count, from the head of a target."""
    text = (FUZZ / f"fuzz_{name}.c").read_text().split("*/")[0]
    return re.findall(r"\bsrc/[\w/]+\.cc?\b", text.partition("Covers:")[2])


def wrong_head(name):
    """Why no coverage can be told of a target; "" where it can."""
    files = covered_files(name)
    missing = [path for path in files if not pathlib.Path(path).is_file()]
    if not files:
        return 'its head names no source: it needs a line like "Covers: src/base/xml.c"'
    return f"its head names what is not there: {', '.join(missing)}" if missing else ""


def folders(name):
    """What is kept in the repository for a target: seeds, and inputs that once broke it."""
    kept = [FUZZ / "seeds" / name, FUZZ / "found" / name]
    return [str(folder) for folder in kept if folder.is_dir()]


def last_number(pattern, text):
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def cpu_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(build, name, arguments, seconds_max, environment=None):
    found = FUZZ / "found" / name
    found.mkdir(parents=True, exist_ok=True)
    dictionary = FUZZ / "seeds" / f"{name}.dict"
    command = [f"{build}/tests/fuzz/fuzz_{name}", *LIMITS, f"-artifact_prefix={found}/", *arguments]
    if dictionary.exists():
        command.append(f"-dict={dictionary}")
    begin, cpu_begin = time.monotonic(), cpu_of_children()
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds_max, check=False,
                              env={**os.environ, "LLVM_PROFILE_FILE": "/dev/null", **(environment or {})})
        code, output = done.returncode, done.stderr.decode(errors="replace")
    except subprocess.TimeoutExpired as late:
        code, output = -1, (late.stderr or b"").decode(errors="replace") + "\nended: it took too long"
    if found.is_dir() and not any(found.iterdir()):
        found.rmdir()
    return Result(name, code == 0, time.monotonic() - begin, output, cpu_of_children() - cpu_begin,
                  executions=last_number(r"stat::number_of_executed_units:\s*(\d+)", output),
                  edges=last_number(r"cov: (\d+)", output), features=last_number(r"ft: (\d+)", output),
                  corpus=last_number(r"corp: (\d+)", output))


def tail(output):
    return "\n".join(output.splitlines()[-TAIL_LINES:])


# --- fuzzing ---

def line_coverage(build, name, corpus):
    """The share of the lines of the target's files that its corpus runs through."""
    raw, merged = corpus / "../raw.profile", corpus / "../merged.profile"
    run(build, name, ["-runs=0", str(corpus), *folders(name)], 600, {"LLVM_PROFILE_FILE": str(raw)})
    if not raw.exists():
        return "–"
    subprocess.run(["llvm-profdata-14", "merge", "-sparse", raw, "-o", merged], check=True)
    report = subprocess.run(["llvm-cov-14", "export", "-summary-only", f"-instr-profile={merged}",
                             f"{build}/tests/fuzz/fuzz_{name}"],
                            check=True, capture_output=True, text=True).stdout
    raw.unlink()
    merged.unlink()
    wanted = tuple(f"/{path}" for path in covered_files(name))
    files = [file["summary"]["lines"] for file in json.loads(report)["data"][0]["files"]
             if file["filename"].endswith(wanted)]
    covered, count = sum(file["covered"] for file in files), sum(file["count"] for file in files)
    return f"{covered}/{count} {100 * covered // max(1, count)}%"


def add_up(cache, result):
    """Executions and seconds of all runs so far, kept beside the corpora. Several runs may be under way."""
    with open(cache / "totals.json", "a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        totals = json.loads(file.read() or "{}")
        sum_of = {"executions": 0, "seconds": 0, "cpu_seconds": 0} | totals.get(result.name, {})
        sum_of["executions"] += result.executions
        sum_of["seconds"] += round(result.seconds)
        sum_of["cpu_seconds"] += round(result.cpu_seconds)
        totals[result.name] = sum_of
        file.truncate(0)
        file.write(json.dumps(totals, indent=1))
    return sum_of


def fuzz(arguments, names):
    cache = pathlib.Path(arguments.corpus)
    rows, failed = [], []
    for name in names:
        if wrong_head(name):
            sys.exit(f"fuzz: {FUZZ}/fuzz_{name}.c: {wrong_head(name)}")
    for name in names:
        corpus = cache / name / "corpus"
        corpus.mkdir(parents=True, exist_ok=True)
        print(f"{name}: {arguments.seconds} s", file=sys.stderr, flush=True)
        result = run(arguments.build, name, [f"-max_total_time={arguments.seconds}", str(corpus), *folders(name)],
                     arguments.seconds + 600)
        if not result.passed:
            failed.append(name)
            print(tail(result.output), file=sys.stderr)
        result.lines = line_coverage(arguments.build, name, corpus)
        rows.append((result, add_up(cache, result)))
    print(f"{'target':<14}{'executions':>12}{'a second':>10}{'edges':>7}{'features':>9}{'corpus':>8}"
          f"  {'lines':<15}{'in sum':>13}{'seconds':>9}{'of CPU':>8}")
    for row, total in rows:
        print(f"{row.name:<14}{row.executions:>12}{row.executions / max(row.seconds, 1):>10.0f}{row.edges:>7}"
              f"{row.features:>9}{row.corpus:>8}  {row.lines:<15}{total['executions']:>13}{total['seconds']:>9}"
              f"{total['cpu_seconds']:>8}"
              f"{'' if row.passed else '  BROKEN'}")
    if failed:
        print(f"what broke {', '.join(failed)} is in {FUZZ}/found/; commit it with the mend")
    return not failed


# --- the test ---

def replay_one(build, name, runs, seconds):
    """Two cases: what is kept, once each; then runs new inputs made from it."""
    wrong = wrong_head(name)
    if wrong:
        return [("head", Result(name, False, 0, f"{FUZZ}/fuzz_{name}.c: {wrong}"))]
    kept = [str(path) for folder in folders(name) for path in sorted(pathlib.Path(folder).iterdir())]
    if not kept:
        nothing = Result(name, False, 0, f"no seeds: {FUZZ}/seeds/{name}/ is empty")
        return [("kept inputs", nothing)]
    once = run(build, name, kept, 120)
    with tempfile.TemporaryDirectory() as fresh:  # where libFuzzer puts what it grows
        short = run(build, name, [f"-runs={runs}", "-seed=1", f"-max_total_time={seconds}", fresh, *folders(name)],
                    120)
    return [("kept inputs", once), (f"{runs} runs", short)]


def replay(arguments, names):
    suite = ElementTree.Element("testsuite", name="fuzz")
    good = True
    for name in names:
        for case, result in replay_one(arguments.build, name, arguments.runs, arguments.seconds):
            node = ElementTree.SubElement(suite, "testcase", classname=f"fuzz.{name}", name=case,
                                          time=f"{result.seconds:.2f}")
            print(f"{name}: {case}: {'passed' if result.passed else 'FAILED'} ({result.seconds:.1f} s)")
            if not result.passed:
                good = False
                readable = re.sub(r"[^\t\n\x20-\ufffd]", "?", tail(result.output))
                ElementTree.SubElement(node, "failure").text = readable
                print(readable, file=sys.stderr)
    ElementTree.ElementTree(suite).write(arguments.junit)
    return good


def main():
    parser = argparse.ArgumentParser(prog="./dev fuzz", description=__doc__)
    parser.add_argument("target", nargs="*", help="all of tests/fuzz/fuzz_*.c if none is named")
    parser.add_argument("--seconds", type=int, default=600, help="a target (600)")
    parser.add_argument("--build", default="build-fuzz", help=argparse.SUPPRESS)
    parser.add_argument("--corpus", help=argparse.SUPPRESS)
    parser.add_argument("--replay", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--runs", type=int, default=10000, help=argparse.SUPPRESS)
    parser.add_argument("--junit", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names = targets(arguments.target)
    good = replay(arguments, names) if arguments.replay else fuzz(arguments, names)
    sys.exit(0 if good else 1)


main()
