"""Libraries that only some see: nobody else comes upon anything of them, whatever they ask."""
import random
import re
import shutil
import time
import uuid
import wave

import pytest

from conftest import Person, add_user, run_tutti, specification, until


def sound(path, name=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(random.Random(name or path.name).randbytes(16000))


class World:
    """Two folders of music, of which one is in a library of its own; an admin, one who sees it, one who does not."""

    def __init__(self, server, folder):
        self.server, self.folder = server, folder
        for name, role in (("owner", "admin"), ("friend", "listener"), ("stranger", "listener"), ("maker", "artist")):
            add_user(server, name, role)
            setattr(self, name, Person(server.url, name, role))
        for number in range(1, 4):
            sound(folder / "open" / "Ana Offen" / "2001 - Tagwerk" / f"{number:02} Licht {number}.wav")
            sound(folder / "shut" / "Bea Geheim" / "1999 - Nachtwerk" / f"{number:02} Dunkel {number}.wav")

    def library(self, **fields):
        body = {"name": "Private", "seenBy": "some", "users": [self.friend.user["id"]], "folders": [str(self.folder / "shut")], **fields}
        answer = self.owner.post("/api/v1/libraries", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json(), answer.headers["ETag"]

    def scan(self):
        run_tutti("import", str(self.folder), data=self.server.data)
        self.server.heed()

    def patch(self, id_, **fields):
        answer = self.owner.patch(f"/api/v1/libraries/{id_}", json=fields)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def world(own_server, tmp_path):
    return World(own_server(), tmp_path / "music")


def titles(person, path="/api/v1/tracks", **query):
    found, cursor = [], None
    while True:
        page = person.get(path, params={"limit": 2, **query, **({"cursor": cursor} if cursor else {})}).json()
        found += [item.get("title") or item["name"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            return found


OPEN, SHUT = ["Licht 1", "Licht 2", "Licht 3"], ["Dunkel 1", "Dunkel 2", "Dunkel 3"]
LISTS = [("/api/v1/tracks", {}), ("/api/v1/tracks", {"sort": "title"}), ("/api/v1/albums", {}), ("/api/v1/albums", {"sort": "title"}),
         ("/api/v1/albums", {"sort": "year"}), ("/api/v1/albums", {"sort": "year", "order": "desc"}),
         ("/api/v1/albums", {"sort": "random", "seed": 5}), ("/api/v1/artists", {}), ("/api/v1/artists", {"sort": "created"})]
HIDDEN = re.compile("dunkel|nachtwerk|geheim", re.IGNORECASE)


def ids_of(admin):
    """All that the library holds: artist, album and tracks."""
    artist = next(one for one in admin.get("/api/v1/artists").json()["items"] if one["name"] == "Bea Geheim")
    album = admin.get(f"/api/v1/artists/{artist['id']}/albums").json()["items"][0]
    tracks = admin.get(f"/api/v1/albums/{album['id']}/tracks").json()["items"]
    assert [track["title"] for track in tracks] == SHUT
    return artist, album, tracks


def test_lists_hold_what_each_may_see_in_one_order(world):
    world.library()
    world.scan()
    for path, query in LISTS:
        everything, seen, others = (titles(person, path, **query) for person in (world.owner, world.friend, world.stranger))
        assert sorted(everything) == sorted(seen), (path, query)
        assert len(everything) == 2 * len(others) and not HIDDEN.search(str(others)), (path, query)
        if query.get("sort") in ("title", "year") and "order" not in query and path != "/api/v1/artists":
            assert seen == sorted(seen) if query["sort"] == "title" else seen[0] == "Nachtwerk"
    letters = [[one["letter"] for one in person.get("/api/v1/artists/index").json()["letters"]] for person in (world.friend, world.stranger)]
    assert letters == [["A", "B"], ["A"]]
    artist, album, tracks = ids_of(world.owner)
    assert artist["libraryId"] == album["libraryId"] == tracks[0]["libraryId"] is not None
    assert titles(world.friend, f"/api/v1/artists/{artist['id']}/albums") == ["Nachtwerk"]
    assert titles(world.friend, "/api/v1/tracks", artistId=artist["id"]) == SHUT[::-1]
    assert titles(world.friend, f"/api/v1/albums/{album['id']}/tracks") == SHUT
    assert world.friend.get(f"/api/v1/tracks/{tracks[0]['id']}/stream").status_code == 200


def test_lists_are_whole_right_after_a_change(world):
    """What caches know is not new enough then, and lists are made without them."""
    library, _ = world.library()
    world.scan()
    assert titles(world.owner, "/api/v1/artists") == ["Ana Offen", "Bea Geheim"]
    for roles in (["artist"], [], ["artist"], []):
        world.patch(library["id"], users=[], roles=roles)
        assert [one["name"] for one in world.owner.get("/api/v1/artists").json()["items"]] == ["Ana Offen", "Bea Geheim"], roles


def walk(person, ids):
    """Every GET of the API, with every id in every place for one; the answers."""
    for path, methods in specification.document["paths"].items():
        if "get" not in methods or not path.startswith("/api/v1/"):
            continue
        names = re.findall(r"{(\w+)}", path)
        for id_ in ids if names else ids[:1]:
            url = path
            for name in names:
                url = url.replace("{" + name + "}", {"kind": "tracks", "date": "2026-01-01"}.get(name, id_))
            query = {}
            for parameter in methods["get"].get("parameters", []):
                name = parameter.get("name", "")
                query.update({name: id_} if name in ("artistId", "albumId", "trackId") else {})
                query.update({name: "dunkel"} if name == "q" else {})
            yield path, id_, person.get(url, params=query)


def test_whoever_may_not_see_it_finds_nothing_on_any_route(world):
    library, _ = world.library()
    world.scan()
    artist, album, tracks = ids_of(world.owner)
    ids = [artist["id"], album["id"], *(track["id"] for track in tracks), library["id"]]
    for person in (world.stranger, world.maker):
        for path, id_, answer in walk(person, ids):
            assert not HIDDEN.search(answer.text), (path, answer.text[:300])
            if "{id}" in path:
                assert answer.status_code in (400, 403, 404), (path, id_, answer.status_code)
        track = tracks[0]["id"]
        for put in (f"favourites/tracks/{track}", f"favourites/albums/{album['id']}", f"ratings/tracks/{track}", f"follows/{artist['id']}"):
            assert person.put(f"/api/v1/me/{put}", json={"rating": 3} if "ratings" in put else None).status_code == 404, put
        play = {"id": str(uuid.uuid4()), "trackId": track, "startedAt": int(time.time() * 1000), "playedMs": 900}
        assert not HIDDEN.search(person.post("/api/v1/plays", json={"plays": [play]}).text)
        playlist = person.post("/api/v1/playlists", json={"title": "mine"}).json()
        person.post(f"/api/v1/playlists/{playlist['id']}/items", json={"trackIds": [track]})
        assert not HIDDEN.search(person.get(f"/api/v1/playlists/{playlist['id']}/items").text)
        for method, path in (("patch", f"artists/{artist['id']}"), ("delete", f"tracks/{track}"), ("patch", f"albums/{album['id']}")):
            options = {"json": {"name": "x"}} if method == "patch" else {}
            assert getattr(person, method)(f"/api/v1/{path}", **options).status_code in (403, 404), path
    nobody = Person(world.server.url)
    assert nobody.get(f"/api/v1/tracks/{tracks[0]['id']}").status_code == 401
    # Who sees it may share a list with it; strangers are shown the rest of that list.
    playlist = world.friend.post("/api/v1/playlists", json={"title": "ours"}).json()
    other = world.owner.get("/api/v1/tracks", params={"sort": "title"}).json()["items"][-1]
    added = world.friend.post(f"/api/v1/playlists/{playlist['id']}/items", json={"trackIds": [tracks[0]["id"], other["id"]]})
    assert added.status_code == 200, added.text
    assert HIDDEN.search(world.friend.get(f"/api/v1/playlists/{playlist['id']}/items").text)
    token = world.friend.post(f"/api/v1/playlists/{playlist['id']}/share").json()["token"]
    shared = nobody.get(f"/api/v1/shared/{token}")
    assert shared.status_code == 200 and other["title"] in shared.text and not HIDDEN.search(shared.text)


def test_a_library_is_shut_and_opened_with_all_that_is_in_it(world):
    library, etag = world.library(seenBy="everybody", users=[])
    world.scan()
    artist, album, tracks = ids_of(world.stranger)
    paths = [f"/api/v1/artists/{artist['id']}", f"/api/v1/albums/{album['id']}", *(f"/api/v1/tracks/{track['id']}" for track in tracks),
             f"/api/v1/tracks/{tracks[0]['id']}/stream", f"/api/v1/albums/{album['id']}/tracks"]
    until(lambda: hits(world.stranger, "dunkel")[0] == 3)
    playlist = world.stranger.post("/api/v1/playlists", json={"title": "mixed"}).json()
    world.stranger.post(f"/api/v1/playlists/{playlist['id']}/items", json={"trackIds": [tracks[0]["id"]]})
    refused = world.owner.patch(f"/api/v1/libraries/{library['id']}", json={"seenBy": "some"}, headers={"If-Match": '"99"'})
    assert refused.status_code == 412
    world.patch(library["id"], seenBy="some")
    assert [world.stranger.get(path).status_code for path in paths] == [404] * len(paths)
    assert [titles(world.stranger, path, **query) for path, query in LISTS if "tracks" in path] == [OPEN[::-1], OPEN]
    assert not HIDDEN.search(world.stranger.get(f"/api/v1/playlists/{playlist['id']}/items").text)
    assert hits(world.stranger, "dunkel") == [0, 0, 0, 0]
    assert [world.owner.get(path).status_code for path in paths] == [200] * len(paths)
    world.patch(library["id"], roles=["listener"])
    assert [world.stranger.get(path).status_code for path in paths] == [200] * len(paths)
    world.patch(library["id"], roles=[], users=[world.stranger.user["id"]])
    assert [world.stranger.get(path).status_code for path in paths] == [200] * len(paths)
    assert [world.friend.get(path).status_code for path in paths] == [404] * len(paths)
    refused = world.owner.delete(f"/api/v1/libraries/{library['id']}")
    assert refused.status_code == 409 and "everybody" in refused.json()["detail"]
    world.patch(library["id"], seenBy="everybody", users=[])
    assert [world.friend.get(path).status_code for path in paths] == [200] * len(paths)
    assert world.owner.delete(f"/api/v1/libraries/{library['id']}").status_code == 204
    until(lambda: world.friend.get(paths[2]).json()["libraryId"] is None)  # caches hear of it by its events
    assert sorted(titles(world.friend)) == sorted(OPEN + SHUT)


def test_a_folder_is_put_into_a_library_later_and_takes_its_ids_along(world):
    world.scan()
    before = [one["id"] for one in ids_of(world.owner)[2]]
    library, _ = world.library()
    assert titles(world.stranger, sort="title") == SHUT + OPEN  # until it is looked at
    world.scan()
    until(lambda: titles(world.stranger, sort="title") == OPEN)
    assert titles(world.stranger, "/api/v1/artists") == ["Ana Offen"] and titles(world.stranger, "/api/v1/albums") == ["Tagwerk"]
    artist, album, tracks = ids_of(world.friend)
    assert [track["id"] for track in tracks] == before and album["libraryId"] == library["id"]
    # One track that moves out takes nothing else along, and what stays stays shut.
    moved = world.folder / "open" / "Bea Geheim" / "Heraus" / "01 Dunkel 1.wav"
    moved.parent.mkdir(parents=True)
    shutil.move(world.folder / "shut" / "Bea Geheim" / "1999 - Nachtwerk" / "01 Dunkel 1.wav", moved)
    world.scan()
    until(lambda: titles(world.stranger, sort="title") == ["Dunkel 1", *OPEN])
    assert world.stranger.get(f"/api/v1/tracks/{before[0]}").json()["libraryId"] is None
    assert world.stranger.get(f"/api/v1/albums/{album['id']}").status_code == 404
    world.patch(library["id"], folders=[])
    world.scan()
    until(lambda: titles(world.stranger, sort="title") == SHUT + OPEN)
    assert [world.stranger.get(f"/api/v1/tracks/{id_}").status_code for id_ in before] == [200] * 3


def test_what_makes_no_library_is_refused(world):
    world.library()
    for body in ({"name": "x"}, {"seenBy": "some"}, {"name": "", "seenBy": "some"}, {"name": "x", "seenBy": "me"},
                 {"name": "x", "seenBy": "some", "roles": ["admin"]}, {"name": "x", "seenBy": "some", "users": ["x"]},
                 {"name": "x", "seenBy": "some", "folders": ["music"]}, {"name": "x", "seenBy": "some", "folders": ["/a/../b"]},
                 {"name": "x", "seenBy": "some", "folders": "/a"}, {"name": "x", "seenBy": "some", "folders": [str(world.folder / "shut") + "/"]}):
        assert world.owner.post("/api/v1/libraries", json=body).status_code == 422, body
    assert world.owner.post("/api/v1/libraries", json={"name": "PRIVATE", "seenBy": "some"}).status_code == 409
    assert world.maker.get("/api/v1/libraries").status_code == 403
    assert [one["name"] for one in world.owner.get("/api/v1/libraries").json()["items"]] == ["Private"]
    assert world.owner.patch("/api/v1/libraries/12345", json={"name": "y"}).status_code == 404


def hits(person, q):
    """How many tracks, albums and artists a search finds, and how many suggestions there are."""
    answer = person.get("/api/v1/search", params={"q": q, "explain": "1"})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert {kind: [hit["id"] for hit in why] for kind, why in found.pop("explain").items()} == \
        {kind: [hit["id"] for hit in found[kind]] for kind in ("tracks", "albums", "artists", "playlists")}
    suggested = person.get("/api/v1/search/suggestions", params={"q": q}).json()["items"]
    return [len(found[kind]) for kind in ("tracks", "albums", "artists")] + [len(suggested)]


def test_search_finds_it_for_who_may_see_it_and_for_nobody_else(world):
    library, _ = world.library()
    world.scan()
    until(lambda: hits(world.friend, "dunkel")[0] == 3 and hits(world.friend, "geheim")[:3] == [3, 1, 1])
    for q, seen in (("dunkel", [3, 0, 0, 3]), ("nachtwerk", [3, 1, 0, 4]), ("bea geheim", [3, 1, 1, 5]), ("dunekl 2", [1, 0, 0, 1]),
                    ("year:1999", [3, 1, 0, 4])):
        assert [hits(person, q) for person in (world.friend, world.owner)] == [seen, seen], q
        assert [hits(person, q) for person in (world.stranger, world.maker)] == [[0, 0, 0, 0]] * 2, q
    # Who sees it is another from one answer to the next.
    world.patch(library["id"], users=[world.stranger.user["id"]])
    assert [hits(person, "dunkel")[0] for person in (world.stranger, world.friend, world.maker)] == [3, 0, 0]
    world.patch(library["id"], users=[], roles=["artist"])
    assert [hits(person, "dunkel")[0] for person in (world.stranger, world.friend, world.maker)] == [0, 0, 3]
    world.patch(library["id"], seenBy="everybody")
    assert [hits(person, "dunkel")[0] for person in (world.stranger, world.friend, world.maker)] == [3, 3, 3]
    world.patch(library["id"], seenBy="some", roles=[])
    assert [hits(person, "dunkel")[0] for person in (world.stranger, world.friend, world.maker, world.owner)] == [0, 0, 0, 3]
    # The artist's own are its own, whoever else sees them; what is in no library is everybody's.
    artist, _, _ = ids_of(world.owner)
    assert world.owner.put(f"/api/v1/artists/{artist['id']}/owner", json={"userId": world.maker.user["id"]}).status_code == 200
    until(lambda: hits(world.maker, "dunkel")[0] == 3)
    assert hits(world.friend, "dunkel")[0] == 0
    world.patch(library["id"], seenBy="everybody")
    assert world.owner.delete(f"/api/v1/libraries/{library['id']}").status_code == 204
    until(lambda: hits(world.friend, "dunkel")[0] == 3)


def test_imported_music_is_given_to_an_artist(world):
    world.scan()
    artist, album, tracks = ids_of(world.owner)
    path, maker = f"/api/v1/artists/{artist['id']}", world.maker.user["id"]
    assert artist["imported"] and artist["ownerId"] == world.owner.user["id"]
    assert world.maker.patch(f"/api/v1/albums/{album['id']}", json={"title": "Mine"}).status_code == 403
    assert world.maker.put(f"{path}/owner", json={"userId": maker}).status_code == 403
    for wrong in ({}, {"userId": world.friend.user["id"]}, {"userId": "5"}):
        assert world.owner.put(f"{path}/owner", json=wrong).status_code == 422, wrong
    assert world.owner.put("/api/v1/artists/5/owner", json={"userId": maker}).status_code == 404
    given = world.owner.put(f"{path}/owner", json={"userId": maker})
    assert given.status_code == 200 and given.json()["ownerId"] == maker
    assert world.friend.get(path).json()["ownerId"] == maker
    assert titles(world.maker, "/api/v1/artists", ownerId=maker) == ["Bea Geheim"]
    assert world.maker.patch(f"/api/v1/albums/{album['id']}", json={"title": "Mine"}).status_code == 200
    assert world.maker.patch(f"/api/v1/tracks/{tracks[0]['id']}", json={"title": "Hell 1"}).status_code == 200
    assert world.owner.patch(f"/api/v1/albums/{album['id']}", json={"title": "No"}).status_code == 403
    until(lambda: [one["title"] for one in world.friend.get("/api/v1/search", params={"q": "hell"}).json()["tracks"]] == ["Hell 1"])
    # A new file of the artist comes to the same page, as the new owner's.
    sound(world.folder / "shut" / "Bea Geheim" / "2005 - Spätwerk" / "01 Neu.wav")
    world.scan()
    until(lambda: sorted(titles(world.friend, f"{path}/albums")) == ["Mine", "Spätwerk"])
    assert len(titles(world.friend, "/api/v1/artists")) == 2
    made = world.maker.post("/api/v1/artists", json={"name": "By hand"}).json()
    assert not made["imported"]
    assert world.owner.put(f"/api/v1/artists/{made['id']}/owner", json={"userId": maker}).status_code == 403
