"""What a playlist looks like: the covers of its first four different albums."""
import base64
import re
import subprocess
import xml.etree.ElementTree

import requests

from conftest import Person, add_user, until
from test_import import library  # noqa: F401 (a fixture)

COLOURS = ["red", "green", "blue", "white", "black"]


def albums_of_colours(library):
    for colour in COLOURS:
        library.sound(f"{colour}/a.flac", {"TITLE": colour, "ALBUM": colour, "ARTIST": "A"})
        if colour != "black":  # which has no cover
            subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"color={colour}:s=700x700", "-frames:v", "1",
                            library.folder / colour / "cover.png"], check=True, timeout=60)
    library.scan()
    until(lambda: all(album["coverArtId"] for title, album in library.albums().items() if title != "black"))
    return {title: track["id"] for title, track in library.tracks().items()}


def middle(picture, tmp_path):
    """The colour in the middle of a JPEG."""
    path = tmp_path / "tile.jpg"
    path.write_bytes(picture)
    done = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-vf", "scale=1:1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
                          check=True, capture_output=True, timeout=60)
    values = {(1, 0, 0): "red", (0, 1, 0): "green", (0, 0, 1): "blue", (1, 1, 1): "white"}
    return values[tuple(int(channel > 100) for channel in done.stdout[:3])]


def test_a_playlist_shows_the_covers_of_its_albums(library, tmp_path):
    person, tracks = library.admin, albums_of_colours(library)
    playlist = person.post("/api/v1/playlists", json={"title": "Colours"}).json()
    path, items = f"/api/v1/playlists/{playlist['id']}/cover", f"/api/v1/playlists/{playlist['id']}/items"

    def add(*colours):
        assert person.post(items, json={"trackIds": [tracks[colour] for colour in colours]}).ok

    assert person.get(path).status_code == 204
    add("black")
    assert person.get(path).status_code == 204
    # Fewer than four albums: the first one's.
    add("green", "green", "red", "blue")
    one = person.get(path, params={"size": 600})
    assert one.headers["Content-Type"] == "image/jpeg" and middle(one.content, tmp_path) == "green"
    # Four: in their order, each once.
    add("red", "white")
    answer = person.get(path)
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "image/svg+xml"
    assert answer.headers["ETag"] != one.headers["ETag"] and answer.headers["Cache-Control"].startswith("private")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    svg = xml.etree.ElementTree.fromstring(answer.text)
    assert svg.get("width") == svg.get("height") == "300"
    tiles = {(tile.get("x"), tile.get("y")): base64.b64decode(re.sub("^data:image/jpeg;base64,", "", tile.get("href")))
             for tile in svg}
    assert {place: middle(tile, tmp_path) for place, tile in tiles.items()} == {
        ("0", "0"): "green", ("1", "0"): "red", ("0", "1"): "blue", ("1", "1"): "white"}
    same = person.get(path, headers={"If-None-Match": answer.headers["ETag"]})
    assert same.status_code == 304 and same.content == b""
    assert person.get(path, params={"size": 64}).headers["ETag"] != answer.headers["ETag"]
    assert {person.get(path, params={"size": wrong}).status_code for wrong in ("0", "1201", "x")} == {400}
    # A smart one, and who may see it: its members, and by its link anybody.
    rules = {"match": "all", "rules": [{"field": "artist", "op": "is", "value": "A"}], "limit": 10}
    smart = person.post("/api/v1/playlists", json={"title": "Smart", "smart": rules})
    assert smart.status_code == 201, smart.text
    assert person.get(f"/api/v1/playlists/{smart.json()['id']}/cover").headers["Content-Type"] == "image/svg+xml"
    add_user(library.server, "somebody", "listener")
    assert Person(library.server.url, "somebody", "listener").get(path).status_code == 404
    assert Person(library.server.url).get(path).status_code == 401
    shared = person.post(f"/api/v1/playlists/{playlist['id']}/share").json()["path"].rstrip("/").rsplit("/", 1)[-1]
    stranger = Person(library.server.url)
    assert stranger.get(f"/api/v1/shared/{shared}/cover").content == answer.content
    assert person.delete(f"/api/v1/playlists/{playlist['id']}/share").ok
    assert stranger.get(f"/api/v1/shared/{shared}/cover").status_code == 404
    # Made by hand: what is asked with a wrong method is not there.
    assert requests.post(library.server.url + path, timeout=10).status_code == 405
