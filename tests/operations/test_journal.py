"""Logs by way of the journal: units whose lines it keeps, however many they are; rsyslog, which reads them there as
deploy/logs/ configures it, and brings all of them and nobody else's to one place; and what the other shippers ask it for."""
import json
import uuid

import pytest
import requests
import yaml

from journal import Journal, identifier
from journey import ROOT, free_port
from test_logs import CONFIGURATION, FIELDS, Place, start_rsyslog, wait_until

UNITS = {"tutti.service": ROOT / "deploy" / "systemd" / "tutti.service",
         "tutti@streaming.service": ROOT / "deploy" / "systemd" / "tutti@.service"}
FLOOD = 20_000  # many times what the journal of the test takes of one unit in 30 s


@pytest.fixture
def journal(tmp_path):
    running = Journal(tmp_path)
    yield running
    running.done()


@pytest.fixture
def shipped(journal, programs):
    """The port of a place, where nobody listens yet, to which rsyslog brings what the journal has."""
    port = free_port()
    process = start_rsyslog(programs, port, around=journal.inside)
    yield port
    process.terminate()
    process.wait(30)


def line(unit, n):
    return json.dumps({"t": "2026-01-02T03:04:05.678Z", "level": "info", "event": "request", "requestId": f"{unit} {n}"})


def flood(unit):
    return [line(unit, n) for n in range(FLOOD)]


@pytest.mark.parametrize("unit", UNITS)
def test_the_journal_keeps_every_line_of_a_unit(journal, unit):
    journal.write(*journal.start_unit(UNITS[unit], unit), flood(unit))
    journal.write("other", "other.service", flood("other"))
    assert journal.lines(f"_SYSTEMD_UNIT={unit}") == flood(unit)
    assert len(journal.lines("_SYSTEMD_UNIT=other.service")) < FLOOD, "the journal does not limit here, so nothing is shown"


def test_rsyslog_brings_what_the_journal_has(journal, shipped, own_server):
    name, unit = journal.start_unit(UNITS["tutti@streaming.service"], "tutti@streaming.service")
    server = own_server(wrapper=journal.wrapper(name, unit))
    asked = [requests.get(server.url + "/healthz", headers={"X-Request-Id": uuid.uuid4().hex}) for _ in range(50)]
    journal.write(*journal.start_unit(UNITS["tutti.service"], "tutti.service"), flood("tutti.service"))
    journal.write("other", "other.service", [line("other", 0), "not for the place"])
    place = Place(shipped)
    try:
        asked += [requests.get(server.url + "/nowhere", headers={"X-Request-Id": uuid.uuid4().hex}) for _ in range(50)]
        ids = {answer.headers["X-Request-Id"] for answer in asked} | {f"tutti.service {n}" for n in range(FLOOD)}
        wait_until(lambda: len(place.lines) >= len(ids) and ids <= set(place.requests()), "not all lines came")
        came = place.requests()
        for answer in asked:
            told = came[answer.headers["X-Request-Id"]]
            assert set(told) == FIELDS | {"host"} and told["status"] == answer.status_code
        text = "".join(place.lines)
        assert "other" not in text and "not for the place" not in text and "server.ready" in text
        again = [json.loads(told) for told in dict.fromkeys(place.lines)]
        assert [{key: told[key] for key in told if key != "host"} for told in again if told["event"] != "request"] == \
            [json.loads(told) for told in journal.lines("SYSLOG_IDENTIFIER=tutti") if json.loads(told)["event"] != "request"]
    finally:
        place.shutdown()
        place.server_close()


def test_what_vector_and_fluent_bit_ask_for_finds_both_units(journal):
    """Neither program is in Debian 12; what can be seen without them: they ask the journal for our lines and know our time."""
    vector = yaml.safe_load((CONFIGURATION / "vector.yaml").read_text())
    fluent = yaml.safe_load((CONFIGURATION / "fluent-bit.yaml").read_text())
    matches = vector["sources"]["journal"]["include_matches"]
    asked = [[f"{field}={value}" for field, values in matches.items() for value in values]]
    asked += [[one["systemd_filter"]] for one in fluent["pipeline"]["inputs"]]
    for unit, file in UNITS.items():
        journal.write(identifier(file), unit, [line(unit, 0)])
    journal.write("other", "other.service", ["not for the place"])
    for filters in asked:
        assert journal.lines(*filters) == [line(unit, 0) for unit in UNITS]
    assert {name for sink in vector["sinks"].values() for name in sink["inputs"]} <= set(vector["transforms"])
    assert fluent["parsers"][0]["time_key"] == "t"
    tags = {one["tag"] for one in fluent["pipeline"]["inputs"]}
    assert {one["match"] for one in fluent["pipeline"]["filters"] + fluent["pipeline"]["outputs"]} == tags
