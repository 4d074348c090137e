#!/usr/bin/env python3
"""Starts tutti on loopback with three accounts and uploads free music the way an artist does.

Everything goes through the public API: an artist page, albums with covers, a pre-signed PUT a file,
POST /tracks. What was uploaded in an earlier start is left as it is, so an interrupted demo goes on
where it stopped. Standard library only.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import signal
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib

PASSWORD = "demo-password"
ACCOUNTS = ("admin", "artist", "listener")
READY_TIMEOUT_S = 30
UPLOADS_AT_ONCE = 3

# Directory below the unpacked packages, artist, album, year, type, two colours of the cover.
ALBUMS = [
    ("asc-music/usr/share/games/asc/music",
     "Advanced Strategic Command", "Machine Wars", "2006-01-01", "ep", (0x1f6f8b, 0xf2a65a)),
    ("fretsonfire-songs-muldjord/usr/share/games/fretsonfire/data/songs/muldjord",
     "Muldjord", "Frets on Fire", "2007-01-01", "album", (0x7a1e1e, 0xf2c14e)),
    ("singularity-music/usr/share/games/singularity/music",
     "Maxstack", "Endgame: Singularity", "2012-12-15", "album", (0x14213d, 0x48cae4)),
    ("wesnoth-1.16-music/usr/share/games/wesnoth/1.16/data/core/music",
     "The Battle for Wesnoth", "Music of Wesnoth", "2021-10-24", "album", (0x2d4a22, 0xd9b44a)),
]


class ApiError(Exception):
    """A problem document, as its words."""


class Api:
    """The API of one signed-in person. Signs in again when the token has run out."""

    def __init__(self, base, username):
        self.base = base
        self.username = username
        self.token = None
        self.lock = threading.Lock()
        self.sign_in()

    def sign_in(self):
        body = json.dumps({"username": self.username, "password": PASSWORD}).encode()
        answer = self.send("POST", "/api/v1/auth/login", body, {"Content-Type": "application/json"})
        self.token = json.loads(answer)["accessToken"]

    def send(self, method, path, body=None, headers=None):
        url = path if path.startswith("http") else self.base + path
        request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.read()

    def call(self, method, path, fields=None, body=None, content_type=None):
        headers = {"Content-Type": content_type or "application/json"}
        if fields is not None:
            body = json.dumps(fields).encode()
        for attempt in range(8):
            headers["Authorization"] = f"Bearer {self.token}"
            try:
                answer = self.send(method, path, body, headers)
                return json.loads(answer) if answer else None
            except urllib.error.HTTPError as error:
                self.recover(error, method, path, attempt)
        raise ApiError(f"{method} {path}: still refused after 8 tries")

    def recover(self, error, method, path, attempt):
        """Waits or signs in again where that helps, raises otherwise."""
        text = error.read().decode(errors="replace")
        if error.code == 401 and attempt < 2:
            with self.lock:
                self.sign_in()
        elif error.code in (429, 503):
            time.sleep(float(error.headers.get("Retry-After", 1)))
        else:
            raise ApiError(f"{method} {path}: {error.code} {text}")

    def items(self, path):
        """All items of a list, page by page."""
        cursor = None
        while True:
            query = {"limit": 500, **({"cursor": cursor} if cursor else {})}
            join = "&" if "?" in path else "?"
            page = self.call("GET", path + join + urllib.parse.urlencode(query))
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return


def cover_png(colours, size=640):
    """An album cover: rings of two colours, as a PNG (RFC 2083)."""
    first, second = (((c >> 16) & 255, (c >> 8) & 255, c & 255) for c in colours)
    rows = []
    for y in range(size):
        row = bytearray([0])
        for x in range(size):
            dx, dy = x - size * 0.68, y - size * 0.36
            distance = (dx * dx + dy * dy) ** 0.5
            ring = (distance / size * 7) % 1.0
            share = min(1.0, distance / size) * 0.55 + (0.45 if ring < 0.5 else 0.25) * (1 - y / size)
            row += bytes(int(a * (1 - share) + b * share) for a, b in zip(first, second))
        rows.append(bytes(row))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"".join(rows), 6))
            + chunk(b"IEND", b""))


def track_title(path):
    words = path.stem
    if words in ("song", "guitar"):  # stems of one piece: the folder has its name
        words = path.parent.name + (" (guitar)" if words == "guitar" else "")
    words = words.replace("_", " ").replace("-", " ")
    return words if words != words.lower() else words.title()


def music_files(folder):
    return sorted(p for p in folder.rglob("*") if p.suffix in (".ogg", ".mp3"))


class Progress:
    """A bar on a terminal, a line a file elsewhere."""

    def __init__(self, label, total):
        self.label, self.total, self.done = label, total, 0
        self.lock = threading.Lock()
        self.terminal = sys.stderr.isatty()
        self.began = time.monotonic()

    def step(self, words, amount=1):
        with self.lock:
            self.done += amount
            if self.terminal:
                full = 30 * self.done // max(1, self.total)
                bar = "█" * full + "░" * (30 - full)
                sys.stderr.write(f"\r{self.label} {bar} {self.done}/{self.total} {words[:36]:<36}")
                sys.stderr.flush()
            else:
                print(f"{self.label} {self.done}/{self.total} {words}", file=sys.stderr, flush=True)

    def end(self):
        if self.terminal:
            sys.stderr.write("\n")


def add_accounts(tutti, data):
    marker = data / "demo-accounts"
    if marker.exists():
        return
    data.mkdir(parents=True, exist_ok=True)
    for name in ACCOUNTS:
        subprocess.run([tutti, "user", "add", name, "--role", name, "--email", f"{name}@localhost.localdomain",
                        "--password-stdin", "--data", str(data)],
                       input=PASSWORD + "\n", text=True, check=False, stdout=subprocess.DEVNULL)
    marker.touch()


def wait_ready(base, server):
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            sys.exit(server.returncode or 1)
        try:
            with urllib.request.urlopen(base + "/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"the server was not ready within {READY_TIMEOUT_S} s; see its log above")


def artist_page(api, name):
    me = api.call("GET", "/api/v1/me")
    for artist in api.items(f"/api/v1/artists?ownerId={me['id']}"):
        if artist["name"] == name:
            return artist["id"]
    return api.call("POST", "/api/v1/artists", {"name": name})["id"]


def album_page(api, artist_id, title, date, kind, colours):
    for album in api.items(f"/api/v1/artists/{artist_id}/albums"):
        if album["title"] == title:
            return album["id"]
    album = api.call("POST", "/api/v1/albums", {"artistId": artist_id, "title": title, "releaseDate": date,
                                               "type": kind, "genres": ["Game music"]})
    api.call("PUT", f"/api/v1/albums/{album['id']}/cover", body=cover_png(colours), content_type="image/png")
    return album["id"]


def upload(api, path, album_id, number):
    bytes_ = path.read_bytes()
    query = urllib.parse.urlencode({"filename": path.name, "size": len(bytes_)})
    place = api.call("GET", f"/api/v1/tracks/upload-url?{query}")
    api.send("PUT", place["uploadUrl"], bytes_)
    return api.call("POST", "/api/v1/tracks", {"albumId": album_id, "title": track_title(path),
                                              "trackUrl": place["trackUrl"], "trackNumber": number})


def upload_all(base, music):
    api = Api(base, "artist")
    work = []
    for folder, artist, title, date, kind, colours in ALBUMS:
        album_id = album_page(api, artist_page(api, artist), title, date, kind, colours)
        have = {track["trackNumber"] for track in api.items(f"/api/v1/albums/{album_id}/tracks")}
        for number, path in enumerate(music_files(music / folder), 1):
            if number not in have:
                work.append((path, album_id, number))
    if not work:
        return api
    progress = Progress("uploading", len(work))
    with concurrent.futures.ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        jobs = {pool.submit(upload, api, *row): row for row in work}
        for job in concurrent.futures.as_completed(jobs):
            job.result()
            progress.step(track_title(jobs[job][0]))
    progress.end()
    return api


def tracks_by_state(api):
    counts = {}
    for track in api.items("/api/v1/tracks"):
        state = "whole" if track.get("progress", {}).get("done") == track.get("progress", {}).get("of") \
            and track["status"] == "ready" else track["status"]
        counts[state] = counts.get(state, 0) + 1
    return counts


def watch(api, stopping):
    """Shows how the music becomes playable, then whole; ends by itself."""
    counts = tracks_by_state(api)
    total = sum(counts.values())
    progress = Progress("playable", total)
    while not stopping.is_set():
        counts = tracks_by_state(api)
        playable = counts.get("ready", 0) + counts.get("whole", 0)
        if playable > progress.done:
            progress.step(f"{counts.get('whole', 0)} in every quality", playable - progress.done)
        if playable + counts.get("failed", 0) >= total:
            break
        stopping.wait(2)
    progress.end()


def say_where(base, began):
    print(f"\n  Tutti plays at {base}\n\n"
          f"  accounts   {', '.join(ACCOUNTS)}\n"
          f"  password   {PASSWORD}\n\n"
          f"  (ready {time.monotonic() - began:.1f} s after the start; Ctrl-C stops it)\n", flush=True)


def demo(base, music, stopping, began):
    try:
        say_where(base, began)
        api = upload_all(base, music)
        watch(api, stopping)
    except (ApiError, OSError) as error:
        if not stopping.is_set():
            print(f"demo: {error}", file=sys.stderr)


def main():
    began = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tutti", required=True)
    parser.add_argument("--music", required=True, type=pathlib.Path)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("rest", nargs="*", help="more options for tutti serve")
    options = parser.parse_args()
    listen = "127.0.0.1:4040"
    for at, word in enumerate(options.rest):
        listen = options.rest[at + 1] if word == "--listen" else listen
    base = "http://localhost:" + listen.rsplit(":", 1)[1]
    add_accounts(options.tutti, options.data)
    command = [options.tutti, "serve", "--data", str(options.data), "--log-level", "warning"]
    server = subprocess.Popen(command + ([] if "--listen" in options.rest else ["--listen", listen]) + options.rest)
    stopping = threading.Event()

    def stop(number, frame):
        stopping.set()
        server.send_signal(signal.SIGTERM)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    wait_ready(base, server)
    threading.Thread(target=demo, args=(base, options.music, stopping, began), daemon=True).start()
    while True:
        try:
            sys.exit(server.wait())
        except KeyboardInterrupt:
            continue


main()
