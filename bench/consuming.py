"""What a consumer takes for its events where many wait: a backlog of what the media pipeline told of new tracks
(twelve events each), for catalog.media, on SQLite and on PostgreSQL. The rows are written while no server runs; the
clock starts with the server, and its CPU seconds before the first event are taken off."""
import json
import os
import pathlib
import re
import sqlite3
import sys
import time
import urllib.request

from side import Tutti, cpu_seconds

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "engines"))
import postgres  # noqa: E402

EVENTS = 20_000
PER_ALBUM = 10
RUNGS = [("aac", rate) for rate in (160, 96, 320)] + [("opus", rate) for rate in (96, 128, 160)] + \
        [("mp3", 128), ("mp3", 320), ("flac", 900)]


def told_of_a_track(track):
    """(type, payload) of each event, in their order."""
    about = {"trackId": str(track), "version": 1}
    yield "media.started", about
    yield "media.probed", {**about, "codec": "flac", "rate": 44100, "channels": 2, "lossless": True, "samples": 441000,
                           "durationMs": 10000, "expected": len(RUNGS), "trackLufs": -14.5, "truePeakDb": -1.0}
    for form, rate in RUNGS:
        yield "media.rendition", {**about, "rendition": {
            "file": f"{form}-{rate}.mp4", "format": form, "bitrate": rate, "mime": "audio/mp4", "codecs": "mp4a.40.2",
            "bytes": 1 << 20, "samples": 441000, "timescale": 44100, "channels": 2, "initBytes": 700, "indexBytes": 300,
            "firstFragmentEnd": 30000, "bandwidthPeak": rate * 1000, "bandwidthAverage": rate * 1000, "fragments": []}}
    yield "media.complete", about


PER_TRACK = len(list(told_of_a_track(0)))


def row(table, **values):
    def text(value):
        return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
    return f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(map(text, values.values()))});"


def backlog():
    """Statements that both engines take. The numbers of the events come before any of a server's own."""
    stamp = int(time.time() * 1000)
    born = {"created_at": stamp, "updated_at": stamp, "revision": 1}
    yield row("artist", id=1, owner_user_id=1, name="A", name_key="a", bio="", index_key="A a", **born)
    for track in range(1, EVENTS // PER_TRACK + 1):
        album = 1 + (track - 1) // PER_ALBUM
        if (track - 1) % PER_ALBUM == 0:
            yield row("album", id=album, artist_id=1, title=f"Album {album}", title_key=f"album {album}", type="album",
                      status="published", release_date="2020-01-01", genres="[]", track_count=PER_ALBUM, duration_ms=0,
                      working=1, **born)
        yield row("track", id=track, album_id=album, artist_id=1, title=f"Track {track}", title_key=f"track {track}",
                  track_number=1 + (track - 1) % PER_ALBUM, disc_number=1, explicit=0, isrc="", has_lyrics=0, published=1,
                  status="uploaded", failure_code="", failure_reason="", version=1, pending_version=0, version_last=1,
                  working=1, duration_ms=0, **born)
        yield row("track_version", track_id=track, version=1, owner_user_id=1, source_key=f"m/{track}/1/original.flac",
                  source_bytes=1 << 20, filename="a.flac", codec="", rate=0, channels=0, lossless=0, samples=0,
                  duration_ms=0, expected=0, done=0, summary="[]", playable=0, complete=0, created_at=stamp)
        for place, (kind, payload) in enumerate(told_of_a_track(track)):
            number = (track - 1) * PER_TRACK + place + 1
            yield row("bus_outbox", sequence=number, id=number, type=kind, entity_key=f"track:{track}",
                      payload=json.dumps(payload), created_at=stamp)


def handled(server):
    with urllib.request.urlopen(server.url + "/metrics", timeout=60) as answer:
        found = re.search(r'^tutti_bus_events_total\{consumer="catalog.media",result="done"\} (\d+)',
                          answer.read().decode(), re.M)
    return int(found[1]) if found else 0


def processes_of(server):
    """The postmaster, whose children cpu_seconds counts."""
    return [int((server.folder / "data" / "postmaster.pid").read_text().split()[0])] if server else []


def measure(server, database=None):
    """(events per second, CPU µs per event of the server and of PostgreSQL)."""
    pids = processes_of(database)
    before = sum(cpu_seconds(pid) for pid in pids)
    began = time.monotonic()
    server.start()
    total = EVENTS // PER_TRACK * PER_TRACK
    while handled(server) < total:
        if time.monotonic() - began > 600:
            sys.exit("bench: the consumer does not get through")
        time.sleep(0.1)
    took = time.monotonic() - began
    used = cpu_seconds(server.process.pid) + sum(cpu_seconds(pid) for pid in pids) - before
    server.stop()
    return total / took, used / total * 1e6


def start_once(server):
    """For its tables."""
    server.start()
    server.stop()


def on_sqlite(bench):
    server = Tutti(bench.build, bench.folder / "backlog")
    start_once(server)
    database = sqlite3.connect(bench.folder / "backlog" / "catalog.db")
    with database:
        for statement in backlog():
            database.execute(statement)
    database.close()
    return measure(server)


def on_postgresql(bench):
    with postgres.Server(quick=False) as database:
        server = Tutti(bench.build, bench.folder / "backlog-pg")
        for name in ("catalog", "users", "activity"):
            server.environment[f"TUTTI_DATABASE_{name.upper()}"] = database.create(name)
        start_once(server)
        database.ask("catalog", "BEGIN;\n" + "\n".join(backlog()) + "\nCOMMIT;")
        return measure(server, database)


def consume(bench):
    rows = {"SQLite": on_sqlite(bench)}
    if postgres.binaries() is not None:
        rows["PostgreSQL"] = on_postgresql(bench)
    files = rows["SQLite"]
    for name, (rate, cost) in rows.items():
        bench.say(f"events a second out of a backlog, {name} (CPU µs each)", f"{rate:,.0f} ({cost:.0f})",
                  f"SQLite {files[0]:,.0f} ({files[1]:.0f})", f"{rate / files[0]:.2f}", "", True)
