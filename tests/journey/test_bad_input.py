"""Bad input of the catalogue and of what makes tracks: each is answered by a problem document that names what is
wrong and the limit, and nothing changes. (Bad sound files are in test_transcode.py, bad options in
test_operations.py.)"""
import json
import struct
import subprocess
import time
import zlib

import pytest
import requests

from conftest import until

UNKNOWN = "4611686018427387904"


def problem(answer, status, *fields):
    """The problem document of a refusal, which must be whole and name the fields."""
    assert answer.status_code == status, f"{answer.status_code} {answer.text[:500]}"
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    document = answer.json()
    assert document["status"] == status and document["title"] and document["type"]
    named = [one["field"] for one in document.get("errors", [])]
    assert set(fields) <= set(named), (fields, document)
    return document


def message(document, field):
    return next(one["message"] for one in document["errors"] if one["field"] == field)


@pytest.fixture
def unchanged(server):
    """Compares all of the catalogue before the test with what is there after it."""
    newest = {"artist": "MAX(id)", "album": "MAX(id)", "track": "MAX(id)", "track_version": "0", "art": "MAX(id)"}
    query = " UNION ALL ".join(f"SELECT '{table}', COUNT(*), {id} FROM {table}" for table, id in newest.items())

    def look():
        return sorted(server.rows(query))

    before = look()
    yield
    assert look() == before


@pytest.fixture(scope="module")
def mine(album):
    """An album of the artist's own."""
    return album()


@pytest.fixture(scope="module")
def place(people, upload, sounds):
    """The trackUrl of a file that lies there, unused."""
    return upload.put(sounds("flac", seconds=1.0), people.artist)


@pytest.fixture
def refuse(people, mine, place, unchanged):
    """refuse(status, *fields, **body) → the problem of a POST /tracks that is right but for what is given."""

    def ask(status, *fields, artist=None, without=(), **body):
        body = {"albumId": mine["id"], "title": "Fine", "trackUrl": place, **body}
        body = {key: value for key, value in body.items() if key not in without}
        return problem((artist or people.artist).post("/api/v1/tracks", json=body), status, *fields)

    return ask


# ---- a track

def test_all_that_is_missing_is_named_at_once(refuse):
    refuse(422, "albumId", "title", "trackUrl", without=("albumId", "title", "trackUrl"))


@pytest.mark.parametrize("album_id", [UNKNOWN, "0", "-1", "abc", "", None, 1.5, True, [], {}, "9" * 30, 10 ** 30])
def test_no_album(refuse, people, mine, place, album_id):
    if album_id == 10 ** 30:  # no number of JSON's that is read here
        answer = people.artist.post("/api/v1/tracks", data=json.dumps(
            {"albumId": album_id, "title": "x", "trackUrl": place}), headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422)
        return
    refuse(422, "albumId", albumId=album_id)


@pytest.fixture(scope="module")
def foreign(people, album):
    """Albums of another artist: one published, one draft."""
    other = people.new("artist")
    return album(other), album(other, status="draft")


def test_another_artists_album(foreign, refuse):
    assert "another artist" in refuse(403, albumId=foreign[0]["id"])["detail"]
    assert message(refuse(422, "albumId", albumId=foreign[1]["id"]), "albumId") == "names no album"


@pytest.mark.parametrize("title", ["", "   ", "\t\n", None, 5, [], "x" * 301, "ä" * 10_000, "a\x01b", "a\x1bb", "a\nb",
                                   "\x7f"])
def test_bad_titles(refuse, title):
    document = refuse(422, "title", title=title)
    if isinstance(title, str) and len(title) > 300:
        assert "300" in message(document, "title")


@pytest.mark.parametrize("field, values, words", [
    ("trackNumber", [0, -1, 10_000, 1.5, "1", True, 2 ** 62], "1 to 9999"),
    ("discNumber", [0, -1, 1000, "one"], "1 to 999"),
    ("explicit", [1, "yes", None], "true or false"),
    ("isrc", ["XX", "DEA12345678X", "1234567890AB", 5, "DEA1234567890"], "ISRC"),
    ("lyrics", ["x" * 100_001], "100000"),
    ("lyrics", [5, "a\x01b", "a\x1bb"], ""),
    ("trackUrl", ["x" * 4097], "4096"),
])
def test_values_out_of_range(refuse, field, values, words):
    for value in values:
        document = refuse(422, field, **{field: value})
        assert words in message(document, field), (value, document)


# ---- its file

def test_a_url_that_was_never_given(refuse, people, server):
    for url in ("", "x", "http://169.254.169.254/latest/meta-data", "file:///etc/passwd", UNKNOWN,
                f"{server.url}/s3/uploads/1/{UNKNOWN}.flac", f"{server.url}/s3/media/m/1/1/original.flac"):
        refuse(422, "trackUrl", trackUrl=url)


def test_a_url_to_which_nothing_was_put(refuse, people):
    asked = people.artist.get("/api/v1/tracks/upload-url", params={"filename": "a.flac", "size": 10}).json()
    assert "PUT the file first" in message(refuse(422, "trackUrl", trackUrl=asked["trackUrl"]), "trackUrl")
    refuse(422, "trackUrl", trackUrl=asked["uploadUrl"])


def test_an_empty_file(refuse, people):
    asked = people.artist.get("/api/v1/tracks/upload-url", params={"filename": "a.flac"}).json()
    assert requests.put(asked["uploadUrl"], data=b"", timeout=10).status_code == 200
    assert "empty" in message(refuse(422, "trackUrl", trackUrl=asked["trackUrl"]), "trackUrl")


def test_another_artists_file(refuse, people, upload, sounds):
    theirs = upload.put(sounds("flac", seconds=1.0), people.new("artist"))
    mine_never = message(refuse(422, "trackUrl", trackUrl=theirs), "trackUrl")
    assert mine_never == message(refuse(422, "trackUrl", trackUrl=theirs + "x"), "trackUrl"), "no telling which exist"


def test_a_file_used_already(people, upload, sounds, mine, album):
    url = upload.put(sounds("flac", seconds=1.0), people.artist)
    body = {"albumId": album()["id"], "title": "First", "trackUrl": url}
    first = people.artist.post("/api/v1/tracks", json=body)
    assert first.status_code == 201
    again = problem(people.artist.post("/api/v1/tracks", json={**body, "title": "Second"}), 409)
    assert "used already" in again["detail"]
    path = f"/api/v1/tracks/{first.json()['id']}"
    problem(people.artist.patch(path, json={"trackUrl": url, "title": "Third"}), 409)
    shown = people.artist.get(path).json()
    assert (shown["title"], shown["pendingVersion"], shown["version"]) == ("First", None, 1)
    listed = people.artist.get(f"/api/v1/albums/{body['albumId']}/tracks").json()["items"]
    assert len(listed) == 1


def test_a_patch_with_bad_fields_changes_nothing(people, upload):
    track = upload()
    path = f"/api/v1/tracks/{track['id']}"
    for body, field in (({"title": "", "explicit": True}, "title"), ({"explicit": True, "trackUrl": "x"}, "trackUrl"),
                        ({"trackNumber": 0, "title": "New"}, "trackNumber"),
                        ({"albumId": UNKNOWN, "title": "New"}, "albumId")):
        problem(people.artist.patch(path, json=body), 422, field)
    shown = people.artist.get(path).json()
    assert (shown["title"], shown["explicit"], shown["trackNumber"], shown["albumId"]) == \
        (track["title"], False, track["trackNumber"], track["albumId"])


# ---- artists and albums

@pytest.mark.parametrize("body, fields", [
    ({}, ["name"]), ({"name": ""}, ["name"]), ({"name": "x" * 201}, ["name"]), ({"name": "a\x01"}, ["name"]),
    ({"name": "a\u2028b\u0085"}, ["name"]), ({"name": "x", "bio": "y" * 10_001}, ["bio"]),
    ({"name": 1, "bio": []}, ["name", "bio"]), ({"name": None}, ["name"])])
def test_bad_artists(people, unchanged, body, fields):
    problem(people.artist.post("/api/v1/artists", json=body), 422, *fields)


@pytest.mark.parametrize("fields", [
    {"title": ""}, {"title": "x" * 10_000}, {"type": "tape"}, {"type": 1}, {"status": "secret"}, {"artistId": UNKNOWN},
    {"artistId": "x"}, {"releaseDate": "2023-02-29"}, {"releaseDate": "2024-13-01"}, {"releaseDate": "yesterday"},
    {"releaseDate": 20240101}, {"releaseDate": "2024-01-01T00:00"}, {"genres": "Lied"}, {"genres": [1]},
    {"genres": ["x"] * 11}, {"genres": ["x" * 61]}, {"genres": [""]}, {"genres": ["a\x01"]}])
def test_bad_albums(people, mine, unchanged, fields):
    body = {"artistId": mine["artistId"], "title": "Fine", **fields}
    problem(people.artist.post("/api/v1/albums", json=body), 422, *fields)
    problem(people.artist.patch(f"/api/v1/albums/{mine['id']}", json=fields), 422, *fields)
    assert people.artist.get(f"/api/v1/albums/{mine['id']}").json()["title"] == mine["title"]


@pytest.mark.parametrize("unknown", ["0", "-1", "abc", UNKNOWN, "1" * 40, "1%00", "%2e%2e", "1 or 1=1"])
def test_ids_that_name_nothing(people, unknown):
    for kind in ("artists", "albums", "tracks"):
        answer = people.artist.get(f"/api/v1/{kind}/{unknown}")
        assert answer.status_code in (400, 404), (kind, unknown, answer.status_code)


# ---- JSON

BAD_JSON = {
    "nothing": b"", "half": b'{"name":', "words": b"name=x", "a list": b"[]", "a number": b"5", "null": b"null",
    "two values": b'{"name":"x"}{"name":"y"}', "a comma too many": b'{"name":"x",}', "single quotes": b"{'name':'x'}",
    "NaN": b'{"name":NaN}', "duplicate keys": b'{"name":"x","name":"y"}',
    "deep lists": b'{"name":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "deep objects": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "33 levels": b'{"name":"x","a":' + b"[" * 32 + b"]" * 32 + b"}",
    "a stray byte": b'{"name":"\xff"}', "overlong": b'{"name":"\xc0\xaf"}', "a surrogate": b'{"name":"\xed\xa0\x80"}',
    "half a character": b'{"name":"\xe2\x82"}', "an escaped half of a pair": b'{"name":"\\ud800"}',
    "a raw newline": b'{"name":"a\nb"}', "a number without end": b'{"name":' + b"9" * 400 + b"}",
    "an exponent": b'{"name":1e999}', "UTF-16": '{"name":"x"}'.encode("utf-16"), "a NUL behind": b'{"name":"x"}\0',
    "a NUL": b'{"name":"a\0b"}', "an escaped NUL": b'{"name":"a\\u0000b"}',
}


@pytest.mark.parametrize("what", BAD_JSON)
def test_bad_json(people, unchanged, what):
    answer = people.artist.post("/api/v1/artists", data=BAD_JSON[what], headers={"Content-Type": "application/json"})
    document = problem(answer, 400)
    assert document.get("detail") or document.get("errors"), "says what is wrong"
    assert "JSON_" not in answer.text, "in words of ours"


@pytest.mark.parametrize("what", ["half", "duplicate keys", "deep lists", "a stray byte", "a number without end"])
@pytest.mark.parametrize("path", ["tracks", "uploads", "albums", "me/artist"])
def test_bad_json_everywhere(people, unchanged, what, path):
    body = BAD_JSON[what].replace(b"name", b"filename")
    answer = people.artist.post("/api/v1/" + path, data=body, headers={"Content-Type": "application/json"})
    problem(answer, 400)


def test_where_the_json_breaks_is_said(people):
    def ask(body):
        answer = people.artist.post("/api/v1/artists", data=body, headers={"Content-Type": "application/json"})
        return problem(answer, 400)

    assert "line 2" in ask(b'{"name": "x",\n"bio" "y"}')["detail"]
    assert "32" in ask(BAD_JSON["deep lists"])["detail"]
    assert "duplicate" in ask(BAD_JSON["duplicate keys"])["detail"]


def test_bodies_over_the_limit(people, unchanged):
    answer = people.artist.post("/api/v1/artists", json={"name": "x", "bio": "y" * (1 << 17)})
    assert "65536" in problem(answer, 413)["detail"]


def test_another_kind_of_body(people, unchanged):
    for kind in ("text/plain", "application/xml", "application/x-www-form-urlencoded"):
        answer = people.artist.post("/api/v1/artists", data=b'{"name":"x"}', headers={"Content-Type": kind})
        problem(answer, 415)


@pytest.mark.parametrize("value", ["", "x" * 256, "a b\x7f"])
def test_bad_keys_of_repetition(people, unchanged, value):
    answer = people.artist.post("/api/v1/artists", json={"name": "x"}, headers={"Idempotency-Key": value})
    assert "Idempotency-Key" in problem(answer, 400)["detail"]


# ---- pictures

def png(width, height):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))


@pytest.mark.parametrize("name, body, status, words", [
    ("100,000 a side", png(100_000, 100_000), 422, ["100000 × 100000", "12000"]),
    ("one long side", png(12_001, 1), 422, ["12001 × 1", "12000"]),
    ("too many in all", png(12_000, 12_000), 422, ["12000 × 12000", "64 million"]),
    ("2^31 a side", png(2 ** 31 - 1, 2 ** 31 - 1), 422, ["12000"]),
    ("no pixels", png(0, 5), 422, ["no pixels"]),
    ("a cut header", png(5, 5)[:20], 422, ["damaged"]),
    ("a GIF without pixels", b"GIF89a\x05\x00\x00\x00\x00\x00\x00;", 422, ["no pixels"]),
    ("a bitmap", b"BM" + bytes(60), 415, ["JPEG, PNG, WebP or GIF"]),
    ("a page", b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, ["JPEG, PNG, WebP or GIF"]),
    ("nothing", b"", None, []),
], ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("route", ["cover", "image"])
def test_bad_pictures(people, mine, unchanged, route, name, body, status, words):
    path = f"/api/v1/albums/{mine['id']}" if route == "cover" else f"/api/v1/artists/{mine['artistId']}"
    before = people.artist.get(path)
    answer = people.artist.put(f"{path}/{route}", data=body, headers={"Content-Type": "image/png"})
    document = problem(answer, status or answer.status_code)
    assert answer.status_code in (400, 415, 422)
    for word in words:
        assert word in document["detail"], document
    after = people.artist.get(path)
    assert after.json() == before.json() and after.headers["ETag"] == before.headers["ETag"]


def test_a_picture_of_too_many_bytes(people, mine, unchanged):
    answer = people.artist.put(f"/api/v1/albums/{mine['id']}/cover", data=png(5, 5) + bytes(20 << 20))
    problem(answer, 413)


def test_a_picture_broken_inside_is_told_and_the_former_stays(people, album, server, tmp_path):
    made = album()
    path = f"/api/v1/albums/{made['id']}"
    good = tmp_path / "good.png"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=300x300", "-frames:v", "1", str(good)],
                   check=True, timeout=60)

    def settle(body):
        art = people.artist.put(path + "/cover", data=body).json()["id"]
        for _ in range(300):
            if not people.artist.get(path).json()["coverPending"]:
                return art
            time.sleep(0.1)
        raise AssertionError("still being scaled")

    first = settle(good.read_bytes())
    until(lambda: people.artist.get(path).json()["coverArtId"] == first)
    broken = settle(png(300, 300))
    assert people.artist.get(path).json()["coverArtId"] == first
    answer = requests.get(f"{server.url}/api/v1/art/{broken}", timeout=10)
    assert "can't be used" in problem(answer, 404)["detail"]
