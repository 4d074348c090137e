"""Shipping the log: rsyslog, as deploy/logs/ configures it, brings every line of a server to one place, as an object
with all its fields, also those of a time when the place was away; no secret comes along; and logrotate, as configured there,
turns a file under it."""
import gzip
import json
import pathlib
import re
import socketserver
import threading
import time
import uuid

import pytest
import requests

from journey import PASSWORD, Person, free_port, wait_for
from test_alerts import put_track

CONFIGURATION = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "logs"
FIELDS = {"t", "level", "event", "method", "route", "status", "bytes", "us", "remote", "user", "requestId", "trace", "end"}
TURNS = 5
TICK_S = 5  # the server's tick is shorter by far; a busy machine delays it


class Place(socketserver.ThreadingTCPServer):
    """Where logs are gathered: lines of JSON over TCP."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, port):
        self.lines = []
        place = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                for line in self.rfile:
                    place.lines.append(line.decode())

        super().__init__(("127.0.0.1", port), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def requests(self):
        return {line["requestId"]: line for line in map(json.loads, self.lines) if line["event"] == "request"}


def wait_until(condition, what):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def start_rsyslog(programs, port, log="/nonexistent/tutti.log", **options):
    """rsyslogd with deploy/logs/rsyslog.conf, which reads log and sends to the port."""
    text = (CONFIGURATION / "rsyslog.conf").read_text()
    for shipped_value, ours in (("/var/log/tutti/tutti.log", str(log)), ("logs.example.org", "127.0.0.1"), ("5170", str(port)),
                                ('resumeInterval="5"', 'resumeInterval="1"')):
        assert text.count(shipped_value) == 1, shipped_value
        text = text.replace(shipped_value, ours)
    folder = programs.folder / uuid.uuid4().hex
    folder.mkdir()
    (folder / "rsyslog.conf").write_text(f'global(workDirectory="{folder}")\n{text}')
    rsyslogd = pathlib.Path(programs.path("rsyslogd"))
    modules = [f"-M{found}" for found in rsyslogd.parents[1].glob("lib/*/rsyslog")]
    return programs.start("rsyslogd", "-n", "-f", str(folder / "rsyslog.conf"), "-i", str(folder / "rsyslog.pid"), *modules, **options)


@pytest.fixture
def shipped(programs, own_server):
    """A server whose log rsyslog reads, and the port of the place, where nobody listens yet."""
    server, port = own_server(environment={"TUTTI_LOG_FORMAT": "json"}), free_port()
    process = start_rsyslog(programs, port, log=server.data / "server.log")
    yield server, port
    process.terminate()
    process.wait(30)


def test_every_line_arrives_with_its_fields(shipped):
    server, port = shipped
    early = [requests.get(server.url + "/healthz", headers={"X-Request-Id": uuid.uuid4().hex}) for _ in range(50)]
    place = Place(port)
    try:
        answers = early + [requests.get(server.url + path, headers={"X-Request-Id": uuid.uuid4().hex})
                           for path in ("/healthz", "/api/v1/albums", "/nowhere", "/readyz") for _ in range(25)]
        ids = {answer.headers["X-Request-Id"] for answer in answers}
        assert len(ids) == 150
        wait_until(lambda: ids <= set(place.requests()), "not all lines came")
        came = place.requests()
        for answer in answers:
            line = came[answer.headers["X-Request-Id"]]
            assert FIELDS < set(line) and line["status"] == answer.status_code and line["method"] == "GET"
            assert line["bytes"] == len(answer.content)
            assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-00", line["trace"])
            assert line["host"] and line["remote"] == "127.0.0.1" and line["level"] == "info"
        told = [json.loads(line) for line in server.log_text().splitlines()]
        wait_until(lambda: len(set(place.lines)) >= len(told), "a line is missing")
        # What was on its way as the place came back may come twice: rsyslog promises at least once.
        heard = [json.loads(line) for line in dict.fromkeys(place.lines)]
        assert [{name: value for name, value in line.items() if name != "host"} for line in heard] == told
        assert "server.ready" in [line["event"] for line in told[:2]] and len(place.lines) <= len(told) + 5
    finally:
        place.shutdown()
        place.server_close()


def test_no_secret_comes_along(shipped, sounds):
    server, port = shipped
    place = Place(port)
    try:
        server.add_user("artist", "artist")
        artist = Person(server.url, "artist", "artist")
        track = put_track(artist, sounds())
        wait_for(artist, track)
        stream = artist.get(f"/api/v1/tracks/{track}/stream").json()
        assert requests.get(stream["trackUrl"]).status_code == 200
        assert requests.get(server.url + "/m/" + "s" * 50 + "/1/1/x").status_code in (403, 404)
        last = requests.get(server.url + "/healthz")
        wait_until(lambda: last.headers["X-Request-Id"] in place.requests(), "the last line did not come")
        text = "".join(place.lines)
        routes = {line["route"] for line in place.requests().values()}
        assert any(route.startswith("/m/{token}/") for route in routes) and any("/s3/" in route for route in routes)
        token = re.search(r"/m/([^/]+)/", stream["trackUrl"])[1]
        bearer = artist.headers["Authorization"].split()[1]
        for secret in (PASSWORD, token, bearer, artist.refresh_token, "s" * 50, "X-Amz-"):
            assert secret and secret not in text
    finally:
        place.shutdown()
        place.server_close()


class Asker(threading.Thread):
    """Asks without an end; of each answer's request id, when it was asked and answered."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.asked, self.ended = server, {}, threading.Event()
        self.start()

    def run(self):
        with requests.Session() as client:
            while not self.ended.is_set():
                mark, begun = uuid.uuid4().hex, time.monotonic()
                if client.get(self.server.url + "/healthz", headers={"X-Request-Id": mark}).status_code == 200:
                    self.asked[mark] = (begun, time.monotonic())

    def end(self):
        self.ended.set()
        self.join()


def turn(programs, log):
    """logrotate, by deploy/logs/logrotate.conf; → when it began and ended."""
    text = (CONFIGURATION / "logrotate.conf").read_text()
    assert text.count("/var/log/tutti/*.log") == 1
    configuration = log.parent / "logrotate.conf"
    configuration.write_text(text.replace("/var/log/tutti/*.log", str(log)))
    begun = time.monotonic()
    programs.run("logrotate", "--force", "--state", str(log.parent / "logrotate.state"), str(configuration))
    return begun, time.monotonic()


def whole_lines(text):
    """By request id, and how many lines are not whole."""
    read, broken = {}, 0
    for line in text.splitlines():
        try:
            told = json.loads(line)
            read[told.get("requestId", line)] = told
        except json.JSONDecodeError:
            broken += 1
    return read, broken


def test_what_is_turned_by_logrotate_is_whole(shipped, programs):
    """While a server writes all the time: of the lines only those are in no file that were written as logrotate was at work, the
    file begins anew each time, and rsyslog reads on."""
    server, port = shipped
    place, log = Place(port), server.data / "server.log"
    askers, turns = [Asker(server) for _ in range(4)], []
    try:
        for _ in range(TURNS):
            before = len(place.lines)
            wait_until(lambda: len(place.lines) > before + 200, "rsyslog does not read on")
            turns.append(turn(programs, log))
        before = len(place.lines)
        wait_until(lambda: len(place.lines) > before + 200, "rsyslog does not read on after the last turn")
        for asker in askers:
            asker.end()
        assert server.stop() == 0
        files = sorted(server.data.glob("server.log.*.gz"))
        assert len(files) == TURNS
        texts = [gzip.decompress(file.read_bytes()).decode() for file in files] + [server.log_text()]
        assert not any("\0" in text for text in texts)
        kept, broken = {}, 0
        for text in texts:
            read, cut = whole_lines(text)
            assert read and not kept.keys() & read.keys(), "a line is in two files"
            kept, broken = {**kept, **read}, broken + cut
        assert broken <= TURNS  # the last one of a file, if it was being written
        asked = {mark: when for asker in askers for mark, when in asker.asked.items()}
        lost = {mark: when for mark, when in asked.items() if mark not in kept}
        # A line is written within a tick of the server's after its answer.
        assert all(any(begun - TICK_S <= answered and asked_at <= ended for begun, ended in turns)
                   for asked_at, answered in lost.values()), "a line is lost that was written while nothing turned"
        after = {mark for mark, (asked_at, _) in asked.items() if asked_at > turns[-1][1] + TICK_S}
        wait_until(lambda: after <= set(place.requests()), "a line after the last turn did not come")
        print(f"{len(asked)} lines, {len(lost)} lost in {TURNS} turns, {broken} cut")
    finally:
        for asker in askers:
            asker.end()
        place.shutdown()
        place.server_close()
