"""Processes that share one index of names in an OpenSearch (search.store = opensearch://…): what one changes the others find, one
of them brings the changes and another takes over, and what is answered while it is away, hangs, or refuses us. The processes
share a data directory, as they would share PostgreSQL. What is found, and in which order: test_search.py on it
(./dev test journey --on opensearch), and the contract suite."""
import base64
import http.server
import pathlib
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest
import requests

from conftest import People, Person, Server, run_tutti, until
from test_search import artist, is_found, is_found_once_built, word

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "engines"))
import kafka  # noqa: E402
import opensearch  # noqa: E402



@pytest.fixture(scope="module")
def engine():
    with opensearch.Server() as server:
        yield server


class Platform:
    """Processes on one data directory, with one index."""

    def __init__(self, tmp_path, url):
        self.data, self.servers = tmp_path, []
        self.environment = {"TUTTI_SEARCH_STORE": url, "TUTTI_SERVER_URL": "http://localhost:4040"}  # who issues tokens

    def start(self):
        server = Server(data=self.data, environment=self.environment)
        self.servers.append(server)
        return server.start()

    def run(self, *arguments, **options):
        return run_tutti(*arguments, data=self.data, environment=self.environment, **options)

    def done(self):
        for server in self.servers:
            server.done()


@pytest.fixture
def platform(tmp_path, engine):
    made = []

    def start(url):
        made.append(Platform(tmp_path, url))
        return made[-1]

    yield start
    for one in made:
        one.done()
    if engine.process.poll() is not None:
        engine.start()


def state_of(server):
    answer = requests.get(server.url + "/readyz", timeout=10)
    assert answer.status_code == 200, answer.text  # all but search goes on
    return answer.json()["engines"]["search"], answer.json()["status"]


def finding(platform):
    """Doctor's line about search."""
    shown = platform.run("doctor", check=False).stdout
    return next(line for line in shown.splitlines() if line.split()[1] == "search")


def there(person, server):
    """The same person, signed in at another server."""
    return Person(server.url, person.username)


def metric(server, line):
    return next(float(one.split()[-1]) for one in requests.get(server.url + "/metrics", timeout=10).text.splitlines()
                if one.startswith(line + " "))


def builds(engine, name):
    """Indices behind the alias, and all that there are."""
    all_of_it = engine.ask("GET", f"/{name}-v1-*/_alias")
    return ([index for index, one in all_of_it.items() if f"{name}-v1" in one["aliases"]],
            [index for index in all_of_it if not index.endswith("-control")])


def is_away(person):
    """Searches say so, each at once or after the engine's time."""

    def refused():
        begun = time.monotonic()
        answer = person.get("/api/v1/search", params={"q": "anything", "types": "artists"})
        assert time.monotonic() - begun < 20
        assert answer.status_code in (200, 503), answer.text
        return answer.status_code == 503 and [answer]  # a Response of 503 is no truth

    answer = until(refused)[0]
    assert "does not answer" in answer.json()["detail"] and int(answer.headers["Retry-After"]) > 0


def test_processes_share_an_index(platform, engine):
    platform = platform(engine.url("shared"))
    first, second = platform.start(), platform.start()
    people = People(first)
    here, elsewhere = people.listener, there(people.listener, second)
    one = artist(people, name := word())
    is_found_once_built(here, name, one)
    is_found_once_built(elsewhere, name, one)
    for server in (first, second):
        until(lambda at=server: state_of(at) == ("ok", "ready"))
        assert metric(server, 'tutti_engine_up{engine="search"}') == 1
    assert len(builds(engine, "shared")[1]) == 1  # one of them built it
    assert finding(platform).startswith("ok") and "1 things" in finding(platform)

    # whoever leads ends, the one by a kill, the other as asked; the one that is left brings what changes
    for ends, stays, end in ((first, second, Server.kill), (second, first, Server.stop)):
        person = there(people.listener, stays)
        end(ends)
        made = Person(stays.url, people.artist.username).post("/api/v1/artists", json={"name": (name := word())})
        is_found(person, name, made.json()["id"])
        ends.start()
        is_found_once_built(there(people.listener, ends), name, made.json()["id"])

    before = builds(engine, "shared")[0]
    assert "3 things" in platform.run("search", "rebuild").stdout
    assert builds(engine, "shared")[0] != before and len(builds(engine, "shared")[1]) == 1  # the old one is gone
    another = Person(first.url, people.artist.username).post("/api/v1/artists", json={"name": (name := word())}).json()["id"]
    for server in (first, second):
        is_found(there(people.listener, server), name, another)


def test_it_is_killed_and_comes_back(platform, engine):
    platform = platform(engine.url("killed"))
    server = platform.start()
    people = People(server)
    first = artist(people, first_name := word())
    is_found_once_built(people.listener, first_name, first)

    engine.kill()
    is_away(people.listener)
    until(lambda: state_of(server) == ("degraded", "degraded"))
    assert f"127.0.0.1:{engine.port}" in requests.get(server.url + "/readyz", timeout=10).json()["reason"]
    assert metric(server, 'tutti_engine_up{engine="search"}') == 0
    line = finding(platform)
    assert line.startswith("failed") and f"127.0.0.1:{engine.port}" in line
    refused = platform.run("search", "rebuild", check=False)
    assert refused.returncode != 0 and "OpenSearch" in refused.stderr and f"127.0.0.1:{engine.port}" in refused.stderr
    second = artist(people, second_name := word())  # all else goes on
    assert people.listener.get("/api/v1/search", params={"q": "mine", "types": "playlists"}).status_code == 200
    other = platform.start()  # and a process starts without it
    is_away(there(people.listener, other))

    engine.start()
    for server in (server, other):
        is_found_once_built(there(people.listener, server), first_name, first)
        is_found_once_built(there(people.listener, server), second_name, second)  # what was made meanwhile is brought

    engine.hang()
    try:
        is_away(people.listener)
    finally:
        engine.go_on()
    third = artist(people, name := word())
    is_found_once_built(people.listener, name, third)


class Guard(http.server.BaseHTTPRequestHandler):
    """What stands in front of a secured OpenSearch: TLS, a user, a password."""
    protocol_version = "HTTP/1.1"
    port = wanted = None

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != self.wanted:
            return self.answer(401, b"Unauthorized")
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{self.path}", data=body or None, method=self.command,
                                         headers={"Content-Type": self.headers.get("Content-Type", "application/json")})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                self.answer(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            self.answer(error.code, error.read())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = pass_on

    def log_message(self, *_):
        pass


@pytest.fixture
def guard(tmp_path_factory, engine):
    folder = tmp_path_factory.mktemp("guard")
    kafka.make_certificate(folder)
    handler = type("Handler", (Guard,), {"port": engine.port, "wanted": "Basic " + base64.b64encode(b"tutti:s3cr@t:").decode()})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", folder / "cert.pem"
    server.shutdown()


def test_over_tls_with_a_password(platform, guard):
    host, certificate = guard
    refused = platform(f"opensearch://tutti:wr0ng-secret@{host}/safe?tls=yes&ca={certificate}")
    server = refused.start()
    people = People(server)
    is_away(people.artist)
    line = finding(refused)
    assert line.startswith("failed") and "401" in line and "wr0ng" not in line
    assert "wr0ng" not in server.log_text()
    server.stop()

    welcome = platform(f"opensearch://tutti:s3cr%40t%3A@{host}/safe?tls=yes&ca={certificate}")
    server = welcome.start()
    person = there(people.artist, server)
    made = person.post("/api/v1/artists", json={"name": (name := word())}).json()["id"]
    is_found_once_built(person, name, made)
    assert "s3cr" not in server.log_text() and "s3cr" not in finding(welcome)
    server.stop()

    strange = platform(f"opensearch://tutti:s3cr%40t%3A@{host}/safe?tls=yes")  # nobody vouches for its certificate
    server = strange.start()
    is_away(there(people.artist, server))


@pytest.mark.parametrize("url", ["opensearch://", "opensearch://me:s3cret@10.0.0.1/x", "opensearch://127.0.0.1/x?ssl=yes"])
def test_what_cannot_be_used_stops_the_start(tmp_path, url):
    server = Server(data=tmp_path, environment={"TUTTI_SEARCH_STORE": url})
    with pytest.raises(RuntimeError) as refusal:
        server.start()
    assert "search.store" in str(refusal.value) and "s3cret" not in str(refusal.value)
