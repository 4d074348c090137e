"""Search as it is typed, over the synthetic catalogue of bench/search_model.h at 1 M tracks, and at 10 M and 20 M where memory and
disk allow; FTS5, PostgreSQL's pg_trgm and OpenSearch beside it at 1 M. CPU milliseconds a keystroke, on one thread (bench/search.c), and
beside them what was waited by the clock, which is the machine's as much as the program's."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "engines"))
import opensearch  # noqa: E402
import postgres  # noqa: E402

SIZES = {1_000_000: 1000, 10_000_000: 600, 20_000_000: 600}  # and how many queries are typed
BESIDE = 1_000_000  # the size that peers bear
# What building takes for each track: memory, disk (the new index beside the old one).
MEMORY_BYTES, DISK_BYTES = 250, 450
CLASSES = {"noTypo": "right", "oneTypo": "one typo", "twoTypos": "two typos", "otherScript": "another script, in Latin letters"}
RECALLS = {"0": "right", "1": "one typo", "2": "two typos", "other": "another script"}
PEERS = {"fts5Rank": "FTS5 ORDER BY rank", "fts5Rowid": "FTS5 ORDER BY rowid", "trigrams": "PostgreSQL pg_trgm, from three letters",
         "opensearch": "OpenSearch, three kinds as ours"}


def room(folder):
    """For how many tracks there is room."""
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(re.search(r"MemAvailable:\s+(\d+)", file.read())[1]) * 1024
    return min(memory // MEMORY_BYTES, shutil.disk_usage(folder).free // DISK_BYTES)


def run(bench, size, queries, *peers):
    text = subprocess.run([bench.build / "bench" / "search", str(size), bench.folder, str(queries), *peers], check=True,
                          capture_output=True, text=True).stdout
    return json.loads(text)


def run_beside(bench, size, queries):
    peers = ["fts5"]
    with contextlib.ExitStack() as engines:
        if postgres.binaries() is None:
            print("search: no pg_trgm beside it, postgresql-15 is not installed")
        else:
            peers.append(engines.enter_context(postgres.Server({"shared_buffers": "512MB", "max_wal_size": "4GB"})).create("trigrams"))
        if shutil.which("mvn") is None or shutil.which("javac") is None:
            print("search: no OpenSearch beside it, maven or a JDK is not installed")
        else:
            node = engines.enter_context(opensearch.Server(memory_mb=1024))
            peers.append(f"{node.pid}@{node.url('bench')}?timeout_ms=60000")
        return run(bench, size, queries, *peers)


def times_of(times):
    return f"{times['p50']:.2f} {times['p95']:.2f} {times['p99']:.2f}" if times["count"] else "-"


def share_of(recall):
    found, asked = recall
    return f"{found / asked:.3f} of {asked}" if asked else "-"


def say_times(bench, tracks, ours):
    for name, words in CLASSES.items():
        times = ours[name]
        bench.say(f"search {tracks}, {words}: p50 p95 p99, CPU ms", times_of(times), "-", "-", "<= 20", times["p99"] <= 20)
    bench.say(f"search {tracks}, all: p50 p95 p99, ms by the clock", times_of(ours["waited"]), f"load {os.getloadavg()[0]:.1f}", "-", "", True)


def say_recall(bench, tracks, ours):
    for typos, words in RECALLS.items():
        found, asked = ours["recall"][typos]
        bench.say(f"search {tracks}, {words}: among the first ten", share_of((found, asked)), "-", "-", ">= 0.95", found >= 0.95 * asked)


def say_peers(bench, tracks, shown):
    ours = shown["ours"]
    for name, words in PEERS.items():
        peer = shown.get(name)
        if peer is None:
            continue
        for key, what in CLASSES.items():
            faster = f"{peer[key]['p99'] / ours[key]['p99']:.1f}" if peer[key]["count"] else "-"
            bench.say(f"search {tracks}, {what}: CPU ms against {words}", times_of(ours[key]), times_of(peer[key]), faster, "", True)
        for typos, what in RECALLS.items():
            bench.say(f"search {tracks}, {what}: among the first ten against {words}", share_of(ours["recall"][typos]),
                      share_of(peer["recall"][typos]), "-", "", True)
    for name, words in (("fts5", "FTS5"), ("trigrams", "pg_trgm"), ("opensearch", "OpenSearch")):
        if f"{name}BuildS" in shown:
            bench.say(f"search {tracks}: building, CPU s; MB, against {words}", f"{shown['buildS']:.0f}; {shown['bytes'] / 1e6:.0f}",
                      f"{shown[name + 'BuildS']:.0f}; {shown[name + 'Bytes'] / 1e6:.0f}", f"{shown[name + 'BuildS'] / shown['buildS']:.1f}", "", True)


def search(bench):
    for size, queries in SIZES.items():
        tracks = f"{size // 1_000_000} M"
        if room(bench.folder) < size:
            print(f"search {tracks}: skipped, there is room for {room(bench.folder):,} tracks")
            continue
        shown = run_beside(bench, size, queries) if size == BESIDE else run(bench, size, queries)
        bench.say(f"search {tracks}: building CPU s; file, peak MB", f"{shown['buildS']:.0f}; {shown['bytes'] / 1e6:.0f}, {shown['buildPeakMb']}",
                  "-", "-", "", True)
        bench.say(f"search {tracks}: own memory while searching; of the file, MB", f"{shown['anonymousMb']}; {shown['mappedMb']}", "-", "-", "", True)
        say_times(bench, tracks, shown["ours"])
        say_recall(bench, tracks, shown["ours"])
        bench.say(f"search {tracks}: a change until it is found, with its 200 ms pause, p99, ms", f"{shown['change']['p99'] + 200:.0f}", "-", "-", "<= 5000",
                  shown["change"]["p99"] + 200 <= 5000)
        say_peers(bench, tracks, shown)
        (bench.folder / "search.idx").unlink()
