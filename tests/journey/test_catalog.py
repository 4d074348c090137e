"""The catalogue: artists, albums, tracks, genres, lyrics and pictures, as clients make, read, change and delete them."""
import base64
import subprocess
import time
import unicodedata
import uuid

import pytest
import requests

from conftest import until, wait_for

UNKNOWN = "4611686018427387904"


def name(word="Name"):
    return f"{word} {uuid.uuid4().hex[:10]}"


def ok(answer, status=200):
    assert answer.status_code == status, f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:500]}"
    return answer.json() if answer.content else None


def make_artist(person, **fields):
    return ok(person.post("/api/v1/artists", json={"name": name("Band"), **fields}), 201)


def pages(person, path, limit, **query):
    """Every item of a list, page by page."""
    items, cursor = [], None
    while True:
        page = ok(person.get(path, params={"limit": limit, **query, **({"cursor": cursor} if cursor else {})}))
        assert len(page["items"]) <= limit
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            return items
        assert len(page["items"]) == limit, "only the last page is short"


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """picture(kind, size) → the bytes of a picture that ffmpeg made."""
    folder = tmp_path_factory.mktemp("pictures")

    def make(kind="png", size="700x700"):
        path = folder / f"{size}.{kind}"
        if not path.exists():
            subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc=s={size}", "-frames:v", "1",
                            str(path)], check=True, timeout=60)
        return path.read_bytes()

    return make


# ---- making, reading, changing, deleting

def test_an_artist_from_birth_to_end(people):
    artist = people.artist
    made = artist.post("/api/v1/artists", json={"name": "  Wagner  ", "bio": "Of Leipzig.\nLater of Bayreuth."})
    page = ok(made, 201)
    assert page["name"] == "Wagner" and page["ownerId"] == artist.user["id"]
    assert page["createdAt"] == page["updatedAt"] and abs(page["createdAt"] / 1000 - time.time()) < 60
    path = f"/api/v1/artists/{page['id']}"
    read = people.listener.get(path)
    assert ok(read) == page and read.headers["ETag"] == made.headers["ETag"]
    changed = artist.patch(path, json={"bio": None})
    assert ok(changed)["bio"] == "" and changed.json()["name"] == "Wagner"
    assert changed.headers["ETag"] != made.headers["ETag"] and changed.json()["updatedAt"] >= page["updatedAt"]
    assert ok(people.listener.get(path)) == changed.json()
    ok(artist.delete(path), 204)
    assert people.listener.get(path).status_code == 404 and artist.get(path).status_code == 404
    assert artist.delete(path).status_code == 404 and artist.patch(path, json={"name": "X"}).status_code == 404


def test_an_album_from_birth_to_end(people):
    artist = people.artist
    page, genre = make_artist(artist), name("Genre")
    made = ok(artist.post("/api/v1/albums", json={
        "artistId": page["id"], "title": "Nebensonnen", "type": "ep", "releaseDate": "2024-02-29",
        "genres": [genre, genre.upper(), "Lied"]}), 201)
    assert made["artistName"] == page["name"] and made["type"] == "ep" and made["status"] == "published"
    assert made["genres"] == [genre, "Lied"], "the same genre in another case is the same genre"
    assert (made["trackCount"], made["durationMs"], made["coverArtId"]) == (0, 0, None)
    path = f"/api/v1/albums/{made['id']}"
    assert ok(people.listener.get(path)) == made
    changed = ok(artist.patch(path, json={"title": "Sonnen", "releaseDate": None, "genres": []}))
    assert (changed["title"], changed["releaseDate"], changed["genres"], changed["type"]) == ("Sonnen", None, [], "ep")
    assert genre not in [one["name"] for one in pages(artist, "/api/v1/genres", 500)]
    ok(artist.delete(path), 204)
    assert people.listener.get(path).status_code == 404
    assert made["id"] not in [one["id"] for one in ok(artist.get(f"/api/v1/artists/{page['id']}/albums"))["items"]]


def test_numbers_may_be_ids_too(people):
    page = make_artist(people.artist)
    made = people.artist.post("/api/v1/albums", json={"artistId": int(page["id"]), "title": "T"})
    assert ok(made, 201)["artistId"] == page["id"]


def test_an_album_moves_to_another_page_with_its_tracks(people, upload):
    track = upload(wait=False)
    other = make_artist(people.artist)
    answer = people.artist.patch(f"/api/v1/albums/{track['albumId']}", json={"artistId": other["id"]})
    assert ok(answer)["artistId"] == other["id"]
    moved = ok(people.listener.get(f"/api/v1/tracks/{track['id']}"))
    assert (moved["artistId"], moved["artistName"]) == (other["id"], other["name"])
    foreign = make_artist(people.new("artist"))
    answer = people.artist.patch(f"/api/v1/albums/{track['albumId']}", json={"artistId": foreign["id"]})
    assert answer.status_code == 403
    assert ok(people.listener.get(f"/api/v1/albums/{track['albumId']}"))["artistId"] == other["id"]


def test_names_are_shown_everywhere_they_are_repeated(people, upload):
    track = upload(wait=False)
    new = name("Renamed")
    ok(people.artist.patch(f"/api/v1/artists/{track['artistId']}", json={"name": new}))
    ok(people.artist.patch(f"/api/v1/albums/{track['albumId']}", json={"title": new + " album"}))
    shown = ok(people.listener.get(f"/api/v1/tracks/{track['id']}"))
    assert (shown["artistName"], shown["albumTitle"]) == (new, new + " album")
    assert ok(people.listener.get(f"/api/v1/albums/{track['albumId']}"))["artistName"] == new
    listed = ok(people.listener.get(f"/api/v1/albums/{track['albumId']}/tracks"))["items"]
    assert [one["albumTitle"] for one in listed] == [new + " album"]


def test_a_new_name_is_shown_although_the_etag_stays(people, upload):
    """The ETag counts what is written on the track; a copy under it must not be called fresh when something
    else it shows has changed."""
    track = upload()
    path = f"/api/v1/tracks/{track['id']}"
    album = f"/api/v1/albums/{track['albumId']}"
    until(lambda: people.listener.get(path).headers["Cache-Control"] != "no-store")
    kept = {one: {"If-None-Match": people.listener.get(one).headers["ETag"]} for one in (path, album)}
    assert all(people.listener.get(one, headers=kept[one]).status_code == 304 for one in kept)
    new = name("Renamed")
    ok(people.artist.patch(f"/api/v1/artists/{track['artistId']}", json={"name": new}))
    for one, headers in kept.items():
        assert ok(people.listener.get(one, headers=headers))["artistName"] == new
        assert people.listener.get(one).headers["ETag"] == headers["If-None-Match"]
    ok(people.artist.patch(path, json={"title": "Edited"}, headers={"If-Match": kept[path]["If-None-Match"]}))
    edited = people.listener.get(path).headers["ETag"]
    assert people.listener.get(path, headers={"If-None-Match": edited}).status_code == 304


def test_a_tracks_metadata(people, upload):
    track = upload(title="Der Lindenbaum", trackNumber=5, discNumber=2, explicit=True, isrc="de-a12-34-56789",
                   lyrics="Am Brunnen vor dem Tore", wait=False)
    assert (track["trackNumber"], track["discNumber"], track["explicit"]) == (5, 2, True)
    assert track["isrc"] == "DEA123456789" and track["hasLyrics"]
    path = f"/api/v1/tracks/{track['id']}"
    change = {"title": "Im Dorfe", "isrc": None, "lyrics": None, "explicit": False}
    changed = ok(people.artist.patch(path, json=change))
    assert (changed["title"], changed["isrc"], changed["hasLyrics"]) == ("Im Dorfe", None, False)
    assert not changed["explicit"]
    assert (changed["trackNumber"], changed["version"]) == (5, 1), "what wasn't named stays"
    assert people.artist.get(path + "/lyrics").status_code == 404


def test_tracks_are_numbered_as_they_come(people, album, upload, sounds):
    made = album()
    path = sounds("flac", seconds=1.0)
    tracks = [upload(path=path, album_id=made["id"], title=f"{n}", wait=False) for n in (1, 2, 3)]
    assert [track["trackNumber"] for track in tracks] == [1, 2, 3]
    second = upload(path=path, album_id=made["id"], title="other disc", discNumber=2, wait=False)
    assert second["trackNumber"] == 1
    listed = pages(people.listener, f"/api/v1/albums/{made['id']}/tracks", 2)
    assert [track["id"] for track in listed] == [track["id"] for track in tracks + [second]]
    again = pages(people.listener, "/api/v1/tracks", 3, albumId=made["id"])
    assert [track["id"] for track in again] == [track["id"] for track in listed]


def test_lyrics(people, upload):
    track = upload(wait=False)
    path = f"/api/v1/tracks/{track['id']}/lyrics"
    assert people.listener.get(path).status_code == 404
    before = people.artist.get(f"/api/v1/tracks/{track['id']}").headers["ETag"]
    put = ok(people.artist.put(path, json={"text": "Fremd bin ich eingezogen,\nfremd zieh ich wieder aus."}))
    assert put["trackId"] == track["id"] and ok(people.listener.get(path)) == put
    after = people.artist.get(f"/api/v1/tracks/{track['id']}")
    assert after.json()["hasLyrics"] and after.headers["ETag"] != before
    assert people.artist.put(path, json={"text": "x"}, headers={"If-Match": before}).status_code == 412
    assert people.artist.put(path, json={}).status_code == 422
    assert people.new("artist").put(path, json={"text": "mine"}).status_code == 403
    assert ok(people.listener.get(path)) == put
    ok(people.artist.delete(path), 204)
    assert people.listener.get(path).status_code == 404
    assert not ok(people.artist.get(f"/api/v1/tracks/{track['id']}"))["hasLyrics"]


def test_genres_count_what_is_published(people, album):
    genre = name("Genre")

    def count():
        return {one["name"]: one["albumCount"] for one in pages(people.listener, "/api/v1/genres", 100)}.get(genre)

    made = album(genres=[genre])
    album(genres=[genre.lower()], status="draft")
    assert count() == 1
    found = ok(people.listener.get("/api/v1/albums", params={"genre": genre.swapcase()}))["items"]
    assert [one["id"] for one in found] == [made["id"]]
    ok(people.artist.delete(f"/api/v1/albums/{made['id']}"), 204)
    assert count() is None


def test_filters_and_orders_of_albums(people):
    page = make_artist(people.artist)
    titles = [("b", "album"), ("a", "single"), ("Ä", "album"), ("C", "ep")]
    made = [ok(people.artist.post("/api/v1/albums", json={"artistId": page["id"], "title": title, "type": kind}), 201)
            for title, kind in titles]
    path = f"/api/v1/artists/{page['id']}/albums"
    assert [one["id"] for one in pages(people.listener, path, 3)] == [one["id"] for one in reversed(made)]
    assert [one["title"] for one in pages(people.listener, path, 3, sort="title")][:3] == ["a", "b", "C"]
    assert {one["title"] for one in pages(people.listener, path, 3, type="album")} == {"b", "Ä"}
    assert pages(people.listener, "/api/v1/albums", 2, artistId=page["id"], type="compilation") == []
    for wrong in ({"type": "tape"}, {"sort": "colour"}, {"artistId": "x"}):
        assert people.listener.get("/api/v1/albums", params=wrong).status_code == 400
    owned = pages(people.listener, "/api/v1/artists", 50, ownerId=people.artist.user["id"])
    assert page["id"] in [one["id"] for one in owned] and {one["ownerId"] for one in owned} == {people.artist.user["id"]}


# ---- deletion takes along what is below

def test_an_artist_takes_albums_and_tracks_along(people, upload, server):
    track = upload(title="Down", lyrics="la")
    stream = ok(people.listener.get(f"/api/v1/tracks/{track['id']}/stream"))
    ok(people.artist.delete(f"/api/v1/artists/{track['artistId']}"), 204)
    for path in (f"artists/{track['artistId']}", f"albums/{track['albumId']}", f"tracks/{track['id']}",
                 f"tracks/{track['id']}/lyrics", f"tracks/{track['id']}/stream", f"albums/{track['albumId']}/tracks",
                 f"artists/{track['artistId']}/albums", f"tracks/{track['id']}/waveform"):
        for person in (people.listener, people.artist, people.admin):
            assert person.get("/api/v1/" + path).status_code == 404, (path, person.role)
    assert requests.get(stream["trackUrl"], timeout=10).status_code == 404
    newest = ok(people.listener.get("/api/v1/tracks"))["items"]
    assert track["id"] not in [one["id"] for one in newest]


def test_an_album_shrinks_with_its_tracks(people, upload, sounds):
    first = upload(path=sounds("flac", seconds=3.0))
    upload(path=sounds("flac", seconds=2.0), album_id=first["albumId"], title="two")
    path = f"/api/v1/albums/{first['albumId']}"
    both = ok(people.listener.get(path))
    assert (both["trackCount"], both["durationMs"]) == (2, 5000)
    assert ok(people.artist.delete(f"/api/v1/tracks/{first['id']}")) == {"id": first["id"]}
    left = ok(people.listener.get(path))
    assert (left["trackCount"], left["durationMs"]) == (1, 2000)


# ---- whose it is

def test_an_artist_touches_only_its_own(people, upload, picture):
    track = upload()
    other = people.new("artist")
    before = [ok(people.listener.get(f"/api/v1/{path}")) for path in
              (f"artists/{track['artistId']}", f"albums/{track['albumId']}")]
    for method, path, body in (
            ("PATCH", f"artists/{track['artistId']}", {"name": "Mine"}), ("DELETE", f"artists/{track['artistId']}", None),
            ("PATCH", f"albums/{track['albumId']}", {"title": "Mine"}), ("DELETE", f"albums/{track['albumId']}", None),
            ("PATCH", f"tracks/{track['id']}", {"title": "Mine"}), ("DELETE", f"tracks/{track['id']}", None),
            ("PUT", f"tracks/{track['id']}/lyrics", {"text": "Mine"}), ("DELETE", f"tracks/{track['id']}/lyrics", None),
            ("DELETE", f"albums/{track['albumId']}/cover", None), ("DELETE", f"artists/{track['artistId']}/image", None),
            ("GET", f"tracks/update-url/{track['id']}", None),
            ("POST", "albums", {"artistId": track["artistId"], "title": "Mine"})):
        answer = other.request(method, "/api/v1/" + path, json=body)
        assert answer.status_code == 403, (method, path, answer.status_code)
    assert other.put(f"/api/v1/albums/{track['albumId']}/cover", data=picture()).status_code == 403
    assert other.put(f"/api/v1/artists/{track['artistId']}/image", data=picture()).status_code == 403
    after = [ok(people.listener.get(f"/api/v1/{path}")) for path in
             (f"artists/{track['artistId']}", f"albums/{track['albumId']}")]
    assert after == before


def test_an_admin_deletes_but_does_not_edit(people, upload):
    track = upload(wait=False)
    for path in (f"artists/{track['artistId']}", f"albums/{track['albumId']}", f"tracks/{track['id']}"):
        assert people.admin.patch("/api/v1/" + path, json={"title": "Better", "name": "Better"}).status_code == 403
    assert ok(people.admin.delete(f"/api/v1/tracks/{track['id']}")) == {"id": track["id"]}
    ok(people.admin.delete(f"/api/v1/albums/{track['albumId']}"), 204)
    ok(people.admin.delete(f"/api/v1/artists/{track['artistId']}"), 204)
    assert people.artist.get(f"/api/v1/artists/{track['artistId']}").status_code == 404


def test_drafts_are_the_artists_own(people, album, upload):
    draft = album(status="draft", genres=[name("Genre")])
    track = upload(album_id=draft["id"], lyrics="secret", wait=False)
    paths = [f"albums/{draft['id']}", f"albums/{draft['id']}/tracks", f"tracks/{track['id']}",
             f"tracks/{track['id']}/lyrics"]
    lists = ["albums", f"artists/{draft['artistId']}/albums", f"albums?artistId={draft['artistId']}",
             f"albums?genre={draft['genres'][0]}"]
    for path in paths:
        assert people.artist.get("/api/v1/" + path).status_code == 200
        assert people.admin.get("/api/v1/" + path).status_code == 200
        for person in (people.listener, people.new("artist")):
            assert person.get("/api/v1/" + path).status_code == 404, path
    for path in lists:
        assert draft["id"] not in [one["id"] for one in ok(people.listener.get("/api/v1/" + path))["items"]], path
    for path in ("tracks", f"tracks?artistId={draft['artistId']}"):
        assert track["id"] not in [one["id"] for one in ok(people.listener.get("/api/v1/" + path))["items"]], path
    assert people.listener.get(f"/api/v1/tracks?albumId={draft['id']}").status_code == 404
    own = ok(people.artist.get(f"/api/v1/artists/{draft['artistId']}/albums"))["items"]
    assert [one["id"] for one in own] == [draft["id"]]
    foreign = people.new("artist")
    assert foreign.patch(f"/api/v1/albums/{draft['id']}", json={"title": "x"}).status_code == 404
    assert foreign.delete(f"/api/v1/tracks/{track['id']}").status_code == 404
    ok(people.artist.patch(f"/api/v1/albums/{draft['id']}", json={"status": "published"}))
    for path in paths:
        assert people.listener.get("/api/v1/" + path).status_code == 200, path
    assert draft["id"] in [one["id"] for one in ok(people.listener.get("/api/v1/" + lists[1]))["items"]]
    ok(people.artist.patch(f"/api/v1/albums/{draft['id']}", json={"status": "draft"}))
    for path in paths:
        assert people.listener.get("/api/v1/" + path).status_code == 404, path


@pytest.mark.parametrize("roles", [["listener", "artist"], ["listener"]], ids=["artist", "no artist any more"])
def test_drafts_stay_out_of_what_others_are_sent(people, roles):
    """Lists are kept for a moment for whoever asks next; whose they are sees more in them, in whichever role."""
    owner = people.new("artist")
    artist = make_artist(owner)["id"]
    draft = ok(owner.post("/api/v1/albums", json={"artistId": artist, "title": "Secret", "status": "draft"}), 201)["id"]
    ok(people.admin.patch(f"/api/v1/admin/users/{owner.user['id']}", json={"roles": roles}))
    owner.renew()
    assert owner.user["roles"] == roles
    for path in (f"/api/v1/artists/{artist}/albums", f"/api/v1/albums?artistId={artist}", f"/api/v1/artists/{artist}/albums?sort=title"):
        for person, sees in ((people.listener, []), (owner, [draft]), (people.listener, []), (people.admin, [draft]), (owner, [draft]),
                             (people.new("artist"), [])):
            assert [one["id"] for one in ok(person.get(path))["items"]] == sees, (path, person.username)


def test_a_listener_becomes_an_artist(people):
    person = people.new("listener")
    assert person.post("/api/v1/artists", json={"name": "Too early"}).status_code == 403
    assert person.post("/api/v1/me/artist", json={"name": ""}).status_code == 422
    key = {"Idempotency-Key": uuid.uuid4().hex}
    answer = ok(person.post("/api/v1/me/artist", json={"name": "Now"}, headers=key), 201)
    assert answer["artist"]["name"] == "Now" and answer["artist"]["ownerId"] == person.user["id"]
    again = ok(person.post("/api/v1/me/artist", json={"name": "Now"}, headers=key), 201)
    assert again["artist"] == answer["artist"]
    person.take(again)
    ok(person.post("/api/v1/albums", json={"artistId": answer["artist"]["id"], "title": "First"}), 201)
    assert len(pages(person, "/api/v1/artists", 50, ownerId=person.user["id"])) == 1


# ---- conditions and repetition

def test_what_has_not_changed_is_not_sent_again(people, album):
    made = album()
    for path in (f"/api/v1/albums/{made['id']}", f"/api/v1/artists/{made['artistId']}"):
        first = people.listener.get(path)
        etag = first.headers["ETag"]
        for condition in (etag, f'"none", {etag}', "W/" + etag, "*"):
            answer = people.listener.get(path, headers={"If-None-Match": condition})
            assert answer.status_code == 304 and not answer.content and answer.headers["ETag"] == etag, condition
        assert people.listener.get(path, headers={"If-None-Match": '"0"'}).status_code == 200
    ok(people.artist.patch(f"/api/v1/albums/{made['id']}", json={"title": "New"}))
    assert people.listener.get(f"/api/v1/albums/{made['id']}", headers={"If-None-Match": '"1"'}).status_code == 200


@pytest.mark.parametrize("kind, field", [("artists", "name"), ("albums", "title"), ("tracks", "title")])
def test_a_change_of_what_has_changed_is_refused(people, upload, kind, field):
    track = upload(wait=False)
    ids = {"artists": track["artistId"], "albums": track["albumId"], "tracks": track["id"]}
    path = f"/api/v1/{kind}/{ids[kind]}"
    seen = people.artist.get(path).headers["ETag"]
    first = people.artist.patch(path, json={field: "First"}, headers={"If-Match": seen})
    assert ok(first)[field] == "First"
    late = people.artist.patch(path, json={field: "Second"}, headers={"If-Match": seen})
    assert late.status_code == 412 and late.json()["title"]
    assert people.artist.delete(path, headers={"If-Match": seen}).status_code == 412
    assert ok(people.artist.get(path))[field] == "First"
    assert people.artist.delete(path, headers={"If-Match": first.headers["ETag"]}).status_code in (200, 204)


def test_progress_of_the_worker_leaves_the_etag(people, upload, sounds):
    track = upload(path=sounds("flac", seconds=5.0), wait=False)
    path = f"/api/v1/tracks/{track['id']}"
    begun = people.artist.get(path)
    assert "no-store" in begun.headers["Cache-Control"]
    assert people.artist.get(path, headers={"If-None-Match": begun.headers["ETag"]}).status_code == 200
    wait_for(people.artist, track["id"], whole=True)

    def settled():
        answer = people.artist.get(path)
        return answer if "no-store" not in answer.headers["Cache-Control"] else None

    assert until(settled).headers["ETag"] == begun.headers["ETag"]
    until(lambda: people.artist.get(path, headers={"If-None-Match": begun.headers["ETag"]}).status_code == 304)
    ok(people.artist.patch(path, json={"title": "Edited"}, headers={"If-Match": begun.headers["ETag"]}))


def test_a_repeated_write_is_done_once(people):
    page = make_artist(people.artist)
    key = {"Idempotency-Key": uuid.uuid4().hex}
    body = {"artistId": page["id"], "title": "Once"}
    first = people.artist.post("/api/v1/albums", json=body, headers=key)
    again = people.artist.post("/api/v1/albums", json=body, headers=key)
    assert ok(again, 201) == ok(first, 201) and again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Idempotency-Replayed"] == "true" and "Idempotency-Replayed" not in first.headers
    other = people.artist.post("/api/v1/albums", json={**body, "title": "Twice"}, headers=key)
    assert other.status_code == 422 and "Idempotency-Key" in other.json()["detail"]
    path = f"/api/v1/artists/{page['id']}/albums"
    assert [one["title"] for one in ok(people.artist.get(path))["items"]] == ["Once"]
    foreign = people.new("artist")
    assert foreign.post("/api/v1/artists", json={"name": "Own"}, headers=key).status_code == 201, "keys are a user's own"
    gone = {"Idempotency-Key": uuid.uuid4().hex}
    for _ in range(2):
        ok(people.artist.delete(f"/api/v1/albums/{first.json()['id']}", headers=gone), 204)


def test_a_repeated_track_is_made_once(people, album, upload, sounds):
    made = album()
    body = {"albumId": made["id"], "title": "Once", "trackUrl": upload.put(sounds(), people.artist)}
    key = {"Idempotency-Key": uuid.uuid4().hex}
    first = people.artist.post("/api/v1/tracks", json=body, headers=key)
    again = people.artist.post("/api/v1/tracks", json=body, headers=key)
    assert ok(again, 201)["id"] == ok(first, 201)["id"] and again.headers["Idempotency-Replayed"] == "true"
    assert people.artist.post("/api/v1/tracks", json={**body, "title": "x"}, headers=key).status_code == 422
    listed = ok(people.artist.get(f"/api/v1/albums/{made['id']}/tracks"))["items"]
    assert [one["id"] for one in listed] == [first.json()["id"]]
    path, key = f"/api/v1/tracks/{first.json()['id']}", {"Idempotency-Key": uuid.uuid4().hex}
    once = people.artist.patch(path, json={"title": "Changed"}, headers=key)
    twice = people.artist.patch(path, json={"title": "Changed"}, headers=key)
    assert ok(twice)["title"] == "Changed" and twice.headers["ETag"] == once.headers["ETag"]


def test_a_refused_write_keeps_no_key(people):
    key = {"Idempotency-Key": uuid.uuid4().hex}
    assert people.artist.post("/api/v1/albums", json={"artistId": UNKNOWN, "title": "x"}, headers=key).status_code == 422
    page = make_artist(people.artist)
    ok(people.artist.post("/api/v1/albums", json={"artistId": page["id"], "title": "x"}, headers=key), 201)


# ---- pages

def test_pages_hold_everything_once_while_things_are_added(people):
    owner = people.new("artist")
    page = make_artist(owner)
    path = f"/api/v1/artists/{page['id']}/albums"

    def add(title):
        return ok(owner.post("/api/v1/albums", json={"artistId": page["id"], "title": title}), 201)["id"]

    made = [add(f"{n:02}") for n in range(11)]
    for order, expected in (("created", made[::-1]), ("title", made)):
        seen, cursor = [], None
        while True:
            query = {"limit": 4, "sort": order, **({"cursor": cursor} if cursor else {})}
            answer = ok(people.listener.get(path, params=query))
            seen += [one["id"] for one in answer["items"]]
            cursor = answer["next"]
            if cursor is None:
                break
            add("!before all others" if order == "title" else "newer")  # lies before the place that was reached
        assert seen == expected if order == "created" else [one for one in seen if one in made] == made
        assert len(seen) == len(set(seen))


def test_equal_titles_have_an_order(people):
    owner = people.new("artist")
    page = make_artist(owner)
    body = {"artistId": page["id"], "title": "Same"}
    made = {ok(owner.post("/api/v1/albums", json=body), 201)["id"] for _ in range(5)}
    seen = [one["id"] for one in pages(owner, f"/api/v1/artists/{page['id']}/albums", 2, sort="title")]
    assert len(seen) == 5 and set(seen) == made


def test_a_cursor_that_is_none_is_refused(people, album):
    album(), album()
    listed = ok(people.listener.get("/api/v1/albums", params={"limit": 1}))
    cursor = listed["next"]
    assert cursor
    plain = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    forged = base64.urlsafe_b64encode(plain.replace(b".", b".-", 1)).rstrip(b"=").decode()
    for wrong in ("", "x", "%%%", cursor[:-3], cursor + "A", "A" + cursor, cursor.swapcase(), forged, "A" * 5000):
        answer = people.listener.get("/api/v1/albums", params={"limit": 1, "cursor": wrong})
        assert answer.status_code in (400, 414), (wrong[:40], answer.status_code)
    for other in ("/api/v1/artists", "/api/v1/tracks", "/api/v1/genres", "/api/v1/albums?sort=title"):
        assert people.listener.get(other, params={"cursor": cursor}).status_code == 400, "a cursor of another list"
    assert ok(people.listener.get("/api/v1/albums", params={"limit": 1, "cursor": cursor}))["items"]


@pytest.mark.parametrize("path", ["artists", "albums", "tracks", "genres"])
def test_limits_have_bounds(people, path):
    for wrong in ("0", "-1", "501", "ten", "1.5", "", "99999999999999999999"):
        answer = people.listener.get(f"/api/v1/{path}", params={"limit": wrong})
        assert answer.status_code == 400 and "limit" in answer.json()["detail"], wrong
    assert len(ok(people.listener.get(f"/api/v1/{path}", params={"limit": 500}))["items"]) <= 500
    assert len(ok(people.listener.get(f"/api/v1/{path}"))["items"]) <= 50


# ---- text

def test_text_is_kept_in_its_normal_form(people):
    name_ = "Zoë Ångström"
    parts = unicodedata.normalize("NFD", name_)
    assert parts != name_
    made = make_artist(people.artist, name=parts)
    assert made["name"] == unicodedata.normalize("NFC", name_)
    assert ok(people.listener.get(f"/api/v1/artists/{made['id']}"))["name"] == made["name"]
    emoji = make_artist(people.artist, name="👩‍🚀 音楽 \"quotes\" \\ </script>")
    assert emoji["name"] == "👩‍🚀 音楽 \"quotes\" \\ </script>"
    longest = make_artist(people.artist, name="ä" * 200)
    assert longest["name"] == "ä" * 200, "characters are counted, not bytes"


# ---- loudness

def test_an_albums_loudness_follows_its_tracks(people, upload, sounds):
    def loudness(album_id):
        return ok(people.listener.get(f"/api/v1/albums/{album_id}"))["loudness"]

    loud = upload(path=sounds("flac", seconds=4.0))
    album_id = loud["albumId"]
    alone = loudness(album_id)
    assert abs(alone["albumLufs"] - loud["loudness"]["trackLufs"]) <= 0.15
    quiet = upload(path=sounds("flac", seconds=4.0, extra=("-af", "volume=-6dB")), album_id=album_id, title="quiet")
    both = loudness(album_id)
    assert quiet["loudness"]["trackLufs"] < both["albumLufs"] < alone["albumLufs"]
    assert abs(both["truePeakDb"] - alone["truePeakDb"]) < 0.01, "the highest of them"
    until(lambda: ok(people.listener.get(f"/api/v1/tracks/{loud['id']}"))["loudness"]["albumLufs"] == both["albumLufs"])
    ok(people.artist.delete(f"/api/v1/tracks/{loud['id']}"))
    left = loudness(album_id)
    assert abs(left["albumLufs"] - quiet["loudness"]["trackLufs"]) <= 0.15
    ok(people.artist.delete(f"/api/v1/tracks/{quiet['id']}"))
    assert loudness(album_id) == {"albumLufs": None, "truePeakDb": None}


def test_the_waveform(people, upload):
    track = upload()
    answer = people.listener.get(f"/api/v1/tracks/{track['id']}/waveform")
    assert answer.status_code == 200 and len(answer.content) > 100
    part = people.listener.get(f"/api/v1/tracks/{track['id']}/waveform", headers={"Range": "bytes=0-9"})
    assert part.status_code == 206 and part.content == answer.content[:10]


# ---- pictures

def size_of(content):
    probe = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "stream=width,height,codec_name", "-of", "csv=p=0",
                            "-i", "-"], input=content, capture_output=True, timeout=30, check=True)
    codec, width, height = probe.stdout.decode().strip().split("\n")[0].split(",")[:3]
    return codec, int(width), int(height)


@pytest.mark.parametrize("owner, route, member", [("albums", "cover", "coverArtId"), ("artists", "image", "imageArtId")])
def test_a_picture_from_birth_to_end(people, album, picture, owner, route, member):
    made = album()
    path = f"/api/v1/{owner}/{made['id'] if owner == 'albums' else made['artistId']}"
    before = people.artist.get(path).headers["ETag"]
    png = {"data": picture("png", "1400x700"), "headers": {"Content-Type": "image/png"}}
    taken = ok(people.artist.put(f"{path}/{route}", **png), 202)
    assert (taken["width"], taken["height"], taken["status"]) == (1400, 700, "uploaded")
    shown = until(lambda: ok(people.artist.get(path))[member])
    assert shown == taken["id"] and people.artist.get(path).headers["ETag"] != before
    art = f"{people.server.url}/api/v1/art/{shown}"
    for asked, size in ((1, 64), (64, 64), (65, 128), (300, 300), (301, 600), (1200, 1200), (5000, 1200)):
        for accept, codec in (("image/webp,*/*", "webp"), ("image/jpeg", "mjpeg"), ("*/*", "mjpeg")):
            answer = requests.get(art, params={"size": asked}, headers={"Accept": accept}, timeout=10)
            assert answer.status_code == 200 and answer.headers["Vary"] == "Accept"
            assert "immutable" in answer.headers["Cache-Control"]
            got = size_of(answer.content)
            assert got[0] == codec and max(got[1:]) == size, (asked, accept, got)
    etag = requests.get(art, timeout=10).headers["ETag"]
    assert requests.get(art, headers={"If-None-Match": etag}, timeout=10).status_code == 304
    second = ok(people.artist.put(f"{path}/{route}", data=picture("gif", "200x200")), 202)["id"]
    until(lambda: ok(people.artist.get(path))[member] == second)
    ok(people.artist.delete(f"{path}/{route}"), 204)
    assert ok(people.artist.get(path))[member] is None
    assert requests.get(f"{people.server.url}/api/v1/art/{second}", timeout=10).status_code == 404


def test_a_cover_sent_again_is_one(people, album, picture):
    path = f"/api/v1/albums/{album()['id']}/cover"
    key = {"Idempotency-Key": uuid.uuid4().hex}
    first = ok(people.artist.put(path, data=picture(), headers=key), 202)
    again = people.artist.put(path, data=picture(), headers=key)
    assert ok(again, 202) == first and again.headers["Idempotency-Replayed"] == "true"
    other = people.artist.put(path, data=picture("gif", "200x200"), headers=key)
    assert other.status_code == 422 and "Idempotency-Key" in other.json()["detail"]


def test_bad_parameters_of_pictures(people, album):
    assert requests.get(f"{people.server.url}/api/v1/art/{UNKNOWN}", timeout=10).status_code == 404
    for wrong in ("0", "-5", "big", "1000000"):
        answer = requests.get(f"{people.server.url}/api/v1/art/{UNKNOWN}", params={"size": wrong}, timeout=10)
        assert answer.status_code == 400, wrong
