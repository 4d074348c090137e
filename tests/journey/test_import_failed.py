"""Renditions of imported files that could not be made: what was not the file's own fault is made when the file is there again,
what was is told as such until the file is another."""
import pytest

from conftest import OBJECTS, until
from test_import import CUE, Library, counted, library, wait_for_renditions  # noqa: F401 (a fixture)

pytestmark = pytest.mark.skipif(OBJECTS != "file", reason="files are copied into the store")

ALL_BUT_TRANSCODE = "gateway,identity,catalog,ingest,streaming,library,search,objectstore"


def get(library, track):
    return library.admin.get(f"/api/v1/tracks/{track['id']}").json()


def play(library, track):
    return library.admin.get(f"/api/v1/tracks/{track['id']}/stream", params={"maxBitrate": "160"})


def is_told_as_failed(library, track):
    """Whoever plays it is told so, and not to ask again; its original plays all the same."""
    answer = play(library, track)
    assert (answer.status_code, answer.json()["trackStatus"]) == (409, "failed") and "Retry-After" not in answer.headers
    assert library.admin.get(f"/api/v1/tracks/{track['id']}/stream").json()["hls"] is None
    return True


def is_told_as_under_way(library, track):
    answer = play(library, track)
    return (answer.status_code, answer.json()["trackStatus"]) == (409, "processing") and int(answer.headers["Retry-After"]) > 0


def failure(library, track):
    return get(library, track).get("failure", {}).get("code")


def test_a_file_that_was_away_for_a_moment(library):
    for name in ("x/a", "x/b", "y/c"):
        library.sound(f"{name}.flac", {"TITLE": name, "ARTIST": "A", "ALBUM": "X"}, seconds=3)
    library.scan()
    tracks = {title: track for title, track in library.tracks().items() if title != "y/c"}
    away = library.folder.parent / "x"
    (library.folder / "x").rename(away)
    for track in tracks.values():
        assert is_told_as_under_way(library, track)
        until(lambda track=track: failure(library, track) == "missing")
        assert is_told_as_failed(library, track)
    assert counted(library.scan()[0], missing=2, unchanged=1)
    assert all((failure(library, track), get(library, track)["version"]) == ("missing", 1) for track in tracks.values())
    # Back, and seen: the next who plays it has it made, as another version of the same file.
    away.rename(library.folder / "x")
    assert counted(library.scan()[0], changed=2, unchanged=1)
    for title, track in tracks.items():
        now = get(library, track)
        assert ("failure" in now, now["missing"], now["version"], now["source"]) == (False, False, 2, track["source"]), title
        assert is_told_as_under_way(library, track)
        assert wait_for_renditions(library.admin, track["id"]) >= {"aac", "flac", "original"}
        assert play(library, track).json()["hls"]
    assert counted(library.scan()[0], unchanged=3)


def test_one_that_no_import_has_missed(library):
    library.sound("x/a.flac", {"TITLE": "a", "ARTIST": "A", "ALBUM": "X"}, seconds=3)
    library.scan()
    track = library.tracks()["a"]
    (library.folder / "x").rename(library.folder.parent / "x")
    assert play(library, track).status_code == 409
    until(lambda: failure(library, track) == "missing")
    (library.folder.parent / "x").rename(library.folder / "x")
    assert counted(library.scan()[0], unchanged=1)
    assert failure(library, track) is None
    assert play(library, track).status_code == 409
    assert wait_for_renditions(library.admin, track["id"]) >= {"aac", "flac", "original"}


def test_one_that_is_there_and_cannot_be_opened_is_waited_for(library):
    path = library.sound("x/a.flac", {"TITLE": "a", "ARTIST": "A", "ALBUM": "X"}, seconds=3)
    library.scan()
    track = library.tracks()["a"]
    path.rename(library.folder / "kept")
    path.symlink_to(path)
    assert play(library, track).status_code == 409
    until(lambda: library.server.rows("SELECT 1 FROM transcode_job WHERE state = 'waiting' AND tries > 0 AND code = 'io'"))
    assert failure(library, track) is None
    path.unlink()
    (library.folder / "kept").rename(path)
    assert wait_for_renditions(library.admin, track["id"]) >= {"aac", "flac", "original"}
    assert get(library, track)["version"] == 1


def test_a_damaged_file_waits_for_another(library):
    path = library.sound("x/a.flac", {"TITLE": "a", "ARTIST": "A", "ALBUM": "X"}, seconds=8)
    good = path.read_bytes()
    middle = len(good) // 2
    path.write_bytes(good[:middle] + bytes(middle // 2) + good[middle + middle // 2:])
    assert library.scan()[0]["added"] == 1
    track = library.tracks()["a"]
    assert play(library, track).status_code == 409
    code = until(lambda: failure(library, track))
    assert code in ("damaged", "truncated", "not-audio")
    assert counted(library.scan()[0], unchanged=1)
    assert (failure(library, track), get(library, track)["version"]) == (code, 1)
    assert is_told_as_failed(library, track)
    path.write_bytes(good)  # the same sound to the eye of an import, which looks at its ends
    assert counted(library.scan()[0], changed=1)
    assert failure(library, track) is None
    assert play(library, track).status_code == 409
    assert wait_for_renditions(library.admin, track["id"]) >= {"aac", "flac", "original"}


def test_parts_of_a_file_that_was_away(own_server, tmp_path):
    server = own_server(roles=ALL_BUT_TRANSCODE)
    library = Library(server, tmp_path / "music")
    library.sound("rip/nights.flac", seconds=5)
    (library.folder / "rip" / "nights.cue").write_text(CUE)
    assert library.scan()[0]["added"] == 3
    tracks = library.tracks()
    (library.folder / "rip").rename(tmp_path / "rip")
    server.stop()
    server.options = []
    server.start()
    for track in tracks.values():
        until(lambda track=track: failure(library, track) == "missing" and get(library, track)["status"] == "failed")
    (tmp_path / "rip").rename(library.folder / "rip")
    assert counted(library.scan()[0], unchanged=3)
    for track in tracks.values():  # nothing of a part plays before it is made, so that nobody has to ask
        assert until(lambda track=track: get(library, track)["status"] == "ready")
        assert wait_for_renditions(library.admin, track["id"]) >= {"aac", "flac"}
        assert get(library, track)["version"] == 2
    # One whose first rung plays, and whose others could not be made: that one plays on meanwhile.
    track = get(library, tracks["Eins"])
    until(lambda: server.rows("SELECT working FROM track WHERE id = ?", int(track["id"])) == [(0,)])
    server.change(f"UPDATE track SET failure_code = 'io', failure_reason = 'a disk' WHERE id = {track['id']}")
    server.change(f"UPDATE track_version SET complete = 0 WHERE track_id = {track['id']} AND version = 2")
    server.stop()
    server.options = ["--roles", ALL_BUT_TRANSCODE]
    server.start()
    assert counted(library.scan()[0], unchanged=3)
    now = get(library, track)
    assert (now["status"], now["version"], now["pendingVersion"], "failure" in now) == ("ready", 2, 3, False)
    assert play(library, track).status_code == 200
    server.stop()
    server.options = []
    server.start()
    until(lambda: get(library, track)["version"] == 3)
    assert wait_for_renditions(library.admin, track["id"]) >= {"aac", "flac"}
    assert counted(library.scan()[0], unchanged=3)
