"""Traces: a collector gets the spans of what was asked for, as OTLP says; nothing that is a secret; and a
collector that hangs delays nobody."""
import re
import socket
import time

import pytest
import requests

from collector import Collector
from journey import Person, free_port, wait_for
from test_alerts import put_track

SERVER, CLIENT, CONSUMER = 2, 3, 5
TRACE, ABOVE = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def collector():
    made = Collector()
    yield made
    made.done()


def traced(own_server, collector, ratio="1", **environment):
    return own_server(environment={"TUTTI_TRACE_URL": collector.url, "TUTTI_TRACE_RATIO": ratio, **environment})


def below(spans, top):
    """All spans below one, at any depth."""
    found, ids = [], {top.id}
    while True:
        more = [s for s in spans if s.parent in ids and s.trace == top.trace and s not in found]
        if not more:
            return found
        found += more
        ids |= {s.id for s in more}


def test_a_request_and_its_steps(own_server, collector):
    server = traced(own_server, collector)
    parent = f"00-{TRACE}-{ABOVE}-01"
    answer = requests.get(server.url + "/readyz?password=geheim", headers={"traceparent": parent})
    span = collector.wait(lambda s: s.trace == TRACE and s.kind == SERVER)
    assert answer.headers["traceparent"] == f"00-{TRACE}-{span.id}-01"
    assert span.name == "GET /readyz" and span.parent == ABOVE and not span.failed
    assert span.attributes["http.request.method"] == "GET"
    assert span.attributes["http.route"] == span.attributes["url.path"] == "/readyz"
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["http.response.body.size"] == len(answer.content)
    assert span.attributes["url.scheme"] == "http" and span.attributes["client.address"] == "127.0.0.1"
    assert span.attributes["tutti.request_id"] == answer.headers["X-Request-Id"]
    assert span.resource["service.name"] == "tutti" and span.resource["service.version"]
    assert abs(span.began / 1e9 - time.time()) < 60
    steps = below(collector.spans, span)
    assert {"read", "route", "auth", "limit", "body", "handle", "reply", "queue", "send"} <= {s.name for s in steps}
    for step in steps:
        assert span.began <= step.began <= step.ended <= span.ended + 1000, step
    assert "geheim" not in "".join(collector.bodies)


def test_a_method_of_no_text_costs_no_other_its_span(own_server, collector):
    server = traced(own_server, collector)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as one:
        one.sendall(b"\xff\xfe /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert one.makefile("rb").readline().split()[1] in (b"400", b"405", b"501")
    requests.get(server.url + "/readyz")
    server.stop()  # sends what there is, in one batch
    collector.wait(lambda s: s.name == "GET /readyz", timeout=10)
    assert collector.wait(lambda s: s.name == "HTTP").attributes["http.request.method"] == "_OTHER"


def test_an_upload_and_the_work_that_follows_are_one_trace(own_server, collector, sounds):
    server = traced(own_server, collector)
    server.add_user("artist", "artist")
    artist = Person(server.url, "artist", "artist")
    track = put_track(artist, sounds())
    assert wait_for(artist, track, whole=True)["status"] == "ready"
    created = collector.wait(lambda s: s.name == "POST /api/v1/tracks")
    ladder = collector.wait(lambda s: s.name == "transcode ladder" and s.attributes["tutti.job.result"] == "done")
    assert ladder.trace == created.trace
    collector.wait(lambda s: s.name == "process media.complete" and s.trace == created.trace)
    parts = below(collector.spans, created)
    names = [s.name for s in parts]
    for name in ("write", "process track.uploaded", "transcode first", "transcode ladder", "process media.complete"):
        assert name in names, names
    write = next(s for s in parts if s.name == "write" and s.parent == created.id)
    assert write.kind == CLIENT and write.attributes == {"db.system.name": "sqlite", "db.namespace": "catalog"}
    uploaded = next(s for s in parts if s.name == "process track.uploaded")
    assert uploaded.kind == CONSUMER and uploaded.attributes["messaging.consumer.group.name"] == "transcode.jobs"
    first = next(s for s in parts if s.name == "transcode first")
    steps = [s.name.upper() for s in parts if s.parent == first.id]
    assert {"FETCH", "STORE", "ANNOUNCE"} <= set(steps), steps


def test_no_secret_is_told(own_server, collector, sounds):
    server = traced(own_server, collector)
    server.add_user("artist", "artist")
    artist = Person(server.url, "artist", "artist")
    track = put_track(artist, sounds())
    wait_for(artist, track)
    stream = artist.get(f"/api/v1/tracks/{track}/stream").json()
    assert requests.get(stream["trackUrl"]).status_code == 200
    assert requests.get(stream["trackUrl"].replace("/aac-", "/x/y/z/aac-")).status_code in (403, 404)
    token = re.search(r"/m/([^/]+)/", stream["trackUrl"])[1]
    media = collector.wait(lambda s: s.attributes.get("http.route", "").startswith("/m/{token}"))
    assert media.attributes["url.path"] == re.sub(r"^.*?/m/[^/]+/", "/m/-/", stream["trackUrl"])
    collector.wait(lambda s: s.kind == SERVER and s.attributes.get("http.response.status_code") in (403, 404))
    text = "".join(collector.bodies)
    bearer = artist.headers["Authorization"].split()[1]
    for secret in (token, bearer, artist.refresh_token, "X-Amz-Signature", "X-Amz-Credential"):
        assert secret and secret not in text


def test_only_what_is_sampled_is_told(own_server, collector):
    server = traced(own_server, collector, ratio="0")
    requests.get(server.url + "/healthz")
    requests.get(server.url + "/healthz", headers={"traceparent": f"00-{TRACE}-{ABOVE}-00"})
    answer = requests.get(server.url + "/readyz", headers={"traceparent": f"00-{TRACE}-{ABOVE}-01"})
    assert answer.headers["traceparent"].endswith("-01")
    collector.wait(lambda s: s.name == "GET /readyz")
    server.stop()
    assert {s.name for s in collector.spans if s.kind == SERVER} == {"GET /readyz"}
    half = traced(own_server, collector, ratio="0.5")
    for _ in range(200):
        requests.get(half.url + "/healthz")
    half.stop()  # sends what is left
    count = len([s for s in collector.spans if s.name == "GET /healthz"])
    assert 50 <= count <= 150  # seven standard deviations


def told(server):
    text = requests.get(server.url + "/metrics", timeout=10).text
    return {result: int(count) for result, count in
            re.findall(r'^tutti_trace_spans_total\{result="(\w+)"\} (\d+)', text, re.M)}


def test_a_collector_that_hangs_delays_nobody(own_server):
    hanging = Collector(delay_s=60)
    try:
        server = traced(own_server, hanging, TUTTI_LIMITS_DRAIN_MS="1000")
        with requests.Session() as client:
            for _ in range(600):  # of some ten spans each, into a queue of 2,048
                assert client.get(server.url + "/healthz", timeout=5).status_code == 200
        assert told(server)["dropped"] > 1000
        assert server.stop(timeout=30) == 0
    finally:
        hanging.done()


def test_a_collector_that_is_busy_is_asked_again(own_server):
    busy = Collector(statuses=[503])
    try:
        server = traced(own_server, busy)
        requests.get(server.url + "/healthz", headers={"traceparent": f"00-{TRACE}-{ABOVE}-01"})
        busy.wait(lambda s: s.trace == TRACE)
        counts = told(server)
        assert counts["sent"] > 0 and counts["failed"] == 0 and counts["dropped"] == 0
        busy.statuses += [400]  # our fault: not sent again
        requests.get(server.url + "/healthz")
        deadline = time.monotonic() + 30
        while told(server)["failed"] == 0:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        busy.done()


OTELCOL = """
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
exporters: {{debug: {{verbosity: detailed}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{traces: {{receivers: [otlp], exporters: [debug]}}}}
"""


def test_a_real_collector_takes_them(own_server, programs):
    """The OpenTelemetry collector, whose debug exporter writes what it understood."""
    if programs.find("otelcol") is None:
        pytest.skip("there is no OpenTelemetry collector; ./dev test operations --long 1 makes one where Go is 1.22 or newer")
    port = free_port()
    (programs.folder / "otelcol.yaml").write_text(OTELCOL.format(port=port))
    programs.start("otelcol", "--config", f"file:{programs.folder}/otelcol.yaml")
    server = own_server(environment={"TUTTI_TRACE_URL": f"http://127.0.0.1:{port}", "TUTTI_TRACE_RATIO": "0"})
    deadline = time.monotonic() + 60
    while told(server)["sent"] < 10:
        requests.get(server.url + "/readyz", headers={"traceparent": f"00-{TRACE}-{ABOVE}-01"})
        assert time.monotonic() < deadline, (programs.folder / "otelcol.log").read_text()[-2000:]
        time.sleep(0.2)
    text = (programs.folder / "otelcol.log").read_text()
    span = text[text.index(": GET /readyz") - 300:][:1600]
    for words in (rf"Trace ID +: {TRACE}", rf"Parent ID +: {ABOVE}", r"Kind +: Server", r"http\.route: Str\(/readyz\)",
                  r"http\.response\.status_code: Int\(200\)"):
        assert re.search(words, span), f"{words} is not in {span}"
    assert "service.name: Str(tutti)" in text and "error" not in text.lower().replace("error.type", "")
