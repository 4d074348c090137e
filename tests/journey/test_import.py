"""A folder of music is brought in, followed, and played: `tutti import` over real files with the tags of real taggers,
looked at through the API."""
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import time

import mutagen.apev2
import mutagen.flac
import mutagen.id3
import pytest
import requests

import music
from conftest import BINARY, DATABASE, OBJECTS, Person, add_user, engine_environment, postgresql_environment, run_tutti, until

KILL_ROUNDS = int(os.environ.get("TUTTI_IMPORT_KILLS", "10"))
pitches = itertools.count(200)


class Library:
    """A folder of music of a server of its own."""

    def __init__(self, server, folder):
        self.server, self.folder = server, folder
        add_user(server, "owner", "admin")
        self.admin = Person(server.url, "owner", "admin")

    def sound(self, path, tags=None, seconds=1, pitch=None):
        """A file of a pitch of its own, with Vorbis comments or ID3 tags; {} for none."""
        path = self.folder / path
        path.parent.mkdir(parents=True, exist_ok=True)
        tone = f"sine={pitch or next(pitches)}:r=44100:d={seconds}"
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", tone, "-map_metadata", "-1", str(path)],
                       check=True, timeout=60)
        self.tag(path, tags or {})
        return path

    def tag(self, path, tags):
        if path.suffix == ".flac":
            file = mutagen.flac.FLAC(path)
            file.delete()
            for name, value in tags.items():
                file[name] = value
            file.save()

    def scan(self, check=True):
        """The counts of one import, and what was told of files."""
        done = run_tutti("import", str(self.folder), "--json", data=self.server.data, check=False, timeout=120,
                         environment=self.server.environment)
        self.server.heed()
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        troubles = {line["path"]: line["reason"] for line in lines if line["event"] == "trouble"}
        counts = [line for line in lines if line["event"] == "done"]
        return (counts[0] if counts else done.stderr), troubles

    def items(self, path):
        items, cursor = [], None
        while True:
            query = {"limit": 500, **({"cursor": cursor} if cursor else {})}
            page = self.admin.get(path, params=query).json()
            items += page["items"]
            cursor = page["next"]
            if cursor is None:
                return items

    def albums(self):
        return {album["title"]: album for album in self.items("/api/v1/albums")}

    def tracks(self):
        return {track["title"]: track for track in self.items("/api/v1/tracks")}


@pytest.fixture
def library(own_server, tmp_path):
    return Library(own_server(), tmp_path / "music")


def wait_for_renditions(person, track_id):
    """Until the ladder is whole: the formats there are."""
    for _ in range(300):
        track = person.get(f"/api/v1/tracks/{track_id}").json()
        assert track["status"] != "failed", track
        if track["status"] == "ready" and track["progress"]["of"] > 1 and track["progress"]["done"] == track["progress"]["of"]:
            break
        time.sleep(0.3)
    return {file["format"] for file in track["renditions"]}


def counted(counts, **expected):
    names = ("added", "changed", "moved", "missing", "broken", "unchanged")
    return {name: counts[name] for name in names} == {**dict.fromkeys(names, 0), **expected}


def test_a_folder_is_brought_in_and_plays(library):
    tags = {"TITLE": "Erstes", "ARTIST": ["Ana", "Bo"], "ALBUM": "Nächte", "ALBUMARTIST": "Ana", "TRACKNUMBER": "1/2",
            "DATE": "2001", "ORIGINALDATE": "1999-05", "GENRE": ["Jazz", "Folk"], "DISCSUBTITLE": "Ende",
            "ALBUMARTISTSORT": "Ana, A", "MUSICBRAINZ_TRACKID": "t-1", "MUSICBRAINZ_ALBUMID": "a-1",
            "REPLAYGAIN_TRACK_GAIN": "-6.5 dB", "LYRICS": "la la"}
    path = library.sound("Ana/Nächte/01.flac", tags, seconds=3)
    library.sound("Ana/Nächte/02 - Zweites.mp3")
    (library.folder / "Ana/Nächte/02 - Zweites.lrc").write_text("[00:00.50]so\n[00:01.00]so\n")
    counts, troubles = library.scan()
    assert counted(counts, added=2) and troubles == {}
    album = library.albums()["Nächte"]
    assert (album["artistName"], album["trackCount"], album["releaseDate"]) == ("Ana", 2, "2001")
    assert (album["originalDate"], album["musicbrainzAlbumId"], album["discTitles"]) == ("1999-05", "a-1", {"1": "Ende"})
    assert album["genres"] == ["Jazz", "Folk"] and album["status"] == "published"
    artist = library.admin.get(f"/api/v1/artists/{album['artistId']}").json()
    assert artist["sortName"] == "Ana, A" and artist["ownerId"] == library.admin.user["id"]
    track, other = library.tracks()["Erstes"], library.tracks()["Zweites"]
    assert [one["name"] for one in track["artists"]] == ["Ana", "Bo"] and track["credit"] == "Ana; Bo"
    assert track["replayGain"] == {"trackGain": -6.5} and track["musicbrainzTrackId"] == "t-1"
    assert (track["status"], track["source"]["lossless"]) == ("ready", True) and not track["missing"]
    assert 2900 < track["durationMs"] < 3100 and other["trackNumber"] == 2
    lyrics = [library.admin.get(f"/api/v1/tracks/{one['id']}/lyrics").json() for one in (track, other)]
    assert [(one["text"], one["lines"]) for one in lyrics] == [
        ("la la", None), ("so\nso", [{"atMs": 500, "text": "so"}, {"atMs": 1000, "text": "so"}])]
    for year in ("1999", "2001"):
        until(lambda year=year: [one["title"] for one in library.admin.get("/api/v1/search", params={"q": f"year:{year} erstes"}).json()["tracks"]]
              == ["Erstes"])
    # Lyrics alone change, and go.
    words = library.folder / "Ana/Nächte/02 - Zweites.lrc"
    words.write_text("[00:02]anders\n")
    assert counted(library.scan()[0], changed=1, unchanged=1)
    path_of_words = f"/api/v1/tracks/{other['id']}/lyrics"
    until(lambda: library.admin.get(path_of_words).json()["lines"] == [{"atMs": 2000, "text": "anders"}])
    words.unlink()
    assert counted(library.scan()[0], changed=1, unchanged=1)
    until(lambda: library.admin.get(path_of_words).status_code == 404)
    # The original plays at once, where it is; by that the other renditions are made.
    answer = library.admin.get(f"/api/v1/tracks/{track['id']}/stream").json()
    assert answer["hls"] is None and [file["format"] for file in answer["files"]] == ["original"]
    bytes_ = requests.get(answer["trackUrl"], timeout=30)
    assert bytes_.content == path.read_bytes() and bytes_.headers["Content-Type"] == "audio/flac"
    part = requests.get(answer["trackUrl"], headers={"Range": "bytes=10-19"}, timeout=30)
    assert part.status_code == 206 and part.content == path.read_bytes()[10:20]
    formats = wait_for_renditions(library.admin, track["id"])
    assert formats >= {"aac", "opus", "original"}
    assert library.admin.get(f"/api/v1/tracks/{track['id']}/stream").json()["hls"]
    assert counted(library.scan()[0], unchanged=2)


def test_old_and_odd_formats_are_brought_in_and_play(library):
    folder = library.folder / "Ana/Old"
    tags = ["-metadata", "title=T", "-metadata", "artist=Ana", "-metadata", "album=Old"]
    for number, suffix in enumerate(("aac", "tta", "wma"), 1):
        path = library.sound(f"Ana/Old/{number}.{suffix}", seconds=2)
        plain = path.rename(folder / f"plain.{suffix}")
        subprocess.run(["ffmpeg", "-v", "error", "-i", plain, "-c", "copy", *tags, "-metadata", f"title={suffix}", path],
                       check=True, timeout=60)
        plain.unlink()
    counts, troubles = library.scan()
    assert counted(counts, added=3) and troubles == {}
    tracks = {track["source"]["codec"]: track for track in library.items("/api/v1/tracks")}
    assert set(tracks) == {"aac", "tta", "wma"}
    assert {track["trackNumber"] for track in tracks.values()} == {1, 2, 3}
    assert tracks["wma"]["title"] == "wma" and library.albums()["Old"]["artistName"] == "Ana"
    for codec, track in tracks.items():
        assert 1900 < track["durationMs"] < 2200
        answer = library.admin.get(f"/api/v1/tracks/{track['id']}/stream").json()
        body = requests.get(answer["trackUrl"], timeout=30)
        types = {"aac": "audio/aac", "tta": "audio/x-tta", "wma": "audio/x-ms-wma"}
        assert body.headers["Content-Type"] == types[codec] and len(body.content) > 1000
        assert wait_for_renditions(library.admin, track["id"]) >= {"aac", "opus", "original"}


def test_albums_are_seen_as_people_see_them(library):
    common = {"ALBUM": "One Album", "DATE": "1990"}
    library.sound("a/one/1.flac", {**common, "TITLE": "1", "ARTIST": "Kim", "ALBUMARTIST": "Kim"})
    library.sound("a/one/2.flac", {**common, "TITLE": "2", "ARTIST": "Kim"})
    library.sound("a/one/3.flac", {**common, "TITLE": "3", "ARTIST": "Kim feat. Guest"})
    for disc in (1, 2):
        for number in (1, 2):
            library.sound(f"b/Long One/CD {disc}/{number}.flac", {"ALBUM": "Long One", "ARTIST": "Lee",
                          "TITLE": f"L{disc}{number}", "TRACKNUMBER": str(number), "DISCNUMBER": str(disc)})
    library.sound("c/mix/1.flac", {"ALBUM": "Mix", "ARTIST": "Mo", "TITLE": "M1"})
    library.sound("c/mix/2.flac", {"ALBUM": "Mix", "ARTIST": "No", "TITLE": "M2", "COMPILATION": "1"})
    for who in ("Pat", "Quin"):  # two albums of one title in one folder
        library.sound(f"d/{who}.flac", {"ALBUM": "Greatest Hits", "ALBUMARTIST": who, "ARTIST": who, "TITLE": who})
    library.sound("Rea/1987 - Left Bare/03. Third [live].flac", {"ALBUM": "[Unknown Album]", "DISCNUMBER": "0"})
    for edition in ("CD", "Vinyl rip"):  # the same tracks twice stay two
        library.sound(f"e/{edition}/1.flac", {"ALBUM": "Twice", "ARTIST": "Su", "TITLE": f"T {edition}", "TRACKNUMBER": "1"})
    for number, who in enumerate(("Tom", "Tom & Ute", "Tom, Vic", "Tom (with Wim)"), 1):
        library.sound(f"f/{number}.flac", {"ALBUM": "Friends", "ARTIST": who, "TITLE": f"F{number}"})
    for number, who in enumerate(("Xia", "Xia feat. Yul", "Xia"), 1):
        library.sound(f"g/{number}.flac", {"ALBUM": "Alone", "ARTIST": "Xia", "ALBUMARTIST": who, "TITLE": f"X{number}"})
    for number, whose in enumerate(("VA", "Various Artists", "various"), 1):
        library.sound(f"h/{number}.flac", {"ALBUM": "Many", "ALBUMARTIST": whose, "ARTIST": f"One {number}", "TITLE": f"H{number}"})
    library.sound("VA/Hits 8/01 - Zoe - First.mp3")
    library.sound("VA/Hits 8/02 - Abe - 100% Second.mp3")
    library.scan()
    albums = library.items("/api/v1/albums")
    found = sorted((album["title"], album["artistName"], album["type"], album["trackCount"]) for album in albums)
    assert found == [("Alone", "Xia", "album", 3), ("Friends", "Tom", "album", 4),
                     ("Greatest Hits", "Pat", "album", 1), ("Greatest Hits", "Quin", "album", 1),
                     ("Hits 8", "Various Artists", "compilation", 2), ("Left Bare", "Rea", "album", 1), ("Long One", "Lee", "album", 4),
                     ("Many", "Various Artists", "compilation", 3), ("Mix", "Various Artists", "compilation", 2), ("One Album", "Kim", "album", 3),
                     ("Twice", "Su", "album", 1), ("Twice", "Su", "album", 1)]
    tracks = library.tracks()
    assert (tracks["L22"]["discNumber"], tracks["L22"]["trackNumber"]) == (2, 2)
    third = tracks["Third [live]"]
    assert (third["trackNumber"], third["discNumber"], third["artistName"]) == (3, 1, "Rea")
    assert library.albums()["Left Bare"]["releaseDate"] == "1987"
    assert tracks["M2"]["artistName"] == "No" and tracks["M2"]["credit"] == "No"
    assert tracks["First"]["artistName"] == "Zoe" and tracks["100% Second"]["artistName"] == "Abe"


def test_discs_in_folders_of_their_own_are_one_album(library):
    names = {"Both Sides (Disc 1: Day)": "Both Sides/CD 1", "Both Sides (Disc 2: Night)": "Both Sides/CD 2",
             "Beside CD1": "Beside CD1", "Beside CD2": "Beside CD2"}
    for album, folder in names.items():
        library.sound(f"Duo/{folder}/01.flac", {"ALBUM": album, "ARTIST": "Duo", "TITLE": album, "TRACKNUMBER": "1"})
    for disc in (1, 2):
        library.sound(f"Duo/Untagged/Disc {disc} - Part {disc}/01 - U{disc}.mp3")
    library.scan()
    albums = library.albums()
    assert {title: album["trackCount"] for title, album in albums.items()} == {"Both Sides": 2, "Beside": 2, "Untagged": 2}
    assert len(library.items("/api/v1/albums")) == 3
    assert albums["Both Sides"]["discTitles"] == {"1": "Day", "2": "Night"}
    assert albums["Untagged"]["discTitles"] == {"1": "Part 1", "2": "Part 2"}
    assert library.tracks()["Beside CD2"]["discNumber"] == 2 and library.tracks()["U2"]["discNumber"] == 2
    # One disc alone changes, and tells of itself alone.
    path = library.folder / "Duo/Both Sides/CD 1/01.flac"
    library.tag(path, {"ALBUM": "Both Sides", "ARTIST": "Duo", "TITLE": "other", "TRACKNUMBER": "1", "DISCNUMBER": "1"})
    library.scan()
    until(lambda: library.albums()["Both Sides"]["discTitles"] == {"2": "Night"})
    assert library.albums()["Both Sides"]["id"] == albums["Both Sides"]["id"]


def test_covers_are_found_where_people_keep_them(library):
    picture = library.folder.parent / "picture.jpg"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=red:s=64x64", "-frames:v", "1", picture], check=True, timeout=60)
    albums = {"Plain": ("Plain/1.flac", "Plain/Folder.JPG"), "Discs": ("Discs/CD1/1.flac", "Discs/cover.jpg"),
              "Alone": ("Alone/1.flac", "Alone/Ana - Alone.jpg"), "Person": ("Person/1.flac", "Person/artist.jpg"),
              "Inner": ("Inner/Sub/1.flac", "Inner/cover.jpg")}
    for title, (sound, art) in albums.items():
        library.sound(sound, {"ALBUM": title, "ARTIST": "Ana", "TITLE": title})
        shutil.copy(picture, library.folder / art)
    library.scan()
    until(lambda: all(library.albums()[title]["coverArtId"] for title in ("Plain", "Discs", "Alone")))
    assert not library.albums()["Person"]["coverArtId"] and not library.albums()["Inner"]["coverArtId"]
    # And one that comes later, to files that are as they were.
    shutil.copy(picture, library.folder / "Inner/Sub/cover.png")
    assert counted(library.scan()[0], unchanged=5)
    until(lambda: library.albums()["Inner"]["coverArtId"])


def test_tracks_keep_their_ids(library):
    paths = {name: library.sound(f"x/{name}.flac", {"TITLE": name, "ALBUM": "X", "ARTIST": "Y"}) for name in "abcd"}
    library.scan()
    before = {name: track["id"] for name, track in library.tracks().items()}
    album = library.albums()["X"]["id"]
    library.tag(paths["a"], {"TITLE": "a2", "ALBUM": "X", "ARTIST": "Y", "COMMENT": "x" * 20000})  # a new tag
    paths["b"].rename(paths["b"].with_name("moved.flac"))
    (library.folder / "y").mkdir()
    shutil.move(paths["c"], library.folder / "y" / "c.flac")
    library.tag(library.folder / "y" / "c.flac", {"TITLE": "c2", "ALBUM": "X", "ARTIST": "Y"})  # moved and retagged
    kept = paths["d"].read_bytes()
    paths["d"].unlink()
    counts, _ = library.scan()
    assert counted(counts, changed=1, moved=2, missing=1)
    until(lambda: library.tracks().get("d", {}).get("missing") and "c2" in library.tracks())
    tracks = library.tracks()
    assert {track["id"] for track in tracks.values()} == set(before.values())
    assert (tracks["a2"]["id"], tracks["b"]["id"], tracks["c2"]["id"]) == (before["a"], before["b"], before["c"])
    assert tracks["d"]["missing"] and library.albums()["X"]["id"] == album
    assert tracks["b"]["source"]["filename"] == "moved.flac"
    paths["d"].write_bytes(kept)
    assert library.scan()[0]["changed"] == 1
    until(lambda: not library.tracks()["d"]["missing"])
    assert library.tracks()["d"]["id"] == before["d"]
    library.sound("x/a.flac", {"TITLE": "a3", "ALBUM": "X", "ARTIST": "Y"}, seconds=2)  # another sound in its place
    library.scan()
    until(lambda: "a3" in library.tracks())
    track = library.tracks()["a3"]
    assert (track["id"], track["version"]) == (before["a"], 2) and track["durationMs"] > 1900
    shutil.move(library.folder / "x", library.folder / "z")  # a whole folder
    assert library.scan()[0]["moved"] == 3
    assert {track["id"] for track in library.tracks().values()} == set(before.values())
    assert library.albums()["X"]["id"] == album and len(library.items("/api/v1/albums")) == 1


def test_ids_are_kept_from_one_imported_folder_to_another(library):
    for path in ("a/one", "a/two", "b/three"):
        library.sound(f"{path}.flac", {"TITLE": path[2:], "ALBUM": path[0], "ARTIST": "Y"})
    inner = {name: Library.__new__(Library) for name in "ab"}
    for name, folder in inner.items():
        folder.server, folder.admin, folder.folder = library.server, library.admin, library.folder / name
        assert folder.scan()[0]["added"] > 0
    before = {title: track["id"] for title, track in library.tracks().items()}
    (library.folder / "a/two.flac").rename(library.folder / "b/two.flac")
    assert counted(inner["a"].scan()[0], missing=1, unchanged=1)
    assert counted(inner["b"].scan()[0], moved=1, unchanged=1)
    assert library.admin.delete(f"/api/v1/tracks/{before['three']}").ok
    # The folder that both are in: its files are those that are known, and what was deleted stays so.
    assert counted(library.scan()[0], moved=2)
    assert counted(library.scan()[0], unchanged=3)
    assert counted(inner["b"].scan()[0], moved=1)
    until(lambda: {title: track["id"] for title, track in library.tracks().items() if not track["missing"]}
          == {title: before[title] for title in ("one", "two")})
    assert len(library.items("/api/v1/tracks")) == 2


@pytest.mark.skipif(OBJECTS != "file", reason="files are copied into the store")
def test_tags_that_make_a_file_longer(library):
    tags = {"TITLE": "One", "ARTIST": "A", "ALBUM": "X"}
    path = library.sound("x/one.flac", tags, seconds=3)
    library.scan()
    track = f"/api/v1/tracks/{library.tracks()['One']['id']}"
    for made, comment in ((False, "long " * 5000), (True, "short")):
        if made:
            assert library.admin.get(f"{track}/stream").ok
            wait_for_renditions(library.admin, track.rsplit("/", 1)[1])
        before = library.admin.get(track).json()
        library.tag(path, {**tags, "COMMENT": comment})
        bytes_ = path.stat().st_size
        assert bytes_ != before["source"]["bytes"] and counted(library.scan()[0], changed=1)
        now = library.admin.get(track).json()
        sizes = {(file["format"], file["bitrate"]): file["bytes"] for file in now["renditions"]}
        assert (now["source"]["bytes"], sizes.pop(("original", 0)), len(sizes) > 8) == (bytes_, bytes_, made)
        assert now["progress"] == before["progress"]
        assert {name: file["bytes"] for file in before["renditions"] if (name := (file["format"], file["bitrate"])) in sizes} == sizes


CUE = """REM DATE 1999
PERFORMER "Ana"
TITLE "Nächte"
FILE "C:\\Rip\\NIGHTS.WAV" WAVE
  TRACK 01 AUDIO
    TITLE "Eins"
    INDEX 01 00:00:00
  TRACK 02 AUDIO
    TITLE "Zwei"
    PERFORMER "Bo"
    INDEX 00 00:01:70
    INDEX 01 00:02:00
  TRACK 03 AUDIO
    INDEX 01 00:03:37
"""


@pytest.mark.parametrize("mode", ["reference", "copy"] if OBJECTS == "file" else ["copy"])
def test_a_cue_sheet_makes_tracks_of_a_file(own_server, tmp_path, mode):
    library = Library(own_server(environment={"TUTTI_IMPORT_MODE": mode}), tmp_path / "music")
    sound = library.sound("rip/nights.flac", {"ALBUM": "of the file", "GENRE": "Jazz", "TITLE": "all of it"}, seconds=5)
    sheet = library.folder / "rip" / "nights.cue"
    sheet.write_bytes(CUE.encode("cp1252").replace(b"\n", b"\r\n"))
    counts, troubles = library.scan()
    assert counted(counts, added=3) and troubles == {}
    tracks = library.tracks()
    assert [(title, tracks[title]["trackNumber"], tracks[title]["artistName"]) for title in ("Eins", "Zwei", "Track 03")] == [
        ("Eins", 1, "Ana"), ("Zwei", 2, "Bo"), ("Track 03", 3, "Ana")]
    album = library.albums()["Nächte"]
    assert (album["artistName"], album["trackCount"], album["releaseDate"], album["genres"]) == ("Ana", 3, "1999", ["Jazz"])
    # Each is encoded by itself, exact to the sample: 75ths of a second of 44,100 Hz.
    lengths = {"Eins": 2000, "Zwei": 1493, "Track 03": 1507}
    for title, expected in lengths.items():
        assert wait_for_renditions(library.admin, tracks[title]["id"]) >= {"aac", "opus", "flac"}
        track = library.admin.get(f"/api/v1/tracks/{tracks[title]['id']}").json()
        assert track["durationMs"] == expected and "original" not in {file["format"] for file in track["renditions"]}
        assert track["source"]["filename"] == f"nights.flac/{tracks[title]['trackNumber']:02}"
        answer = library.admin.get(f"/api/v1/tracks/{track['id']}/stream").json()
        assert answer["hls"] and requests.get(answer["trackUrl"], timeout=30).ok
    assert counted(library.scan()[0], unchanged=3)
    # The sheet alone changed: names follow, and a cut that moved is another sound of the same track.
    before = {track["trackNumber"]: track["id"] for track in library.tracks().values()}
    sheet.write_text(CUE.replace("Zwei", "Deux").replace("00:03:37", "00:04:00"))
    assert counted(library.scan()[0], changed=3)
    until(lambda: "Deux" in library.tracks())
    tracks = library.tracks()
    assert {track["trackNumber"]: track["id"] for track in tracks.values()} == before
    assert {tracks[title]["version"] for title in ("Deux", "Track 03")} == {2} and tracks["Eins"]["version"] == 1
    # Both moved: still the same tracks.
    (library.folder / "elsewhere").mkdir()
    for path in (sound, sheet):
        path.rename(library.folder / "elsewhere" / path.name)
    assert counted(library.scan()[0], moved=3)
    assert {track["trackNumber"]: track["id"] for track in library.tracks().values()} == before


def test_a_cue_sheet_names_files_that_are_one_track_each(library):
    lines = ["REM DATE 1999", "REM DISCNUMBER 2", 'PERFORMER "Ana"', 'TITLE "Nächte"']
    for number, who in enumerate(("Ana", "Bo"), 1):
        library.sound(f"rip/{number:02}.flac")
        lines += [f'FILE "{number:02}.wav" WAVE', f"TRACK {number:02} AUDIO", f'TITLE "Titel {number}"', f'PERFORMER "{who}"', "INDEX 01 00:00:00"]
    sheet = library.folder / "rip" / "rip.cue"
    sheet.write_text("\n".join(lines), encoding="utf-16")
    counts, troubles = library.scan()
    assert counted(counts, added=2) and troubles == {}
    album, tracks = library.albums()["Nächte"], library.tracks()
    assert (album["artistName"], album["releaseDate"], album["trackCount"]) == ("Ana", "1999", 2)
    found = {title: (track["artistName"], track["discNumber"], track["trackNumber"]) for title, track in tracks.items()}
    assert found == {"Titel 1": ("Ana", 2, 1), "Titel 2": ("Bo", 2, 2)}
    assert counted(library.scan()[0], unchanged=2)
    sheet.write_text("\n".join(lines).replace("Titel 2", "Anderer"), encoding="utf-8")
    assert counted(library.scan()[0], changed=2)
    until(lambda: "Anderer" in library.tracks())
    assert library.tracks()["Anderer"]["id"] == tracks["Titel 2"]["id"]


def test_a_cue_sheet_in_tags_does_the_same(library):
    tags = {"ALBUM": "of the file", "GENRE": "Jazz", "TITLE": "all of it", "CUESHEET": CUE}
    sound = library.sound("rip/nights.flac", tags, seconds=5)
    pack = library.sound("pack/days.wv", seconds=5)
    ape = mutagen.apev2.APEv2()
    ape["Cuesheet"] = CUE.replace("Nächte", "Tage").replace("Eins", "Morgen").replace("Zwei", "Mittag").replace("\n", "\r\n")
    ape.save(pack)
    wrong = {"twice": CUE.replace("  TRACK 02", 'FILE "other.wav" WAVE\n  TRACK 02'), "back": CUE.replace("00:02:00", "00:09:00"),
             "words": "la la la"}
    for name, sheet in wrong.items():
        library.sound(f"{name}/{name}.flac", {"TITLE": name, "CUESHEET": sheet}, seconds=2)
    counts, troubles = library.scan()
    assert counted(counts, added=9) and counts["files"] == 9
    assert set(troubles) == {"back/back.flac", "words/words.flac"}
    assert "begins before" in troubles["back/back.flac"] and "no track" in troubles["words/words.flac"]
    tracks = library.tracks()
    assert {"Eins", "Zwei", "Track 03", "Morgen", "Mittag", *wrong} == set(tracks)
    assert (library.albums()["Nächte"]["trackCount"], library.albums()["Tage"]["trackCount"]) == (3, 3)
    assert wait_for_renditions(library.admin, tracks["Zwei"]["id"]) >= {"aac", "opus", "flac"}
    assert library.admin.get(f"/api/v1/tracks/{tracks['Zwei']['id']}").json()["durationMs"] == 1493
    counts, troubles = library.scan()
    assert counted(counts, unchanged=9) and counts["files"] == 9 and troubles == {}
    # Another file beside it, other words in it, and a sheet beside it: the tracks are the same ones.
    before = {title: tracks[title]["id"] for title in ("Eins", "Zwei")}
    library.sound("rip/extra.flac", {"TITLE": "extra"})
    counts, _ = library.scan()
    assert counted(counts, added=1, unchanged=9) and counts["files"] == 10
    library.tag(sound, {**tags, "CUESHEET": CUE.replace("Zwei", "Deux")})
    assert counted(library.scan()[0], changed=3, unchanged=7)
    until(lambda: library.tracks().get("Deux", {}).get("id") == before["Zwei"])
    (library.folder / "rip/nights.cue").write_text(CUE.replace("Zwei", "Two"))
    assert counted(library.scan()[0], changed=3, unchanged=7)
    until(lambda: library.tracks().get("Two", {}).get("id") == before["Zwei"])
    assert library.tracks()["Eins"]["id"] == before["Eins"]


def test_bad_cue_sheets_stop_nothing(library):
    for name in ("outside", "backwards", "behind", "many", "huge", "folder"):
        library.sound(f"{name}/a.flac", {"TITLE": name, "ALBUM": name, "ARTIST": "A"}, seconds=2)
    sheets = {"outside": CUE.replace("NIGHTS.WAV", "..\\..\\etc\\passwd"), "backwards": CUE.replace("00:02:00", "00:09:00"),
              "behind": CUE.replace("NIGHTS", "A"), "huge": CUE + "x" * 300000,
              "many": "FILE a.flac WAVE\n" + "".join(f"TRACK 1 AUDIO\nINDEX 01 {i // 60}:{i % 60}:0\n" for i in range(5000))}
    for name, text in sheets.items():
        (library.folder / name / "a.cue").write_text(text)
    (library.folder / "folder" / "a.cue").mkdir()
    counts, troubles = library.scan()
    assert (counts["added"], counts["broken"]) == (6, 2)  # five as a whole, and the part of "behind" that is there
    assert "passwd" in troubles["outside/a.cue"] and "begins before" in troubles["backwards/a.cue"]
    assert "behind the end" in troubles["behind/a.flac/02"] and "larger" in troubles["huge/a.cue"]
    assert "more than 999" in troubles["many/a.cue"]
    assert {"outside", "backwards", "many", "huge", "folder", "Eins"} == set(library.tracks())


def test_duplicates_are_found_by_their_sound(library):
    folder, source = library.folder, library.folder.parent / "piece.wav"
    for name in ("a", "b", "c"):
        (folder / name).mkdir(parents=True)
    music.piece(source, 1)
    for name, options in {"a/best.flac": [], "a/same.mp3": ["-b:a", "128k"], "b/trimmed.ogg": ["-ss", "1"],
                          "b/quiet.m4a": ["-af", "volume=-12dB"]}.items():
        music.encode(source, folder / name, *options)
    # Other recordings, and what says too little: silence and a tone.
    music.encode(music.piece(source, 1, beat=0.255, detune=0.5, noise=0.1), folder / "c" / "live.flac")
    music.encode(music.piece(source, 2), folder / "c" / "other.flac")
    for name in ("c/silence.flac", "c/silence.mp3", "c/tone.flac", "c/tone.mp3"):
        what = "anullsrc" if "silence" in name else "sine=440"
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", what, "-t", "30", folder / name], check=True, timeout=60)
    assert library.scan()[0]["added"] == 10

    def groups(**query):
        answer = library.admin.get("/api/v1/imports/duplicates", params=query).json()
        return [[file["path"] for file in group["files"]] for group in answer["items"]]

    # Found one after another, so they may be two groups for a moment.
    until(lambda: [set(one) for one in groups()] == [{"a/best.flac", "a/same.mp3", "b/trimmed.ogg", "b/quiet.m4a"}])
    assert groups()[0][0] == "a/best.flac"
    best, *others = library.admin.get("/api/v1/imports/duplicates").json()["items"][0]["files"]
    assert (best["codec"], best["lossless"], best["folder"]) == ("flac", True, str(folder))
    assert {file["codec"]: 100 < file["bitrate"] < 140 for file in others}["mp3"]
    before = {track["source"]["filename"]: track["id"] for track in library.items("/api/v1/tracks")}
    # Moved and with new tags it is the same track, and in the same group; what left is in none.
    (folder / "a" / "best.flac").rename(folder / "b" / "moved.flac")
    library.tag(folder / "b" / "moved.flac", {"TITLE": "Renamed"})
    (folder / "a" / "same.mp3").unlink()
    assert counted(library.scan()[0], moved=1, missing=1, unchanged=8)
    until(lambda: set(sum(groups(), [])) == {"b/moved.flac", "b/trimmed.ogg", "b/quiet.m4a"})
    assert library.tracks()["Renamed"]["id"] == before["best.flac"]
    # A second pair; one group a page.
    music.encode(source, folder / "c" / "other.mp3")
    assert library.scan()[0]["added"] == 1
    until(lambda: len(groups()) == 2)
    page = library.admin.get("/api/v1/imports/duplicates", params={"limit": 1}).json()
    assert len(page["items"]) == 1 and page["next"]
    assert groups(limit=1, cursor=page["next"]) == [["c/other.flac", "c/other.mp3"]]
    add_user(library.server, "somebody", "listener")
    assert Person(library.server.url, "somebody", "listener").get("/api/v1/imports/duplicates").status_code == 403


def test_a_file_that_comes_back_in_another_encoding_keeps_its_id(library):
    """Found by its fingerprint, under another name, in another folder; of two of one sound the one of its album."""
    folder, source = library.folder, library.folder.parent / "piece.wav"

    def encode(seed, name, title, album, *options):
        tags = [word for tag in (f"title={title}", f"album={album}", "artist=Ensemble") for word in ("-metadata", tag)]
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        music.encode(music.piece(source, seed), folder / name, *options, *tags)

    encode(1, "old/01.mp3", "First", "Evenings", "-b:a", "128k")
    encode(1, "hits/07.mp3", "First", "Hits", "-b:a", "192k")
    encode(2, "old/02.mp3", "Second", "Evenings")
    assert library.scan()[0]["added"] == 3
    until(lambda: library.admin.get("/api/v1/imports/duplicates").json()["items"], "two are one recording")
    albums = {album["id"]: album["title"] for album in library.items("/api/v1/albums")}
    before = {(albums[track["albumId"]], track["title"]): track["id"] for track in library.items("/api/v1/tracks")}
    playlist = library.admin.post("/api/v1/playlists", json={"title": "P"}).json()
    assert library.admin.post(f"/api/v1/playlists/{playlist['id']}/items", json={
        "trackIds": [before["Evenings", "First"]]}).ok

    for name in ("old/01.mp3", "hits/07.mp3", "old/02.mp3"):
        (folder / name).unlink()
    encode(1, "new/A1.flac", "First (Remaster)", "Evenings")
    encode(3, "new/A2.flac", "Third", "Evenings")  # another recording
    assert counted(library.scan()[0], added=1, moved=1, missing=2)
    after = {track["title"]: track for track in library.items("/api/v1/tracks") if not track.get("missing")}
    assert after["First (Remaster)"]["id"] == before["Evenings", "First"]
    assert after["First (Remaster)"]["source"]["filename"] == "A1.flac" and after["First (Remaster)"]["version"] == 2
    assert after["Third"]["id"] not in before.values()
    items = library.admin.get(f"/api/v1/playlists/{playlist['id']}/items").json()["items"]
    assert [item["track"]["title"] for item in items] == ["First (Remaster)"]
    assert counted(library.scan()[0], unchanged=2)


def test_what_is_deleted_by_hand_stays_deleted(library):
    library.sound("x/a.flac", {"TITLE": "a", "ALBUM": "X", "ARTIST": "Y"})
    path = library.sound("x/b.flac", {"TITLE": "b", "ALBUM": "X", "ARTIST": "Y"})
    library.scan()
    assert library.admin.delete(f"/api/v1/tracks/{library.tracks()['b']['id']}").ok
    library.tag(path, {"TITLE": "b again", "ALBUM": "X", "ARTIST": "Y"})
    library.scan()
    library.scan()
    assert list(library.tracks()) == ["a"] and path.exists()


def test_a_deleted_artist_leaves_no_track_without_a_name(library):
    """What it has on others' albums goes with it; what names it as a guest stays, under the others' names."""
    def sound(title, artist, **tags):
        return library.sound(f"Hits/{title}.flac", {"TITLE": title, "ALBUM": "Hits", "ALBUMARTIST": "Various Artists", "ARTIST": artist, **tags})

    path, both = sound("Own", "Ana"), ["Bo", "Ana"]
    sound("Other", "Cy")
    sound("Guest", "Bo feat. Ana", ARTISTS=both)
    library.sound("Alone/Solo.flac", {"TITLE": "Solo", "ALBUM": "Alone", "ARTIST": "Ana"})
    library.scan()
    tracks = library.tracks()
    ids = {artist["name"]: artist["id"] for artist in library.items("/api/v1/artists")}
    guest = f"/api/v1/tracks/{tracks['Guest']['id']}"
    assert [artist["name"] for artist in tracks["Guest"]["artists"]] == both
    etag = library.admin.get(guest).headers["ETag"]
    assert library.admin.delete(f"/api/v1/artists/{ids['Ana']}").status_code == 204
    left = library.tracks()
    assert sorted(left) == ["Guest", "Other"] and library.albums()["Hits"]["trackCount"] == 2
    assert "Alone" not in library.albums()
    for title in ("Own", "Solo"):
        assert library.admin.get(f"/api/v1/tracks/{tracks[title]['id']}").status_code == 404
    assert left["Guest"]["artists"] == [{"id": ids["Bo"], "name": "Bo"}] and left["Guest"]["artistName"] == "Bo"
    assert left["Guest"]["credit"] == tracks["Guest"]["credit"]
    assert library.admin.get(guest, headers={"If-None-Match": etag}).status_code == 200
    until(lambda: not library.admin.get("/api/v1/search", params={"q": "Own"}).json()["tracks"])
    # What is deleted by hand stays so; a new file of the same artist brings a new page.
    library.tag(path, {"TITLE": "Own again", "ALBUM": "Hits", "ALBUMARTIST": "Various Artists", "ARTIST": "Ana"})
    library.sound("New/New.flac", {"TITLE": "New", "ALBUM": "New", "ARTIST": "Ana"})
    library.scan()
    until(lambda: "New" in library.tracks())
    assert sorted(library.tracks()) == ["Guest", "New", "Other"]
    assert library.tracks()["New"]["artistName"] == "Ana" and library.tracks()["New"]["artistId"] != ids["Ana"]


def test_bad_folders_and_files_stop_nothing(library):
    good = library.sound("good/1.flac", {"TITLE": "good", "ALBUM": "G", "ARTIST": "G"})
    (library.folder / "good" / "broken.mp3").write_text("this is no sound " * 100)
    (library.folder / "good" / "empty.flac").touch()
    (library.folder / "good" / "folder.flac").mkdir()
    os.mkfifo(library.folder / "good" / "pipe.mp3")
    (library.folder / "good" / "loop").symlink_to(library.folder)
    (library.folder / "good" / "nowhere.mp3").symlink_to("/nowhere")
    raw = os.fsencode(str(library.folder / "good")) + b"/\xff\xfe 100%.flac"
    shutil.copy(good, raw)
    deep = library.folder
    for _ in range(70):
        deep = deep / "d"
    deep.mkdir(parents=True)
    shutil.copy(good, deep / "far.flac")
    long = library.folder
    os.chdir(library.folder)
    try:
        for _ in range(18):  # a path of more than 4,096 bytes
            os.mkdir("n" * 240)
            os.chdir("n" * 240)
        shutil.copy(good, "far.flac")
    finally:
        os.chdir("/")
    counts, troubles = library.scan()
    assert (counts["added"], counts["broken"]) == (2, 3)
    assert {path for path in troubles if "/" not in path or path.startswith("good")} >= {
        "good/broken.mp3", "good/empty.flac", "good/pipe.mp3", "good/loop"}
    assert any("deep" in reason for reason in troubles.values()), troubles
    assert any("too long" in reason for reason in troubles.values()), troubles
    names = {track["source"]["filename"] for track in library.items("/api/v1/tracks")}
    assert names == {"1.flac", "%FF%FE 100%25.flac"}
    again, told = library.scan()
    assert again["unchanged"] == 5 and "good/broken.mp3" not in told
    shutil.copy(good, library.folder / "good" / "broken.mp3")  # mended: sound of another kind, but sound
    assert library.scan()[0]["added"] == 1


def test_a_disk_that_is_away_loses_nothing(library):
    library.sound("x/a.flac", {"TITLE": "a", "ALBUM": "X", "ARTIST": "Y"})
    library.scan()
    away = library.folder.with_name("away")
    library.folder.rename(away)
    error, _ = library.scan(check=False)
    assert "can't be opened" in error
    library.folder.mkdir()
    counts, troubles = library.scan()
    assert counts["missing"] == 0 and "Nothing was changed" in troubles["."]
    assert not library.tracks()["a"]["missing"]


def test_files_are_copied_in_where_that_is_asked_for(own_server, tmp_path):
    server = own_server(environment={"TUTTI_IMPORT_MODE": "copy", "TUTTI_IMPORT_RENDITIONS": "ahead"})
    library = Library(server, tmp_path / "music")
    path = library.sound("x/a.flac", {"TITLE": "a", "ALBUM": "X", "ARTIST": "Y"})
    content = path.read_bytes()
    done = run_tutti("import", str(library.folder), data=server.data, environment=server.environment)
    assert "1 new" in done.stdout
    shutil.rmtree(library.folder)
    track = library.tracks()["a"]
    assert wait_for_renditions(library.admin, track["id"]) >= {"aac", "flac", "mp3"}
    files = library.admin.get(f"/api/v1/tracks/{track['id']}/stream").json()["files"]
    original = next(file for file in files if file["format"] == "original")
    assert requests.get(original["url"], timeout=30).content == content


def test_folders_are_followed_and_told_of(own_server, tmp_path):
    folder = tmp_path / "music"
    folder.mkdir()
    server = own_server(environment={"TUTTI_IMPORT_FOLDERS": f"/nowhere,{folder}"})
    library = Library(server, folder)
    library.sound("x/a.flac", {"TITLE": "a", "ALBUM": "X", "ARTIST": "Y"})
    (folder / "x" / "broken.mp3").write_text("no sound " * 100)

    def ask_and_wait(title):
        """Asked again, since the folder may have been gone through before the file was there."""
        for _ in range(60):
            assert library.admin.post("/api/v1/imports").status_code == 202
            time.sleep(0.5)
            if title in library.tracks():
                return
        raise AssertionError(f"{title} does not come in")

    ask_and_wait("a")
    library.sound("x/b.flac", {"TITLE": "b", "ALBUM": "X", "ARTIST": "Y"})
    ask_and_wait("b")
    runs = library.items("/api/v1/imports")
    assert {run["folder"] for run in runs} == {str(folder)} and len({run["id"] for run in runs}) == len(runs)
    assert sum(run["counts"].get("added", 0) for run in runs) == 2
    assert runs[-1]["state"] in ("done", "failed")
    files = library.items("/api/v1/imports/files")
    assert [(file["path"], file["state"], file["code"]) for file in files] == [("x/broken.mp3", "broken", "not-audio")]
    assert files[0]["reason"] and files[0]["trackId"] is None
    add_user(server, "somebody", "artist")
    other = Person(server.url, "somebody", "artist")
    assert other.get("/api/v1/imports").status_code == 403 and other.post("/api/v1/imports").status_code == 403
    nowhere = Person(own_server().url)
    assert nowhere.get("/api/v1/imports/files").status_code == 401


def test_without_a_folder_there_is_nothing_to_follow(library):
    refused = library.admin.post("/api/v1/imports")
    assert refused.status_code == 409 and "import.folders" in refused.json()["detail"]


@pytest.fixture(params=["sqlite", "postgresql"] if DATABASE == "sqlite" else [DATABASE])
def killed_library(request, own_server, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    environment = postgresql_environment(data) if request.param == "postgresql" else {}
    return Library(own_server(data=data, environment=environment), tmp_path / "music")


def test_killed_at_any_point_nothing_is_twice_or_missing(killed_library):
    """SIGKILL at random in a scan that has something to bring in and something that moved; TUTTI_IMPORT_KILLS says how often."""
    library, randomness, songs = killed_library, random.Random(7), itertools.count()
    base = library.sound("base.flac").read_bytes()
    (library.folder / "base.flac").unlink()

    def add_album(album):
        folder = library.folder / f"f{album}"
        folder.mkdir()
        for place in range(1, 7):
            song = next(songs)
            data = bytearray(base)
            data[-400:-392] = song.to_bytes(8, "big")  # a sound of its own
            path = folder / f"{place}.flac"
            path.write_bytes(bytes(data))
            library.tag(path, {"TITLE": f"t{song}", "ALBUM": f"A{album}", "ARTIST": "Z", "TRACKNUMBER": str(place)})

    albums, killed, seen, longest_s = 10, 0, {}, 0.8
    for album in range(albums):
        add_album(album)
    environment = {**os.environ, **engine_environment(library.server.data), **library.server.environment}
    while killed < KILL_ROUNDS:
        process = subprocess.Popen([BINARY, "import", str(library.folder), "--data", str(library.server.data)],
                                   env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        begun = time.monotonic()
        try:
            process.wait(randomness.uniform(0.01, longest_s))
            longest_s = 1.2 * (time.monotonic() - begun)  # it takes no longer here
        except subprocess.TimeoutExpired:
            process.kill()
            killed += process.wait() == -signal.SIGKILL
        tracks = library.items("/api/v1/tracks")
        titles = [track["title"] for track in tracks]
        assert len(titles) == len(set(titles)), "a track is there twice"
        now = {track["title"]: track["id"] for track in tracks}
        assert all(now.get(title) == id_ for title, id_ in seen.items()), "an id changed"
        seen = now
        moved = library.folder / f"f{randomness.randrange(albums)}"
        moved.rename(moved.with_name(f"{moved.name}x")) if moved.exists() else None
        add_album(albums)
        albums += 1
    counts, troubles = library.scan()
    assert counts["broken"] == 0 and troubles == {}
    tracks = library.items("/api/v1/tracks")
    assert sorted(track["title"] for track in tracks) == sorted(f"t{number}" for number in range(6 * albums))
    assert all(not track["missing"] for track in tracks)
    assert all(seen.get(track["title"], track["id"]) == track["id"] for track in tracks)
    assert [album["trackCount"] for album in library.items("/api/v1/albums")] == [6] * albums
