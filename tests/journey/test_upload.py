"""How files come in (R5): the track flows to the letter, replacing a file, uploads in parts that survive cuts and
kills, and the limits of size and quota."""
import concurrent.futures
import pathlib
import socket
import time
import uuid
from urllib.parse import urlsplit

import pytest
import requests

from conftest import OBJECTS, Person, soon, until, wait_for

MEBIBYTE = 1 << 20
LARGE_S = 13
GRACE_MS = 7 * 3600 * 1000


def ok(answer, status=200):
    assert answer.status_code == status, f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:500]}"
    return answer.json() if answer.content else None


def maker(server):
    server.add_user("maker", "artist")
    return Person(server.url, "maker", "artist")


def album_of(person):
    page = ok(person.post("/api/v1/artists", json={"name": "Band"}), 201)
    return ok(person.post("/api/v1/albums", json={"artistId": page["id"], "title": "Album"}), 201)["id"]


def rows(server, query, *values):
    return server.rows(query, *values)


def begin(person, size, filename="big.flac", **headers):
    return ok(person.post("/api/v1/uploads", json={"filename": filename, "size": size}, headers=headers), 201)


def slice_of(body, upload, number):
    return body[(number - 1) * upload["partSize"]:number * upload["partSize"]]


@pytest.fixture(scope="module")
def large(sounds):
    """The bytes of a WAV of three parts: many for each second, which are soon encoded."""
    body = sounds("wav", seconds=LARGE_S, rate=192000, extra=("-c:a", "pcm_s32le")).read_bytes()
    assert 2 * 8 * MEBIBYTE < len(body) <= 3 * 8 * MEBIBYTE
    return body


# ---- the flows of R5

def test_a_new_track_to_the_letter(people, server, album, sounds):
    artist, body = people.artist, sounds().read_bytes()
    place = artist.get("/api/v1/tracks/upload-url", params={"filename": "Song.FLAC", "size": len(body)})
    assert "no-store" in place.headers["Cache-Control"]
    place = ok(place)
    assert set(place) == {"uploadUrl", "trackUrl", "expiresAt"}
    assert place["uploadUrl"].startswith(place["trackUrl"] + "?"), "the file's name, and the right to write it once"
    assert 3500 < place["expiresAt"] / 1000 - time.time() <= 3600
    assert requests.put(place["uploadUrl"], data=body, timeout=30).status_code == 200
    album_id = album()["id"]
    made = artist.post("/api/v1/tracks", json={"albumId": album_id, "title": "Song", "trackUrl": place["trackUrl"]})
    track = ok(made, 201)
    assert (track["albumId"], track["title"], track["version"], track["pendingVersion"]) == (album_id, "Song", 1, None)
    assert track["status"] in ("created", "uploaded") and made.headers["ETag"]
    assert track["source"]["filename"] == "Song.FLAC" and track["source"]["bytes"] == len(body)
    ready = wait_for(artist, track["id"])
    assert ready["source"] == {"filename": "Song.FLAC", "bytes": len(body), "codec": "flac", "rate": 44100,
                               "channels": 2, "lossless": True}
    assert not list((server.data / "blobs").rglob(place["trackUrl"].rsplit("/", 1)[1])), "the upload itself is gone"
    url = ok(people.listener.get(f"/api/v1/tracks/{track['id']}/stream"))["trackUrl"]
    assert requests.get(url, timeout=10).status_code == 200
    gone = artist.delete(f"/api/v1/tracks/{track['id']}")
    assert ok(gone) == {"id": track["id"]}
    assert soon(lambda: requests.get(url, timeout=10).status_code in (403, 404))
    assert artist.get(f"/api/v1/tracks/{track['id']}").status_code == 404
    due = rows(server, "SELECT due_at FROM cleanup WHERE prefix = ?", f"m/{track['id']}/")
    assert len(due) == 1 and abs(due[0][0] - time.time() * 1000 - GRACE_MS) < 60_000


def test_another_file_replaces_the_first(people, server, upload, sounds):
    artist = people.artist
    track = upload(path=sounds("flac", seconds=3.0))
    path = f"/api/v1/tracks/{track['id']}"
    body = sounds("wav", seconds=20.0).read_bytes()
    old = ok(people.listener.get(path + "/stream"))
    query = {"filename": "new.wav", "size": len(body)}
    place = ok(artist.get(f"/api/v1/tracks/update-url/{track['id']}", params=query))
    assert set(place) == {"uploadUrl", "trackUrl", "expiresAt"}
    assert requests.put(place["uploadUrl"], data=body, timeout=30).status_code == 200
    changed = ok(artist.patch(path, json={"title": "Second take", "trackUrl": place["trackUrl"]}))
    assert (changed["status"], changed["version"], changed["pendingVersion"]) == ("ready", 1, 2)
    assert changed["title"] == "Second take" and changed["durationMs"] == 3000
    while ok(artist.get(path))["version"] == 1:
        playing = people.listener.get(path + "/stream")
        assert playing.status_code == 200, "the first plays until the second is ready"
        assert playing.json()["durationMs"] in (3000, 20_000)
        time.sleep(0.05)

    def settled():
        """As any process tells it, which may hear of it later than the one before."""
        now = ok(artist.get(path))
        return now if now["pendingVersion"] is None and now["progress"]["done"] == now["progress"]["of"] else None

    assert soon(lambda: ok(artist.get(path))["pendingVersion"] is None)
    ready = until(settled)
    assert (ready["version"], ready["durationMs"]) == (2, 20_000)
    assert ready["source"]["filename"] == "new.wav"
    until(lambda: ok(people.listener.get(path + "/stream"))["durationMs"] == 20_000)
    new = ok(people.listener.get(path + "/stream"))
    assert f"/{track['id']}/2/" in new["trackUrl"] and f"/{track['id']}/1/" in old["trackUrl"]
    assert requests.get(new["trackUrl"], timeout=10).status_code == 200
    assert requests.get(old["trackUrl"], timeout=10).status_code == 200, "who listens now hears the first to its end"
    due = rows(server, "SELECT due_at FROM cleanup WHERE prefix = ?", f"m/{track['id']}/1/")
    assert len(due) == 1 and abs(due[0][0] - time.time() * 1000 - GRACE_MS) < 120_000
    assert soon(lambda: ok(people.listener.get(f"/api/v1/albums/{track['albumId']}"))["durationMs"] == 20_000)


def test_a_bad_replacement_leaves_what_plays(people, upload, tmp_path):
    track = upload()
    path = f"/api/v1/tracks/{track['id']}"
    text = tmp_path / "text.flac"
    text.write_text("no sound\n" * 1000)
    changed = ok(people.artist.patch(path, json={"trackUrl": upload.put(text, people.artist)}))
    assert changed["pendingVersion"] == 2

    def failed():
        now = ok(people.artist.get(path))
        return now if now["pendingVersion"] is None else None

    after = until(failed)
    assert (after["status"], after["version"]) == ("ready", 1) and after["failure"]["code"] == "not-audio"
    assert requests.get(ok(people.listener.get(path + "/stream"))["trackUrl"], timeout=10).status_code == 200


def test_a_failed_track_is_cured_by_another_file(people, upload, sounds, tmp_path):
    text = tmp_path / "text.mp3"
    text.write_text("no sound\n" * 1000)
    track = upload(path=text)
    assert track["status"] == "failed"
    path = f"/api/v1/tracks/{track['id']}"
    changed = ok(people.artist.patch(path, json={"trackUrl": upload.put(sounds(), people.artist)}))
    assert (changed["version"], changed["pendingVersion"]) == (2, None) and "failure" not in changed
    ready = wait_for(people.artist, track["id"], states=("ready",))
    assert "failure" not in ready


def test_a_stale_replacement_is_refused_and_its_file_stays(people, upload, sounds):
    track = upload()
    path = f"/api/v1/tracks/{track['id']}"
    url = upload.put(sounds(), people.artist)
    refused = people.artist.patch(path, json={"trackUrl": url}, headers={"If-Match": '"0"'})
    assert refused.status_code == 412
    assert ok(people.artist.get(path))["pendingVersion"] is None
    seen = people.artist.get(path).headers["ETag"]
    assert ok(people.artist.patch(path, json={"trackUrl": url}, headers={"If-Match": seen}))["pendingVersion"] == 2


# ---- in parts

def test_parts_become_a_track(people, album, large):
    artist = people.artist
    upload = begin(artist, len(large))
    assert (upload["state"], upload["size"], upload["trackId"]) == ("open", len(large), None)
    assert [part["number"] for part in upload["parts"]] == [1, 2, 3]
    assert sum(part["bytes"] for part in upload["parts"]) == len(large)
    assert {part["bytes"] for part in upload["parts"][:-1]} == {upload["partSize"]}
    path = f"/api/v1/uploads/{upload['id']}"
    for part in reversed(upload["parts"]):  # in any order
        early = artist.post(path + "/complete")
        assert early.status_code == 409 and "has not arrived" in early.json()["detail"]
        assert requests.put(part["url"], data=slice_of(large, upload, part["number"]), timeout=30).status_code == 200
        shown = ok(artist.get(path))
        assert [one["number"] for one in shown["parts"] if one["state"] == "missing"] == list(range(1, part["number"]))
    body = {"albumId": album()["id"], "title": "Large", "trackUrl": upload["trackUrl"]}
    unjoined = artist.post("/api/v1/tracks", json=body)
    assert unjoined.status_code == 409 and "/complete" in unjoined.json()["detail"]
    wrong = artist.post(path + "/complete", json={"parts": [{"number": 1, "etag": "0" * 32}]})
    assert wrong.status_code == 409 and "Part 1" in wrong.json()["detail"]
    assert artist.post(path + "/complete", json={"parts": [{"number": 4, "etag": "x"}]}).status_code == 422
    etags = [{"number": part["number"], "etag": part["etag"]} for part in shown["parts"]]
    assert ok(artist.post(path + "/complete", json={"parts": etags}))["state"] == "complete"
    assert ok(artist.post(path + "/complete"))["state"] == "complete", "again does no harm"
    track = ok(artist.post("/api/v1/tracks", json=body), 201)
    used = ok(artist.get(path))
    assert (used["state"], used["trackId"], used["parts"]) == ("used", track["id"], [])
    assert artist.delete(path).status_code == 409
    assert wait_for(artist, track["id"])["durationMs"] == LARGE_S * 1000


def test_parts_go_on_after_a_kill(own_server, large):
    server = own_server()
    artist = maker(server)
    album_id = album_of(artist)
    upload = begin(artist, len(large))
    path = f"/api/v1/uploads/{upload['id']}"
    assert requests.put(upload["parts"][0]["url"], data=slice_of(large, upload, 1), timeout=30).status_code == 200

    target = urlsplit(upload["parts"][1]["url"])
    head = (f"PUT {target.path}?{target.query} HTTP/1.1\r\nHost: {target.netloc}\r\n"
            f"Content-Length: {upload['parts'][1]['bytes']}\r\n\r\n")
    with socket.create_connection((target.hostname, target.port), 10) as client:
        client.sendall(head.encode() + slice_of(large, upload, 2)[:MEBIBYTE])
        time.sleep(0.3)
        server.kill()  # in the middle of the second part
    server.start()
    shown = ok(artist.get(path))
    assert [part["state"] for part in shown["parts"]] == ["uploaded", "missing", "missing"]
    assert shown["urlsExpireAt"] >= upload["urlsExpireAt"]
    for part in shown["parts"][1:]:
        assert requests.put(part["url"], data=slice_of(large, upload, part["number"]), timeout=30).status_code == 200
    ok(artist.post(path + "/complete"))
    server.kill()
    server.start()
    body = {"albumId": album_id, "title": "T", "trackUrl": upload["trackUrl"]}
    track = ok(artist.post("/api/v1/tracks", json=body), 201)
    assert wait_for(artist, track["id"])["durationMs"] == LARGE_S * 1000
    assert server.stop() == 0


def test_urls_are_renewed_and_the_first_ones_live_on(people, large):
    upload = begin(people.artist, len(large))
    path = f"/api/v1/uploads/{upload['id']}"
    time.sleep(1.1)  # signatures count seconds
    renewed = ok(people.artist.get(path))
    assert renewed["urlsExpireAt"] > upload["urlsExpireAt"] and renewed["trackUrl"] == upload["trackUrl"]
    for before, after in zip(upload["parts"], renewed["parts"]):
        assert before["url"] != after["url"] and before["bytes"] == after["bytes"]
    for number, source in ((1, upload), (2, renewed)):
        url = source["parts"][number - 1]["url"]
        assert requests.put(url, data=slice_of(large, upload, number), timeout=30).status_code == 200
    ok(people.artist.delete(path), 204)


def test_the_same_request_twice_at_once_begins_one_upload(people):
    for _ in range(20):
        key = {"Idempotency-Key": uuid.uuid4().hex, "Authorization": people.artist.headers["Authorization"]}

        def begin(_):
            return requests.post(people.artist.base + "/api/v1/uploads", json={"filename": "a.flac", "size": 9}, headers=key, timeout=30)

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(begin, range(6)))
        assert [answer.status_code for answer in answers] == [201] * 6, [answer.text for answer in answers]
        ids = {answer.json()["id"] for answer in answers}
        assert len(ids) == 1 and people.artist.delete(f"/api/v1/uploads/{ids.pop()}").status_code == 204


def test_an_upload_asked_for_twice_is_one(people):
    key = {"Idempotency-Key": uuid.uuid4().hex}
    first = begin(people.artist, 20 * MEBIBYTE, **key)
    again = begin(people.artist, 20 * MEBIBYTE, **key)
    assert first["id"] == again["id"] and first["trackUrl"] == again["trackUrl"]
    other = people.artist.post("/api/v1/uploads", json={"filename": "b.flac", "size": 5}, headers=key)
    assert other.status_code == 422
    ok(people.artist.delete(f"/api/v1/uploads/{first['id']}"), 204)


def test_an_upload_given_up(people, server, album, large):
    upload = begin(people.artist, len(large))
    path = f"/api/v1/uploads/{upload['id']}"
    assert requests.put(upload["parts"][0]["url"], data=slice_of(large, upload, 1), timeout=30).status_code == 200
    ok(people.artist.delete(path), 204)
    assert ok(people.artist.get(path))["state"] == "aborted"
    late = requests.put(upload["parts"][1]["url"], data=slice_of(large, upload, 2), timeout=30)
    assert late.status_code == 404, "nothing arrives any more"
    assert people.artist.post(path + "/complete").status_code == 409
    answer = people.artist.post("/api/v1/tracks", json={"albumId": album()["id"], "title": "x",
                                                        "trackUrl": upload["trackUrl"]})
    assert answer.status_code == 422
    ok(people.artist.delete(path), 204)
    left = [file for file in (server.data / "blobs").rglob("*") if file.is_file() and upload["id"] in str(file)]
    assert left == []


def test_an_upload_is_its_owners(people):
    upload = begin(people.artist, MEBIBYTE)
    other, path = people.new("artist"), f"/api/v1/uploads/{upload['id']}"
    for answer in (other.get(path), other.delete(path), other.post(path + "/complete")):
        assert answer.status_code == 404
    assert ok(people.artist.get(path))["state"] == "open"
    ok(people.artist.delete(path), 204)


# ---- limits

def test_sizes_over_the_limit_are_refused_when_asked_for(own_server):
    server = own_server(environment={"TUTTI_INGEST_UPLOAD_BYTES": "100000"})
    artist = maker(server)
    for answer in (artist.get("/api/v1/tracks/upload-url", params={"filename": "a.wav", "size": 100_001}),
                   artist.post("/api/v1/uploads", json={"filename": "a.wav", "size": 100_001})):
        assert answer.status_code == 422
        error = answer.json()["errors"][0]
        assert error["field"] == "size" and "100001" in error["message"] and "100000 are allowed" in error["message"]
    ok(artist.get("/api/v1/tracks/upload-url", params={"filename": "a.wav", "size": 100_000}))
    assert rows(server, "SELECT COUNT(*) FROM upload") == [(1,)]
    # Without a size the URL takes none that is longer; where the store is another, the file is refused when it is named.
    place = ok(artist.get("/api/v1/tracks/upload-url", params={"filename": "a.wav"}))
    album_id = album_of(artist)
    put = requests.put(place["uploadUrl"], data=bytes(100_001), timeout=30)
    if OBJECTS == "file":
        assert put.status_code == 400 and "<Code>EntityTooLarge</Code>" in put.text and "100000 bytes" in put.text
        assert requests.put(place["uploadUrl"], data=bytes(100_000), timeout=30).status_code == 200
    else:
        assert put.status_code == 200
        answer = artist.post("/api/v1/tracks", json={"albumId": album_id, "title": "x", "trackUrl": place["trackUrl"]})
        assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "trackUrl"
    assert ok(artist.get(f"/api/v1/albums/{album_id}/tracks"))["items"] == []


def test_the_quota(own_server, sounds):
    path = sounds("wav", seconds=1.0)
    size = path.stat().st_size
    server = own_server(environment={"TUTTI_INGEST_QUOTA_BYTES": str(2 * size + 10), "TUTTI_INGEST_UPLOAD_BYTES": str(size + 5)})
    artist = maker(server)
    album_id = album_of(artist)

    def place(more=0):
        return artist.get("/api/v1/tracks/upload-url", params={"filename": "a.wav", "size": size + more})

    def place_without_size():
        return artist.get("/api/v1/tracks/upload-url", params={"filename": "a.wav"})

    def add():
        at = ok(place())
        assert requests.put(at["uploadUrl"], data=path.read_bytes(), timeout=30).status_code == 200
        body = {"albumId": album_id, "title": "x", "trackUrl": at["trackUrl"]}
        return ok(artist.post("/api/v1/tracks", json=body), 201)

    first = add()
    waiting = begin(artist, size)
    for answer in (place(), artist.post("/api/v1/uploads", json={"filename": "a.wav", "size": 11})):
        assert answer.status_code == 403 and str(2 * size + 10) in answer.json()["detail"], "what is on its way counts"
    ok(artist.delete(f"/api/v1/uploads/{waiting['id']}"), 204)
    assert place(more=5).status_code == 200
    assert place().status_code == 403
    open_ones = rows(server, "SELECT id FROM upload WHERE state = 'open'")
    ok(artist.delete(f"/api/v1/uploads/{open_ones[0][0]}"), 204)
    second = add()
    assert place().status_code == 403
    # A URL without a size gives nothing for free: it counts for the largest file.
    assert place_without_size().status_code == 403
    shown = ok(artist.get(f"/api/v1/albums/{album_id}/tracks"))["items"]
    assert [one["id"] for one in shown] == [first["id"], second["id"]]
    ok(artist.delete(f"/api/v1/tracks/{first['id']}"))
    at = ok(place_without_size())
    for answer in (place(), place_without_size()):
        assert answer.status_code == 403 and str(size + 5) in answer.json()["detail"]
    assert requests.put(at["uploadUrl"], data=path.read_bytes(), timeout=30).status_code == 200
    body = {"albumId": album_id, "title": "x", "trackUrl": at["trackUrl"]}
    ok(artist.post("/api/v1/tracks", json=body), 201)
    assert artist.post("/api/v1/uploads", json={"filename": "a.wav", "size": 10}).status_code == 201, "from then on for what it is"


def test_bad_wishes_for_a_place(people):
    for query, word in (({"size": "0"}, "size"), ({"size": "-1"}, "size"), ({"size": "much"}, "size"),
                        ({"size": str(1 << 70)}, "size"), ({"filename": ""}, "filename"),
                        ({"filename": "x" * 256}, "filename"), ({"filename": "a\x07b"}, "filename")):
        answer = people.artist.get("/api/v1/tracks/upload-url", params=query)
        assert answer.status_code in (400, 422) and word in answer.text, (query, answer.status_code, answer.text)
    for body, field in (({}, "filename"), ({"filename": "a", "size": 0}, "size"), ({"filename": "a", "size": 1.5}, "size"),
                        ({"filename": "a", "size": "5"}, "size"), ({"filename": 5, "size": 5}, "filename"),
                        ({"filename": "a"}, "size")):
        answer = people.artist.post("/api/v1/uploads", json=body)
        assert answer.status_code == 422 and field in [one["field"] for one in answer.json()["errors"]], body
    traversal = ok(people.artist.get("/api/v1/tracks/upload-url", params={"filename": "../../etc/passwd.wav"}))
    assert ".." not in traversal["trackUrl"]
    assert pathlib.PurePosixPath(traversal["trackUrl"]).suffix == ".wav"
