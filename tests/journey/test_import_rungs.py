"""Renditions of imported files are kept up to a size: those played longest ago go, and are made again."""
import time
import uuid

import pytest
import requests

from conftest import OBJECTS, run_tutti, until
from test_import import library, wait_for_renditions  # noqa: F401 (a fixture)

pytestmark = pytest.mark.skipif(OBJECTS != "file", reason="files are copied into the store")


def made(library, title):
    """Bytes of what was made beside the original."""
    track = library.tracks()[title]
    files = library.admin.get(f"/api/v1/tracks/{track['id']}").json()["renditions"]
    return sum(file["bytes"] for file in files if file["format"] != "original")


def sweep(library, most):
    environment = {**library.server.environment, "TUTTI_IMPORT_RUNGS_MAX_BYTES": str(most)}
    run_tutti("sweep", data=library.server.data, environment=environment, timeout=120)


def swept(library, most, titles):
    """Whether nothing made is left of these; a sweep leaves a track whose job is just ending to the next one."""
    sweep(library, most)
    return not any(made(library, title) for title in titles)


def play(library, track):
    now = int(time.time() * 1000)
    told = {"id": str(uuid.uuid4()), "trackId": track["id"], "startedAt": now, "playedMs": track["durationMs"]}
    answer = library.admin.post("/api/v1/plays", json={"events": [told]})
    assert answer.status_code == 202, answer.text
    until(lambda: library.admin.get(f"/api/v1/plays/track/{track['id']}").json()["plays"] == 1)


def test_those_played_longest_ago_go_and_are_made_again(library):
    titles = ["a", "b", "c"]
    paths = {title: library.sound(f"x/{title}.flac", {"TITLE": title, "ARTIST": "A", "ALBUM": "X"}, seconds=3) for title in titles}
    library.scan()
    tracks = library.tracks()
    answers, formats = {}, {}
    for title in titles:  # made in this order
        path = f"/api/v1/tracks/{tracks[title]['id']}"
        assert library.admin.get(f"{path}/stream").ok
        formats[title] = wait_for_renditions(library.admin, tracks[title]["id"])
        answers[title] = library.admin.get(f"{path}/stream").json()
    assert all({"aac", "opus", "flac", "original"} <= formats[title] for title in titles)
    play(library, tracks["a"])
    sizes = {title: made(library, title) for title in titles}
    before = {title: library.admin.get(f"/api/v1/tracks/{tracks[title]['id']}").json() for title in titles}
    for most in (0, sum(sizes.values())):  # no limit; just enough
        sweep(library, most)
        assert {title: made(library, title) for title in titles} == sizes
    until(lambda: swept(library, sum(sizes.values()) - 1, "b"))
    assert (made(library, "a"), made(library, "c")) == (sizes["a"], sizes["c"])
    after = library.admin.get(f"/api/v1/tracks/{tracks['b']['id']}").json()
    assert (after["status"], after["version"], len(after["renditions"])) == ("ready", before["b"]["version"] + 1, 1)
    same = ("title", "durationMs", "loudness", "source", "albumId", "missing")
    assert {name: after.get(name) for name in same} == {name: before["b"].get(name) for name in same}
    # Who plays it goes on: rungs and original of the former version.
    for url in (answers["b"]["hls"], answers["b"]["trackUrl"], *(file["url"] for file in answers["b"]["files"])):
        assert requests.get(url, timeout=30).ok, url
    # Its original plays at once, and by that the rest is made anew.
    answer = library.admin.get(f"/api/v1/tracks/{tracks['b']['id']}/stream").json()
    assert answer["hls"] is None and requests.get(answer["trackUrl"], timeout=30).content == paths["b"].read_bytes()
    assert wait_for_renditions(library.admin, tracks["b"]["id"]) == formats["b"] and made(library, "b") == sizes["b"]
    answer = library.admin.get(f"/api/v1/tracks/{tracks['b']['id']}/stream").json()
    assert requests.get(answer["hls"], timeout=30).ok
    # Without any room all go; files and ids stay, and a rescan finds nothing to do.
    until(lambda: swept(library, 1, titles))
    assert {title: track["id"] for title, track in library.tracks().items()} == {title: tracks[title]["id"] for title in titles}
    counts, troubles = library.scan()
    assert (counts["unchanged"], counts["changed"], troubles) == (3, 0, {})
    # Another sound in a file's place is not what the former one's address gives.
    old = library.admin.get(f"/api/v1/tracks/{tracks['c']['id']}/stream").json()["trackUrl"]
    kept = paths["c"].read_bytes()
    assert requests.get(old, timeout=30).content == kept
    paths["c"].unlink()
    library.sound("x/c.flac", {"TITLE": "c", "ARTIST": "A", "ALBUM": "X"}, seconds=2)
    assert library.scan()[0]["changed"] == 1
    until(lambda: library.tracks()["c"]["durationMs"] < 2500)
    former = requests.get(old, timeout=30)  # the server may have it open still
    assert former.status_code == 404 or former.content == kept
    answer = library.admin.get(f"/api/v1/tracks/{tracks['c']['id']}/stream").json()
    assert requests.get(answer["trackUrl"], timeout=30).content == paths["c"].read_bytes()


def test_those_of_a_ladder_that_failed_go_too(library):
    library.sound("x/a.flac", {"TITLE": "a", "ARTIST": "A", "ALBUM": "X"}, seconds=3)
    library.scan()
    path = f"/api/v1/tracks/{library.tracks()['a']['id']}"
    assert library.admin.get(f"{path}/stream").ok
    formats = wait_for_renditions(library.admin, path.rsplit("/", 1)[1])
    track = until(lambda: library.server.rows("SELECT id FROM track WHERE working = 0"))[0][0]
    library.server.change(f"UPDATE track SET failure_code = 'crashed', failure_reason = 'x' WHERE id = {track}")
    library.server.change(f"UPDATE track_version SET complete = 0, completed_at = 0 WHERE track_id = {track}")
    until(lambda: swept(library, 1, "a"))
    now = library.admin.get(path).json()
    assert ("failure" in now, now["status"], len(now["renditions"])) == (False, "ready", 1)
    assert library.admin.get(f"{path}/stream").ok
    assert wait_for_renditions(library.admin, str(track)) == formats
