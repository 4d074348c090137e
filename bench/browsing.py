"""Browsing: the first page against the last of each order, at 1 M tracks (100,000 albums, 20,000 artists) and at 10 M;
a playlist of 10,000 items. All of it on SQLite and on PostgreSQL. Every answer from the database: the cache is given the least it
takes. Wall milliseconds of one client, medians, first and last pages in turns."""
import base64
import contextlib
import json
import pathlib
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
import urllib.request
import uuid

from seed import seed, seed_postgresql
from side import Tutti

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "engines"))
import postgres  # noqa: E402

SIZES = [1_000_000, 10_000_000]
DISK_BYTES = 500  # of a track
POSTGRESQL_BYTES = 1_000  # of a track, beside its log
LOG_BYTES = 6 << 30
PAGE, ROUNDS = 50, 60
DATE = "CASE WHEN original_date <> '' THEN original_date ELSE release_date END"
RING = "id % 2147483648 * 1103515245 % 2147483648"
ALBUMS = "SELECT {} FROM album WHERE deleted_at IS NULL AND status = 'published' ORDER BY {} LIMIT 1 OFFSET 100"


def cursor(letter, identity, number=0, key="", disc=0):
    text = f"{letter}.{identity}.{disc}.{number}.{key}".encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def orders(row):
    """{order: (the first page's address, that of one some hundred before its end)}; row: what a statement finds, as a list"""

    def at(columns, order):
        return row(ALBUMS.format(columns, order))

    newest = at("id", "id")
    title = at("title_key, id", "title_key DESC, id DESC")
    year = at(f"{DATE}, id", f"({DATE}) DESC, id DESC")
    place, identity = at(f"{RING}, id", f"({RING}) DESC, id DESC")
    artist = row("SELECT index_key, id FROM artist WHERE deleted_at IS NULL AND index_key <> '' AND shelved = 0 "
                 "ORDER BY index_key DESC, id DESC LIMIT 1 OFFSET 100")
    albums = "/api/v1/albums?limit=50"
    return {
        "newest": (albums, f"{albums}&cursor={cursor('a', newest[0])}"),
        "by title": (f"{albums}&sort=title", f"{albums}&sort=title&cursor={cursor('t', title[1], key=title[0])}"),
        "by year": (f"{albums}&sort=year", f"{albums}&sort=year&cursor={cursor('b', year[1], key=year[0])}"),
        "random": (f"{albums}&sort=random&seed=0", f"{albums}&sort=random&cursor={cursor('s', identity, place, '0')}"),
        "artists": ("/api/v1/artists?limit=50", f"/api/v1/artists?limit=50&cursor={cursor('M', artist[1], key=artist[0])}"),
    }


def timed(server, token, path):
    request = urllib.request.Request(server.url + path, headers={"Authorization": f"Bearer {token}"})
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=60) as answer:
        page = json.loads(answer.read())
    return 1000 * (time.perf_counter() - began), page


def pages(bench, label, server, token, addresses_of):
    for name, addresses in addresses_of.items():
        times = [[], []]
        for turn in range(ROUNDS):
            for which, address in enumerate(addresses):
                # Another limit each time, so that no cached page is answered.
                took, page = timed(server, token, address.replace("limit=50", f"limit={PAGE + turn % 30}"))
                assert len(page["items"]) >= PAGE, (name, which, len(page["items"]))
                times[which].append(took)
        first, last = (statistics.median(one) for one in times)
        bench.say(f"browse {name}, {label}: last page, ms", f"{last:.2f}", f"first {first:.2f}", f"{last / first:.2f}", "<= 1.5",
                  last / first <= 1.5)
    took = statistics.median(timed(server, token, "/api/v1/artists/index")[0] for _ in range(3))
    bench.say(f"browse the index of artists, {label}, ms", f"{took:.1f}", "-", "-", "", True)


def playlist(bench, engine, server, token, track):
    def call(method, path, body=None):
        began = time.perf_counter()
        answer = server.call(method, path, body, token=token)
        return 1000 * (time.perf_counter() - began), answer

    def edits(items, count):
        """Median ms of a move of the last item to the front, an insertion in the middle, a page in the middle."""
        path = f"/api/v1/playlists/{playlist_id}/items"
        moves = [call("PATCH", path, {"ops": [{"op": "move", "item": items[-1 - turn], "after": None}]})[0] for turn in range(count)]
        inserts = [call("POST", path, {"trackIds": [track], "after": items[len(items) // 2]})[0] for _ in range(count)]
        reads = [call("GET", f"{path}?limit=50")[0] for _ in range(count)]
        return [statistics.median(one) for one in (moves, inserts, reads)]

    found = {}
    for size in (100, 9_900):
        playlist_id = call("POST", "/api/v1/playlists", {"title": uuid.uuid4().hex})[1]["id"]
        items = []
        while len(items) < size:
            some = min(500, size - len(items))
            items += call("POST", f"/api/v1/playlists/{playlist_id}/items", {"trackIds": [track] * some})[1]["added"]
        found[size] = edits(items, 40)
    for name, few, many in zip(("move", "insert", "read a page"), found[100], found[9_900]):
        bench.say(f"a playlist of 10,000, {engine}: {name}, ms", f"{many:.2f}", f"of 100: {few:.2f}", f"{many / few:.2f}", "<= 2", many / few <= 2)


def measure(bench, size, engine, server, row):
    addresses_of = orders(row)
    server.environment["TUTTI_CACHE_BYTES"] = "65536"
    server.start()
    try:
        token = server.sign_in("listener")
        pages(bench, f"{size // 1_000_000} M tracks, {engine}", server, token, addresses_of)
        if size == SIZES[0]:
            playlist(bench, engine, server, token, bench.track)
    finally:
        server.stop()


def moved(bench, data, database, size):
    """A server on the same library, with the databases there: the program moves the one track, which is copied then."""
    server = Tutti(bench.build, data)
    for name in ("catalog", "users", "activity"):
        server.environment[f"TUTTI_DATABASE_{name.upper()}"] = database.create(name)
    for name in ("catalog", "users", "activity"):
        subprocess.run([server.binary, "migrate", "--from", f"sqlite:{data}/{name}.db", "--data", str(data)], check=True,
                       env=server.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seed_postgresql(database, "catalog", bench.track, size, playable=False)
    return server


def is_room(bench, size, engine, bytes_needed):
    there = shutil.disk_usage(bench.folder).free >= bytes_needed
    if not there:
        print(f"browse {size:,} on {engine}: skipped, there is no room on the disk")
    return there


def on_sqlite(bench, size, data):
    if is_room(bench, size, "SQLite", size * DISK_BYTES):
        seed(data / "catalog.db", int(bench.track), size, playable=False)
        with contextlib.closing(sqlite3.connect(f"file:{data}/catalog.db?mode=ro", uri=True)) as database:
            measure(bench, size, "SQLite", Tutti(bench.build, data), lambda sql: database.execute(sql).fetchone())


def on_postgresql(bench, size, data):
    if postgres.binaries() is None:
        print("browse: not on PostgreSQL, postgresql-15 is not installed")
    elif is_room(bench, size, "PostgreSQL", size * POSTGRESQL_BYTES + LOG_BYTES):
        with postgres.Server({"shared_buffers": "512MB", "max_wal_size": "4GB"}, quick=False) as database:
            server = moved(bench, data, database, size)
            measure(bench, size, "PostgreSQL", server, lambda sql: database.ask("catalog", sql).split("|"))


def browse(bench):
    bench.server().stop()
    data, other = bench.folder / "browsed", bench.folder / "browsed-there"
    for copy in (data, other):
        shutil.copytree(bench.tutti.data, copy)
    bench.tutti.start()
    for size in SIZES:
        on_sqlite(bench, size, data)
        on_postgresql(bench, size, other)
    for copy in (data, other):
        shutil.rmtree(copy)
