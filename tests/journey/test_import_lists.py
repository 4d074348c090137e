"""Playlists that lie as files among imported music: M3U, M3U8, XSPF, JSPF of other programs."""
import json
import os

from conftest import Person, add_user, until
from test_import import counted, library  # noqa: F401 (a fixture)


def titles(library, playlist_id):
    items = library.items(f"/api/v1/playlists/{playlist_id}/items")
    return [item["track"]["title"] for item in items]


def playlists(library):
    return {one["title"]: one for one in library.items("/api/v1/playlists")}


def files(library):
    return {one["path"]: one for one in library.items("/api/v1/imports/playlists")}


def write(library, path, text, encoding="utf-8"):
    path = library.folder / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def music(library, *names):
    """Tracks that are called as their files."""
    for name in names:
        library.sound(name, {"TITLE": name.rsplit("/", 1)[-1].split(".")[0], "ARTIST": "A", "ALBUM": name.split("/")[0]})


def test_files_become_playlists_that_follow_them(library):
    music(library, "x/One.flac", "x/Two.flac", "y/Drei é.flac")
    write(library, "lists/Mine.m3u8", "#EXTM3U\n#EXTINF:1,A - One\n../x/One.flac\n\n# words\n../y/./../y/Drei é.flac\n../x/One.flac\n")
    write(library, "Windows.M3U", "X\\TWO.FLAC\r\ny\\Drei é.flac\r\n", "cp1252")
    write(library, "x/abs.m3u", f"{library.folder}/x/Two.flac\nfile://{library.folder}/y/Drei%20%C3%A9.flac\n../../music/x/One.flac\n")
    write(library, "x/other.xspf", '<playlist version="1" xmlns="http://xspf.org/ns/0/"><title>By name</title><trackList>'
          "<track><location>../y/Drei%20%C3%A9.flac</location></track></trackList></playlist>")
    write(library, "x/j.jspf", json.dumps({"playlist": {"title": "J", "track": [{"location": ["Two.flac"]}]}}))
    counts, troubles = library.scan()
    assert counted(counts, added=3) and counts["playlists"] == 5 and troubles == {}
    found = playlists(library)
    assert {title: titles(library, one["id"]) for title, one in found.items()} == {
        "Mine": ["One", "Drei é", "One"], "Windows": ["Two", "Drei é"], "abs": ["Two", "Drei é", "One"],
        "By name": ["Drei é"], "J": ["Two"]}
    mine = found["Mine"]
    assert (mine["access"], mine["shared"], mine["itemCount"]) == ("owner", False, 3)
    listed = files(library)["lists/Mine.m3u8"]
    assert listed == {"folder": str(library.folder), "path": "lists/Mine.m3u8", "state": "present", "reason": "", "entries": 3,
                      "found": 3, "unfound": [], "playlistId": mine["id"]}
    add_user(library.server, "somebody", "listener")
    listener = Person(library.server.url, "somebody", "listener")
    assert listener.get("/api/v1/imports/playlists").status_code == 403
    assert listener.get(f"/api/v1/playlists/{mine['id']}").status_code == 404
    # Nothing changed: nothing is done.
    before = library.admin.get(f"/api/v1/playlists/{mine['id']}").json()
    counts, troubles = library.scan()
    assert counted(counts, unchanged=3) and counts["playlists"] == 0 and troubles == {}
    # The file changed: so did the playlist, whose other items stay the same ones, and whose name a person gave.
    path = f"/api/v1/playlists/{mine['id']}"
    items = [one["id"] for one in library.items(f"{path}/items")]
    assert library.admin.patch(path, json={"title": "Called so"}, headers={"If-Match": f'"{before["revision"]}"'}).ok
    write(library, "lists/Mine.m3u8", "#PLAYLIST:Other\n../x/One.flac\n../x/Two.flac\n../x/One.flac\n")
    assert library.scan()[0]["playlists"] == 1
    assert titles(library, mine["id"]) == ["One", "Two", "One"] and library.admin.get(path).json()["title"] == "Called so"
    after = [one["id"] for one in library.items(f"{path}/items")]
    assert (after[0], after[2]) == (items[0], items[2]) and after[1] != items[1]
    # The file is called otherwise, then gone: the playlist is the same, and stays.
    (library.folder / "lists/Mine.m3u8").rename(library.folder / "Mine.m3u8")
    write(library, "x/j.jspf", json.dumps({"playlist": {"title": "J2", "track": [{"location": ["One.flac"]}]}}))
    library.scan()
    assert set(playlists(library)) == {"Called so", "Windows", "abs", "By name", "J2"}  # "../x" leads out of the library now
    assert "lists/Mine.m3u8" not in files(library) and files(library)["Mine.m3u8"]["playlistId"] == mine["id"]
    (library.folder / "Mine.m3u8").unlink()
    library.scan()
    assert files(library)["Mine.m3u8"]["state"] == "missing" and titles(library, mine["id"]) == ["One", "Two", "One"]


def test_what_a_person_did_to_a_playlist_stays(library):
    music(library, "x/One.flac", "x/Two.flac")
    for name in ("edited", "deleted"):
        write(library, f"x/{name}.m3u8", "One.flac\n")
    library.scan()
    found = playlists(library)
    edited, deleted = (found[name]["id"] for name in ("edited", "deleted"))
    two = library.tracks()["Two"]["id"]
    assert library.admin.post(f"/api/v1/playlists/{edited}/items", json={"trackIds": [two]}).ok
    assert library.admin.delete(f"/api/v1/playlists/{deleted}").status_code == 204
    for name in ("edited", "deleted"):
        write(library, f"x/{name}.m3u8", "Two.flac\n#changed\n")
    counts, troubles = library.scan()
    assert counts["playlists"] == 0
    assert "edited here" in troubles["x/edited.m3u8"] and "deleted here" in troubles["x/deleted.m3u8"]
    assert titles(library, edited) == ["One", "Two"] and set(playlists(library)) == {"edited"}
    assert {path: one["state"] for path, one in files(library).items()} == {"x/edited.m3u8": "edited", "x/deleted.m3u8": "deleted"}
    assert library.scan()[1] == {}


def test_entries_that_lead_nowhere_stop_nothing(library):
    music(library, "x/One.flac")
    lines = ["One.flac", "../../../etc/passwd", "/etc/passwd", "C:\\Music\\One.flac", "http://radio.example.org/live.mp3",
             "later/Late.flac", "/" * 900, "x" * 4000, "..", "%ff", "../x"]
    write(library, "x/some.m3u", "\n".join(lines))
    write(library, "x/none.m3u8", "gone.flac\n")
    write(library, "x/empty.m3u8", "#EXTM3U\n")
    write(library, "x/latin.m3u8", "Drei é.flac\n", "latin-1")
    write(library, "x/stream.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\nsegment0.ts\n#EXT-X-ENDLIST\n")
    write(library, "x/broken.xspf", "<playlist><trackList>")
    write(library, "x/large.m3u", "#" * (6 << 20) + "\n#\n")
    write(library, "x/many.m3u", "One.flac\n" * 10001)
    (library.folder / "x/folder.m3u").mkdir()
    os.mkfifo(library.folder / "x/pipe.m3u")
    (library.folder / "x/nowhere.m3u").symlink_to("/nowhere")
    counts, troubles = library.scan()
    assert counted(counts, added=1) and counts["playlists"] == 1
    assert {path[2:] for path in troubles} == {"some.m3u", "none.m3u8", "empty.m3u8", "latin.m3u8", "stream.m3u8", "broken.xspf",
                                               "large.m3u", "many.m3u"}
    some = files(library)["x/some.m3u"]
    assert (some["state"], some["entries"], some["found"]) == ("present", len(lines), 1)
    reasons = {one["line"]: one["reason"] for one in some["unfound"]}
    assert [reasons[line] for line in (2, 3, 4)] == ["It points outside of the library"] * 3
    assert "address" in reasons[5] and "no such file" in reasons[6] and len(reasons) == len(lines) - 1
    assert troubles["x/some.m3u"] == some["reason"] and '10 of 11 entries are not here; the first: line 2' in some["reason"]
    assert "manifest" in troubles["x/stream.m3u8"] and "6 MiB" in troubles["x/large.m3u"] and "10000" in troubles["x/many.m3u"]
    assert "None of its 1 entries" in troubles["x/none.m3u8"] and "UTF-8" in troubles["x/latin.m3u8"]
    # What an entry named comes: it is found then, without the file having changed.
    music(library, "x/later/Late.flac")
    counts, troubles = library.scan()
    assert counts["playlists"] == 1 and files(library)["x/some.m3u"]["found"] == 2
    until(lambda: titles(library, some["playlistId"]) == ["One", "Late"])


def test_a_file_that_a_sheet_parts_stands_for_its_parts(library):
    library.sound("rip/nights.flac", seconds=3)
    write(library, "rip/nights.cue", "FILE nights.flac WAVE\n" + "".join(
        f'TRACK {at} AUDIO\nTITLE "Part {at}"\nINDEX 01 00:0{at - 1}:00\n' for at in (1, 2, 3)))
    write(library, "rip/all.m3u8", "nights.flac\n")
    counts, troubles = library.scan()
    assert counted(counts, added=3) and troubles == {}
    assert titles(library, playlists(library)["all"]["id"]) == ["Part 1", "Part 2", "Part 3"]
