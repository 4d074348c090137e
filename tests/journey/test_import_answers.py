"""Answers about imported music change without a client's write: renditions are made when somebody plays it, covers are
found, files are followed. A copy that a browser kept must not be called fresh then (decision 0050)."""
import shutil
import subprocess

import pytest

from conftest import People, until
from test_import import library, wait_for_renditions  # noqa: F401 (a fixture)


class Kept:
    """Copies of answers, each with the validator that it was sent with."""

    def __init__(self, person, paths):
        self.person, self.paths = person, paths
        self.copies = {path: person.get(path) for path in paths}

    def again(self, path):
        return self.person.get(path, headers={"If-None-Match": self.copies[path].headers["ETag"]})

    def fresh(self):
        return [path for path in self.paths if self.again(path).status_code == 304]

    def lies(self):
        """Those that are called fresh although the answer is another."""
        return [path for path in self.paths if self.again(path).status_code == 304
                and self.person.get(path).json() != self.copies[path].json()]

    def changed(self, path):
        return self.person.get(path).json() != self.copies[path].json()


@pytest.fixture
def two(library):  # noqa: F811
    """An album of two tracks, and the paths of its answers: the tracks a and b, and the album."""
    for title in "ab":
        library.sound(f"X/{title}.flac", {"TITLE": title, "ARTIST": "Ana", "ALBUM": "X"}, seconds=3)
    library.scan()
    tracks = library.tracks()
    library.ids = {title: tracks[title]["id"] for title in "ab"}
    library.paths = [*(f"/api/v1/tracks/{library.ids[title]}" for title in "ab"), f"/api/v1/albums/{tracks['a']['albumId']}"]
    return library


def play(two, title):
    """Until all that is made of it is there, and told."""
    assert two.admin.get(f"/api/v1/tracks/{two.ids[title]}/stream").ok
    assert "aac" in wait_for_renditions(two.admin, two.ids[title])
    until(lambda: two.admin.get(two.paths[-1]).json()["loudness"]["albumLufs"] is not None)


def test_the_first_play_makes_copies_old(two):
    kept = Kept(two.admin, two.paths)
    assert kept.fresh() == two.paths, "what has not changed is not sent again"
    play(two, "a")
    until(lambda: all(kept.changed(path) for path in two.paths))
    assert kept.lies() == [] and kept.fresh() == []
    etags = {path: kept.copies[path].headers["ETag"] for path in two.paths}
    assert {path: two.admin.get(path).headers["ETag"] for path in two.paths} == etags, "an edit begun before goes on"


def test_a_cover_that_is_found_makes_copies_old(two):
    kept = Kept(two.admin, two.paths)
    assert kept.fresh() == two.paths
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=red:s=64x64", "-frames:v", "1",
                    two.folder / "X/cover.jpg"], check=True, timeout=60)
    assert two.scan()[0]["unchanged"] == 2
    until(lambda: two.admin.get(two.paths[-1]).json()["coverArtId"])
    until(lambda: all(kept.changed(path) for path in two.paths))
    assert kept.lies() == [] and kept.fresh() == []


def test_a_file_that_changes_makes_copies_of_the_others_old(two):
    """Another sound in a's place takes the album's loudness away, which b shows too."""
    play(two, "a")
    two.tag(two.folder / "X/b.flac", {"TITLE": "b", "ARTIST": "Ana", "ALBUM": "X", "ISRC": "DEA621500001"})
    assert two.scan()[0]["changed"] == 1
    b = two.paths[1]
    kept = Kept(two.admin, [b])
    assert kept.fresh() == [b], "the import wrote it, so that its ETag is another"
    two.sound("X/a.flac", {"TITLE": "a", "ARTIST": "Ana", "ALBUM": "X"}, seconds=2)
    assert two.scan()[0]["changed"] == 1
    until(lambda: kept.changed(b))
    assert kept.lies() == [] and kept.fresh() == []


def test_a_file_that_is_called_otherwise_makes_copies_old(two):
    a = two.paths[0]
    kept = Kept(two.admin, [a])
    assert kept.fresh() == [a]
    (two.folder / "X/a.flac").rename(two.folder / "X/01 a.flac")
    assert two.scan()[0]["moved"] == 1
    assert two.admin.get(a).json()["source"]["filename"] == "01 a.flac"
    assert kept.lies() == [] and kept.fresh() == []
    # And it can be kept again.
    assert Kept(two.admin, [a]).fresh() == [a]


def test_the_size_of_a_file_is_one(two):
    """A file with longer tags is told of alike as source and as what plays."""
    two.tag(two.folder / "X/a.flac", {"TITLE": "a", "ARTIST": "Ana", "ALBUM": "X", "COMMENT": "x" * 20000})
    assert two.scan()[0]["changed"] == 1
    size = (two.folder / "X/a.flac").stat().st_size
    until(lambda: two.admin.get(two.paths[0]).json()["source"]["bytes"] == size)
    assert [file["bytes"] for file in two.admin.get(two.paths[0]).json()["renditions"]] == [size]


def test_an_artist_who_leaves_the_index_makes_copies_old(library):  # noqa: F811
    """One that is left without music, and one that comes back, stand under another letter: none, and theirs."""
    tags = {"ALBUM": "Old", "ARTIST": "Olga", "TITLE": "Song"}
    path = library.sound("z/1.flac", tags)
    library.scan()
    olga = f"/api/v1/artists/{library.albums()['Old']['artistId']}"
    for artist, letter in (("Nina", None), ("Olga", "O")):
        kept = Kept(library.admin, [olga])
        assert kept.fresh() == [olga]
        library.tag(path, {**tags, "ALBUM": artist, "ARTIST": artist})
        library.scan()
        until(lambda letter=letter: library.admin.get(olga).json()["indexLetter"] == letter)
        assert kept.lies() == []


def test_a_library_that_goes_makes_copies_old(two):
    folder = {"name": "All", "seenBy": "everybody", "folders": [str(two.folder)]}
    made = two.admin.post("/api/v1/libraries", json=folder)
    assert made.status_code == 201, made.text
    two.sound("Y/c.flac", {"TITLE": "c", "ARTIST": "Cy", "ALBUM": "Y"})
    two.scan()
    track = two.tracks()["c"]
    paths = [f"/api/v1/{kind}/{track[key]}" for kind, key in (("tracks", "id"), ("albums", "albumId"), ("artists", "artistId"))]
    kept = Kept(two.admin, paths)
    assert kept.fresh() == paths and all(copy.json()["libraryId"] for copy in kept.copies.values())
    assert two.admin.delete(f"/api/v1/libraries/{made.json()['id']}").status_code == 204
    until(lambda: not any(two.admin.get(path).json()["libraryId"] for path in paths))
    assert kept.lies() == []


def test_a_renamed_artist_is_renamed_on_others_albums(library):  # noqa: F811
    """In answers, in lists, and where search finds it."""
    def sound(title, artist, **tags):
        library.sound(f"Hits/{title}.flac", {"TITLE": title, "ALBUM": "Hits", "ALBUMARTIST": "Various Artists", "ARTIST": artist, **tags})

    sound("Own", "Ana")
    sound("Guest", "Bo feat. Ana", ARTISTS=["Bo", "Ana"])
    library.scan()
    tracks = library.tracks()
    paths = [f"/api/v1/tracks/{tracks[title]['id']}" for title in ("Own", "Guest")]
    ana = f"/api/v1/artists/{tracks['Own']['artistId']}"
    owner = People(library.server).new("artist")
    assert library.admin.put(ana + "/owner", json={"userId": owner.user["id"]}).status_code == 200
    until(lambda: [one["id"] for one in owner.get("/api/v1/search", params={"q": "ana"}).json()["tracks"]] == [tracks["Own"]["id"]])
    kept = Kept(owner, paths)
    assert kept.fresh() == paths
    assert owner.patch(ana, json={"name": "Zoe"}).status_code == 200
    own, guest = (owner.get(path).json() for path in paths)
    assert (own["artistName"], [one["name"] for one in own["artists"]], own["credit"]) == ("Zoe", ["Zoe"], "Ana")
    assert [one["name"] for one in guest["artists"]] == ["Bo", "Zoe"] and guest["credit"] == "Bo feat. Ana"
    assert kept.lies() == []
    until(lambda: [one["id"] for one in owner.get("/api/v1/search", params={"q": "zoe"}).json()["tracks"]] == [tracks["Own"]["id"]])
    # What files say again does not undo it.
    library.scan()
    assert [one["name"] for one in owner.get(paths[0]).json()["artists"]] == ["Zoe"]
