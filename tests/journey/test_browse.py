"""Albums and artists as people browse them: each order page after page, nothing twice, nothing missing."""
import pytest

from conftest import CLUSTER, People, until
from test_catalog import make_artist, ok, pages
from test_import import Library

DATES = ["1969-01-12", "1971-11-08", "1971-11-08", None, "1994-03-08", "1994-10-31", "2003-01-31", None, "1971-02-01"]


class Shelf:
    """Albums of known dates on a server where there may be others."""

    def __init__(self, server):
        self.people = People(server)
        owner = self.people.artist
        self.artist = make_artist(owner)
        self.made = [ok(owner.post("/api/v1/albums", json={
            "artistId": self.artist["id"], "title": f"Record {number}", "releaseDate": date,
            "type": "single" if number == 5 else "album"}), 201) for number, date in enumerate(DATES)]
        self.draft = ok(owner.post("/api/v1/albums", json={
            "artistId": self.artist["id"], "title": "Draft", "status": "draft", "releaseDate": "1971-11-08"}), 201)
        self.numbers = {album["id"]: number for number, album in enumerate(self.made)}

    def list(self, limit=2, path="/api/v1/albums", **query):
        """The numbers of ours, in the list's order; a list of all holds nothing twice."""
        ids = [album["id"] for album in pages(self.people.listener, path, limit, **query)]
        assert len(ids) == len(set(ids)) and self.draft["id"] not in ids
        return [self.numbers[one] for one in ids if one in self.numbers]


@pytest.fixture(scope="module")
def shelf(server_apart):
    return Shelf(server_apart)


def test_albums_by_year(shelf):
    up = [0, 8, 1, 2, 4, 5, 6]
    down = [6, 5, 4, 2, 1, 8, 0]
    for limit in (1, 2, 3, 100):
        assert shelf.list(limit, sort="year") == up, "those of one day in the order they came"
        assert shelf.list(limit, sort="year", order="desc") == down
        for query, numbers in (({"fromYear": 1971, "toYear": 1994}, [8, 1, 2, 4, 5]), ({"fromYear": 1972}, [4, 5, 6]),
                               ({"toYear": 1971}, [0, 8, 1, 2]), ({"fromYear": 1995, "toYear": 1999}, []),
                               ({"fromYear": 1999, "toYear": 1971}, []), ({"toYear": 9999}, up)):
            assert shelf.list(limit, sort="year", **query) == numbers
            assert shelf.list(limit, sort="year", order="desc", **query) == numbers[::-1]
    assert shelf.list(sort="year", type="single") == [5]
    path = f"/api/v1/artists/{shelf.artist['id']}/albums"
    for limit in (1, 3, 100):
        assert shelf.list(limit, path, sort="year") == up and shelf.list(limit, path, sort="year", order="desc") == down
        assert shelf.list(limit, path, sort="year", fromYear=1971, toYear=1994) == [8, 1, 2, 4, 5]


def test_random_is_one_order_of_all(shelf):
    everything = sorted(shelf.list(100))
    orders = set()
    for seed in range(12):
        order = shelf.list(3, sort="random", seed=seed)
        assert sorted(order) == everything, f"seed {seed}: each once"
        assert shelf.list(3, sort="random", seed=seed) == order, f"seed {seed}: the same again"
        orders.add(tuple(order))
    assert len(orders) > 1, "other seeds may begin elsewhere"
    for limit in (1, 2, 100):
        assert sorted(shelf.list(limit, sort="random")) == everything, "without a seed the cursors keep the one that was drawn"


def test_random_goes_on_over_what_comes_and_goes(shelf):
    owner, listener = shelf.people.artist, shelf.people.listener
    first = ok(listener.get("/api/v1/albums", params={"sort": "random", "seed": 7, "limit": 3}))
    late = [ok(owner.post("/api/v1/albums", json={"artistId": shelf.artist["id"], "title": f"Late {i}"}), 201) for i in range(4)]
    seen, cursor = [one["id"] for one in first["items"]], first["next"]
    while cursor:
        page = ok(listener.get("/api/v1/albums", params={"sort": "random", "limit": 3, "cursor": cursor}))
        seen += [one["id"] for one in page["items"]]
        cursor = page["next"]
    assert len(seen) == len(set(seen)) and set(shelf.numbers) <= set(seen)
    for album in late:
        ok(owner.delete(f"/api/v1/albums/{album['id']}"), 204)


def test_what_orders_do_not_take(shelf):
    listener = shelf.people.listener
    for query in ("sort=best", "sort=year&order=up", "sort=year&fromYear=12", "sort=year&toYear=x", "fromYear=1990", "order=desc",
                  "sort=title&toYear=1990", "sort=random&genre=Jazz", "sort=year&genre=Jazz", "sort=random&seed=-1", "sort=random&seed=x",
                  f"sort=random&artistId={shelf.artist['id']}"):
        assert listener.get(f"/api/v1/albums?{query}").status_code == 400, query
    by_year = ok(listener.get("/api/v1/albums?sort=year&limit=1"))["next"]
    for other in ("sort=year&order=desc", "sort=random", "sort=title", ""):
        assert listener.get(f"/api/v1/albums?{other}&cursor={by_year}").status_code == 400, other


def test_a_persons_own_orders(shelf):
    """Played last, played most and favourites are test_plays.py's and test_marks.py's; rated highest is here."""
    person = shelf.people.new()
    for number, rating in ((0, 3), (1, 5), (2, 1), (3, 5), (4, 3)):
        ok(person.put(f"/api/v1/me/ratings/album/{shelf.made[number]['id']}", json={"rating": rating, "at": 1000 + number}))
    path = "/api/v1/me/ratings/album"
    for limit in (1, 2, 100):
        best = pages(person, path, limit, sort="rating")
        assert [(shelf.numbers[item["id"]], item["rating"]) for item in best] == [(3, 5), (1, 5), (4, 3), (0, 3), (2, 1)]
    assert [shelf.numbers[item["id"]] for item in pages(person, path, 2, sort="recent")] == [4, 3, 2, 1, 0]
    assert person.get(path, params={"sort": "worst"}).status_code == 400
    cursor = ok(person.get(path, params={"sort": "rating", "limit": 1}))["next"]
    assert person.get(path, params={"cursor": cursor}).status_code == 400


# ---- the index of artists

NAMES = ["+44", "1999", "Āzar", "The Beatles", "Björk", "Zappa", "Άκης", "Кино", "うただ", "방탄소년단", "周杰倫"]
LETTERS = ["#", "#", "A", "B", "B", "Z", "Α", "К", "あ", "ㅂ", "漢"]


def index_of(person):
    return {one["letter"]: one for one in ok(person.get("/api/v1/artists/index"))["letters"]}


def names(artists, known):
    return [artist["name"] for artist in artists if artist["id"] in known]


@pytest.fixture(scope="module")
def artists(shelf):
    owner = shelf.people.new("artist")
    made = [ok(owner.post("/api/v1/artists", json={"name": one}), 201) for one in reversed(NAMES)][::-1]
    assert [artist["indexLetter"] for artist in made] == LETTERS
    return owner, made


def test_artists_stand_under_letters_of_their_script(shelf, artists):
    listener, known = shelf.people.listener, {artist["id"] for artist in artists[1]}
    for limit in (1, 2, 100):
        assert names(pages(listener, "/api/v1/artists", limit), known) == NAMES
    assert names(pages(listener, "/api/v1/artists", 3, sort="name"), known) == NAMES
    index = ok(listener.get("/api/v1/artists/index"))["letters"]
    everyone = pages(listener, "/api/v1/artists", 100)
    assert [one["letter"] for one in index] == list(dict.fromkeys(artist["indexLetter"] for artist in everyone))
    for one in index:
        here = [artist["indexLetter"] for artist in everyone].count(one["letter"])
        first = ok(listener.get("/api/v1/artists", params={"cursor": one["cursor"], "limit": here}))["items"]
        assert {artist["indexLetter"] for artist in first} == {one["letter"]} and len(first) == here == one["artists"]


def test_names_and_sort_names_move_an_artist(shelf, artists):
    owner = artists[0]
    artist = ok(owner.post("/api/v1/artists", json={"name": "The Quiet", "sortName": "Ϡ quiet"}), 201)
    path = f"/api/v1/artists/{artist['id']}"
    assert (artist["indexLetter"], artist["sortName"]) == ("Ϡ", "Ϡ quiet") and index_of(owner)["Ϡ"]["artists"] == 1
    artist = ok(owner.patch(path, json={"sortName": None}))
    assert (artist["indexLetter"], artist["sortName"]) == ("Q", None) and "Ϡ" not in index_of(owner)
    artist = ok(owner.patch(path, json={"sortName": "Ωmega"}))
    assert artist["indexLetter"] == "Ω"
    assert ok(owner.patch(path, json={"bio": "Of Athens", "name": "The Quiet"}))["indexLetter"] == "Ω"
    artist = ok(owner.patch(path, json={"name": "Other"}))
    assert (artist["indexLetter"], artist["sortName"]) == ("O", None), "a new name is not sorted as the old one was"
    ok(owner.delete(path), 204)
    assert "Ω" not in index_of(owner)


@pytest.mark.skipif(bool(CLUSTER), reason="looks into the tables")
def test_artists_of_a_version_before_are_taken_in(own_server):
    """Their rows have no key; it is made when the next process starts."""
    server = own_server()
    people = People(server)
    made = [ok(people.artist.post("/api/v1/artists", json={"name": f"The {chr(65 + i % 26)}{i:04}"}), 201) for i in range(30)]
    server.change("UPDATE artist SET index_key = NULL")
    assert server.stop() == 0
    server.start()
    listed = pages(People(server).new(), "/api/v1/artists", 7)
    assert [artist["id"] for artist in listed] == [artist["id"] for artist in sorted(made, key=lambda one: one["name"])]


# ---- what imports bring: guests, and what they leave empty

@pytest.fixture
def library(own_server, tmp_path):
    return Library(own_server(), tmp_path / "music")


def titles(library, path):
    return [one["title"] for one in library.items(path)]


def test_guests_have_their_tracks_and_albums(library):
    common = {"ALBUM": "Duos", "ALBUMARTIST": "Ana", "DATE": "2001"}
    library.sound("duos/1.flac", {**common, "TITLE": "Both", "ARTIST": ["Ana", "Guest"], "TRACKNUMBER": "1"})
    library.sound("duos/2.flac", {**common, "TITLE": "Hers", "ARTIST": ["Ana"], "TRACKNUMBER": "2"})
    library.sound("duos/3.flac", {**common, "TITLE": "His", "ARTIST": ["Guest"], "TRACKNUMBER": "3"})
    library.sound("own/1.flac", {"ALBUM": "Alone", "TITLE": "Alone", "ARTIST": "Guest"})
    library.scan()
    ids = {one["name"]: one["id"] for one in library.items("/api/v1/artists")}
    for limit in (1, 2, 100):
        tracks = [one["title"] for one in pages(library.admin, "/api/v1/tracks", limit, artistId=ids["Guest"])]
        assert sorted(tracks) == ["Alone", "Both", "His"]
    assert sorted(titles(library, f"/api/v1/tracks?artistId={ids['Ana']}")) == ["Both", "Hers"]
    assert titles(library, f"/api/v1/artists/{ids['Guest']}/albums") == ["Alone"]
    assert titles(library, f"/api/v1/artists/{ids['Guest']}/albums?as=guest") == ["Duos"]
    assert titles(library, f"/api/v1/artists/{ids['Ana']}/albums?as=guest") == []
    both = library.tracks()["Both"]
    assert library.admin.delete(f"/api/v1/tracks/{both['id']}").status_code == 200
    assert sorted(titles(library, f"/api/v1/tracks?artistId={ids['Guest']}")) == ["Alone", "His"]
    for wrong in ("as=owner", "as=guest&sort=title", "as=guest&genre=Jazz"):
        assert library.admin.get(f"/api/v1/artists/{ids['Guest']}/albums?{wrong}").status_code == 400


def test_what_an_import_left_empty_is_hidden_until_it_is_filled(library):
    old, new = ({"ALBUM": "Old", "ARTIST": "Olga", "TITLE": "Song", "GENRE": "Polka"}, {"ALBUM": "New", "ARTIST": "Nina", "TITLE": "Song"})
    path = library.sound("z/1.flac", old)
    library.sound("z/2.flac", {**new, "TITLE": "Other"})
    library.scan()
    albums, artists = library.albums(), {one["name"]: one for one in library.items("/api/v1/artists")}
    listener = People(library.server).new()
    olga, old_id = artists["Olga"], albums["Old"]["id"]
    ok(listener.put(f"/api/v1/me/favourites/album/{old_id}"))
    library.tag(path, new)
    library.scan()
    until(lambda: list(library.albums()) == ["New"])
    assert [one["name"] for one in library.items("/api/v1/artists")] == ["Nina"]
    assert [one["letter"] for one in ok(listener.get("/api/v1/artists/index"))["letters"]] == ["N"]
    assert titles(library, f"/api/v1/artists/{olga['id']}/albums") == [] and library.items("/api/v1/genres") == []
    assert listener.get(f"/api/v1/albums/{old_id}").status_code == 404
    assert ok(library.admin.get(f"/api/v1/albums/{old_id}"))["status"] == "empty"
    until(lambda: ok(listener.get("/api/v1/search", params={"q": "olga"}))["artists"] == [])
    library.tag(path, old)
    library.scan()
    until(lambda: set(library.albums()) == {"Old", "New"})
    assert library.albums()["Old"]["id"] == old_id, "it is the same album again, with its marks"
    assert ok(listener.get("/api/v1/me/favourites/album"))["items"][0]["album"]["title"] == "Old"
    assert {one["name"]: one["id"] for one in library.items("/api/v1/artists")}["Olga"] == olga["id"]
    assert [one["albumCount"] for one in library.items("/api/v1/genres")] == [1]
    until(lambda: len(ok(listener.get("/api/v1/search", params={"q": "olga"}))["artists"]) == 1)
    track = next(one for one in library.items("/api/v1/tracks") if one["albumId"] == old_id)
    assert library.admin.delete(f"/api/v1/tracks/{track['id']}").status_code == 200
    assert list(library.albums()) == ["New"] and [one["name"] for one in library.items("/api/v1/artists")] == ["Nina"]
