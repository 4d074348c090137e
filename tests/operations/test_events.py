"""Events that were given up: a person lists them, and tries them again or gives them up for good."""
import re
import sqlite3
import time

import pytest
import requests

from journey import run_tutti

ENVIRONMENT = {"TUTTI_BUS_STORE": "local:?retry_ms=10&retry_max_ms=20"}


def emit(server, identifier, payload):
    with sqlite3.connect(server.data / "catalog.db", timeout=10) as database:
        database.execute("INSERT INTO bus_outbox SELECT COALESCE(MAX(sequence), 0) + 1, ?, 'track.uploaded', 'track:77',"
                         " ?, ? FROM bus_outbox", (identifier, payload, int(time.time() * 1000)))


def parked(server, count):
    """The lines of `tutti events parked`, once there are so many."""
    deadline = time.monotonic() + 30
    while True:
        lines = run_tutti("events", "parked", data=server.data).stdout.splitlines()
        if len(lines) == count:
            return lines
        assert time.monotonic() < deadline, lines
        time.sleep(0.1)


def jobs(server):
    with sqlite3.connect(server.data / "catalog.db", timeout=10) as database:
        return database.execute("SELECT COUNT(*) FROM transcode_job WHERE subject_id = 77").fetchone()[0]


def told(server):
    text = requests.get(server.url + "/metrics", timeout=10).text
    return int(re.search(r'^tutti_bus_parked\{consumer="transcode.jobs"\} (\d+)', text, re.M)[1])


@pytest.mark.parametrize("word", ["retry", "drop"])
def test_a_parked_event_is_decided_about(own_server, word):
    server = own_server(environment=ENVIRONMENT)
    emit(server, 77, "{}")
    line, = parked(server, 1)
    assert re.match(r"77 +transcode.jobs +track.uploaded +track:77 +corrupt ", line)
    emit(server, 78, "{}")
    deadline = time.monotonic() + 30
    while "1 wait behind it" not in parked(server, 1)[0]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    if word == "retry":  # what was in its way is mended
        with sqlite3.connect(server.data / "catalog.db", timeout=10) as database:
            database.execute("UPDATE bus_outbox SET payload = '{\"trackId\": \"77\", \"version\": ' || (id - 76) || ', \"bucket\":"
                             " \"media\", \"key\": \"m/77/1/original.flac\"}'")
    assert "77" in run_tutti("events", word, "77", data=server.data).stdout
    if word == "retry":
        assert parked(server, 0) == [] and told(server) == 0
        while jobs(server) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    else:  # the one behind it comes up, and fails as well
        assert parked(server, 1)[0].startswith("78 ") and told(server) == 1
    gone = run_tutti("events", word, "77", data=server.data, check=False)
    assert gone.returncode == 1 and "77" in gone.stderr
    assert run_tutti("events", word, "x", data=server.data, check=False).returncode == 2
