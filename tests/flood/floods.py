"""The floods: what each sends, and what is measured while it runs. Shared by test_flood.py, which asserts on short
ones, and by bench/flood.py, which prints the table of full ones.

A Scene is a server with the limits it has by default, a track to listen to and people with accounts. `Scene.measure`
runs tests/flood/flood twice: as the flood, from 127.9.0.1 on, and as listeners on 127.8.0.1 to .4 that ask where their
track is and fetch its sound as a player does.
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "journey"))
import conftest as journey  # noqa: E402

LISTENERS, CROWD = 4, 8
ASK_MS = 100  # of each listener: within its rate limit
SEGMENT_S = 2  # what its player fetches at a time (listen.c)
# The bound of memory, in MB: the program, its caches and threads; a connection with a request in work; and the
# configured memory of requests. docs/decisions/0112.
BASE_MB, CONNECTION_KB = 64, 32
# What conftest.Server switches off for other tests, as the program has it by default.
LIMITS = {f"TUTTI_LIMITS_{name}_PER_MINUTE": str(number) for name, number in
          {"READS": 3000, "WRITES": 600, "UPLOADS": 300, "PLAYS": 1200, "LOGINS": 60, "OBJECTS": 30000}.items()}


def request(method, path, body="", length=None, **headers):
    """A request as it goes over the wire; length: what Content-Length says, if not the truth."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body or length is not None:
        lines += [f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join(lines) + "\r\n\r\n" + body


def resident_mb(pid, field="VmRSS"):
    return int(re.search(field + r":\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024


class Peak(threading.Thread):
    """The most memory a process had while this ran, in MB."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.most, self.ended = pid, 0.0, threading.Event()

    def run(self):
        while not self.ended.wait(0.05):
            self.most = max(self.most, resident_mb(self.pid))

    def end(self):
        self.ended.set()
        self.join()
        return self.most


def audio_flows(audio, seconds):
    """Whether a player who listened so long heard no gap, and was given what it played: all but the first second."""
    return audio["starved_s"] == 0 and audio["failed"] == 0 and audio["segments"]["count"] >= (seconds - 1) / SEGMENT_S


def memory_bound_mb(connections, request_memory_mb):
    return BASE_MB + connections * CONNECTION_KB / 1024 + request_memory_mb


def chord(path, seconds):
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i",
                    f"aevalsrc='0.2*sin(2*PI*220*t)|0.2*sin(2*PI*330*t)':s=44100:d={seconds}", str(path)], check=True)
    return path


def requests_file(folder, requests):
    path = folder / uuid.uuid4().hex
    path.write_bytes(b"".join(one.encode() + b"\0" for one in requests))
    return str(path)


class Listeners:
    """A run of listen.c: one asker a request of asks, and a player of audio (url, bytes, seconds)."""

    def __init__(self, program, folder, port, asks, audio, seconds):
        self.seconds = seconds
        head = folder / "media-head"
        head.write_text(f"GET {urllib.parse.urlsplit(audio['url']).path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes=")
        self.process = subprocess.Popen([str(program), "listen", "--port", str(port),
                                         "--requests", requests_file(folder, asks), "--interval-ms", str(ASK_MS),
                                         "--seconds", str(seconds), "--media-head", str(head),
                                         "--media-bytes", str(audio["bytes"]), "--media-seconds", str(audio["seconds"])],
                                        stdout=subprocess.PIPE, text=True)

    def heard(self):
        """What they say at their end, and whether the audio flows."""
        heard = json.loads(self.process.communicate(timeout=self.seconds + 90)[0])
        heard["audio"]["flows"] = audio_flows(heard["audio"], self.seconds)
        return heard


class Scene:
    def __init__(self, program, environment=None):
        """program: tests/flood/flood; environment: of the server, beyond the default limits."""
        self.program = str(program)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tutti-flood-"))
        self.server = journey.Server(environment={**LIMITS, **(environment or {})}).start()
        self.artist, self.band = self.person("artist", "artist"), self.person("band", "artist")
        self.listeners = [self.person(f"listener{i}", "listener") for i in range(LISTENERS)]
        self.crowd = [self.person(f"crowd{i}", "artist") for i in range(CROWD)]
        self.album, self.track, self.audio = self.upload(chord(self.folder / "chord.flac", 60))

    def done(self):
        self.server.done()
        shutil.rmtree(self.folder, ignore_errors=True)

    def person(self, name, role):
        """Signed in, as slowly as the limit of log-ins allows."""
        self.server.add_user(name, role)
        person = journey.Person(self.server.url)
        while True:
            answer = person.post("/api/v1/auth/login", json={"username": name, "password": journey.PASSWORD})
            if answer.status_code == 200:
                person.take(answer.json())
                return person
            assert answer.status_code == 429, answer.text
            time.sleep(int(answer.headers["Retry-After"]))

    def upload(self, sound):
        page = self.artist.post("/api/v1/artists", json={"name": "Flood"}).json()
        album = self.artist.post("/api/v1/albums", json={"artistId": page["id"], "title": "Flood"}).json()
        place = self.artist.get("/api/v1/tracks/upload-url",
                                params={"filename": sound.name, "size": sound.stat().st_size}).json()
        assert self.artist.put(place["uploadUrl"], data=sound.read_bytes(), headers={"Authorization": None}).ok
        body = {"albumId": album["id"], "title": "Flood", "trackUrl": place["trackUrl"]}
        track = self.artist.post("/api/v1/tracks", json=body).json()
        deadline = time.monotonic() + 120
        while True:
            track = self.artist.get(f"/api/v1/tracks/{track['id']}").json()
            progress = track.get("progress") or {}
            if track["status"] == "ready" and progress.get("done") == progress.get("of"):
                break
            assert track["status"] != "failed" and time.monotonic() < deadline, track
            time.sleep(0.2)
        stream = self.listeners[0].get(f"/api/v1/tracks/{track['id']}/stream").json()
        audio = next(f for f in stream["files"] if f["format"] == "aac" and f["bitrate"] == 320)
        return album["id"], track["id"], {**audio, "seconds": stream["durationMs"] / 1000}

    def token(self, person):
        return {"Authorization": person.headers["Authorization"]}

    def file(self, requests):
        return requests_file(self.folder, requests)

    def listen(self, seconds):
        target = f"/api/v1/tracks/{self.track}/stream"
        asks = [request("GET", target, **self.token(one)) for one in self.listeners]
        return Listeners(self.program, self.folder, self.server.port, asks, self.audio, seconds)

    def load(self, requests, seconds, **options):
        words = [word for name, value in options.items() for word in
                 ([f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)]))]
        return subprocess.Popen(["nice", "-n", "5", self.program, "load", "--port", str(self.server.port), "--requests",
                                 self.file(requests), "--seconds", str(seconds), *words],
                                stdout=subprocess.PIPE, text=True)

    def connections(self):
        """That are open."""
        text = self.artist.get(self.server.url + "/metrics").text
        return int(re.search(r"^tutti_http_connections (\d+)$", text, re.M)[1])

    def measure(self, seconds, loads=()):
        """Listens while the loads run, which begin 1 s before; what all say, and the most memory."""
        peak = Peak(self.server.process.pid)
        peak.start()
        running = [self.load(seconds=seconds + 2, **load) for load in loads]
        time.sleep(1 if running else 0)
        heard = self.listen(seconds).heard()
        floods = [json.loads(one.communicate(timeout=seconds + 90)[0]) for one in running]
        return {"heard": heard, "floods": floods, "memory_mb": peak.end()}


# Each takes the scene and how many connections there are in all (for those floods that are of connections; those that
# are of requests make 0.4 a second for each), and returns the loads that make it.

def slow(head, body="", size=0, at_once=0, **options):
    """A byte a second."""
    requests = head if isinstance(head, list) else [head]
    return {"requests": [one + body for one in requests], "mode": "trickle", "connections": size, "addresses": 64,
            "interval_ms": 1000, "whole_bytes": at_once or len(requests[0]), **options}


def paced(requests, size, share=1.0, many=20, **options):
    """size / many connections that together make share × 0.4 × size requests a second."""
    connections = max(4, size // many)
    interval = max(1, int(1000 * connections / (0.4 * size * share)))
    return {"requests": requests, "connections": connections, "interval_ms": interval, "addresses": 64, **options}


def slow_headers(scene, size):
    head = request("GET", f"/api/v1/tracks/{scene.track}", X_Slow="s" * 500)
    return [slow(head, size=size, at_once=60)]


def places(scene, count, size):
    """Requests that PUT to signed addresses."""
    answers = []
    while len(answers) < count:
        answer = scene.band.get("/api/v1/tracks/upload-url", params={"filename": "a.flac", "size": size})
        if answer.status_code == 429:
            time.sleep(int(answer.headers["Retry-After"]))
        else:
            answers.append(urllib.parse.urlsplit(answer.json()["uploadUrl"]))
    return [request("PUT", f"{url.path}?{url.query}", length=size) for url in answers]


def slow_bodies(scene, size):
    log_in = request("POST", "/api/v1/auth/login", length=2000, Content_Type="application/json")
    cover = request("PUT", f"/api/v1/albums/{scene.album}/cover", length=20 << 20, Content_Type="image/png",
                    **scene.token(scene.artist))
    track = request("POST", "/api/v1/tracks", length=5000, Content_Type="application/json", **scene.token(scene.band))
    return [slow(head, "x" * 100, size // 4) for head in (log_in, cover, track, places(scene, 5, 1 << 20))]


def fat_bodies(scene, size):
    """Bodies that come at once, but for their end, as fast as a gigabit brings them: what they hold is in memory."""
    body = "x" * 600_000
    heads = places(scene, 5, 1 << 20)
    tracks = [request("POST", "/api/v1/tracks", length=1_000_000, Content_Type="application/json", **scene.token(one))
              for one in scene.crowd]
    return [slow(heads, body, size // 10, len(heads[0]) + len(body) - 100, interval_ms=5000, ramp_s=8),
            slow(tracks, body, size // 20, len(tracks[0]) + len(body) - 100, interval_ms=5000, ramp_s=8)]


def swelling_bodies(scene, size):
    """JSON of nothing but empty lists, three bytes each, which takes fifty times that once it is read."""
    lists = '{"playlist":{"track":[' + "[]," * 200_000 + "0]}}"
    requests = [request("POST", path, lists, Content_Type="application/json", **scene.token(one)) for one in scene.crowd
                for path in ("/api/v1/tracks", "/api/v1/playlists/import?format=jspf")]
    return [paced(requests, size, share=0.1, addresses=4)]


def slow_readers(scene, size):
    path = urllib.parse.urlsplit(scene.audio["url"]).path
    return [{"requests": [request("GET", target)], "mode": "read", "connections": size // 2, "addresses": 64,
             "interval_ms": 1000, "read_bytes": 200} for target in (path, "/api/v1/openapi.yaml")]


def many_from_few(scene, size):
    """Past the limit of connections of an address."""
    return [{"requests": [request("GET", "/healthz")], "connections": size, "addresses": size // 600 + 1,
             "interval_ms": 2500}]


def pipelined(scene, size):
    one = request("GET", f"/api/v1/tracks/{scene.track}", **scene.token(scene.crowd[0]))
    return [paced([one], size, pipeline=50, share=1 / 50, many=100)]


def oversized(scene, size):
    log_in = "/api/v1/auth/login"
    requests = [request("GET", "/" + "x" * 40000), request("GET", "/", X_Large="x" * 40000),
                request("GET", "/", **{f"X-{i}": "y" for i in range(3000)}),
                request("POST", log_in, "x" * 200000, Content_Type="application/json"),
                request("POST", log_in, length=1 << 40, Content_Type="application/json")]
    return [paced(requests, size, close=True, share=0.25)]


def log_ins(scene, size):
    requests = [request("POST", "/api/v1/auth/login", json.dumps({"username": f"nobody{i}", "password": "wrong word"}),
                        Content_Type="application/json") for i in range(1000)]
    return [paced(requests, size, many=8, addresses=size // 40)]  # more than may wait to be hashed


def uploads(scene, size):
    requests = []
    for i, person in enumerate(scene.crowd):
        token = scene.token(person)
        requests.append(request("GET", f"/api/v1/tracks/upload-url?filename=a{i}.flac&size=1000000", **token))
        requests.append(request("POST", "/api/v1/uploads", json.dumps({"filename": f"b{i}.flac", "size": 50000000}),
                                Content_Type="application/json", **token))
    puts = [request("PUT", f"/s3/uploads/{i}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature={i:064x}", "x" * 5000)
            for i in range(100)]
    return [paced(requests, size, share=0.5), paced(puts, size, share=0.5, addresses=2)]


def random_paths(scene, size):
    requests = [request("GET", "/" + uuid.uuid4().hex + "/" * (i % 3) + uuid.uuid4().hex) for i in range(1000)]
    return [paced(requests, size, addresses=4)]


def bad_tokens(scene, size):
    good = scene.crowd[0].headers["Authorization"]
    requests = [request("GET", f"/api/v1/tracks/{scene.track}", Authorization=good[:-20] + uuid.uuid4().hex[:20])
                for _ in range(1000)]
    path = urllib.parse.urlsplit(scene.audio["url"]).path.split("/")
    for _ in range(1000):
        path[2] = path[2][:-10] + uuid.uuid4().hex[:10]
        requests.append(request("GET", "/".join(path)))
    return [paced(requests, size, addresses=4)]


def full_pool(scene, size):
    """More that needs a worker than workers can do, half of it from people with accounts."""
    requests = [request("GET", path, **scene.token(one)) for one in scene.crowd
                for path in ("/api/v1/me", "/api/v1/me/sessions", "/api/v1/albums?limit=500", "/api/v1/artists")]
    store = [request("GET", "/s3/media?list-type=2", Authorization=f"AWS4-HMAC-SHA256 Credential=x{i}") for i in
             range(10)]
    state = [request("GET", "/readyz"), request("GET", "/metrics")]
    return [paced(requests, size, share=0.5), paced(store, size, share=0.4), paced(state, size, share=0.1, addresses=2)]


def refusals(measured):
    """How many were refused; of all, those ended without a word, refused without when to come again, and without RateLimit-*."""
    loads = measured["floods"]
    count = sum(number for load in loads for code, number in load["codes"].items() if code in ("429", "503"))
    return count, *(sum(load[kind] for load in loads) for kind in ("cut", "unexplained", "unmeasured"))


# Floods that hear 429 of no bucket of requests, so without RateLimit-*: an address has too many connections, or has
# brought too many bad tokens.
UNMEASURED = {many_from_few, bad_tokens}


def well_told(flood, measured):
    """Whether who was refused was told so, and all there is to say. Of a hundred one may go without a word: more than 48 linger
    (TOLD_MAX). Whose connection was one too many of its address is in no bucket of requests either."""
    count, cut, unexplained, unmeasured = refusals(measured)
    turned_away = sum(load["opened"] - load["open"] for load in measured["floods"])
    return cut <= count / 100 and unexplained == 0 and (unmeasured <= turned_away or flood in UNMEASURED)


# The name of each, the statuses it may be answered with, and those among them that must come.
FLOODS = {
    slow_headers: ({408, 429, 503}, {408}),
    slow_bodies: ({408, 429, 503}, {408, 429, 503}),
    fat_bodies: ({408, 429, 503}, {503}),
    swelling_bodies: ({400, 413, 429, 503}, {413, 429}),
    slow_readers: ({200, 429, 503}, {200}),
    many_from_few: ({200, 429}, {200, 429}),
    pipelined: ({200, 429}, {200, 429}),
    oversized: ({400, 413, 414, 429, 431}, {413, 414, 431}),
    log_ins: ({401, 429, 503}, {401, 503}),
    uploads: ({200, 201, 400, 403, 429, 503}, {200, 429}),
    random_paths: ({200, 404, 429}, {404, 429}),
    bad_tokens: ({401, 403, 429}, {401, 403, 429}),
    full_pool: ({200, 400, 403, 429, 503}, {200, 429}),
}
