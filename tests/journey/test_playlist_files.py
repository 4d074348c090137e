"""Playlists in and out: M3U, XSPF and JSPF, to this server and from others; what fits, what does not, and what is no playlist."""
import json
import pathlib
import re
import time
import uuid
import xml.etree.ElementTree

import pytest
import requests

from conftest import SANITIZED, People, until
from test_playlists import add, items_of, join, make, ok

TYPES = {"m3u8": "application/vnd.apple.mpegurl", "m3u": "audio/x-mpegurl", "xspf": "application/xspf+xml", "jspf": "application/jspf+json"}
XSPF = "{http://xspf.org/ns/0/}"


@pytest.fixture(scope="module")
def record(people, album, upload):
    """An album of three songs that play, each 3 s long."""
    one = album(title=f"Über {uuid.uuid4().hex[:6]}")
    songs = [upload(album_id=one["id"], title=title, **fields)
             for title, fields in (("One & <two>", {"isrc": "USRC17607839"}), ("Straße", {}), ("Intro - Live", {}))]
    return {**one, "songs": songs, "artist": songs[0]["artistName"]}


def bring(person, body, kind, status=201, **query):
    body = body if isinstance(body, bytes) else body.encode()
    return ok(person.post("/api/v1/playlists/import", data=body, params=query, headers={"Content-Type": TYPES[kind]}, timeout=60), status)


def titles(person, playlist):
    return [item["track"]["title"] for item in items_of(person, playlist)]


def test_what_goes_out_comes_in_again(people, record):
    person = people.new()
    playlist = make(person, "Für \"uns\" & euch")
    add(person, playlist, *record["songs"], record["songs"][0])
    path = f"/api/v1/playlists/{playlist['id']}/export"
    for kind in ("m3u8", "xspf", "jspf"):
        file = person.get(path, params={"format": kind})
        assert file.status_code == 200 and file.headers["Content-Type"] == TYPES[kind]
        assert file.headers["Content-Disposition"].endswith(f"''F%C3%BCr%20%22uns%22%20%26%20euch.{kind}")
        assert person.get(path, headers={"Accept": f"text/html, {TYPES[kind]};q=0.9"}).content == file.content
        done = bring(person, file.content, kind)
        assert done["entries"] == done["matched"] == done["matchedBy"]["id"] == done["playlist"]["itemCount"] == 4 and not done["unmatched"]
        assert done["playlist"]["title"] == playlist["title"]
        assert titles(person, done["playlist"]) == ["One & <two>", "Straße", "Intro - Live", "One & <two>"]
        elsewhere = bring(person, file.content.replace(b"/api/v1/tracks/", b"/other/"), kind)
        by = elsewhere["matchedBy"]
        assert elsewhere["matched"] == 4 and by == {"id": 0, "recording": 0, "isrc": 0 if kind == "m3u8" else 2, "name": 4 if kind == "m3u8" else 2}
    assert person.get(path).content.startswith(b"#EXTM3U\n#EXTENC:UTF-8\n#PLAYLIST:")
    root = xml.etree.ElementTree.fromstring(person.get(path, params={"format": "xspf"}).content)
    assert [track.find(XSPF + "title").text for track in root.iter(XSPF + "track")] == ["One & <two>", "Straße", "Intro - Live", "One & <two>"]
    assert person.get(path, params={"format": "doc"}).status_code == 400


def test_who_reads_a_playlist_may_take_it_along(people, record):
    owner, friend, stranger = people.new(), people.new(), people.new()
    playlist = make(owner)
    add(owner, playlist, record["songs"][0])
    join(owner, playlist, friend, "view")
    path = f"/api/v1/playlists/{playlist['id']}/export"
    assert friend.get(path).status_code == 200 and stranger.get(path).status_code == 404 and people.nobody().get(path).status_code == 401
    link = ok(owner.post(f"/api/v1/playlists/{playlist['id']}/share"), 201)
    shared = people.nobody().get(f"/api/v1/shared/{link['token']}/export", params={"format": "jspf"})
    assert [track["title"] for track in ok(shared)["playlist"]["track"]] == ["One & <two>"]
    ok(owner.delete(f"/api/v1/playlists/{playlist['id']}/share"), 204)
    assert people.nobody().get(f"/api/v1/shared/{link['token']}/export").status_code == 404


def test_entries_are_matched_by_what_they_say(people, record):
    person, artist, title = people.new(), record["artist"], record["title"]
    done = bring(person, f"""#EXTM3U
#PLAYLIST:Mixed
#EXTINF:3,{artist.upper()} - STRASSE
C:\\Music\\x.mp3
#EXTINF:-1 group="a,b",{artist} - Intro - Live
http://192.0.2.1/stream
#EXTINF:60,{artist} - Straße
too/long.mp3
{artist}/{title}/02 - Straße.flac
{artist} - Intro - Live.mp3
../../../etc/passwd
https://elsewhere.example.org/api/v1/tracks/{record['songs'][0]['id']}

file:///music/{requests.utils.quote(artist)}/x/Stra%C3%9Fe.ogg
#EXTINF:3,Nobody - Nothing
#EXTALB:Nowhere
nowhere.mp3""", "m3u8")
    assert titles(person, done["playlist"]) == ["Straße", "Intro - Live", "Straße", "Intro - Live", "Straße"]
    assert done["matchedBy"]["name"] == done["matched"] == 5 and done["entries"] == 9 and done["playlist"]["title"] == "Mixed"
    assert [(one["line"], one["title"], one["reason"]) for one in done["unmatched"]] == [
        (8, "Straße", "There is no such track here"), (11, "passwd", "There is no such track here"),
        (12, record["songs"][0]["id"], "There is no such track here"), (17, "Nothing", "There is no such track here")]
    assert done["unmatched"][0]["durationMs"] == 60000 and done["unmatched"][3]["album"] == "Nowhere"
    old = bring(person, b"#EXTM3U\r\n#EXTINF:3," + artist.encode() + b" - Stra\xdfe\r\nx.mp3\r\nlonely.mp3\r\n", "m3u", title="Old")
    assert titles(person, old["playlist"]) == ["Straße"] and old["playlist"]["title"] == "Old"
    assert old["unmatched"][0]["reason"] == "Nothing says which track it is" and old["unmatched"][0]["artist"] is None
    by_isrc = bring(person, json.dumps({"playlist": {"track": [{"title": "whatever", "identifier": "urn:isrc:us-rc1-76-07839"}]}}), "jspf")
    assert by_isrc["matchedBy"]["isrc"] == 1 and by_isrc["playlist"]["title"] == "Imported playlist"


def test_a_recording_is_known_by_its_id(server, people, record):
    """An import of tagged files fills it; here it is written as if it had."""
    song, mbid = record["songs"][1], str(uuid.uuid4())
    server.change(f"UPDATE track SET recording_mbid = '{mbid}' WHERE id = {song['id']}")
    done = bring(people.new(), f"""<playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList><track>
        <identifier>https://musicbrainz.org/recording/{mbid.upper()}</identifier><title>Of another name</title></track></trackList></playlist>""", "xspf")
    assert done["matchedBy"]["recording"] == 1


def test_what_may_not_be_seen_is_not_matched(people, album, upload):
    artist, person = people.new("artist"), people.new()
    draft = album(artist=artist, status="draft")
    song = upload(album_id=draft["id"], artist=artist, title=f"Secret {uuid.uuid4().hex[:6]}", isrc="GBAYE0000001", wait=False)
    file = json.dumps({"playlist": {"track": [{"location": [f"{person.base}/api/v1/tracks/{song['id']}"], "identifier": ["urn:isrc:GBAYE0000001"],
                                               "title": song["title"], "creator": song["artistName"]}]}})
    hidden = bring(person, file, "jspf")
    assert not hidden["matched"] and hidden["unmatched"][0]["title"] == song["title"]
    assert bring(artist, file, "jspf")["matchedBy"]["id"] == 1


def test_an_import_sent_again_is_not_done_again(people, record):
    person, key = people.new(), uuid.uuid4().hex
    send = lambda: person.post("/api/v1/playlists/import", data=b"a.mp3", headers={"Content-Type": TYPES["m3u"], "Idempotency-Key": key})
    first, again = send(), send()
    assert ok(first, 201) == ok(again, 201) and again.headers["Idempotency-Replayed"] == "true"
    other = person.post("/api/v1/playlists/import", data=b"a.mp3", params={"title": "Another"}, headers=first.request.headers)
    assert other.status_code == 422 and "another request" in other.text
    assert len(ok(person.get("/api/v1/playlists"))["items"]) == 1


BOMB = "<!DOCTYPE a [<!ENTITY a 'aaaaaaaaaa'>" + "".join(f"<!ENTITY {b} '{f'&{a};' * 10}'>" for a, b in zip("abcdefgh", "bcdefghi")) + "]><playlist>&i;</playlist>"


@pytest.mark.parametrize("body, kind, status, words", [
    (b"#EXTM3U\n\nStra\xdfe.mp3\n", "m3u8", 400, "Line 3 is not valid UTF-8"),
    (b"#EXTM3U\na\0b", "m3u", 400, "NUL"),
    (b"#EXTM3U\n" + b"x" * 8193, "m3u8", 400, "Line 2 has 8193 bytes"),
    (b"x.mp3\n" * 10001, "m3u8", 422, "more than 10000 entries (line 10001)"),
    (b"x" * ((6 << 20) + 1), "m3u8", 413, ""),
    (b"", "m3u8", 400, "empty"),
    (BOMB.encode(), "xspf", 400, "without a document type"),
    (b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><playlist/>", "xspf", 400, "without a document type"),
    (b"<playlist>" + b"<a>" * 40, "xspf", 400, "16 elements deep"),
    (b"<playlist>\n\n<trackList></playlist>", "xspf", 400, "Line 3"),
    (b"<html/>", "xspf", 400, "<html>"),
    (b"<playlist><title>\xff</title></playlist>", "xspf", 400, "UTF-8"),
    (b"{\"playlist\":", "jspf", 400, "line 1"),
    (b"{\"playlist\":[]}", "jspf", 400, "A JSPF is"),
    (b"{\"playlist\":{\"track\":[7]}}", "jspf", 400, "track[0]"),
    (b"[" * 100000, "jspf", 400, "deeper"),
    pytest.param(b"{\"playlist\":{\"track\":[" + b"[]," * 500_000 + b"7]}}", "jspf", 413, "too many values", id="swelling"),
])
def test_what_is_no_playlist_is_told(people, body, kind, status, words):
    answer = people.listener.post("/api/v1/playlists/import", data=body, headers={"Content-Type": TYPES[kind]})
    assert answer.status_code == status and words in answer.text, answer.text
    unknown = people.listener.post("/api/v1/playlists/import", data=b"x", headers={"Content-Type": "text/plain"})
    assert unknown.status_code == 415 and "application/xspf+xml" in unknown.text
    assert people.listener.post("/api/v1/playlists/import", data=b"x", params={"format": "pls"}).status_code == 400


def test_ten_thousand_entries_are_matched(people, record):
    person = people.new()
    lines = [f"#EXTINF:3,{record['artist']} - {'Straße' if number % 2 else f'Not here {number}'}\n{number}.mp3\n" for number in range(10000)]
    done = requests.post(f"{person.base}/api/v1/playlists/import", data="".join(lines).encode(), headers={**person.headers, "Content-Type": TYPES["m3u8"]},
                         timeout=120)  # past the check of every answer
    assert ok(done, 201)["matched"] == 5000 and len(done.json()["unmatched"]) == 5000 and done.json()["playlist"]["itemCount"] == 5000
    first = items_of(person, done.json()["playlist"], limit=500)
    assert len(first) == 5000 and [one["line"] for one in done.json()["unmatched"][:3]] == [2, 6, 10]


def memory_mb(server, field):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(field + r":\s+(\d+)", status)[1]) / 1024


@pytest.mark.skipif(SANITIZED, reason="sanitizers keep what is freed")
def test_the_memory_of_a_large_file_is_given_back(own_server):
    server = own_server()
    person = People(server).new()
    before = memory_mb(server, "VmRSS")
    tracks = [{"title": f"Song {number}", "creator": "Nobody here", "meta": [{str(other): []} for other in range(5)]} for number in range(10_000)]
    bring(person, json.dumps({"playlist": {"track": tracks}}), "jspf")
    most = memory_mb(server, "VmHWM")
    assert most > before + 20, "it is large"
    until(lambda: memory_mb(server, "VmRSS") < (before + most) / 2, "the system never has it back")


def test_everything_goes_out_with_its_person(server, people, record):
    person, song, other = people.new(), record["songs"][0], record["songs"][1]
    empty = ok(person.post("/api/v1/me/export"))
    assert empty["marks"] == empty["playlists"] == empty["listens"] == [] and empty["queue"]["trackIds"] == []
    ok(person.put(f"/api/v1/me/favourites/track/{song['id']}"))
    ok(person.put(f"/api/v1/me/favourites/track/{other['id']}"))
    ok(person.delete(f"/api/v1/me/favourites/track/{other['id']}"), 204)
    ok(person.put(f"/api/v1/me/ratings/album/{record['id']}", json={"rating": 4}))
    ok(person.put(f"/api/v1/me/follows/{song['artistId']}"))
    ok(person.put("/api/v1/me/queue", json={"trackIds": [song["id"], other["id"]], "index": 1, "positionMs": 500}))
    first = make(person, "First")
    add(person, first, song, other)
    second = ok(person.post("/api/v1/playlists", json={"title": "Second", "smart": {"match": "all", "rules": [
        {"field": "favourite", "op": "is", "value": True}]}}), 201)
    now = int(time.time() * 1000)
    plays = [{"id": f"play-{number:04}", "trackId": song["id"], "startedAt": now - number, "playedMs": 3000} for number in range(300)]
    for at in range(0, 300, 200):
        assert person.post("/api/v1/plays", json={"events": plays[at:at + 200]}).status_code == 202
    user, deadline = int(ok(person.get("/api/v1/me"))["id"]), time.monotonic() + 120
    while server.rows("SELECT COUNT(*) FROM play_history WHERE user_id = ?", user, database="activity") != [(300,)]:
        assert time.monotonic() < deadline, "the plays did not become history"
        time.sleep(0.3)
    out = ok(person.post("/api/v1/me/export"))
    assert [(mark["what"], mark["kind"], mark["value"]) for mark in out["marks"]] == [
        ("favourite", "track", 1), ("rating", "album", 4), ("follow", "artist", 1)]
    assert out["marks"][0]["title"] == song["title"] and out["marks"][0]["artist"] == record["artist"] and out["marks"][2]["name"] == record["artist"]
    assert out["queue"] == {"trackIds": [song["id"], other["id"]], "index": 1, "positionMs": 500}
    assert [(one["id"], bool(one["smart"])) for one in out["playlists"]] == [(second["id"], True), (first["id"], False)]
    assert [[track["title"] for track in one["jspf"]["playlist"]["track"]] for one in out["playlists"]] == [[song["title"]], [song["title"], other["title"]]]
    listens = [one["track_metadata"] for one in out["listens"]]
    assert [one["additional_info"]["play_id"] for one in listens] == [one["id"] for one in plays]
    assert listens[0]["track_name"] == song["title"] and out["listens"][0]["listened_at"] == now // 1000
    assert out["user"]["username"] == person.username and len(out["sessions"]) == 1
