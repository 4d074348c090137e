#!/usr/bin/env python3
"""./dev bench [NAME…]: each figure beside a peer's of the same run, and beside its bar.

    media      audio bytes per server CPU-second, /m/…           against nginx with sendfile, same file
    sealed     the same with encryption at rest                  against nginx over TLS with ChaCha20, same file
    json       an album as JSON with a bearer token, per CPU-second   against nginx `return 200`, same bytes
    shared     the same with limits shared through Redis         against limits of its own
    listeners  1,000 of 320 kbit/s for a minute                  segments that came late, CPU share; again, off the disk
    put        uploads of 8 MB by PUT, per CPU-second            against nginx's WebDAV
    logins     log-ins over HTTP, per CPU-second                 against the bare hash
    writers    writes a second by group commit, 1, 8, 64 writers   against bare fsyncs on the same disk
    db         reads, stream answers, playlist-sized writes, plays on PostgreSQL, its server's CPU too   against SQLite
    consume    a backlog of 20,000 events of the pipeline: events a second and CPU of each, PostgreSQL   against SQLite
    search     each keystroke at 1 M, 10 M and 20 M synthetic tracks: times, recall, building   1 M against FTS5, pg_trgm and OpenSearch
    browse     first page against last of each order at 1 M and 10 M tracks; a playlist of 10,000; on SQLite and PostgreSQL   10,000 against 100
    growth     answers and pages at 1 K, 100 K and 1 M tracks    1 M against 100 K
    ladder     nine renditions, wall clock                       against one ffmpeg command, same encoders
    import     10,000 tagged files and the demo music brought in: files per CPU-second, again unchanged, peak memory
    edge       bytes and manifests per CPU-second of each kind of edge   against nginx alone; the origin's share; first byte
    audio      time to first audio in Chromium, 50 clicks        p50 and p99; again with no pointer on the track before
    idle       resident memory of a process with all roles and the demo's music; exec to ready
    connections  memory that a connection takes: idle, with a request begun, with a stream, with an upload
    flood      10,000 connections and floods of requests: p99 of listeners and of refusals, memory against its bound

Peer and program take turns (A B A B …), so that a drift of the machine meets both; medians are quoted.
CPU seconds are the server's own, from /proc. Every figure goes into build/bench.json too, in place of its last one.
Exits with 1 when a figure is off its bar.
"""
import argparse
import pathlib
import shutil
import subprocess
import sys

import browsing
import consuming
import database
import edge
import flood
import growth
import importing
import listeners
import making
import playback
import process
import searching
import sharing
import writing
from side import Bench

BENCHES = {"media": playback.media, "sealed": playback.sealed, "json": playback.json, "shared": sharing.shared, "listeners": listeners.listeners, "put": writing.put,
           "logins": writing.logins, "writers": writing.writers, "db": database.db, "consume": consuming.consume, "search": searching.search, "browse": browsing.browse, "growth": growth.growth, "ladder": making.ladder, "import": importing.importing,
           "edge": edge.edge, "audio": playback.audio, "idle": process.idle, "connections": process.connections, "flood": process.flooded}
PROGRAMS = ["bench/bench_db", "bench/bench_identity", "bench/listeners", "bench/search"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--music", type=pathlib.Path, required=True)
    parser.add_argument("--profile", action="store_true", help="perf looks on at each server: build/profiles/NAME.txt")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    options = parser.parse_args()
    unknown = set(options.names) - set(BENCHES)
    if unknown:
        parser.error(f"there is no bench {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    if options.profile and shutil.which("perf") is None:
        parser.error("--profile takes perf (Debian's linux-perf)")
    subprocess.run(["ninja", "-C", str(options.build), "--quiet", *PROGRAMS], check=True)
    bench = Bench(options.build.resolve(), options.music)
    try:
        for name in options.names or BENCHES:
            if options.profile:
                bench.profile(name)
            BENCHES[name](bench)
    finally:
        bench.done()
    if bench.missed():
        sys.exit(f"bench: not met: {'; '.join(bench.missed())}")


main()
