"""Objects of another person, tried with every id in every place (R2).

An artist has published things, drafts, deleted ones, uploads, sessions. Another artist, a listener and someone without
a token try all of their ids in every path, every query parameter and every field of a body that docs/api/openapi.yaml
knows. They are refused (401, 403, 404), see nothing that is not for everybody, and change nothing. What the
description gets anew is walked too, and where this file can't know what a new field means, it fails and asks.
"""
import itertools
import re
import uuid

import pytest
import requests

from conftest import People, specification, wait_for
from test_catalog import UNKNOWN, make_artist, name, ok, pages, picture  # noqa: F401 (a fixture)
from test_roles import operations

REFUSED = (401, 403, 404)
METHODS_THAT_READ = ("GET", "HEAD")

# What request fields are. "id": names something of somebody's, so it is tried. A field that is in neither fails the test.
NAMES_SOMETHING = {"artistId", "albumId", "ownerId", "trackId", "trackIds", "trackUrl"}
MAY_NAME_PUBLISHED = {"trackId", "trackIds"}  # as anybody may play and keep what is published
HARMLESS = {"limit", "sort", "genre", "type", "size", "filename", "maxBitrate", "title", "name", "bio", "status", "genres",
            "releaseDate", "trackNumber", "discNumber", "explicit", "isrc", "lyrics", "text", "parts", "roles", "plan",
            "disabled", "displayName", "email", "username", "password", "currentPassword", "newPassword", "code", "token",
            "refreshToken", "cookie", "positionMs", "paused", "rating", "at", "device", "after",
            "index", "itemsAt", "description", "access", "revision", "q", "types", "explain",
            "order", "seed", "fromYear", "toYear", "as", "sortName", "format", "acceptMissing", "folders", "seenBy", "alone", "from"}
SEPARATELY = {"cursor", "Idempotency-Key", "If-Match",  # test_a_cursor…, test_a_key…; a version names nothing
              "userId", "users",  # test_libraries.py: whom an admin gives something
              "smart",     # test_smart_playlists.py: test_marks_and_plays_are_the_owners
              "events",    # test_plays.py: test_a_draft_is_not_told_of
              "changes",   # test_marks.py: test_each_wrong_change…
              "ops"}       # test_playlists.py: test_an_edit_is_done_whole…
# What the places of a path are. One whose values the description lists (an enum) has each of them.
NAME_IDS = {"id", "userId", "artistId", "track"}
NAME_NO_IDS = {"token", "version", "file", "bucket", "key"}  # an id means nothing there, and is tried all the same
VALUES = {"title": "Taken", "name": "Taken", "text": "Taken", "filename": "taken.flac", "size": 9_000_000, "rating": 3}


def specification_fields(method, pattern):
    return fields_of(specification.document["paths"][pattern][method.lower()])


def parameters_of(operation, where):
    for parameter in map(specification.resolve, operation.get("parameters", [])):
        if parameter["in"] == where:
            yield parameter["name"], parameter


def fields_of(operation):
    content = specification.resolve(operation.get("requestBody", {})).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    return specification.resolve(schema).get("properties", {})


def enums_of(operation, pattern):
    """The values of those places of a path that the description lists."""
    item = specification.document["paths"][pattern]
    places = map(specification.resolve, [*item.get("parameters", []), *operation.get("parameters", [])])
    return {place["name"]: place["schema"]["enum"] for place in places if place["in"] == "path" and "enum" in place["schema"]}


def filled(pattern, enums, ids):
    """The pattern with all that may stand in its places, every pair of ids where there are two: (path, ids, its kind)."""
    names = [name for name in re.findall(r"{([^}]*)}", pattern) if name not in enums]
    several = [name for name in names if name in NAME_IDS] or names[:1]
    for kind in itertools.product(*enums.values()):
        for chosen in itertools.product(ids, repeat=len(several)):
            values = {**dict.fromkeys(names, chosen[-1] if chosen else None), **dict(zip(several, chosen)), **dict(zip(enums, kind))}
            yield re.sub(r"{([^}]*)}", lambda place: values[place[1]], pattern), chosen, "".join(kind)


OPERATIONS = list(operations())
WITH_ID = [(method, pattern, operation) for method, pattern, operation in OPERATIONS if "{" in pattern]
WITH_QUERY = [(method, pattern, field) for method, pattern, operation in OPERATIONS
              for field, _ in parameters_of(operation, "query") if field in NAMES_SOMETHING]
WITH_CURSOR = [pattern for method, pattern, operation in OPERATIONS
               if "cursor" in dict(parameters_of(operation, "query"))]
WITH_FIELD = [(method, pattern, field) for method, pattern, operation in OPERATIONS
              for field in fields_of(operation) if field in NAMES_SOMETHING]


@pytest.mark.parametrize("method, pattern, operation", OPERATIONS, ids=lambda value: value if isinstance(value, str) else "")
def test_every_field_is_known_here(method, pattern, operation):
    fields = set(fields_of(operation)) | {field for field, _ in parameters_of(operation, "query")}
    fields |= {field for field, _ in parameters_of(operation, "header")}
    unknown = fields - NAMES_SOMETHING - HARMLESS - SEPARATELY
    assert not unknown, f"{method} {pattern} takes {unknown}: say above whether they name something of somebody's"


@pytest.mark.parametrize("method, pattern, operation", WITH_ID, ids=lambda value: value if isinstance(value, str) else "")
def test_every_place_of_a_path_is_known_here(method, pattern, operation):
    unknown = set(re.findall(r"{([^}]*)}", pattern)) - set(enums_of(operation, pattern)) - NAME_IDS - NAME_NO_IDS
    assert not unknown, f"{method} {pattern} has {unknown}: say above whether they name something of somebody's"


class Owner:
    """The person whose things are tried: one of each kind, and the words that nobody else may read."""

    def __init__(self, people, sounds, picture):  # noqa: F811
        self.person = people.artist
        self.secrets = {word: f"Secret {word} {uuid.uuid4().hex}" for word in
                        ("draft", "draft-track", "lyrics", "file", "deleted", "deleted-artist", "upload", "playlist")}
        page = make_artist(self.person, name=name("Open"))
        self.public, self.hidden = {"artists": page["id"]}, {}
        self.sounds, self.page = sounds, page["id"]
        published, draft = self.album("Open"), self.album(self.secrets["draft"], status="draft")
        deleted = self.album(self.secrets["deleted"])
        track = self.track(published["id"], "Open")
        secret = self.track(draft["id"], self.secrets["draft-track"], self.secrets["file"], lyrics=self.secrets["lyrics"])
        for one in (published, draft):
            ok(self.person.put(f"/api/v1/albums/{one['id']}/cover", data=picture("png"),
                               headers={"Content-Type": "image/png"}), 202)
        for one in (track, secret):
            wait_for(self.person, one["id"], whole=True)
        gone = self.track(deleted["id"], self.secrets["deleted"])
        ok(self.person.delete(f"/api/v1/tracks/{gone['id']}"))
        ok(self.person.delete(f"/api/v1/albums/{deleted['id']}"), 204)
        other = make_artist(self.person, name=self.secrets["deleted-artist"])
        ok(self.person.delete(f"/api/v1/artists/{other['id']}"), 204)
        self.upload = ok(self.person.post("/api/v1/uploads", json={"filename": self.secrets["upload"], "size": 9_000_000}), 201)
        self.public |= {"albums": published["id"], "tracks": track["id"], "art": self.art(published["id"])}
        self.hidden |= {"draft album": draft["id"], "draft track": secret["id"], "draft art": self.art(draft["id"]),
                        "deleted album": deleted["id"], "deleted track": gone["id"], "deleted artist": other["id"],
                        "upload": self.upload["id"], "user": self.person.user["id"],
                        "session": ok(self.person.get("/api/v1/me/sessions"))["items"][0]["id"]}
        playlist = ok(self.person.post("/api/v1/playlists", json={"title": self.secrets["playlist"]}), 201)
        added = ok(self.person.post(f"/api/v1/playlists/{playlist['id']}/items", json={"trackIds": [track["id"], secret["id"]]}))
        member = people.new("listener")
        link = ok(self.person.post(f"/api/v1/playlists/{playlist['id']}/invite", json={"access": "view"}), 201)
        ok(member.post("/api/v1/me/invites", json={"token": link["token"]}))
        self.hidden |= {"playlist": playlist["id"], "item of a playlist": added["added"][0], "member": member.user["id"]}
        self.urls = {"url of a track": self.used_url, "url of an upload": self.upload["trackUrl"],
                     "url of an unused file": self.put_file(sounds())}
        self.ids = {**self.public, **self.hidden}
        self.before = self.everything()

    def album(self, title, **fields):
        return ok(self.person.post("/api/v1/albums", json={"artistId": self.page, "title": title, **fields}), 201)

    def put_file(self, path, filename="open.flac"):
        place = ok(self.person.get("/api/v1/tracks/upload-url", params={"filename": filename}))
        assert requests.put(place["uploadUrl"], data=path.read_bytes(), timeout=60).status_code == 200
        self.upload_url = place["uploadUrl"]
        return place["trackUrl"]

    def track(self, album_id, title, filename="open.flac", **fields):
        self.used_url = self.put_file(self.sounds(), filename)
        body = {"albumId": album_id, "title": title, "trackUrl": self.used_url, **fields}
        return ok(self.person.post("/api/v1/tracks", json=body), 201)

    def art(self, album_id):
        """The cover's id, once it has been scaled."""
        for _ in range(600):
            album = ok(self.person.get(f"/api/v1/albums/{album_id}"))
            if album["coverArtId"] and not album["coverPending"]:
                return album["coverArtId"]
            wait_for(self.person, self.public.get("tracks") or pages(self.person, "/api/v1/tracks", 1, albumId=album_id)[0]["id"])
        raise AssertionError("the cover is never ready")

    def everything(self):
        """All that the owner can read of what is theirs, with the versions."""
        state = {}
        for path in ("/api/v1/me", f"/api/v1/artists?ownerId={self.person.user['id']}", f"/api/v1/albums?artistId={self.page}",
                     f"/api/v1/tracks?artistId={self.page}",
                     *(f"/api/v1/{kind}/{one}{rest}" for kind, rest in
                       (("artists", ""), ("albums", ""), ("albums", "/tracks"), ("tracks", ""), ("tracks", "/lyrics"))
                       for one in self.ids.values())):
            answer = self.person.get(path)
            state[path] = answer.status_code, answer.headers.get("ETag"), re.sub(r'"instance":"[^"]*"', "", answer.text)
        upload = ok(self.person.get(f"/api/v1/uploads/{self.upload['id']}"))
        for rest in ("", "/items", "/members"):
            state["playlist" + rest] = ok(self.person.get(f"/api/v1/playlists/{self.hidden['playlist']}{rest}"))
        state["upload"] = upload["state"], upload["size"], [part["state"] for part in upload["parts"]]
        state["sessions"] = [one["id"] for one in ok(self.person.get("/api/v1/me/sessions"))["items"]]
        return state


class Stranger:
    """Somebody else, with things of their own to put into the fields that are not tried."""

    def __init__(self, person, sounds=None):
        self.person, self.own = person, {}
        if sounds:
            page = make_artist(person)
            album = ok(person.post("/api/v1/albums", json={"artistId": page["id"], "title": name()}), 201)
            self.sound = sounds()
            self.own = {"artistId": page["id"], "albumId": album["id"]}
            track = ok(person.post("/api/v1/tracks", json={"albumId": album["id"], "title": name(), "trackUrl": self.url()}), 201)
            self.own["trackId"] = track["id"]
            self.own["playlistId"] = ok(person.post("/api/v1/playlists", json={"title": name()}), 201)["id"]

    def user_ids(self):
        return [self.person.user["id"]] if self.person.user else []

    def url(self):
        place = ok(self.person.get("/api/v1/tracks/upload-url", params={"filename": "mine.flac"}))
        assert requests.put(place["uploadUrl"], data=self.sound.read_bytes(), timeout=60).status_code == 200
        return place["trackUrl"]


@pytest.fixture(scope="module")
def world(server_apart, sounds, picture):  # noqa: F811
    people = People(server_apart)
    owner = Owner(people, sounds, picture)
    strangers = {"artist": Stranger(people.new("artist"), sounds), "listener": Stranger(people.listener),
                 "nobody": Stranger(people.nobody())}
    yield owner, strangers


def assert_nothing_told(owner, answer):
    text = answer.text + str(answer.headers)
    told = [word for word, secret in owner.secrets.items() if secret in text]
    assert not told, f"{answer.request.method} {answer.url} tells {told}: {answer.text[:300]}"
    assert f"{owner.person.username}@" not in text, f"{answer.request.method} {answer.url} tells an address"


def assert_nothing_changed(owner):
    now = owner.everything()
    changed = {path: (owner.before[path], now[path]) for path in now if now[path] != owner.before[path]}
    assert not changed, f"it changed {changed}"


def request_of(owner, operation):
    """A query and body that are right, so that it is not for them that a request is refused."""
    right = {**VALUES, "trackIds": [owner.public["tracks"]], "ops": [{"op": "remove", "item": owner.hidden["item of a playlist"]}]}
    options = {"params": {field: right[field] for field, parameter in parameters_of(operation, "query")
                          if parameter.get("required") or field == "filename"}}
    content = specification.resolve(operation.get("requestBody", {})).get("content", {})
    if "application/json" in content:
        options["json"] = {field: right[field] for field in fields_of(operation) if field in right}
    elif content:
        options |= {"data": b"\x89PNG\r\n\x1a\n" + bytes(100), "headers": {"Content-Type": "image/png"}}
    return options


def is_for_everybody(owner, method, pattern, operation, ids, kind):
    """Whether this is reading something published, by a route that is not for artists alone, or a mark of the caller's own
    on it, or a list of such marks."""
    if not ids:
        return pattern.startswith("/api/v1/me/") and method in METHODS_THAT_READ
    if pattern == "/api/v1/me/follows/{artistId}":
        return ids[0] == owner.public["artists"]
    things = kind + "s" if kind else pattern.removeprefix("/api/v1/").split("/")[0]
    mark = pattern.startswith(("/api/v1/me/favourites/", "/api/v1/me/ratings/"))
    return (mark or method in METHODS_THAT_READ) and ids[0] == owner.public.get(things) and operation.get("x-roles") != ["artist"]


@pytest.mark.parametrize("who", ("artist", "listener", "nobody"))
@pytest.mark.parametrize("method, pattern, operation", WITH_ID, ids=lambda value: value if isinstance(value, str) else "")
def test_ids_in_paths(world, method, pattern, operation, who):
    owner, strangers = world
    ids = [*owner.ids.values(), *(strangers[who].user_ids() if "{userId}" in pattern else [])]
    for path, chosen, kind in filled(pattern, enums_of(operation, pattern), ids):
        answer = strangers[who].person.request(method, path, **request_of(owner, operation))
        assert_nothing_told(owner, answer)
        if is_for_everybody(owner, method, pattern, operation, chosen, kind) and answer.status_code not in REFUSED:
            assert who != "nobody" or not operation.get("x-roles"), f"{method} {path} as {who}: {answer.status_code}"
            continue
        # The object store knows no bearer tokens.
        refused = (*REFUSED, 400) if path.startswith("/s3/") else REFUSED
        assert answer.status_code in refused, f"{method} {path} as {who}: {answer.status_code} {answer.text[:300]}"
        assert "There are the kinds" not in answer.text, f"{method} {path} is refused before anything is looked for"
    if method not in METHODS_THAT_READ:
        assert_nothing_changed(owner)


@pytest.mark.parametrize("who", ("artist", "listener", "nobody"))
@pytest.mark.parametrize("method, pattern, field", WITH_QUERY)
def test_ids_in_queries(world, method, pattern, field, who):
    owner, strangers = world
    for one in owner.ids.values():
        own = strangers["artist"].own["artistId"]
        answer = strangers[who].person.request(method, re.sub(r"{[^}]*}", own, pattern), params={field: one, "limit": 500})
        assert_nothing_told(owner, answer)
        assert answer.status_code in (200, *REFUSED)


def said(answer, value):
    """What an answer says, whatever it was asked about and when."""
    text = answer.text.replace(value, "the value")
    return answer.status_code, re.sub(r'"(instance|itemsAt|placeAt)":("[^"]*"|\d+)', "", text)


@pytest.mark.parametrize("method, pattern, field", WITH_FIELD)
def test_ids_in_bodies(world, method, pattern, field):
    """What is not for everybody is refused as what is not there; a list that keeps any id says of it what it says of that."""
    owner, strangers = world
    stranger = strangers["artist"]
    kind = pattern.removeprefix("/api/v1/").split("/")[0].removesuffix("s") + "Id"
    path = re.sub(r"{[^}]*}", stranger.own[kind], pattern) if "{" in pattern else pattern
    fields = specification_fields(method, pattern)
    own = {"title": "Taken"}
    if method == "POST":
        own |= {"artistId": stranger.own["artistId"], "albumId": stranger.own["albumId"], "trackUrl": stranger.url()}
    own = {key: value for key, value in own.items() if key in fields}

    def ask(value):
        answer = stranger.person.request(method, path, json={**own, field: [value] if fields[field].get("type") == "array" else value})
        assert_nothing_told(owner, answer)
        return answer

    if field == "trackUrl":
        url = owner.upload["trackUrl"].replace(owner.upload["id"], UNKNOWN)
        unknown = said(ask(url), url)
        hidden = owner.urls.values()
    else:
        unknown, hidden = said(ask(UNKNOWN), UNKNOWN), owner.hidden.values()
        for things, one in owner.public.items():
            if field in MAY_NAME_PUBLISHED and things == field.removesuffix("s").replace("Id", "s"):
                continue
            answer = ask(one)
            assert said(answer, one) == unknown or answer.status_code in REFUSED, answer.text
    assert unknown[0] in (404, 422) or pattern == "/api/v1/me/queue"
    for one in hidden:
        assert said(ask(one), one) == unknown, f"{method} {path} with {field} {one}"
    assert_nothing_changed(owner)


@pytest.mark.parametrize("pattern", WITH_CURSOR)
def test_a_cursor_is_of_its_own_list(world, pattern):
    """A cursor says where to go on, not as whom."""
    owner, strangers = world
    cursors = [page["next"] for path in ("/api/v1/artists", "/api/v1/albums", "/api/v1/tracks",
                                         f"/api/v1/artists/{owner.page}/albums")
               if (page := ok(owner.person.get(path, params={"limit": 1})))["next"]]
    assert cursors
    path = re.sub(r"{[^}]*}", owner.page, pattern)
    for cursor, stranger in itertools.product(cursors, strangers.values()):
        answer = stranger.person.get(path, params={"cursor": cursor, "limit": 500})
        assert_nothing_told(owner, answer)
        assert answer.status_code in (200, 400, *REFUSED)


def test_a_key_is_of_its_own_person(world):
    """The answer that is kept under an Idempotency-Key is nobody else's."""
    owner, strangers = world
    key = {"Idempotency-Key": uuid.uuid4().hex}
    body = {"artistId": owner.page, "title": owner.secrets["draft"], "status": "draft"}
    made = ok(owner.person.post("/api/v1/albums", json=body, headers=key), 201)
    for stranger in strangers.values():
        answer = stranger.person.post("/api/v1/albums", json=body, headers=key)
        assert_nothing_told(owner, answer)
        assert answer.status_code in REFUSED and made["id"] not in answer.text
    ok(owner.person.delete(f"/api/v1/albums/{made['id']}"), 204)


def test_a_token_of_media_is_of_its_track(world):
    """What plays one track opens no other."""
    owner, strangers = world
    stream = ok(strangers["listener"].person.get(f"/api/v1/tracks/{owner.public['tracks']}/stream"))
    [open_path] = {match for match in re.findall(r"/m/[^/\"]+/\d+/\d+/", str(stream))}
    _, _, token, track, version, _ = open_path.split("/")
    base = strangers["nobody"].person.base
    manifest = re.search(rf"{open_path}([^\"'?]+)", str(stream))[1]
    assert requests.get(f"{base}{open_path}{manifest}", timeout=30).status_code == 200
    for other in owner.hidden.values():
        for number in (version, "1", "2"):
            answer = requests.get(f"{base}/m/{token}/{other}/{number}/{manifest}", timeout=30)
            assert answer.status_code in REFUSED, answer.url
    assert track == owner.public["tracks"]


def test_a_signature_is_of_its_object(world):
    """A stranger's pre-signed URL, bent to the owner's object, and the owner's without a signature."""
    owner, strangers = world
    place = ok(strangers["artist"].person.get("/api/v1/tracks/upload-url", params={"filename": "x.flac"}))["uploadUrl"]
    for target in (owner.upload_url, owner.upload["parts"][0]["url"]):
        bent = target.split("?")[0] + "?" + place.split("?")[1]
        for method, url in itertools.product(("PUT", "GET", "DELETE"), (bent, target.split("?")[0])):
            answer = requests.request(method, url, data=b"x" if method == "PUT" else None, timeout=30)
            assert answer.status_code == 403, f"{method} {url}: {answer.status_code}"
    assert_nothing_changed(owner)
