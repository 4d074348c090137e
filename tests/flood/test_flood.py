"""Floods against the real binary, each short, with limits lower than the default's: what is refused says so, a listener
who behaves well is served, its audio never starves, and memory keeps its bound. How fast things are is `./dev bench
flood`'s to say: here a listener's p99 is only held against stalls."""
import http.server
import os
import pathlib
import threading
import time

import pytest

import floods

PROGRAM = pathlib.Path(os.environ["FLOOD_PROGRAM"])
SIZE, SECONDS, CONNECTIONS, MEMORY_MB = 1200, 4, 1000, 16
ENVIRONMENT = {
    "TUTTI_LIMITS_CONNECTIONS": str(CONNECTIONS), "TUTTI_LIMITS_REQUEST_MEMORY": f"{MEMORY_MB}M",
    "TUTTI_LIMITS_HEADER_TIMEOUT_MS": "3000", "TUTTI_LIMITS_READS_PER_MINUTE": "600",
    "TUTTI_LIMITS_UPLOADS_PER_MINUTE": "60", "TUTTI_LIMITS_OBJECTS_PER_MINUTE": "6000",
    "TUTTI_LIMITS_LOGINS_PER_MINUTE": "180",
}
LONG_S = {floods.slow_bodies: 13}  # how slow a body is, is judged over 10 s
STALL_MS = 1000  # a floor below which a shared machine's own noise may lie
USUAL_MS = 100  # of what half of all keep to, on machines that are busy: ten times the bar that the bench has for most


@pytest.fixture(scope="module")
def scene():
    made = floods.Scene(PROGRAM, ENVIRONMENT)
    yield made
    status = made.server.stop()
    made.done()
    assert status == 0


@pytest.fixture(scope="module")
def quiet(scene):
    return scene.measure(SECONDS)["heard"]


def check_listeners(heard, quiet):
    assert set(heard["codes"]) == {"200"} and heard["failed"] == 0, heard
    for kind in ("kept", "fresh"):
        assert heard[kind]["p99"] < max(STALL_MS, 20 * quiet[kind]["p99"]), (kind, heard, quiet)
        assert heard[kind]["p50"] < max(USUAL_MS, 20 * quiet[kind]["p50"]), (kind, heard, quiet)
    assert heard["audio"]["flows"], heard


class SlowServer(http.server.BaseHTTPRequestHandler):
    """A server that is well but for its audio: each segment takes segment_s."""
    protocol_version, segment_s = "HTTP/1.1", 0.0

    def do_GET(self):
        segment = self.headers["Range"]
        first, last = map(int, segment.removeprefix("bytes=").split("-")) if segment else (0, 0)
        time.sleep(self.segment_s if segment else 0)
        self.send_response(206 if segment else 200)
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        self.wfile.write(bytes(last - first + 1))

    def log_message(self, *_):
        pass


def check_refusals(flood, measured):
    """Who is refused is told so, and soon."""
    assert floods.well_told(flood, measured), measured["floods"]
    for load in measured["floods"]:
        assert load["refused"]["count"] == 0 or load["refused"]["p50"] < USUAL_MS, load


@pytest.mark.parametrize("segment_s, seconds, flows", ((0, 4, True), (3, 4, False), (3, 12, False), (6, 4, False)))
def test_audio_that_comes_too_slowly_is_found_out(tmp_path, segment_s, seconds, flows):
    """Segments of 2 s that take 3 are a gap after each, and one that takes 6 is none in time."""
    handler = type("Handler", (SlowServer,), {"segment_s": segment_s})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        asks, audio = [floods.request("GET", "/stream")], {"url": "/sound", "bytes": 240_000, "seconds": 60}
        heard = floods.Listeners(PROGRAM, tmp_path, server.server_port, asks, audio, seconds).heard()
        server.shutdown()
    assert heard["audio"]["flows"] == flows and set(heard["codes"]) == {"200"}, heard


def test_a_quiet_server_serves_the_listeners(quiet):
    check_listeners(quiet, quiet)
    assert quiet["kept"]["count"] >= SECONDS * 4 and quiet["audio"]["segments"]["count"] >= 5


@pytest.mark.parametrize("flood", floods.FLOODS, ids=lambda flood: flood.__name__)
def test_flood(scene, quiet, flood):
    measured = scene.measure(LONG_S.get(flood, SECONDS), flood(scene, SIZE))
    check_listeners(measured["heard"], quiet)
    may, must = floods.FLOODS[flood]
    codes = {int(code) for load in measured["floods"] for code in load["codes"]}
    assert must <= codes <= may, measured["floods"]
    assert all(load["codes"] for load in measured["floods"]), "each load hears something"
    check_refusals(flood, measured)
    bound = floods.memory_bound_mb(CONNECTIONS, MEMORY_MB)
    assert measured["memory_mb"] <= bound, f"{measured['memory_mb']:.0f} MB, {bound:.0f} are the bound"
    assert max(load["open_most"] for load in measured["floods"]) > 0
    deadline = time.monotonic() + 20
    while scene.connections() > 50:
        assert time.monotonic() < deadline, "connections of a flood that is over are still there"
        time.sleep(0.1)


def test_more_connections_than_there_is_room_for(scene, quiet):
    """Slow headers from everywhere hold every connection there is; who comes takes the place of one of them, which is told."""
    measured = scene.measure(SECONDS, floods.slow_headers(scene, 2 * CONNECTIONS))
    check_listeners(measured["heard"], quiet)
    check_refusals(floods.slow_headers, measured)
    load, = measured["floods"]
    assert load["open_most"] > CONNECTIONS and floods.refusals(measured)[0] > CONNECTIONS // 4, load
