"""Listening: the answer of /stream, its ceilings, and the files behind its addresses, as players ask for them."""
import hashlib
import hmac
import pathlib
import re
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from urllib.parse import urljoin, urlsplit

import pytest
import requests

from conftest import PATIENCE_S, run_tutti, soon, wait_for

HOUR = 3600
DASH = "{urn:mpeg:dash:schema:mpd:2011}"


@pytest.fixture(scope="module")
def track(upload, sounds, people):
    """A track of 10 s whose ladder is whole."""
    made = upload(path=sounds("flac", seconds=10.0), title="Larghetto")
    return wait_for(people.artist, made["id"], whole=True, timeout=120)


@pytest.fixture(scope="module")
def play(people, track):
    """play(maxBitrate=…) → the answer of /stream to a listener."""

    def ask(person=None, **query):
        answer = (person or people.listener).get(f"/api/v1/tracks/{track['id']}/stream", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return ask


@pytest.fixture(scope="module")
def free(people):
    """A listener whose plan is free."""
    person = people.new("listener")
    answer = people.admin.patch(f"/api/v1/admin/users/{person.user['id']}", json={"plan": "free"})
    assert answer.status_code == 200, answer.text
    renewed = person.post("/api/v1/auth/refresh", json={"refreshToken": person.refresh_token})
    assert renewed.status_code == 200, renewed.text
    person.take(renewed.json())
    return person


def formats(answer):
    return sorted((file["format"], file["bitrate"]) for file in answer["files"])


LOSSY = {bitrate: [(form, rate) for form in ("aac", "mp3", "opus") for rate in (96, 160, 320) if rate <= bitrate]
         for bitrate in (96, 160, 320)}


def test_the_answer(play, track):
    answer = play()
    assert answer["albumId"] == track["albumId"] and answer["title"] == "Larghetto"
    assert answer["durationMs"] == track["durationMs"] == 10_000
    assert formats(answer) == sorted(LOSSY[320] + [("flac", 0), ("original", 0)])
    assert answer["trackUrl"] in [f["url"] for f in answer["files"] if (f["format"], f["bitrate"]) == ("aac", 320)]
    ends_in = answer["expiresAt"] / 1000 - time.time()
    assert 6 * HOUR < ends_in <= 7 * HOUR and answer["expiresAt"] % (HOUR * 1000) == 0
    for file in answer["files"]:
        assert ("initBytes" in file) == (file["format"] == "aac")


def test_listeners_share_addresses_and_may_not_be_cached(people, track, play):
    assert play()["trackUrl"] == play(people.artist)["trackUrl"]
    answer = people.listener.get(f"/api/v1/tracks/{track['id']}/stream")
    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("wish, ceiling", [("96", 96), ("100", 96), ("1", 96), ("160", 160), ("319", 160), ("320", 320),
                                           ("1000", 320)])
def test_a_wish_lowers_the_ceiling(play, wish, ceiling):
    answer = play(maxBitrate=wish)
    assert formats(answer) == sorted(LOSSY[ceiling])
    assert answer["hls"].endswith(f"/hls-{ceiling}.m3u8") and answer["dash"].endswith(f"/dash-{ceiling}.mpd")


@pytest.mark.parametrize("wish", ["", "loud", "-1", "0", "160k", "99999999999999999999"])
def test_a_wish_must_be_a_number(people, track, wish):
    answer = people.listener.get(f"/api/v1/tracks/{track['id']}/stream", params={"maxBitrate": wish})
    assert answer.status_code == 400 and "maxBitrate" in answer.json()["detail"]


def test_the_plan_is_a_ceiling_too(play, free):
    assert formats(play(free)) == sorted(LOSSY[160])
    assert formats(play(free, maxBitrate="lossless")) == sorted(LOSSY[160])
    assert formats(play(free, maxBitrate="96")) == sorted(LOSSY[96])


def test_who_may_not_listen(people, track, upload, album):
    path = f"/api/v1/tracks/{track['id']}/stream"
    assert people.nobody().get(path).status_code == 401
    for unknown in ("4611686018427387904", "abc", "0"):
        assert people.listener.get(f"/api/v1/tracks/{unknown}/stream").status_code == 404
    draft = upload(album_id=album(status="draft")["id"])
    assert people.listener.get(f"/api/v1/tracks/{draft['id']}/stream").status_code == 404
    assert people.artist.get(f"/api/v1/tracks/{draft['id']}/stream").status_code == 200


def test_not_ready_is_said_with_how_far_it_is(people, upload, tmp_path):
    broken = tmp_path / "broken.mp3"
    broken.write_text("this is no sound\n" * 100)
    track = upload(path=broken, wait=False)
    path = f"/api/v1/tracks/{track['id']}/stream"
    at_once = people.artist.get(path)
    assert at_once.status_code == 409
    if at_once.json()["trackStatus"] != "failed":
        assert int(at_once.headers["Retry-After"]) >= 1
    assert wait_for(people.artist, track["id"])["status"] == "failed"
    deadline = time.monotonic() + PATIENCE_S
    while (answer := people.artist.get(path)).json()["trackStatus"] != "failed" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert answer.status_code == 409 and answer.json()["trackStatus"] == "failed"
    assert "Retry-After" not in answer.headers


def test_files_are_sent_whole_and_in_ranges(play):
    for file in play()["files"]:
        whole = requests.get(file["url"], timeout=10)
        assert whole.status_code == 200 and len(whole.content) == file["bytes"] == int(whole.headers["Content-Length"])
        assert whole.headers["Content-Type"] == file["mime"] and whole.headers["Accept-Ranges"] == "bytes"
        assert "immutable" in whole.headers["Cache-Control"] and "public" in whole.headers["Cache-Control"]
        assert whole.headers["Access-Control-Allow-Origin"] == "*"
        part = requests.get(file["url"], headers={"Range": "bytes=100-299"}, timeout=10)
        assert part.status_code == 206 and part.content == whole.content[100:300]
        assert part.headers["Content-Range"] == f"bytes 100-299/{file['bytes']}"
        beyond = requests.get(file["url"], headers={"Range": f"bytes={file['bytes']}-"}, timeout=10)
        assert beyond.status_code == 416
        head = requests.head(file["url"], timeout=10)
        assert head.status_code == 200 and int(head.headers["Content-Length"]) == file["bytes"] and not head.content
        fresh = requests.get(file["url"], headers={"If-None-Match": whole.headers["ETag"]}, timeout=10)
        assert fresh.status_code == 304


def test_one_range_starts_an_aac_file(play):
    for file in (f for f in play()["files"] if f["format"] == "aac"):
        end = file["firstFragmentEnd"] - 1
        start = requests.get(file["url"], headers={"Range": f"bytes=0-{end}"}, timeout=10).content
        boxes, at = [], 0
        while at < len(start):
            size = int.from_bytes(start[at:at + 4], "big")
            boxes.append(start[at + 4:at + 8].decode())
            at += size
            if boxes[-1] == "moov":
                assert at == file["initBytes"]
        assert at == len(start) and boxes == ["ftyp", "moov", "sidx", "moof", "mdat"]
        assert file["samples"] == 441_000


# Manifests.

def segments(text):
    """(duration, length, offset, uri) of each, and the map's (length, offset, uri)."""
    head = re.search(r'#EXT-X-MAP:URI="([^"]+)",BYTERANGE="(\d+)@(\d+)"', text)
    rows = re.findall(r"#EXTINF:([\d.]+),\n#EXT-X-BYTERANGE:(\d+)@(\d+)\n(\S+)", text)
    return [(float(d), int(n), int(o), uri) for d, n, o, uri in rows], (int(head[2]), int(head[3]), head[1])


@pytest.mark.parametrize("ceiling, rungs", [("96", ["aac-96"]), ("160", ["aac-160", "aac-96"]),
                                            ("320", ["aac-160", "aac-96", "aac-320"]),
                                            ("lossless", ["aac-160", "aac-96", "aac-320", "flac"])])
def test_hls_covers_each_file_exactly(play, ceiling, rungs):
    answer = play(maxBitrate=ceiling)
    sizes = {urlsplit(file["url"]).path.rsplit("/", 1)[1]: file["bytes"] for file in answer["files"]}
    top = requests.get(answer["hls"], timeout=10)
    assert top.headers["Content-Type"] == "application/vnd.apple.mpegurl"
    assert "immutable" in top.headers["Cache-Control"]  # the ladder is whole
    variants = re.findall(r'#EXT-X-STREAM-INF:BANDWIDTH=(\d+),AVERAGE-BANDWIDTH=(\d+),CODECS="([^"]+)"\n(\S+)', top.text)
    assert [uri for *_, uri in variants] == [f"{rung}.m3u8" for rung in rungs]
    for peak, average, codecs, uri in variants:
        assert "/" not in uri and codecs in ("mp4a.40.2", "fLaC")
        media = requests.get(urljoin(answer["hls"], uri), timeout=10)
        assert media.status_code == 200 and "immutable" in media.headers["Cache-Control"]
        rows, head = segments(media.text)
        assert abs(sum(row[0] for row in rows) - 10) < 1e-5
        assert "#EXT-X-ENDLIST" in media.text and "#EXT-X-PLAYLIST-TYPE:VOD" in media.text
        at = rows[0][2]
        for _, length, offset, name in rows:
            assert offset == at and name == head[2]
            at += length
        assert at == sizes[head[2]] and head[1] == 0
        piece = requests.get(urljoin(answer["hls"], head[2]), timeout=10,
                             headers={"Range": f"bytes={rows[-1][2]}-{at - 1}"}).content
        assert piece[4:8] == b"moof"
        assert 0 < int(average) <= int(peak)
        longest = max(8 * length / duration for duration, length, *_ in rows[:-1] or rows)
        assert int(peak) >= 0.9 * longest


def test_dash_names_index_and_head(play):
    answer = play(maxBitrate="320")
    reply = requests.get(answer["dash"], timeout=10)
    assert reply.headers["Content-Type"] == "application/dash+xml"
    tree = ElementTree.fromstring(reply.content)
    assert tree.get("mediaPresentationDuration") == "PT10.000000S"
    representations = list(tree.iter(f"{DASH}Representation"))
    assert [one.get("id") for one in representations] == ["aac-96", "aac-160", "aac-320"]
    for one in representations:
        url = urljoin(answer["dash"], one.find(f"{DASH}BaseURL").text)
        base = one.find(f"{DASH}SegmentBase")
        index = requests.get(url, headers={"Range": f"bytes={base.get('indexRange')}"}, timeout=10).content
        assert index[4:8] == b"sidx" and int.from_bytes(index[:4], "big") == len(index)
        head = requests.get(url, headers={"Range": f"bytes={base[0].get('range')}"}, timeout=10).content
        assert head[4:8] == b"ftyp" and b"moov" in head
        assert "presentationTimeOffset" not in reply.text


@pytest.mark.parametrize("kind", ["hls", "dash"])
def test_ffmpeg_plays_the_manifests(play, kind):
    url = play(maxBitrate="320")[kind].replace("localhost", "127.0.0.1")
    done = subprocess.run(["ffmpeg", "-v", "error", "-i", url, "-map", "0:a:0", "-f", "f32le", "-ac", "1", "-"],
                          capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    samples = len(done.stdout) // 4
    assert abs(samples - 441_000) <= 2048  # FFmpeg keeps priming or padding, see SOUND


# Tokens.

def parts(url):
    """The server, the token and the rest (/track/version/file) of a media address."""
    found = re.fullmatch(r"(https?://[^/]+/m/)([^/]+)(/.*)", url)
    return found.groups()


def status(url, **options):
    answer = requests.get(url, timeout=10, **options)
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    return answer.status_code


def test_a_token_is_for_what_it_says(play, upload, people):
    other = upload(title="Another")
    base, token, rest = parts(play()["trackUrl"])
    low = parts(play(maxBitrate="96")["trackUrl"])[1]
    version = rest.split("/")[2]
    folder = rest.rsplit("/", 1)[0]
    assert status(base + token + rest) == 200
    for wrong in (token[:-1] + ("0" if token[-1] != "0" else "1"), token.replace("lossless", "160"), token[1:], "x",
                  str(int(token.split("~")[0]) + HOUR) + token[token.index("~"):], token + "0", "~~"):
        assert status(base + wrong + rest) == 403, wrong
    for bare in (rest[1:], rest, "", "x", token, f"{token}{rest}/more", "~" + rest):
        assert status(base + bare) == 403, bare
    assert status(f"{base}{token}/{other['id']}/{version}/aac-160.mp4") == 403
    assert status(f"{base}{token}/{rest.split('/')[1]}/2/aac-160.mp4") == 403
    assert status(base + low + rest) == 403  # aac-320 under 96
    for above in ("aac-160.mp4", "aac-160.m3u8", "hls-160.m3u8", "dash-320.mpd", "flac.mp4", "flac.m3u8",
                  "original.flac", "hls-lossless.m3u8", "mp3-160.mp3", "opus-320.opus"):
        assert status(f"{base}{low}{folder}/{above}") == 403, above
    for below in ("aac-96.mp4", "aac-96.m3u8", "hls-96.m3u8", "dash-96.mpd", "mp3-96.mp3"):
        assert status(f"{base}{low}{folder}/{below}") == 200, below
    for unknown in ("aac-640.mp4", "nothing", "x" * 300, "%2e%2e%2fx"):
        assert status(f"{base}{token}{folder}/{unknown}") in (400, 404), unknown


def test_an_edge_can_make_and_an_expired_one_ends(server, play):
    """What an edge is given (a line of edge-keys) is enough to check, and here to forge, a token."""
    base, token, rest = parts(play()["trackUrl"])
    key = (pathlib.Path(server.data) / "keys" / "edge-keys").read_text().split()[-1]

    def sign(text):
        return f"{text}~{hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()}"

    text = token.rsplit("~", 1)[0]
    assert sign(text) == token
    grant = text.split("~")[1]
    assert status(base + sign(f"{int(time.time()) + 60}~{grant}") + rest) == 200
    assert status(base + sign(f"{int(time.time()) - 1}~{grant}") + rest) == 403


def test_addresses_outlive_a_rotation(server, play):
    url = play()["trackUrl"]
    run_tutti("keys", "rotate", data=server.data)
    deadline = time.monotonic() + PATIENCE_S
    while play()["trackUrl"] == url and time.monotonic() < deadline:
        time.sleep(0.1)
    assert play()["trackUrl"] != url
    assert status(url) == 200 and status(play()["trackUrl"]) == 200


def test_a_deleted_track_stops_at_once(people, upload, play):
    track = upload(title="Short life")
    answer = people.artist.get(f"/api/v1/tracks/{track['id']}/stream").json()
    assert status(answer["trackUrl"]) == 200
    assert people.artist.delete(f"/api/v1/tracks/{track['id']}").status_code == 200
    assert people.artist.get(f"/api/v1/tracks/{track['id']}/stream").status_code == 404
    assert soon(lambda: status(answer["trackUrl"]) == 404)


def test_players_of_other_origins(play):
    url = play()["hls"]
    asked = requests.options(url, headers={"Origin": "https://player.example", "Access-Control-Request-Method": "GET",
                                           "Access-Control-Request-Headers": "range"}, timeout=10)
    assert asked.status_code == 204 and asked.headers["Access-Control-Allow-Origin"] == "*"
    assert "Range" in asked.headers["Access-Control-Allow-Headers"]


def test_metrics_count_what_is_played(server, play):
    def read():
        text = requests.get(server.url + "/metrics", timeout=10).text
        return {name: float(value) for name, value in re.findall(r"^(\S+) (\S+)$", text, re.M)}

    answer = play(maxBitrate="96")
    requests.get(answer["trackUrl"], timeout=10)
    before = read()
    requests.get(play(maxBitrate="96")["trackUrl"], timeout=10)
    requests.get(answer["trackUrl"].replace("~", "~0", 1), timeout=10)
    after = read()
    for name, more in (('tutti_streaming_answers_total{ceiling="96"}', 1), ("tutti_streaming_refused_total", 1),
                       ('tutti_cache_hits_total{cache="open_files"}', 1)):
        assert after[name] - before[name] == more, name
    assert after["tutti_blob_writes_total"] > 0 and after["tutti_blob_written_bytes_total"] > 0
