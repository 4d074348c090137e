"""What the benches share: our server and the peer, CPU seconds of a process, load by wrk, turns, and the
table that is printed."""
import atexit
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


def children(pid):
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if stat_fields(entry.name)[1] == str(pid):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def cpu_seconds(pid):
    """Of a process and its children."""
    fields = [stat_fields(one) for one in [pid, *children(pid)]]
    return sum(int(one[11]) + int(one[12]) for one in fields) / TICKS


def resident_mb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024


class Tutti:
    """A server of ours, and an artist's client of it. With `profile`, a file, perf(1) looks on at all that the server and
    its children do, and what it saw is added there as each of them stops."""

    profile = None

    def __init__(self, build, data):
        self.data = data
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.binary = str(build / "tutti")
        self.environment = {**os.environ, "TUTTI_LOG_ACCESS": "no"}
        for kind in ("READS", "WRITES", "UPLOADS", "PLAYS", "LOGINS", "OBJECTS"):
            self.environment[f"TUTTI_LIMITS_{kind}_PER_MINUTE"] = "0"
        self.environment["TUTTI_LIMITS_SHED_DELAY_MS"] = "10000"  # a moment without a core is no reason to refuse what is measured

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
        took = (time.monotonic() - began) * 1000
        if self.profile:
            self.perf = subprocess.Popen(["perf", "record", "-q", "-F", "499", "-o", f"{self.data}.perf", "-p", str(self.process.pid)],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return took

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        if self.profile:
            self.perf.wait(60)
            self.tell_profile()

    def tell_profile(self):
        """By program and library, then by function where there are names."""
        with self.profile.open("a") as file:
            for sort, least in (("comm,dso", 1), ("comm,symbol", 0.5)):
                report = subprocess.run(["perf", "report", "-q", "--stdio", "--no-children", "--sort", sort, "--percent-limit",
                                         str(least), "-i", f"{self.data}.perf"], capture_output=True, text=True, check=True)
                lines = (line.rstrip(" -") for line in report.stdout.splitlines())
                file.write("\n".join(line for line in lines if line and "[.] 0x0" not in line) + "\n\n")

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
        atexit.register(self.stop)  # also where the bench fails
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        sys.exit("bench: nginx did not start")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)


def wrk(url, pid, connections, token=None, script=None):
    """(requests, bytes, server CPU seconds) of WRK_SECONDS of load; script is a file of Lua for wrk."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{WRK_SECONDS}s", "--timeout", "20s", url]
    if script:
        command[1:1] = ["-s", str(script)]
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
            data = self.folder / "data"
            again = data.exists()  # a bench that needed it stopped may have been before
            self.tutti = Tutti(self.build, data)
            if not again:
                self.tutti.add_user("artist", "artist")
                self.tutti.add_user("listener", "listener")
            self.tutti.start()
            if not again:
                self.album, self.track = self.tutti.upload(self.tutti.sign_in("artist"), self.song())
            while children(self.tutti.process.pid):  # tutti-media leaves when there is nothing to do
                time.sleep(0.1)
        return self.tutti

    def profile(self, name):
        """From now on, into build/profiles/NAME.txt; not what it takes to make the one track."""
        self.server().stop()
        Tutti.profile = self.build / "profiles" / f"{name}.txt"
        Tutti.profile.parent.mkdir(exist_ok=True)
        Tutti.profile.write_text("")
        self.tutti.start()

    def done(self):
        if self.tutti:
            self.tutti.stop()
        self.keep()
        shutil.rmtree(self.folder, ignore_errors=True)

    def keep(self):
        """In build/bench.json, beside the figures of other benches of earlier runs."""
        path = self.build / "bench.json"
        rows = {row["name"]: row for row in (json.loads(path.read_text()) if path.exists() else [])}
        rows.update((row["name"], row) for row in self.rows)
        path.write_text(json.dumps(list(rows.values()), indent=2) + "\n")

    def missed(self):
        """The names of the figures of this run that are off their bars."""
        return [row["name"] for row in self.rows if not row.get("met", True)]
