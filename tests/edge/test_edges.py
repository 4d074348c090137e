"""Edges: who may have what, what the origin is asked for, what is left when it is away. Every test runs with Varnish
and with nginx."""
import concurrent.futures
import re
import socket
import threading
import time
import urllib.parse

import pytest
import requests

from crowd import crowd
from edges import keys_of, sign, until
from journey import Person, run_tutti, wait_for

SLICE = 1 << 20
LISTENERS = 500


def addresses(people, track):
    stream = people.listener.get(f"/api/v1/tracks/{track['id']}/stream")
    assert stream.status_code == 200, stream.text
    return stream.json()


def counted(server):
    text = requests.get(server.url + "/metrics", timeout=10).text
    return sum(map(int, re.findall(r'^tutti_http_requests_total\{.*route="/m/.* (\d+)$', text, re.M)))


def asked(server):
    """How often the origin was asked for media; it counts a request a moment after its answer."""
    before, now = -1, counted(server)
    while before != now:
        time.sleep(0.05)
        before, now = now, counted(server)
    return now


def split(url):
    """(token, track, version, file) of a media address."""
    return urllib.parse.urlsplit(url).path.split("/")[2:]


@pytest.fixture(scope="module")
def song(upload, people, sounds):
    """A track whose original is of more than one slice, its ladder whole."""
    track = upload(sounds("wav", seconds=6.0))
    return wait_for(people.artist, track["id"], whole=True)


@pytest.fixture(scope="module")
def stream(people, song):
    return addresses(people, song)


@pytest.fixture(scope="module")
def original(stream):
    return next(f["url"] for f in stream["files"] if f["format"] == "original")


@pytest.fixture
def fresh(upload, people, sounds):
    """fresh() → the addresses of a track that no edge has heard of, its ladder whole."""
    def make(**options):
        track = upload(sounds("wav", seconds=6.0), **options)
        return addresses(people, wait_for(people.artist, track["id"], whole=True))
    return make


def test_a_signed_address_plays(edge, stream, original):
    for url in (stream["trackUrl"], stream["hls"], stream["dash"], original):
        ours, theirs = requests.get(url, timeout=20), edge.get(edge.at(url))
        assert theirs.status_code == 200, theirs.text
        assert theirs.content == ours.content
        for name in ("Content-Type", "ETag", "Cache-Control", "Content-Length", "Access-Control-Allow-Origin",
                     "Access-Control-Expose-Headers", "X-Content-Type-Options", "Cross-Origin-Resource-Policy"):
            assert theirs.headers[name] == ours.headers[name], name
        head = requests.head(edge.at(url), timeout=20)
        assert head.status_code == 200 and head.headers["Content-Length"] == ours.headers["Content-Length"]
        again = edge.get(edge.at(url), headers={"If-None-Match": ours.headers["ETag"]})
        assert again.status_code == 304


def test_pages_of_other_origins_may_ask(edge, stream):
    answer = requests.options(edge.at(stream["trackUrl"]), timeout=10, headers={
        "Origin": "https://example.org", "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range"})
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Range" in answer.headers["Access-Control-Allow-Headers"]


def bad_addresses(key, track, version):
    good = sign(key, track, version)
    low = sign(key, track, version, "160")
    text, hmac = good.rsplit("~", 1)
    flipped = hmac[:-1] + ("0" if hmac[-1] != "0" else "1")
    return {
        "no token": f"/m/{track}/{version}/aac-160.mp4",
        "an empty token": f"/m//{track}/{version}/aac-160.mp4",
        "another key": f"/m/{sign('0' * 64, track, version)}/{track}/{version}/aac-160.mp4",
        "one digit of the HMAC": f"/m/{text}~{flipped}/{track}/{version}/aac-160.mp4",
        "half an HMAC": f"/m/{text}~{hmac[:32]}/{track}/{version}/aac-160.mp4",
        "no HMAC": f"/m/{text}~/{track}/{version}/aac-160.mp4",
        "run out": f"/m/{sign(key, track, version, life_s=-1)}/{track}/{version}/aac-160.mp4",
        "a later end": f"/m/{int(time.time()) + 9999}{text[10:]}~{hmac}/{track}/{version}/aac-160.mp4",
        "an absurd end": f"/m/{'9' * 20}{text[10:]}~{hmac}/{track}/{version}/aac-160.mp4",
        "a higher ceiling": f"/m/{low.replace('.160~', '.lossless~')}/{track}/{version}/flac.mp4",
        "another track": f"/m/{good}/{int(track) + 1}/{version}/aac-160.mp4",
        "another version": f"/m/{good}/{track}/{version + 1}/aac-160.mp4",
        "a higher rung": f"/m/{low}/{track}/{version}/aac-320.mp4",
        "its playlist": f"/m/{low}/{track}/{version}/aac-320.m3u8",
        "a higher manifest": f"/m/{low}/{track}/{version}/hls-320.m3u8",
        "lossless": f"/m/{low}/{track}/{version}/flac.mp4",
        "the original": f"/m/{low}/{track}/{version}/original.wav",
        "an unknown name": f"/m/{low}/{track}/{version}/other.bin",
        "a name with a rate that is none": f"/m/{low}/{track}/{version}/aac-1600.mp4",
        "zeros before": f"/m/{good}/0{track}/{version}/aac-160.mp4",
        "a way up": f"/m/{good}/{track}/{version}/../{version}/aac-160.mp4",
        "an encoded slash": f"/m/{good}/{track}/{version}/..%2faac-160.mp4",
        "outside": "/api/v1/tracks",
        "the root": "/",
    }


@pytest.mark.parametrize("what", sorted(bad_addresses("0" * 64, "1", 1)))
def test_a_bad_address_is_refused_without_the_origin(edge, server, stream, what):
    _, track, version, _ = split(stream["trackUrl"])
    path = bad_addresses(keys_of(edge.keys)[-1], track, int(version))[what]
    edge.get(edge.at(stream["trackUrl"]))  # also where the edge holds the file
    before = asked(server)
    request = requests.Request("GET", edge.url).prepare()
    request.url = edge.url + path  # as it stands
    answer = requests.Session().send(request, timeout=10)
    assert answer.status_code == 403, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"  # or a player could not tell why
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.json()["status"] == 403
    assert asked(server) == before


def test_a_ceiling_gives_what_is_below_it(edge, stream):
    _, track, version, _ = split(stream["trackUrl"])
    key = keys_of(edge.keys)[-1]
    for ceiling, names in {"96": ["aac-96.mp4", "hls-96.m3u8"], "160": ["aac-96.mp4", "aac-160.mp4", "dash-160.mpd"],
                           "320": ["aac-320.mp4", "hls-160.m3u8", "mp3-320.mp3"],
                           "lossless": ["aac-96.mp4", "flac.mp4", "original.wav", "hls-lossless.m3u8"]}.items():
        for name in names:
            answer = edge.get(f"/m/{sign(key, track, version, ceiling)}/{track}/{version}/{name}")
            assert answer.status_code == 200, f"{ceiling} {name}"


def test_what_is_not_there_is_not_found(edge, stream):
    _, track, version, _ = split(stream["trackUrl"])
    answer = edge.get(f"/m/{sign(keys_of(edge.keys)[-1], track, version)}/{track}/{version}/aac-161.mp4")
    assert answer.status_code == 404
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_what_is_no_address_is_told_in_our_words(edge):
    """Bytes that nginx refuses before it knows what is asked for."""
    for path in ("/m/%00/1/1/aac-96.mp4", "/m/x/%zz/1/a", "/m/%", "/m/../../x"):
        with socket.create_connection(("127.0.0.1", edge.port), 10) as line:
            line.sendall(f"GET {path} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: line.recv(65536), b"")).decode()
        status, head = answer.split(" ")[1], answer.split("\r\n\r\n")[0].lower()
        assert status in ("400", "403", "404"), answer
        assert "content-type: application/problem+json" in head and f'"status":{status}' in answer, answer


def test_methods(edge, stream):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert requests.request(method, edge.at(stream["trackUrl"]), timeout=10).status_code == 405


@pytest.mark.parametrize("held", [False, True])
def test_ranges(edge, fresh, original, held):
    url = original if held else next(f["url"] for f in fresh()["files"] if f["format"] == "original")
    whole = requests.get(url, timeout=20).content
    assert len(whole) > SLICE
    if held:
        edge.get(edge.at(url))
    for first, last in ((0, 0), (100, 4099), (SLICE - 10, SLICE + 10), (len(whole) - 5, len(whole) - 1)):
        answer = edge.get(edge.at(url), headers={"Range": f"bytes={first}-{last}"})
        assert answer.status_code == 206
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(whole)}"
        assert answer.content == whole[first:last + 1]
    assert edge.get(edge.at(url), headers={"Range": "bytes=-7"}).content == whole[-7:]
    assert edge.get(edge.at(url), headers={"Range": f"bytes={SLICE}-"}).content == whole[SLICE:]
    assert edge.get(edge.at(url), headers={"Range": f"bytes={len(whole)}-"}).status_code == 416


def test_a_crowd_costs_one_fetch(edge, server, fresh):
    new = fresh()
    url = edge.at(next(f["url"] for f in new["files"] if f["format"] == "original"))
    length = next(f["bytes"] for f in new["files"] if f["format"] == "original")
    units = {"object": 1, "slice": -(-length // SLICE)}[edge.UNITS]
    before = asked(server)
    came = crowd(url, LISTENERS)
    cold = asked(server) - before
    assert [(status, bytes_) for status, bytes_, _ in came] == [(200, length)], came
    assert sum(came.values()) == LISTENERS
    assert cold == units, f"{cold} fetches of {units} {edge.UNITS}s"
    assert crowd(url, LISTENERS) == came
    assert asked(server) - before == cold


def test_tokens_are_not_in_the_cache(edge, server, stream):
    _, track, version, name = split(stream["trackUrl"])
    key = keys_of(edge.keys)[-1]
    edge.get(edge.at(stream["trackUrl"]))
    before = asked(server)
    for life_s in (100, 200, 300):
        for ceiling in ("320", "lossless"):
            token = sign(key, track, version, ceiling, life_s)
            assert edge.get(f"/m/{token}/{track}/{version}/{name}?some=query").headers["X-Cache"].lower() == "hit"
    assert asked(server) == before
    assert token not in edge.stored()


def test_keys_rotate(own_edge, own_server, upload):
    server = own_server()
    server.add_user("artist", "artist")
    artist = Person(server.url, "artist", "artist")
    keys = server.data / "keys" / "edge-keys"
    edge = own_edge([f"127.0.0.1:{server.port}"], keys)
    track = upload(artist=artist)

    def plays(url):
        return edge.get(edge.at(url)).status_code

    def address():
        return artist.get(f"/api/v1/tracks/{track['id']}/stream").json()["trackUrl"]

    first = address()
    assert plays(first) == 200
    run_tutti("keys", "rotate", data=server.data)
    until(lambda: split(address())[0] != split(first)[0], "the new key signs")
    second = address()
    assert plays(second) == 403  # the edge was not told
    edge.take_keys()
    edge.reload()
    until(lambda: plays(second) == 200, "the edge takes the new key")
    assert plays(first) == 200
    run_tutti("keys", "rotate", data=server.data)
    edge.take_keys()
    edge.reload()
    until(lambda: plays(first) == 403, "the key before the former is no longer good")
    assert plays(second) == 200


def test_it_goes_on_without_the_origin(own_edge, own_server, upload):
    server = own_server()
    server.add_user("artist", "artist")
    artist = Person(server.url, "artist", "artist")
    edge = own_edge([f"127.0.0.1:{server.port}"], server.data / "keys" / "edge-keys")
    track = wait_for(artist, upload(artist=artist)["id"], whole=True)
    stream = artist.get(f"/api/v1/tracks/{track['id']}/stream").json()
    held = [stream["trackUrl"], stream["hls"], stream["dash"]]
    bodies = [edge.get(edge.at(url)).content for url in held]
    lacking = next(f["url"] for f in stream["files"] if f["format"] == "mp3")
    server.kill()
    for _ in range(2):
        for url, body in zip(held, bodies):
            answer = edge.get(edge.at(url))
            assert (answer.status_code, answer.content) == (200, body)
        missing = edge.get(edge.at(lacking))
        assert missing.status_code == 503
        assert missing.headers["Retry-After"] == "1"
        assert missing.headers["Access-Control-Allow-Origin"] == "*"
    token = stream["trackUrl"].split("/m/")[1].split("/")[0]
    assert edge.get(edge.at(held[0]).replace(token, sign("1" * 64, *split(held[0])[1:3]))).status_code == 403
    server.start()
    until(lambda: edge.get(edge.at(lacking)).status_code == 200, "the edge finds the origin again")
    edge.stop()
    said = edge.logged() if edge.UNITS == "slice" else edge.program.said()
    assert token.rsplit("~", 1)[1] not in said


def test_the_log_has_no_token_and_no_key(edge, stream):
    token, track, version, name = split(stream["trackUrl"])
    edge.get(edge.at(stream["trackUrl"]), headers={"Referer": stream["hls"]})
    edge.get(edge.at(stream["trackUrl"]) + "?x", headers={"Range": "bytes=0-1"})
    edge.get(f"/m/{token[:-1]}/{track}/{version}/{name}")
    path = f"/m/{track}/{version}/{name}"
    if edge.UNITS == "slice":
        until(lambda: path in edge.logged(), "the access log is written")
    log = edge.logged()
    assert path in log
    assert token not in log and token.rsplit("~", 1)[1] not in log
    assert token[:-1] not in log
    for key in keys_of(edge.keys):
        assert key not in log


def test_purging(edge, server, fresh):
    new = fresh()
    url = edge.at(new["trackUrl"])
    _, track, version, _ = split(url)
    for path in (f"/m/{track}/{version}/", f"/m/{track}/"):
        assert edge.get(url).status_code == 200
        before = asked(server)
        assert edge.get(url).status_code == 200 and asked(server) == before
        purged = requests.request("PURGE", edge.url + path, timeout=10)
        assert purged.status_code == 200, purged.text
        assert edge.get(url).status_code == 200
        assert asked(server) == before + 1
    other = requests.request("PURGE", f"{edge.url}/m/{int(track) + 1}/", timeout=10)
    assert other.status_code == 200  # nothing to forget
    assert edge.get(url).status_code == 200 and asked(server) == before + 1


def test_strangers_purge_nothing(edge, server, stream):
    url = edge.at(stream["trackUrl"])
    _, track, version, _ = split(url)
    edge.get(url)
    before = asked(server)
    path = f"{edge.url}/m/{track}/"
    assert requests.request("PURGE", path, timeout=10, headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 403
    stranger = requests.Session()
    stranger.mount("http://", From("127.0.0.2"))
    assert stranger.request("PURGE", path, timeout=10).status_code == 403
    assert requests.request("PURGE", f"{edge.url}/m/x/", timeout=10).status_code == 400
    assert edge.get(url).status_code == 200
    assert asked(server) == before


class From(requests.adapters.HTTPAdapter):
    """Speaks from another address of this machine."""

    def __init__(self, address):
        self.address = address
        super().__init__()

    def init_poolmanager(self, *arguments, **options):
        super().init_poolmanager(*arguments, source_address=(self.address, 0), **options)


KEYS = f"1 {'a' * 64}\n2 {'b' * 64}\n"
BODY = bytes(range(256)) * 16


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "edge-keys"
    path.write_text(KEYS)
    return path


def test_a_bucket_is_asked_by_its_path(own_edge, origin, keys):
    def answer(handler):
        if "missing" in handler.path:
            handler.send(403 if "not-to-be-listed" in handler.path else 404, b"<Error/>", Content_Type="application/xml")
        elif "original" in handler.path:
            handler.send(200, BODY, Content_Type="text/html", ETag='"1"')
        else:
            handler.send(200, BODY, Content_Type="audio/mp4", ETag='"1"', Cache_Control="public, max-age=31536000, immutable")

    bucket = origin(answer)
    edge = own_edge([bucket.address], keys, ORIGIN_KIND="s3", ORIGIN_PATH="/bucket", ORIGIN_PROBE="/probe")
    token = sign("a" * 64, 5, 1)
    played = edge.get(f"/m/{token}/5/1/aac-160.mp4")
    assert (played.status_code, played.content) == (200, BODY)
    assert {path for path, _ in bucket.asked} == {"/bucket/m/5/1/aac-160.mp4"}
    disguised = edge.get(f"/m/{token}/5/1/original.flac")
    assert disguised.headers["Content-Type"] == "audio/flac"
    assert edge.get(f"/m/{token}/5/1/original.html").headers["Content-Type"] == "application/octet-stream"
    for name in ("missing.bin", "missing-not-to-be-listed.bin"):
        answer = edge.get(f"/m/{token}/5/1/{name}")
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
        assert answer.headers["Access-Control-Allow-Origin"] == "*" and answer.json()["status"] == 404


def test_what_grows_is_asked_for_again_and_kept_for_bad_times(own_edge, origin, keys):
    state = {"status": 200, "body": b"#EXTM3U first\n"}

    def answer(handler):
        handler.send(state["status"], state["body"], Content_Type="application/vnd.apple.mpegurl",
                     Cache_Control="public, max-age=1")

    edge = own_edge([origin(answer).address], keys, ORIGIN_KIND="s3", ORIGIN_PROBE="/probe")
    url = f"/m/{sign('a' * 64, 5, 1)}/5/1/hls-160.m3u8"
    assert edge.get(url).content == b"#EXTM3U first\n"
    state["body"] = b"#EXTM3U second\n"
    until(lambda: edge.get(url).content == b"#EXTM3U second\n", "the manifest that has grown comes")
    state.update(status=503, body=b"no")
    ends = time.monotonic() + 3  # past its age, and past the grace in which it is fresh enough
    while time.monotonic() < ends:
        answer = edge.get(url)
        assert (answer.status_code, answer.content) == (200, b"#EXTM3U second\n")
        time.sleep(0.2)
    state.update(status=200, body=b"#EXTM3U third\n")
    until(lambda: edge.get(url).content == b"#EXTM3U third\n", "the manifest of better times comes")


@pytest.mark.parametrize("below", ["/m/1234/", "/m/1234/1/"])
def test_what_is_fetched_while_it_is_purged_is_not_kept(own_edge, origin, keys, below):
    """The origin has answered, so to say, before it heard of the deletion, and its answer comes after the purge."""
    begun, purged = threading.Event(), threading.Event()

    def answer(handler):
        if begun.is_set():  # all but the first
            handler.send(404, b"gone")
            return
        begun.set()
        assert purged.wait(30)
        part = {"Content_Range": f"bytes 0-{len(BODY) - 1}/{len(BODY)}"} if handler.headers.get("Range") else {}
        handler.send(206 if part else 200, BODY, Content_Type="audio/mp4", ETag='"1"',
                     Cache_Control="public, max-age=31536000, immutable", **part)

    edge = own_edge([origin(answer).address], keys, ORIGIN_KIND="s3", ORIGIN_PROBE="/probe")
    url = f"/m/{sign('a' * 64, 1234, 1)}/1234/1/aac-160.mp4"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        early = pool.submit(edge.get, url)
        assert begun.wait(30)
        assert requests.request("PURGE", edge.url + below, timeout=10).status_code == 200
        purged.set()
        assert early.result(30).content == BODY  # who asked before
    assert edge.get(url).status_code == 404


def test_the_first_bytes_do_not_wait_for_the_last(own_edge, origin, keys):
    rest = threading.Event()
    size = 2 * SLICE

    def answer(handler):
        first, last = 0, size - 1
        if handler.headers.get("Range"):
            first, last = map(int, handler.headers["Range"].split("=")[1].split("-"))
            last = min(last, size - 1)
        handler.send_response(206 if handler.headers.get("Range") else 200)
        handler.send_header("Content-Type", "audio/mp4")
        handler.send_header("ETag", '"1"')
        handler.send_header("Cache-Control", "max-age=100")
        if handler.headers.get("Range"):
            handler.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        handler.send_header("Content-Length", str(last - first + 1))
        handler.end_headers()
        handler.wfile.write(b"a" * (SLICE // 2))
        handler.wfile.flush()
        rest.wait(20)
        handler.wfile.write(b"b" * (last - first + 1 - SLICE // 2))

    edge = own_edge([origin(answer).address], keys, ORIGIN_KIND="s3", ORIGIN_PROBE="/probe")
    with edge.get(f"/m/{sign('a' * 64, 5, 1)}/5/1/aac-160.mp4", stream=True) as came:
        assert came.raw.read(1000) == b"a" * 1000
        rest.set()
        assert len(came.content) == size - 1000
