#!/usr/bin/env python3
"""./dev bench [NAME…]: each figure beside a peer's of the same run, and beside its bar.

    media    audio bytes per server CPU-second, /m/…           against nginx with sendfile, same file
    json     an album as JSON with a bearer token, per CPU-second   against nginx `return 200`, same bytes
    ladder   nine renditions, wall clock                       against one ffmpeg command, same encoders
    audio    time to first audio in Chromium, 50 clicks        p50 and p99
    idle     resident memory of a process with all roles; exec to ready
    connections  memory that a connection takes: idle, with a request begun, with a stream, with an upload
    flood    10,000 connections and floods of requests: p99 of listeners and of refusals, memory against its bound

Peer and program take turns (A B A B …), so that a drift of the machine meets both; medians are quoted.
CPU seconds are the server's own, from /proc. Every figure goes into build/bench.json too.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import flood

ROUNDS = 5
WRK_SECONDS = 3
TICKS = os.sysconf("SC_CLK_TCK")
PASSWORD = "bench-password"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def stat_fields(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def cpu_seconds(pid):
    """Of a process and its children."""
    total = 0
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            fields = stat_fields(entry.name)
        except OSError:
            continue
        if entry.name == str(pid) or fields[1] == str(pid):
            total += int(fields[11]) + int(fields[12])
    return total / TICKS


def resident_mb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024


class Tutti:
    """A server of ours, and an artist's client of it."""

    def __init__(self, build, data):
        self.data = data
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.binary = str(build / "tutti")
        self.environment = {**os.environ, "TUTTI_LOG_ACCESS": "no"}
        for kind in ("READS", "WRITES", "UPLOADS", "PLAYS", "LOGINS", "OBJECTS"):
            self.environment[f"TUTTI_LIMITS_{kind}_PER_MINUTE"] = "0"

    def add_user(self, name, role):
        subprocess.run([self.binary, "user", "add", name, "--role", role, "--password-stdin", "--data", str(self.data)],
                       input=PASSWORD + "\n", text=True, check=True, stdout=subprocess.DEVNULL)

    def is_ready(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                probe.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return probe.recv(64).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def start(self):
        """Returns milliseconds from exec to the first 200 of /readyz."""
        began = time.monotonic()
        self.process = subprocess.Popen([self.binary, "serve", "--data", str(self.data), "--log-level", "error",
                                         "--listen", f"127.0.0.1:{self.port}"], env=self.environment)
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() - began > 30:
                sys.exit("bench: the server did not become ready")
            time.sleep(0.001)
        return (time.monotonic() - began) * 1000

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def call(self, method, path, fields=None, token=None, body=None):
        headers = {"Content-Type": "application/json"} if fields is not None else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(path if path.startswith("http") else self.url + path, method=method,
                                         data=json.dumps(fields).encode() if fields is not None else body,
                                         headers=headers)
        with urllib.request.urlopen(request, timeout=120) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def sign_in(self, name):
        return self.call("POST", "/api/v1/auth/login", {"username": name, "password": PASSWORD})["accessToken"]

    def upload(self, token, path):
        """Uploads one track and waits for its whole ladder; returns (album id, track id)."""
        artist = self.call("POST", "/api/v1/artists", {"name": "Bench"}, token)
        album = self.call("POST", "/api/v1/albums", {"artistId": artist["id"], "title": "Bench"}, token)
        query = urllib.parse.urlencode({"filename": path.name, "size": path.stat().st_size})
        place = self.call("GET", f"/api/v1/tracks/upload-url?{query}", token=token)
        self.call("PUT", place["uploadUrl"], body=path.read_bytes())
        track = self.call("POST", "/api/v1/tracks",
                          {"albumId": album["id"], "title": "Bench", "trackUrl": place["trackUrl"]}, token)
        while True:
            track = self.call("GET", f"/api/v1/tracks/{track['id']}", token=token)
            progress = track.get("progress") or {}
            if track["status"] == "failed":
                sys.exit(f"bench: the track failed: {track}")
            if track["status"] == "ready" and progress.get("done") == progress.get("of"):
                return album["id"], track["id"]
            time.sleep(0.2)


class Nginx:
    """The peer: `locations` go into one server block on loopback."""

    def __init__(self, root, locations):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        temporary = " ".join(f"{kind}_temp_path {root};" for kind in
                             ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = root / "nginx.conf"
        config.write_text(f"""
daemon off; worker_processes auto; pid {root}/nginx.pid; error_log stderr error;
events {{ worker_connections 4096; }}
http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; default_type application/json;
  {temporary}
  server {{ listen 127.0.0.1:{self.port}; {locations} }} }}
""")
        self.process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(config)])
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        sys.exit("bench: nginx did not start")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)


def wrk(url, pid, connections, token=None):
    """(requests, bytes, server CPU seconds) of WRK_SECONDS of load."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{WRK_SECONDS}s", url]
    if token:
        command[1:1] = ["-H", f"Authorization: Bearer {token}"]
    before = cpu_seconds(pid)
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    used = cpu_seconds(pid) - before
    if "Non-2xx" in text or "Socket errors" in text:
        sys.exit(f"bench: {url}: {text}")
    requests, amount, unit = re.search(r"(\d+) requests in [\d.]+\w+, ([\d.]+)([KMGT]?B) read", text).groups()
    scale = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}[unit]
    return int(requests), float(amount) * scale, used


def in_turns(ours, theirs, figure):
    """Medians of both figures over ROUNDS turns, and of the ratios turn by turn."""
    rows = []
    for turn in range(ROUNDS + 1):
        row = figure(*ours()), figure(*theirs())
        if turn > 0:  # the first one warms up
            rows.append(row)
    return (statistics.median(r[0] for r in rows), statistics.median(r[1] for r in rows),
            statistics.median(r[0] / r[1] for r in rows))


def timed(command):
    """(wall seconds, CPU seconds) of a command."""
    before, began = os.times(), time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - began, cpu


class Bench:
    def __init__(self, build, music):
        self.build, self.music = build, music
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tutti-bench-"))
        os.chmod(self.folder, 0o755)
        self.rows = []
        self.tutti = None
        self.track = None

    def say(self, name, ours, peer, ratio, bar, met):
        self.rows.append({"name": name, "ours": ours, "peer": peer, "ratio": ratio, "bar": bar, "met": met})
        print(f"{name:<42} {ours:>20} {peer:>22} {ratio:>6}  bar {bar:<8} {'met' if met else 'NOT MET'}", flush=True)

    def song(self):
        """214 s of music as FLAC."""
        path = self.folder / "song.flac"
        if not path.exists():
            source = next(self.music.rglob("battle.ogg"))
            subprocess.run(["ffmpeg", "-v", "error", "-y", "-stream_loop", "1", "-i", str(source), "-t", "214",
                            "-sample_fmt", "s16", str(path)], check=True)
        return path

    def server(self):
        """A running server with one whole track; made once."""
        if self.tutti is None:
            self.tutti = Tutti(self.build, self.folder / "data")
            self.tutti.add_user("artist", "artist")
            self.tutti.add_user("listener", "listener")
            self.tutti.start()
            self.album, self.track = self.tutti.upload(self.tutti.sign_in("artist"), self.song())
        return self.tutti

    def media(self):
        server = self.server()
        stream = server.call("GET", f"/api/v1/tracks/{self.track}/stream", token=server.sign_in("listener"))
        url = next(f["url"] for f in stream["files"] if f["format"] == "aac" and f["bitrate"] == 320)
        (self.folder / "www").mkdir(exist_ok=True)
        with urllib.request.urlopen(url) as answer:
            (self.folder / "www" / "a.mp4").write_bytes(answer.read())
        nginx = Nginx(self.folder, f"location / {{ root {self.folder}/www; }}")
        ours, peer, ratio = in_turns(lambda: wrk(url, server.process.pid, 16),
                                     lambda: wrk(nginx.url + "/a.mp4", nginx.process.pid, 16),
                                     lambda requests, length, cpu: length / cpu / 1e9)
        nginx.stop()
        self.say("audio, GB per CPU-second", f"{ours:.2f}", f"nginx {peer:.2f}", f"{ratio:.2f}", ">= 1", ratio >= 1)

    def json(self):
        server = self.server()
        token = server.sign_in("listener")
        path = f"/api/v1/albums/{self.album}"
        body = json.dumps(server.call("GET", path, token=token), separators=(",", ":"))
        nginx = Nginx(self.folder, f"location / {{ return 200 '{body}'; }}")
        ours, peer, ratio = in_turns(lambda: wrk(server.url + path, server.process.pid, 32, token),
                                     lambda: wrk(nginx.url + "/", nginx.process.pid, 32, token),
                                     lambda requests, length, cpu: requests / cpu)
        nginx.stop()
        self.say("JSON with a token, requests per CPU-second", f"{ours:,.0f}", f"nginx {peer:,.0f}", f"{ratio:.2f}",
                 ">= 0.8", ratio >= 0.8)

    def ladder(self):
        song, out = self.folder / "song.wav", self.folder / "ladder"
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", str(self.song()), str(song)], check=True)
        out.mkdir(exist_ok=True)
        peer = ["ffmpeg", "-v", "error", "-y", "-i", str(song)]
        for codec, extension in (("aac", "m4a"), ("libmp3lame", "mp3"), ("libopus", "opus")):
            for rate in (96, 160, 320):
                peer += ["-map", "0:a", "-c:a", codec, "-b:a", f"{rate}k", str(out / f"{rate}.{extension}")]
        mine = [str(self.build / "tests" / "tools" / "media-encode"), str(song), str(out)]
        rows = [(timed(mine), timed(peer)) for _ in range(3)]
        ratio = statistics.median(peer[0] / mine[0] for mine, peer in rows)
        wall, cpu = (statistics.median(row[0][i] for row in rows) for i in (0, 1))
        peer_wall, peer_cpu = (statistics.median(row[1][i] for row in rows) for i in (0, 1))
        self.say("nine renditions of 214 s, wall (CPU) seconds", f"{wall:.1f} ({cpu:.1f})",
                 f"ffmpeg {peer_wall:.1f} ({peer_cpu:.1f})", f"{ratio:.2f}", ">= 1.8", ratio >= 1.8)

    def audio(self):
        server = self.server()
        text = subprocess.run(["node", "bench/first_audio.mjs", server.url, "listener", PASSWORD, self.track, "50"],
                              check=True, capture_output=True, text=True, timeout=600).stdout
        times = sorted(json.loads(text.splitlines()[-1])["ms"])
        p50, p99 = times[len(times) // 2], times[min(len(times) - 1, len(times) * 99 // 100)]
        self.say(f"first audio in Chromium, ms, {len(times)} plays", f"p50 {p50:.0f} p99 {p99:.0f}", "-", "-",
                 "100/200", p50 <= 100 and p99 <= 200)

    def idle(self):
        self.server().stop()
        server, self.tutti = self.tutti, None
        starts = []
        for _ in range(10):
            starts.append(server.start())
            time.sleep(0.5)
            memory = resident_mb(server.process.pid)
            server.stop()
        ready = statistics.median(starts)
        self.say("exec to ready, ms", f"{ready:.0f}", "-", "-", "<= 50", ready <= 50)
        self.say("idle memory after start, MB", f"{memory:.1f}", "-", "-", "<= 20", memory <= 20)
        server.start()
        for _ in range(20):
            token = server.sign_in("listener")
            stream = server.call("GET", f"/api/v1/tracks/{self.track}/stream", token=token)
            with urllib.request.urlopen(stream["trackUrl"]) as answer:
                answer.read()
        time.sleep(60)
        used = resident_mb(server.process.pid)
        server.stop()
        self.say("a minute after log-ins and plays, MB", f"{used:.1f}", "-", "-", "<= 30", used <= 30)

    def connections(self):
        self.rows += flood.connections(self.build)

    def flood(self):
        self.rows += flood.flood(self.build)

    def done(self):
        if self.tutti:
            self.tutti.stop()
        (self.build / "bench.json").write_text(json.dumps(self.rows, indent=2) + "\n")
        shutil.rmtree(self.folder, ignore_errors=True)


def main():
    names = ["media", "json", "ladder", "audio", "idle", "connections", "flood"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--music", type=pathlib.Path, required=True)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    options = parser.parse_args()
    unknown = set(options.names) - set(names)
    if unknown:
        parser.error(f"there is no bench {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    bench = Bench(options.build.resolve(), options.music)
    try:
        for name in options.names or names:
            getattr(bench, name)()
    finally:
        bench.done()


main()
