"""Search: found as it is typed, misspelt and in another script; what must not be found; changes, restarts, rebuilding."""
import threading
import time
import uuid

import pytest

from conftest import CLUSTER, SEARCH, run_tutti, until, wait_for

ASKED = 4 if CLUSTER else 1  # each process that searches has an index of its own, and the way in asks them in turn


def search(person, q, status=200, **query):
    answer = person.get("/api/v1/search", params={"q": q, **query})
    assert answer.status_code == status, answer.text[:500]
    return answer.json()


def ids(person, q, kind="artists", **query):
    return [item["id"] for item in search(person, q, types=kind, limit=50, **query)[kind]]


def word():
    """No other test's name has it, and none is a typo away."""
    return "".join(chr(ord("a") + int(digit, 16)) for digit in uuid.uuid4().hex[:14])


def artist(people, name):
    answer = people.artist.post("/api/v1/artists", json={"name": name})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def album(people, artist_id, title, **fields):
    answer = people.artist.post("/api/v1/albums", json={"artistId": artist_id, "title": title, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def is_found(person, q, id, kind="artists"):
    until(lambda: all(id in ids(person, q, kind) for _ in range(ASKED)))


def is_found_once_built(person, q, id, kind="artists"):
    """While there is no index, the answer says when to ask again."""

    def found():
        answer = person.get("/api/v1/search", params={"q": q, "types": kind})
        if answer.status_code == 503:
            assert int(answer.headers["Retry-After"]) > 0
            return False
        assert answer.status_code == 200, answer.text[:500]
        return id in [item["id"] for item in answer.json()[kind]]

    until(found)


def test_an_artist_is_found_as_it_is_typed_soon_after(people):
    own = word()
    made = artist(people, f"Mötley {own}")
    is_found(people.listener, own, made)
    for end in range(4, len(own)):
        assert made in ids(people.listener, own[:end]), own[:end]
    for typed in (f"motley {own}", f"{own} MOETLEY", f"{own} mot", f"motlye {own}", own[:5] + own[6:], own[:3] + own[4] + own[3] + own[5:]):
        assert made in ids(people.listener, typed), typed


@pytest.mark.parametrize("name, typed", [
    ("Чайковский", ["чайк", "chaykov", "Chaikovsky"]), ("Βαγγέλης", ["vangelis", "βαγγελης"]), ("うただヒカル", ["hikaru", "ヒカル", "utada"]),
    ("周杰倫", ["周杰伦", "zhou jie", "杰倫"]), ("방탄소년단", ["bangtan", "방탄소", "ㅂ"]), ("P!nk", ["pink", "p!nk"]), ("AC/DC", ["acdc", "ac dc", "ac/dc"]),
    ("Sunn O)))", ["sunn o"]), ("שָׁלוֹם", ["שלום"]), ("Weiß", ["weiss"]), ("R.E.M.", ["rem", "r.e.m."])])
def test_scripts_and_signs_do_not_stand_in_the_way(people, name, typed):
    own = word()
    made = artist(people, f"{name} {own}")
    for text in typed:
        is_found(people.listener, f"{text} {own[:6]}", made)


def test_a_name_of_signs_alone_is_found(people):
    made = artist(people, "…!…")
    is_found(people.listener, "…!…", made)


def test_exact_names_stand_first(people):
    own = word()
    longer, exact = artist(people, f"{own} and the others"), artist(people, own)
    is_found(people.listener, own, longer)
    is_found(people.listener, own, exact)
    found = search(people.listener, own, explain="1")
    assert [one["id"] for one in found["artists"]] == [exact, longer]
    assert [one["match"] for one in found["explain"]["artists"]] == ["exact", "phrase"]
    assert found["tracks"] == found["albums"] == found["playlists"] == []


def test_what_is_not_published_is_found_by_nobody(people):
    own = word()
    page = artist(people, f"Page {own}")
    draft = album(people, page, f"Secret {own}", status="draft")
    is_found(people.listener, own, page)
    for person in (people.artist, people.listener, people.admin):
        assert ids(person, f"secret {own}", "albums") == []
    assert people.artist.patch(f"/api/v1/albums/{draft}", json={"status": "published"}).status_code == 200
    until(lambda: ids(people.listener, f"secret {own}", "albums") == [draft])
    assert people.artist.patch(f"/api/v1/albums/{draft}", json={"status": "draft"}).status_code == 200
    until(lambda: ids(people.listener, f"secret {own}", "albums") == [])


def test_renaming_and_deleting_are_followed(people):
    old, new = word(), word()
    page = artist(people, old)
    title = word()
    record = album(people, page, title)
    is_found(people.listener, f"{title} {old}", record, "albums")
    assert people.artist.patch(f"/api/v1/artists/{page}", json={"name": new}).status_code == 200
    until(lambda: ids(people.listener, f"{title} {new}", "albums") == [record])
    until(lambda: ids(people.listener, old) == [])
    assert people.artist.delete(f"/api/v1/artists/{page}").status_code == 204
    until(lambda: ids(people.listener, new) == [] and ids(people.listener, title, "albums") == [])


def test_queries_are_narrowed(people):
    own = word()
    first, second = artist(people, f"Alpha {own}"), artist(people, f"Beta {own}")
    old = album(people, first, f"Record {own}", releaseDate="1994-05-01", genres=["Hip-Hop"])
    young = album(people, second, f"Record {own} again", releaseDate="2012-05-01", genres=["Jazz"])
    is_found(people.listener, own, old, "albums")
    is_found(people.listener, own, young, "albums")

    def narrowed(q):
        return ids(people.listener, q, "albums")

    assert narrowed(f"{own} year:1990-1999") == [old]
    assert narrowed(f"{own} year:2012") == [young]
    assert narrowed(f"{own} genre:jazz") == [young]
    assert narrowed(f'{own} genre:"hip hop"') == [old]
    assert narrowed(f"{own} artist:alpha") == [old]
    assert narrowed(f"artist:{own} -alpha") == [young]
    assert narrowed(f"{own} -genre:jazz") == [old] and narrowed(f"{own} -year:1990-1999") == [young]
    assert narrowed(f'"{own} again"') == [young] and narrowed(f"„{own} again“") == [young]
    assert narrowed(f'"again {own}"') == []
    assert set(narrowed(f"{own} year:19")) == {old, young}, "a filter that is still being typed narrows nothing"
    assert old in narrowed("genre:hip-hop year:1994")


def test_tracks_are_found_by_all_that_they_show_and_by_lyrics(people, upload):
    own, line = word(), word()
    page = artist(people, f"Band {own}")
    record = album(people, page, f"Record {own}")
    track = upload(album_id=record, title="Bohemian Polka", lyrics=f"One line\nand {line} in another")
    is_found(people.listener, f"polka {own}", track["id"], "tracks")
    for typed in (f"bohemain {own}", f"band record polka {own[:5]}", f"polca {own}", f"artist:{own} boh"):
        assert ids(people.listener, typed, "tracks") == [track["id"]], typed
    found = search(people.listener, line, explain="1")
    assert [one["id"] for one in found["tracks"]] == [track["id"]]
    assert found["explain"]["tracks"][0]["match"] == "lyrics"
    assert people.artist.delete(f"/api/v1/tracks/{track['id']}").status_code == 200
    until(lambda: ids(people.listener, own, "tracks") == [])


def test_among_equals_what_a_person_hears_stands_first(people, upload):
    own = word()
    record = album(people, artist(people, f"Band {own}"), f"Record {own}")
    older, newer = (upload(album_id=record, title=f"Twin {own}")["id"] for _ in range(2))
    for track in (older, newer):  # what changes later takes its plays into the index, before the other's
        wait_for(people.artist, track, whole=True)
    until(lambda: set(ids(people.listener, own, "tracks")) == {older, newer})
    for track, other in ((older, newer), (newer, older)):
        person = people.new()
        event = {"id": str(uuid.uuid4()), "trackId": track, "startedAt": int(time.time() * 1000) - 60000, "playedMs": 30000}
        assert person.post("/api/v1/plays", json={"events": [event]}).status_code == 202
        until(lambda: ids(person, f"twin {own}", "tracks") == [track, other])

        def own_plays():
            why = search(person, f"twin {own}", types="tracks", explain="1")["explain"]["tracks"]
            return [(one["id"], one["ownPlays"]) for one in why]

        until(lambda: own_plays() == [(track, 1), (other, 0)])


def test_suggestions_are_whole_queries(people):
    own = word()
    page = artist(people, f"{own} Quartet")
    album(people, page, f"{own} Nights")
    album(people, page, f"{own} nights")
    is_found(people.listener, own, page)

    def suggested():
        answer = people.listener.get("/api/v1/search/suggestions", params={"q": own[:8]})
        assert answer.status_code == 200, answer.text
        return [one.lower() for one in answer.json()["items"]]

    until(lambda: suggested() == [f"{own} quartet", f"{own} nights"])


def test_bad_queries_have_clear_answers(people, server):
    listener = people.listener
    answer = listener.get("/api/v1/search")
    assert answer.status_code == 400 and "q must say" in answer.json()["detail"]
    search(listener, "x" * 501, 400)
    answer = listener.get("/api/v1/search", params={"q": "x" * 10000})
    assert answer.status_code == 431 and "at most 8192 are allowed" in answer.json()["detail"], answer.text
    for q in ("", "   ", "-nothing", '"', '""', "artist:", "genre:", "year:abcd", "- -", "\t\n"):
        found = search(listener, q, types="tracks")
        assert found["tracks"] == [], q
    search(listener, " ".join("word" for _ in range(100)))
    search(listener, "-" * 400)
    search(listener, '"' * 400)
    search(listener, "٪%_*?[](){}\\;'`\u202e\ufeff\U0001f600")
    search(listener, "a", 400, types="songs")
    search(listener, "a", 400, types="tracks,")
    search(listener, "a", 400, limit=0)
    search(listener, "a", 400, limit=51)
    assert people.new().get("/api/v1/search/suggestions").status_code == 400
    import requests
    assert requests.get(f"{server.url}/api/v1/search", params={"q": "a"}, timeout=10).status_code == 401


class Searching(threading.Thread):
    """Asks for a name without a pause, and counts when it was not there."""

    def __init__(self, person, q, id):
        super().__init__()
        self.person, self.q, self.id = person, q, id
        self.asked = self.missed = 0
        self.ended = threading.Event()

    def run(self):
        while not self.ended.is_set():
            self.missed += self.id not in ids(self.person, self.q)
            self.asked += 1


def test_what_was_found_is_found_after_a_kill_and_while_it_is_rebuilt(own_server):
    from conftest import People
    server = own_server()
    people = People(server)
    first = artist(people, "First Name")
    is_found_once_built(people.listener, "first", first)
    second = artist(people, "Second Name")  # perhaps in the index, perhaps not
    server.kill()
    assert SEARCH != "local" or (server.data / "search.idx").exists()
    server.start()
    is_found(people.listener, "first", first)
    is_found(people.listener, "second", second)

    searching = Searching(people.listener, "first", first)
    searching.start()
    try:
        for round in range(5):
            shown = run_tutti("search", "rebuild", data=server.data)
            assert "2 things" in shown.stdout if round == 0 else True
            until(lambda: searching.asked > 20 * (round + 1))
        third = artist(people, "Third Name")
        is_found(people.listener, "third", third)
    finally:
        searching.ended.set()
        searching.join()
    assert searching.missed == 0

    if SEARCH != "local":
        return  # another's damage is not for us to mend
    server.kill()
    (server.data / "search.idx").write_bytes(b"not an index")
    server.start()
    is_found_once_built(people.listener, "third", third)
    server.kill()
    (server.data / "search.idx").unlink()
    server.start()
    is_found_once_built(people.listener, "second", second)


def test_playlists_are_found_by_who_has_them(people):
    owner, friend, stranger, name = people.new(), people.new(), people.new(), word()

    def make(title):
        answer = owner.post("/api/v1/playlists", json={"title": title})
        assert answer.status_code == 201, answer.text
        return answer.json()

    first, exact, other = make(f"Mötley {name} mornings"), make(name), make(f"{name} evenings")
    assert ids(owner, name, "playlists") == [exact["id"], other["id"], first["id"]]
    assert ids(owner, f"MORN {name[:9]}", "playlists") == ids(owner, f"moetley {name}", "playlists") == [first["id"]]
    assert ids(owner, f"mornigns {name}", "playlists") == ids(owner, f"motely {name}", "playlists") == [first["id"]]
    assert ids(owner, f"evinengs {name}", "playlists") == [other["id"]] and ids(owner, f"evexyzgs {name}", "playlists") == []
    assert ids(owner, f'"evinengs" {name}', "playlists") == []
    assert ids(owner, f"{name} -evenings", "playlists") == [exact["id"], first["id"]]
    assert ids(owner, f'"{name} evenings"', "playlists") == [other["id"]] and ids(owner, f"artist:{name}", "playlists") == []
    found = search(owner, name, types="playlists", explain=1)
    assert [one["match"] for one in found["explain"]["playlists"]] == ["exact", "prefix", "prefix"]
    assert found["playlists"][0]["title"] == name and len(search(owner, name, types="playlists", limit=1)["playlists"]) == 1
    link = owner.post(f"/api/v1/playlists/{first['id']}/invite", json={"access": "view"}).json()
    assert friend.post("/api/v1/me/invites", json={"token": link["token"]}).status_code == 200
    assert ids(friend, name, "playlists") == [first["id"]] and ids(stranger, name, "playlists") == []
    assert owner.delete(f"/api/v1/playlists/{first['id']}").status_code == 204
    assert ids(friend, name, "playlists") == []
