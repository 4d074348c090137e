"""What the journeys share: a real server in a directory of its own, people with accounts, and a check of
every answer against docs/api/openapi.yaml.

    server      one server for the whole run; a journey must not depend on what others left in it
    own_server  a function that starts another one, with options, environment or data of one's own
    people      signed-in clients: people.admin, people.artist, people.listener; people.new("artist")
"""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid

import pytest
import requests

from openapi import Specification

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TUTTI_BINARY", str(ROOT / "build" / "tutti"))
PASSWORD = "correct horse battery"
READY_TIMEOUT_S = 30

specification = Specification(ROOT / "docs" / "api" / "openapi.yaml")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_tutti(*arguments, stdin="", data=None, check=True, environment=None, timeout=60):
    """One command of the binary; returns the finished process."""
    command = [BINARY, *arguments] + (["--data", str(data)] if data else [])
    return subprocess.run(command, input=stdin, text=True, capture_output=True, check=check, timeout=timeout,
                          env={**os.environ, **(environment or {})})


class Server:
    """A running `tutti serve`."""

    def __init__(self, data=None, options=(), environment=None, port=None, roles=None):
        self.data = pathlib.Path(data or tempfile.mkdtemp(prefix="tutti-journey-"))
        self.owns_data = data is None
        self.port = port or free_port()
        self.options = [*options] + (["--roles", roles] if roles else [])
        self.environment = environment or {}
        self.wrapper = []  # a command that runs the server
        self.url = f"http://localhost:{self.port}"
        self.process = None

    def start(self):
        self.log = open(self.data / "server.log", "ab")
        defaults = {"TUTTI_LIMITS_LOGINS_PER_MINUTE": "0", "TUTTI_LIMITS_READS_PER_MINUTE": "0",
                    "TUTTI_LIMITS_WRITES_PER_MINUTE": "0", "TUTTI_LIMITS_UPLOADS_PER_MINUTE": "0",
                    "TUTTI_LIMITS_PLAYS_PER_MINUTE": "0", "TUTTI_LIMITS_OBJECTS_PER_MINUTE": "0"}
        self.process = subprocess.Popen(
            [*self.wrapper, BINARY, "serve", "--data", str(self.data), "--listen", f"127.0.0.1:{self.port}", *self.options],
            stderr=self.log, stdout=self.log, env={**os.environ, **defaults, **self.environment})
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}:\n{self.log_text()[-2000:]}")
            try:
                if requests.get(self.url + "/readyz", timeout=2).status_code == 200:
                    return self
            except requests.ConnectionError:
                time.sleep(0.02)
        raise RuntimeError(f"the server is not ready:\n{self.log_text()[-2000:]}")

    def log_text(self):
        return (self.data / "server.log").read_text(errors="replace")

    def kill(self):
        self.process.kill()
        self.process.wait(10)
        self.log.close()

    def stop(self, timeout=30):
        """SIGTERM; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.log.close()
        return status

    def done(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        if self.owns_data:
            shutil.rmtree(self.data, ignore_errors=True)

    def add_user(self, username, role):
        run_tutti("user", "add", username, "--role", role, "--email", f"{username}@example.org", "--password-stdin",
                  stdin=PASSWORD + "\n", data=self.data)


class Person(requests.Session):
    """A client of the API: paths instead of URLs, the token in place, every answer checked."""

    def __init__(self, base, username=None, role=None):
        super().__init__()
        self.base, self.username, self.role = base, username, role
        self.user = None
        if username:
            answer = self.post("/api/v1/auth/login", json={"username": username, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
            self.take(answer.json())

    def take(self, tokens):
        """Uses the tokens of a log-in's or refresh's answer from now on."""
        self.headers["Authorization"] = f"Bearer {tokens['accessToken']}"
        self.refresh_token = tokens.get("refreshToken")
        self.user = tokens.get("user", self.user)

    def request(self, method, path, **options):
        url = path if path.startswith("http") else self.base + path
        options.setdefault("timeout", 30)
        answer = super().request(method, url, **options)
        if url.startswith(self.base + "/api/") or url.startswith(self.base + "/.well-known/"):
            specification.check(method, url[len(self.base):], answer)
        return answer


class People:
    def __init__(self, server):
        self.server = server
        self.cache = {}

    def new(self, role="listener"):
        username = f"{role}-{uuid.uuid4().hex[:10]}"
        self.server.add_user(username, role)
        return Person(self.server.url, username, role)

    def nobody(self):
        return Person(self.server.url)

    def __getattr__(self, role):
        if role not in ("admin", "artist", "listener"):
            raise AttributeError(role)
        if role not in self.cache:
            self.cache[role] = self.new(role)
        return self.cache[role]


@pytest.fixture(scope="session")
def server():
    running = Server().start()
    yield running
    status = running.stop()
    text = running.log_text()
    running.done()
    assert status == 0, f"SIGTERM must drain and end with 0, not {status}:\n{text[-2000:]}"


@pytest.fixture(scope="session")
def people(server):
    return People(server)


@pytest.fixture
def own_server():
    made = []

    def start(**options):
        made.append(Server(**options))
        return made[-1].start()

    yield start
    for one in made:
        one.done()


@pytest.fixture(scope="session")
def sounds(tmp_path_factory):
    """sounds("flac", seconds=3) → the path of a file that ffmpeg made of a chord."""
    folder = tmp_path_factory.mktemp("sounds")

    def make(kind="flac", seconds=3.0, rate=44100, channels=2, extra=()):
        path = folder / f"{seconds}-{rate}-{channels}-{abs(hash(tuple(extra)))}.{kind}"
        if not path.exists():
            chord = "+".join(f"0.2*sin(2*PI*{f}*t)" for f in (220, 277.18, 329.63))
            subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i",
                            f"aevalsrc='{'|'.join([chord] * channels)}':s={rate}:d={seconds}", *extra, str(path)],
                           check=True, timeout=120)
        return path

    return make


@pytest.fixture(scope="session")
def album(people):
    """album(artist, **fields) → a new album of a new artist page."""

    def make(artist=None, **fields):
        artist = artist or people.artist
        page = artist.post("/api/v1/artists", json={"name": f"Band {uuid.uuid4().hex[:8]}"})
        assert page.status_code == 201, page.text
        body = {"artistId": page.json()["id"], "title": f"Album {uuid.uuid4().hex[:8]}", **fields}
        answer = artist.post("/api/v1/albums", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return make


@pytest.fixture(scope="session")
def upload(people, album, sounds):
    """upload(path=…, artist=…, album_id=…, wait=True) → the track, ready if waited for."""

    def put(path, artist):
        query = {"filename": pathlib.Path(path).name, "size": os.path.getsize(path)}
        place = artist.get("/api/v1/tracks/upload-url", params=query)
        assert place.status_code == 200, place.text
        with open(path, "rb") as body:
            answer = requests.put(place.json()["uploadUrl"], data=body, timeout=60)
        assert answer.status_code == 200, answer.text
        return place.json()["trackUrl"]

    def make(path=None, artist=None, album_id=None, title="A Track", wait=True, **fields):
        artist = artist or people.artist
        track_url = put(path or sounds(), artist)
        body = {"albumId": album_id or album(artist)["id"], "title": title, "trackUrl": track_url, **fields}
        answer = artist.post("/api/v1/tracks", json=body)
        assert answer.status_code == 201, answer.text
        return wait_for(artist, answer.json()["id"]) if wait else answer.json()

    make.put = put
    return make


def wait_for(person, track_id, states=("ready", "failed"), timeout=90, whole=False):
    """Polls a track until it is in one of the states (and its ladder whole)."""
    deadline = time.monotonic() + timeout
    while True:
        track = person.get(f"/api/v1/tracks/{track_id}").json()
        done = track["status"] in states
        progress = track.get("progress") or {}
        if done and (not whole or track["status"] != "ready" or progress.get("done") == progress.get("of")):
            return track
        assert time.monotonic() < deadline, f"still not in {states}: {json.dumps(track)[:800]}"
        time.sleep(0.1)
