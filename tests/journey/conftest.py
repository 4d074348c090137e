"""What the journeys share: a real server in a directory of its own, people with accounts, and a check of
every answer against docs/api/openapi.yaml.

    server        one server for the whole run; a journey must not depend on what others left in it
    server_apart  one for the module
    own_server    a function that starts another one, with options, environment or data of one's own
    people        signed-in clients: people.admin, people.artist, people.listener; people.new("artist")
"""
import atexit
import json
import math
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid

import pytest
import requests

from on_cluster import CLUSTER, of_one_process, skip_what_is_elsewhere
from openapi import Specification

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "engines"))
sys.path.insert(0, str(ROOT / "tests" / "tools"))
import opensearch  # noqa: E402
import postgres  # noqa: E402
import rgw  # noqa: E402
BINARY = os.environ.get("TUTTI_BINARY", str(ROOT / "build" / "tutti"))
PASSWORD = "correct horse battery"
SANITIZED = "TUTTI_TEST_SANITIZED" in os.environ  # what measures memory means nothing then
PATIENCE_S = 120  # a bound for what comes at once, on machines that are busy
RENEW_AFTER_S = 600  # an access token lives for 15 minutes, a run on many engines longer

specification = Specification(ROOT / "docs" / "api" / "openapi.yaml")


# TUTTI_TEST_DATABASE=postgresql: the same journeys with every server on databases of its own there.
DATABASE = os.environ.get("TUTTI_TEST_DATABASE", "sqlite")
_postgres = None


def postgres_server():
    """One PostgreSQL for the run."""
    global _postgres
    if _postgres is None:
        _postgres = postgres.Server().__enter__()
        atexit.register(_postgres.__exit__)
    return _postgres


def database_name(data, database):
    return database + "_" + re.sub(r"[^a-z0-9]", "_", str(data).lower())[-40:]


def database_environment(data):
    """The settings that give a data directory its databases."""
    return {} if DATABASE == "sqlite" else postgresql_environment(data)


def postgresql_environment(data):
    """Those of databases of its own there; they are made when first asked for."""
    server, made = postgres_server(), {}
    for database in ("catalog", "users", "activity"):
        one = database_name(data, database)
        if one not in server.databases:
            server.create(one)
            server.databases.add(one)
        made[f"TUTTI_DATABASE_{database.upper()}"] = server.url(one) + os.environ.get("TUTTI_TEST_DATABASE_OPTIONS", "")
    return made


# TUTTI_TEST_OBJECTS=rgw: with every server's objects in a bucket of its own of Ceph's S3 gateway; or an s3:// address
# whose bucket all servers share. The server says that it is an edge, so that what is played has tokens as elsewhere
# (test_objects.py plays from the store).
OBJECTS = os.environ.get("TUTTI_TEST_OBJECTS", "file")
_rgw = None


def object_gateway():
    """One gateway for the run."""
    global _rgw
    if _rgw is None:
        folder = tempfile.mkdtemp(prefix="tutti-rgw-")
        _rgw = rgw.Rgw(folder, extra=rgw.KMS).start()
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        atexit.register(_rgw.stop)
    return _rgw


# What kills the gateway, and the engines' contracts over it: ./dev test objects.
collect_ignore = [] if OBJECTS == "rgw" else ["test_rgw.py"]


def bucket_name(data):
    return "b-" + re.sub(r"[^a-z0-9]", "-", str(data).lower())[-40:].strip("-")


def object_environment(data, url=""):
    """The setting that gives a data directory its bucket; it is made when first asked for."""
    if OBJECTS == "file":
        return {}
    gateway = object_gateway() if OBJECTS == "rgw" else None
    return {"TUTTI_BLOB_STORE": gateway.url(gateway.make_bucket(bucket_name(data))) if gateway else OBJECTS,
            "TUTTI_SERVER_MEDIA_URL": url}


# TUTTI_TEST_SEARCH=opensearch: with every server's index in an OpenSearch of the run, under a name of its own; or the
# opensearch:// address of one that is there.
SEARCH = os.environ.get("TUTTI_TEST_SEARCH", "local")
_opensearch = None


def search_address():
    """One node for the run."""
    global _opensearch
    if _opensearch is None:
        _opensearch = opensearch.Server().start()
        atexit.register(_opensearch.done)
    return _opensearch.url("").rstrip("/")


def search_environment(data):
    if SEARCH == "local":
        return {}
    name = re.sub(r"[^a-z0-9]", "-", str(data).lower())[-40:].strip("-")
    return {"TUTTI_SEARCH_STORE": f"{search_address() if SEARCH == 'opensearch' else SEARCH}/{name}"}


def engine_environment(data, url=""):
    return {**database_environment(data), **object_environment(data, url), **search_environment(data)}


signal.signal(signal.SIGTERM, signal.default_int_handler)  # a run whose time is up ends what it started


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_tutti(*arguments, stdin="", data=None, check=True, environment=None, timeout=60, binary=BINARY):
    """One command of the binary; returns the finished process."""
    command = [binary, *arguments] + (["--data", str(data)] if data else [])
    command += ["--config", CLUSTER.configuration] if CLUSTER and data == CLUSTER.data else []
    done = subprocess.run(command, input=stdin, text=True, capture_output=True, check=check, timeout=timeout,
                          env={**os.environ, **(engine_environment(data) if data else {}), **(environment or {})})
    if CLUSTER and arguments[:2] == ("keys", "rotate"):
        CLUSTER.bring_keys()
    return done


def add_user(server, username, role):
    run_tutti("user", "add", username, "--role", role, "--email", f"{username}@example.org", "--password-stdin",
              stdin=PASSWORD + "\n", data=server.data, environment=server.environment)


SEEN = {}  # of a server's URL: the header that says what its people have seen (Server.heed)


class Server:
    """A running `tutti serve`."""
    clients = ("127.0.0.1", "::1")  # the address that it sees of us
    ready_timeout_s = PATIENCE_S

    def __init__(self, data=None, options=(), environment=None, port=None, roles=None, binary=BINARY, wrapper=()):
        of_one_process()
        atexit.register(self.done)  # where a journey breaks off before it has ended it
        self.data = pathlib.Path(data or tempfile.mkdtemp(prefix="tutti-journey-"))
        self.owns_data = data is None
        self.port = port or free_port()
        self.options = [*options] + (["--roles", roles] if roles else [])
        self.environment = environment or {}
        self.binary = binary
        self.wrapper = list(wrapper)  # a command that runs the server
        self.url = f"http://localhost:{self.port}"
        self.process = None

    def start(self):
        self.log = open(self.data / "server.log", "ab")
        defaults = {"TUTTI_LIMITS_LOGINS_PER_MINUTE": "0", "TUTTI_LIMITS_READS_PER_MINUTE": "0",
                    "TUTTI_LIMITS_WRITES_PER_MINUTE": "0", "TUTTI_LIMITS_UPLOADS_PER_MINUTE": "0",
                    "TUTTI_LIMITS_PLAYS_PER_MINUTE": "0", "TUTTI_LIMITS_OBJECTS_PER_MINUTE": "0"}
        self.process = subprocess.Popen(
            [*self.wrapper, self.binary, "serve", "--data", str(self.data), "--listen", f"127.0.0.1:{self.port}", *self.options],
            stderr=self.log, stdout=self.log, env={**os.environ, **defaults, **engine_environment(self.data, self.url), **self.environment})
        deadline = time.monotonic() + self.ready_timeout_s
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

    def stop(self, timeout=PATIENCE_S):
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

    def rows(self, query, *values, database="catalog"):
        """What a query of the database finds, past the server; every value is an integer or a text."""
        if DATABASE == "sqlite":
            with sqlite3.connect(f"file:{self.data}/{database}.db?mode=ro", uri=True) as opened:
                return opened.execute(query, values).fetchall()
        for value in values:
            query = query.replace("?", str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'", 1)
        found = postgres_server().ask(database_name(self.data, database), query)
        return [tuple(int(field) if re.fullmatch(r"-?\d+", field) else field or None for field in line.split("|"))
                for line in found.splitlines()]

    def change(self, statement, database="catalog"):
        """Changes the database past the server."""
        if DATABASE == "sqlite":
            with sqlite3.connect(self.data / f"{database}.db") as opened:
                opened.execute(statement)
        else:
            postgres_server().ask(database_name(self.data, database), statement)

    def heed(self):
        """People see from now on what another process has committed by now: they say so with Tutti-Seen. Without it the server's
        caches hear of it a moment later."""
        if (self.data / "catalog.db").exists():
            position = self.rows("SELECT position FROM db_position WHERE id = 1")[0][0]
        else:
            position = int(postgres_server().ask(database_name(self.data, "catalog"), "SELECT pg_current_wal_lsn() - '0/0'"))
        SEEN[self.url] = {"Tutti-Seen": f"c{position:x}"}

    def add_user(self, username, role):
        add_user(self, username, role)


class Person(requests.Session):
    """A client of the API: paths instead of URLs, the token in place, every answer checked."""

    def __init__(self, base, username=None, role=None):
        super().__init__()
        self.base, self.username, self.role = base, username, role
        self.user = self.bearer = None
        self.renew_at = math.inf
        if username:
            answer = self.post("/api/v1/auth/login", json={"username": username, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
            self.take(answer.json())

    def take(self, tokens):
        """Uses the tokens of a log-in's or refresh's answer from now on."""
        self.bearer = self.headers["Authorization"] = f"Bearer {tokens['accessToken']}"
        self.refresh_token = tokens.get("refreshToken")
        self.renew_at = time.monotonic() + RENEW_AFTER_S if self.refresh_token else math.inf
        self.user = tokens.get("user", self.user)

    def renew(self):
        """As an application does before its token runs out."""
        self.renew_at = math.inf
        answer = self.post("/api/v1/auth/refresh", json={"refreshToken": self.refresh_token})
        assert answer.status_code == 200, answer.text
        self.take(answer.json())

    def request(self, method, path, **options):
        if self.bearer and self.bearer == self.headers.get("Authorization") and time.monotonic() > self.renew_at:
            self.renew()
        url = path if path.startswith("http") else self.base + path
        options.setdefault("timeout", 30)
        seen = CLUSTER.seen if CLUSTER else SEEN.get(self.base)
        if seen:
            options["headers"] = {**seen, **(options.get("headers") or {})}
        answer = super().request(method, url, **options)
        if CLUSTER:
            CLUSTER.saw(answer)
        if url.startswith(self.base + "/api/") or url.startswith(self.base + "/.well-known/"):
            specification.check(method, url[len(self.base):], answer)
        return answer


class People:
    def __init__(self, server):
        self.server = server
        self.cache = {}

    def new(self, role="listener"):
        username = f"{role}-{uuid.uuid4().hex[:10]}"
        add_user(self.server, username, role)
        return Person(self.server.url, username, role)

    def nobody(self):
        return Person(self.server.url)

    def __getattr__(self, role):
        if role not in ("admin", "artist", "listener"):
            raise AttributeError(role)
        if role not in self.cache:
            self.cache[role] = self.new(role)
        return self.cache[role]


def pytest_make_parametrize_id(val):
    """What is long does not become a test's name: one is of six megabytes, and would be written wherever the test is told of."""
    return f"{len(val)}-long" if isinstance(val, (str, bytes)) and len(val) > 200 else None


def pytest_collection_modifyitems(items):
    skip_what_is_elsewhere(items)


@pytest.fixture(scope="session")
def server():
    if CLUSTER:
        yield CLUSTER
        return
    running = Server().start()
    yield running
    status = running.stop()
    text = running.log_text()
    running.done()
    assert status == 0, f"SIGTERM must drain and end with 0, not {status}:\n{text[-2000:]}"


@pytest.fixture(scope="session")
def people(server):
    return People(server)


@pytest.fixture(scope="module")
def server_apart():
    """A server that other modules leave alone; of clusters there is one."""
    if CLUSTER:
        yield CLUSTER
        return
    running = Server().start()
    yield running
    assert running.stop() == 0
    running.done()


@pytest.fixture
def own_server():
    made = []

    def start(**options):
        made.append(Server(**options))
        return made[-1].start()

    yield start
    for one in made:
        one.done()


@pytest.fixture(scope="module")
def s3(key):
    """A boto3 client of the built-in store, by the module's own outside key (s3_key.py)."""
    return key.client()


@pytest.fixture
def bucket(s3):
    name = f"label-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    return name


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


def until(condition, what="it does not come", seconds=PATIENCE_S):
    """The condition's first true value: for what comes by an event, a job, a process."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return value


def soon(condition):
    """Whether it holds: at once on one server, on the cluster when all processes and edges have heard the events."""
    deadline = time.monotonic() + (PATIENCE_S if CLUSTER else 0)
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def wait_for(person, track_id, states=("ready", "failed"), timeout=3 * PATIENCE_S, whole=False):
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
