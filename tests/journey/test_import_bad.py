"""What an import meets that changes, leaves or is far too large while it goes through a folder."""
import contextlib
import itertools
import os
import shutil
import subprocess
import threading
import wave

import mutagen.flac
import pytest

from conftest import BINARY, engine_environment, until
from test_import import Library, counted, library  # noqa: F401 (a fixture)


def tone(path, number, seconds=0.2):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"".join((at * (number + 3) % 20000).to_bytes(2, "little", signed=True) for at in range(int(8000 * seconds))))


@contextlib.contextmanager
def again_and_again(work):
    """While the block runs."""
    ended = threading.Event()

    def run():
        for turn in itertools.count():
            if ended.is_set():
                return
            work(turn)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("mode", ["reference", "copy"])
def test_a_file_that_is_being_written_is_read_later(own_server, tmp_path, mode):
    library = Library(own_server(environment={"TUTTI_IMPORT_MODE": mode}), tmp_path / "music")
    add = {"TITLE": "still", "ALBUM": "S", "ARTIST": "A"}
    library.sound("still/1.flac", add)
    whole = library.sound("grows/1.flac", {**add, "TITLE": "grows"}, seconds=2).read_bytes()
    path = library.folder / "grows/1.flac"

    def write_more(turn):
        with path.open("r+b") as file:
            file.truncate(len(whole) // 2 + turn % 1000)

    with again_and_again(write_more):
        counts, troubles = library.scan()
    assert counted(counts, added=1, broken=1) and set(troubles) == {"grows/1.flac"}
    assert "changed while" in troubles["grows/1.flac"]
    broken = [one for one in library.items("/api/v1/imports/files") if one["state"] == "broken"]
    assert [(one["path"], one["code"], one["trackId"]) for one in broken] == [("grows/1.flac", "changing", None)]
    path.write_bytes(whole)
    counts, troubles = library.scan()
    assert counted(counts, added=1, unchanged=1) and troubles == {}
    assert 1900 < library.tracks()["grows"]["durationMs"] < 2100 and library.items("/api/v1/imports/files") == []


def test_folders_that_vanish_meanwhile_stop_nothing(library):
    folders = [library.folder / f"{number:03}" for number in range(150)]
    for number, folder in enumerate(folders):
        tone(folder / "in" / f"{folder.name}.wav", number)
    left = list(folders)
    command = [BINARY, "import", str(library.folder), "--json", "--data", str(library.server.data)]
    environment = {**os.environ, **engine_environment(library.server.data), **(library.server.environment or {})}
    scan = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while scan.poll() is None and len(left) > 30:  # from the end, which the walk comes to last; and what it may be in
        shutil.rmtree(left.pop() if len(left) % 3 else left.pop(len(folders) // 10))
    out, wrong = scan.communicate(timeout=120)
    assert scan.returncode == 0, wrong + out
    library.scan()
    done = subprocess.run([*command, "--accept-missing"], env=environment, capture_output=True, timeout=120)
    assert done.returncode == 0
    until(lambda: {title for title, track in library.tracks().items() if not track["missing"]} == {folder.name for folder in left})
    assert len(library.tracks()) == len(library.items("/api/v1/tracks"))  # none is there twice


def test_what_is_hidden_is_passed_over_not_what_begins_with_dots(library):
    library.sound("...And Justice for All/...And Justice for All.flac", {"TITLE": "Justice", "ALBUM": "...And Justice for All"})
    for hidden in (".Trash/gone.flac", "x/._seen.flac", "x/.seen.flac"):
        library.sound(hidden)
    library.sound("x/seen.flac")
    counts, troubles = library.scan()
    assert counted(counts, added=2) and troubles == {}
    assert set(library.tracks()) == {"Justice", "seen"}


def test_names_of_4000_characters_and_tags_of_100_megabytes(library):
    long = {name: f"{name[:2]} " + "é" * 4000 for name in ("TITLE", "ARTIST", "ALBUM", "GENRE", "COMMENT")}
    library.sound("long/1.flac", long)
    library.sound("long/" + "ö" * 124 + ".flac")
    library.sound("huge/good.flac", {"TITLE": "good"})
    sound = library.sound("huge/plain.mp3").read_bytes()
    size = 100 << 20
    header = b"ID3\x04\0\0" + bytes(size >> shift & 0x7f for shift in (21, 14, 7, 0))
    frame = b"TIT2" + bytes(size - 20 >> shift & 0x7f for shift in (21, 14, 7, 0)) + b"\0\0\x03"
    with (library.folder / "huge/text.mp3").open("wb") as file:
        file.write(header + frame)
        file.truncate(size + 10)
        file.seek(0, os.SEEK_END)
        file.write(sound)
    picture = mutagen.flac.FLAC(library.sound("huge/picture.flac", {"TITLE": "picture"}))
    cover = mutagen.flac.Picture()
    cover.type, cover.mime, cover.data = 3, "image/png", b"\0" * (15 << 20)
    picture.add_picture(cover)
    picture.save()
    counts, troubles = library.scan()
    assert counted(counts, added=5, broken=1) and set(troubles) == {"huge/text.mp3"}, troubles
    tracks = library.tracks()
    assert {"good", "plain", "picture", "ö" * 124} <= set(tracks)
    title = next(title for title in tracks if title.startswith("TI "))
    assert 100 <= len(title) <= 500 and 100 <= len(tracks[title]["artistName"]) <= 500
    assert [one["code"] for one in library.items("/api/v1/imports/files")] == ["too-large"]
