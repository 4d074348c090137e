#!/usr/bin/env python3
"""How long backup, restore and doctor take as a library grows: tutti on a made library, seeded, with the rows of as many
tracks as wished and so many bytes of objects. Prints one line a step; all times are wall times on this machine.

    python3 bench/backup.py --tutti build/tutti [--tracks 100000] [--objects-mb 2000] [--keep DIR]

The rows are those of the one whole track of tests/operations/fixtures, again and again under other ids, so their sizes
are real ones. Objects are of 1 MB, random, and belong to the first tracks.
"""
import argparse
import hashlib
import os
import pathlib
import random
import shutil
import socket
import sqlite3
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
OBJECT_BYTES = 1_000_000


def multiply(database, table, column, origin, count):
    """The rows of one track under `count` other ids."""
    names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    rows = database.execute(f"SELECT * FROM {table} WHERE {column} = ?", (origin,)).fetchall()
    at = names.index(column)
    database.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(names))})",
                         (row[:at] + (origin + 1 + n,) + row[at + 1:] for n in range(count) for row in rows))


def write_object(path, content):
    """An object as the store keeps it: src/backend/blob/blob_file_trailer.h."""
    etag = hashlib.md5(content).hexdigest().encode()
    trailer = struct.pack("<8sIIQ72s128s128s144s", b"TUTTIOBJ", 1, 0, len(content), etag, b"audio/mp4", b"", b"")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content + trailer + hashlib.blake2b(trailer, digest_size=16).digest())


def make_library(data, tracks, objects_mb):
    data.mkdir(mode=0o700)
    with tarfile.open(ROOT / "tests/operations/fixtures/first-release.tar.xz") as archive:
        archive.extractall(data)
    with sqlite3.connect(data / "catalog.db") as database:
        origin = database.execute("SELECT id FROM track WHERE status = 'ready' AND deleted_at IS NULL").fetchone()[0]
        for table, column in (("track", "id"), ("track_version", "track_id"), ("rendition", "track_id")):
            multiply(database, table, column, origin, tracks)
    database.close()
    seeded = random.Random(4040)
    for n in range(objects_mb):
        key = str(origin + 1 + n // 11)
        folder = data / "objects/objects/media/m.dir" / f"{key[:3]}.top" / f"{key[3:6]}.top" / f"{key[6:]}.dir" / "1.dir"
        write_object(folder / f"bench-{n % 11}.obj", seeded.randbytes(OBJECT_BYTES))


def timed(words, *command):
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    took = time.monotonic() - began
    if done.returncode not in (0, 1):
        sys.exit(f"{command}: {done.stderr}")
    print(f"{words:<44} {took:8.2f} s", flush=True)
    return took


def ready(tutti, data):
    """Seconds from the start of a server to its readiness."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    began = time.monotonic()
    server = subprocess.Popen([tutti, "serve", "--data", str(data), "--listen", f"127.0.0.1:{port}"],
                              stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                    return time.monotonic() - began
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.005)
    finally:
        server.terminate()
        server.wait(30)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tutti", required=True)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--objects-mb", type=int, default=2000)
    parser.add_argument("--keep", type=pathlib.Path, help="make everything there, and leave it")
    options = parser.parse_args()
    folder = options.keep or pathlib.Path(tempfile.mkdtemp(prefix="tutti-bench-"))
    try:
        data, key = folder / "data", folder / "key"
        make_library(data, options.tracks, options.objects_mb)
        key.write_bytes(os.urandom(32))
        key.chmod(0o600)
        tutti = options.tutti
        rows = (data / "catalog.db").stat().st_size + (data / "users.db").stat().st_size
        print(f"{options.tracks} tracks: databases of {rows / 1e6:.0f} MB; objects of {options.objects_mb} MB")
        seal = ["--key-file", str(key)]
        timed("backup of the databases", tutti, "backup", str(folder / "rows"), *seal, "--data", str(data))
        blobs = ["--blobs", str(folder / "blobs")]
        timed("backup with objects, the first", tutti, "backup", str(folder / "all"), *seal, *blobs, "--data", str(data))
        timed("backup with objects, nothing new", tutti, "backup", str(folder / "again"), *seal, *blobs, "--data", str(data))
        restored = folder / "restored"
        alone = timed("restore of the databases", tutti, "restore", str(folder / "rows"), *seal, "--data", str(folder / "r"))
        took = timed("restore with objects", tutti, "restore", str(folder / "all"), *seal, *blobs, "--data", str(restored))
        start = ready(tutti, restored)
        print(f"{'start of the restored server to ready':<44} {start:8.2f} s")
        print(f"{'RTO, objects still there':<44} {alone + start:8.2f} s")
        print(f"{'RTO, all lost':<44} {took + start:8.2f} s")
        timed("doctor", tutti, "doctor", "--data", str(data))
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


main()
