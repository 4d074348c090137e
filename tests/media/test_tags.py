"""The job "tags": what taggers write (ffmpeg, mutagen, metaflac) is read under one set of names; the hash of the sound
outlives them; what is broken is answered with words and the others of the same job are read."""
import json
import os
import shutil
import struct
import subprocess
import zlib

import mutagen
import mutagen.apev2
import mutagen.asf
import mutagen.flac
import mutagen.id3
import mutagen.mp4
import mutagen.oggopus
import mutagen.oggvorbis
import mutagen.wave
import pytest

from media import Media, SANITIZED

PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000002000001"
                    "e221bc330000000049454e44ae426082")
JPEG = b"\xff\xd8\xff\xe0" + b"front" * 40
ENCODERS = {"mp3": ["-c:a", "libmp3lame"], "flac": ["-c:a", "flac"], "ogg": ["-c:a", "libvorbis"],
            "opus": ["-c:a", "libopus", "-ar", "48000"], "m4a": ["-c:a", "aac"], "wav": ["-c:a", "pcm_s16le"],
            "aiff": ["-c:a", "pcm_s16be"], "wv": ["-c:a", "wavpack"], "tta": ["-c:a", "tta"], "wma": ["-c:a", "wmav2"],
            "aac": ["-c:a", "aac"]}


def silent_ape(frames):
    """Monkey's Audio of silence, 16 bits, stereo at 44.1 kHz: nothing in Debian writes it."""
    crc = zlib.crc32(bytes(4 * frames)) >> 1
    words = struct.pack(">III", crc | 1 << 31, 3, 0) + bytes(8)  # CRC, "both channels are silent", the coder's beginning
    sound = b"".join(words[i:i + 4][::-1] for i in range(0, len(words), 4))
    head = struct.pack("<HHIIIHHI", 2000, 1 << 5, 294912, frames, 1, 16, 2, 44100)
    descriptor = struct.pack("<HHIIIIIII", 3990, 0, 52, len(head), 4, 0, len(sound), 0, 0)
    return b"MAC " + descriptor + bytes(16) + head + struct.pack("<I", 56 + len(head)) + sound


@pytest.fixture(scope="session")
def sounds(tmp_path_factory):
    """A short untagged sound of each kind."""
    folder = tmp_path_factory.mktemp("sounds")
    for suffix, options in ENCODERS.items():
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=440:r=44100:d=2", "-map_metadata", "-1",
                        *options, str(folder / f"plain.{suffix}")], check=True, timeout=60)
    subprocess.run(["mpcenc", "--silent", str(folder / "plain.wav"), str(folder / "plain.mpc")], check=True, timeout=60)
    (folder / "plain.ape").write_bytes(silent_ape(88200))
    return folder


@pytest.fixture
def media():
    with Media() as one:
        yield one


def read(media, *paths):
    """The job's answer for each of the files."""
    fds = [os.open(path, os.O_RDONLY) for path in paths]
    try:
        request = {"job": "tags", "files": [os.fstat(fd).st_size for fd in fds]}
        media.send(json.dumps(request).encode(), fds)
        answer = media.receive()
    finally:
        for fd in fds:
            os.close(fd)
    assert answer["ok"], answer
    return answer["files"]


def copy(sounds, tmp_path, suffix):
    path = tmp_path / f"tagged.{suffix}"
    shutil.copy(sounds / f"plain.{suffix}", path)
    return path


COMMENTS = {"TITLE": "Träume", "ARTIST": ["Ana", "Bo"], "ALBUM": "Nächte", "ALBUMARTIST": "Ana", "DISCSUBTITLE": "Ende",
            "ARTISTSORT": "Ana, A", "DATE": "2001-02-03", "ORIGINALDATE": "1999", "GENRE": ["Jazz", "Folk/Pop"],
            "TRACKNUMBER": "3/12", "DISCNUMBER": "2", "DISCTOTAL": "2", "COMPILATION": "1", "ISRC": "DEA123456789",
            "MUSICBRAINZ_ALBUMID": "a-b-c", "MUSICBRAINZ_ARTISTID": ["1", "2"], "LYRICS": "one\ntwo",
            "REPLAYGAIN_TRACK_GAIN": "-7.25 dB", "REPLAYGAIN_ALBUM_PEAK": "0.98"}
EXPECTED = {"title": "Träume", "artist": "Ana; Bo", "artists": ["Ana", "Bo"], "album": "Nächte", "albumArtist": "Ana",
            "albumArtists": ["Ana"], "discSubtitle": "Ende", "artistSort": "Ana, A", "date": "2001-02-03",
            "originalDate": "1999", "genres": ["Jazz", "Folk", "Pop"], "trackNumber": 3, "trackTotal": 12,
            "discNumber": 2, "discTotal": 2, "compilation": True, "isrc": "DEA123456789", "musicbrainzAlbumId": "a-b-c",
            "musicbrainzArtistIds": ["1", "2"], "lyrics": "one\ntwo", "trackGain": -7.25, "albumPeak": 0.98}


def tag_comments(path, suffix):
    kind = {"flac": mutagen.flac.FLAC, "ogg": mutagen.oggvorbis.OggVorbis, "opus": mutagen.oggopus.OggOpus}[suffix]
    file = kind(path)
    for name, value in COMMENTS.items():
        file[name] = value
    file.save()


def tag_ape(path, _suffix):
    file = mutagen.File(path)
    file.add_tags() if file.tags is None else None
    names = {"ALBUMARTIST": "Album Artist", "DATE": "Year", "TRACKNUMBER": "Track", "DISCNUMBER": "Disc"}
    for name, value in COMMENTS.items():
        file.tags[names.get(name, name)] = value
    file.save()


def tag_id3(path, suffix, version=4):
    kind = {"mp3": mutagen.id3.ID3, "wav": mutagen.wave.WAVE}.get(suffix, mutagen.File)
    file = None
    if suffix == "mp3":
        tags = kind()
    else:
        file = kind(path)
        file.add_tags()
        tags = file.tags
    three = version == 3
    add = [mutagen.id3.TIT2(3, "Träume"), mutagen.id3.TPE1(3, ["Ana", "Bo"]), mutagen.id3.TALB(3, "Nächte"),
           mutagen.id3.TPE2(3, "Ana"), mutagen.id3.TSST(3, "Ende"), mutagen.id3.TSOP(3, "Ana, A"),
           mutagen.id3.TDRC(3, "2001-02-03"), mutagen.id3.TDOR(3, "1999"), mutagen.id3.TCON(3, ["Jazz", "Folk/Pop"]),
           mutagen.id3.TRCK(3, "3/12"), mutagen.id3.TPOS(3, "2/2"), mutagen.id3.TCMP(3, "1"),
           mutagen.id3.TSRC(3, "DEA123456789"), mutagen.id3.TXXX(3, "MusicBrainz Album Id", "a-b-c"),
           mutagen.id3.TXXX(3, "MusicBrainz Artist Id", ["1", "2"]), mutagen.id3.USLT(3, "eng", "", "one\ntwo"),
           mutagen.id3.TXXX(3, "replaygain_track_gain", "-7.25 dB"), mutagen.id3.TXXX(3, "REPLAYGAIN_ALBUM_PEAK", "0.98")]
    for frame in add:
        tags.add(frame)
    if three:
        tags.update_to_v23()
    if file is None:
        tags.save(path, v2_version=version, v23_sep="; ")
    else:
        file.save()


def tag_mp4(path, _suffix):
    file = mutagen.mp4.MP4(path)
    free = "----:com.apple.iTunes:"
    file["\xa9nam"], file["\xa9ART"], file["\xa9alb"], file["aART"] = "Träume", ["Ana", "Bo"], "Nächte", "Ana"
    file["soar"], file["\xa9day"], file["\xa9gen"] = "Ana, A", "2001-02-03", ["Jazz", "Folk/Pop"]
    file["trkn"], file["disk"], file["cpil"], file["\xa9lyr"] = [(3, 12)], [(2, 2)], True, "one\ntwo"
    for name, values in {"DISCSUBTITLE": ["Ende"], "originaldate": ["1999"], "ISRC": ["DEA123456789"],
                         "MusicBrainz Album Id": ["a-b-c"], "MusicBrainz Artist Id": ["1", "2"],
                         "replaygain_track_gain": ["-7.25 dB"], "replaygain_album_peak": ["0.98"]}.items():
        file[free + name] = [mutagen.mp4.MP4FreeForm(value.encode()) for value in values]
    file.save()


def tag_asf(path, _suffix):
    file = mutagen.asf.ASF(path)
    names = {"TITLE": "Title", "ARTIST": "Author", "ALBUM": "WM/AlbumTitle", "ALBUMARTIST": "WM/AlbumArtist",
             "DISCSUBTITLE": "WM/SetSubTitle", "ARTISTSORT": "WM/ArtistSortOrder", "DATE": "WM/Year",
             "ORIGINALDATE": "WM/OriginalReleaseYear", "GENRE": "WM/Genre", "TRACKNUMBER": "WM/TrackNumber",
             "DISCNUMBER": "WM/PartOfSet", "COMPILATION": "WM/IsCompilation", "ISRC": "WM/ISRC",
             "MUSICBRAINZ_ALBUMID": "MusicBrainz/Album Id", "MUSICBRAINZ_ARTISTID": "MusicBrainz/Artist Id",
             "LYRICS": "WM/Lyrics"}
    for name, value in COMMENTS.items():
        file[names.get(name, name)] = value
    file.save()


TAGGERS = {"flac": tag_comments, "ogg": tag_comments, "opus": tag_comments, "mp3": tag_id3, "wav": tag_id3,
           "aiff": tag_id3, "tta": tag_id3, "m4a": tag_mp4, "wv": tag_ape, "ape": tag_ape, "mpc": tag_ape, "wma": tag_asf}


@pytest.mark.parametrize("suffix", TAGGERS)
def test_tags_of_each_container(media, sounds, tmp_path, suffix):
    path = copy(sounds, tmp_path, suffix)
    before = read(media, path)[0]
    TAGGERS[suffix](path, suffix)
    after = read(media, path)[0]
    if suffix == "wma":  # mutagen puts what ASF has no room for first
        for name in ("genres", "musicbrainzArtistIds"):
            after["tags"][name].sort(key=EXPECTED[name].index)
    assert after["tags"] == EXPECTED
    assert after["hash"] == before["hash"], "the sound is the same"
    assert after["sound"] == before["sound"]
    assert abs(after["sound"]["durationMs"] - 2000) < 60
    assert after["sound"]["channels"] == (2 if suffix in {"m4a", "ape"} else 1), "MP4 says two of any AAC"
    assert after["sound"]["lossless"] == (suffix in {"flac", "wav", "aiff", "wv", "tta", "ape"})


@pytest.mark.parametrize("suffix", ["ape", "mpc", "tta", "wma", "aac"])
def test_old_formats_decode(media, sounds, suffix):
    answer, renditions, _ = media.first((sounds / f"plain.{suffix}").read_bytes())
    assert answer["ok"], answer
    assert answer["probe"]["lossless"] == (suffix in {"ape", "tta"})
    exact = suffix in {"ape", "tta"}  # the others end with their last frame
    assert abs(answer["probe"]["samples"] - 88200) <= (0 if exact else 4096)
    assert renditions[0]["samples"] > 0


def test_raw_aac_is_read_without_taglib(media, sounds, tmp_path):
    plain = (sounds / "plain.aac").read_bytes()
    path = tmp_path / "tagged.aac"
    tags = mutagen.id3.ID3()
    for frame in (mutagen.id3.TIT2(3, "Träume"), mutagen.id3.TPE1(3, "Ana feat. Bo"), mutagen.id3.TPE2(3, "Ana"),
                  mutagen.id3.TRCK(3, "3/12"), mutagen.id3.TCON(3, "Jazz"), mutagen.id3.USLT(3, "eng", "", "one\ntwo")):
        tags.add(frame)
    path.write_bytes(b"")
    tags.save(path)
    with open(path, "ab") as file:
        file.write(plain)
    before, after = read(media, sounds / "plain.aac", path)
    assert after["sound"] == before["sound"] == {**before["sound"], "codec": "aac", "rate": 44100, "lossless": False}
    assert abs(after["sound"]["durationMs"] - 2000) < 60 and after["hash"] == before["hash"]
    assert after["tags"] == {"title": "Träume", "artist": "Ana feat. Bo", "artists": ["Ana", "Bo"], "albumArtist": "Ana",
                             "albumArtists": ["Ana"], "trackNumber": 3, "trackTotal": 12, "genres": ["Jazz"],
                             "lyrics": "one\ntwo"}


def test_id3_of_each_version(media, sounds, tmp_path):
    path = copy(sounds, tmp_path, "mp3")
    tag_id3(path, "mp3", version=3)
    tags = read(media, path)[0]["tags"]
    # 2.3 has no frames for sort names and disc subtitles, and writes several values as one with a mark between.
    later = {"artistSort", "discSubtitle"}
    assert {**tags, "originalDate": "1999"} == {name: value for name, value in EXPECTED.items() if name not in later}
    assert tags["originalDate"].startswith("1999")


def test_id3v1_alone_and_beside_a_poorer_v2(media, sounds, tmp_path):
    path = copy(sounds, tmp_path, "mp3")
    before = read(media, path)[0]["hash"]
    v1 = mutagen.id3.MakeID3v1({"TIT2": mutagen.id3.TIT2(0, "One"), "TALB": mutagen.id3.TALB(0, "Two"),
                                "TPE1": mutagen.id3.TPE1(0, "Three"), "TRCK": mutagen.id3.TRCK(0, "4")})
    mutagen.id3.ID3().delete(path)
    with open(path, "ab") as file:
        file.write(v1)
    alone = read(media, path)[0]
    assert alone["hash"] == before
    assert (alone["tags"]["title"], alone["tags"]["album"], alone["tags"]["trackNumber"]) == ("One", "Two", 4)
    tags = mutagen.id3.ID3()
    tags.add(mutagen.id3.TIT2(3, "A longer title"))
    tags.save(path, v1=0)
    with open(path, "ab") as file:
        file.write(v1)
    both = read(media, path)[0]
    assert (both["tags"]["title"], both["tags"]["artist"]) == ("A longer title", "Three")
    assert both["hash"] == before


def test_id3v22(media, sounds, tmp_path):
    def frame(name, text):
        body = b"\0" + text.encode("latin-1")
        return name + len(body).to_bytes(3, "big") + body

    body = frame(b"TT2", "Titel") + frame(b"TP1", "Jemand") + frame(b"TAL", "Platte") + frame(b"TRK", "7/9")
    size = bytes([0, 0, len(body) >> 7, len(body) & 127])
    path = tmp_path / "two.mp3"
    path.write_bytes(b"ID3\2\0\0" + size + body + (sounds / "plain.mp3").read_bytes())
    tags = read(media, path)[0]["tags"]
    assert (tags["title"], tags["artist"], tags["album"], tags["trackNumber"]) == ("Titel", "Jemand", "Platte", 7)


def test_ffmpeg_and_metaflac(media, sounds, tmp_path):
    made = tmp_path / "f.flac"
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(sounds / "plain.flac"), "-metadata", "title=By ffmpeg",
                    "-metadata", "album_artist=All", "-c", "copy", str(made)], check=True, timeout=60)
    subprocess.run(["metaflac", "--set-tag=DISCNUMBER=1/3", "--set-tag=R128_TRACK_GAIN=-512", str(made)], check=True,
                   timeout=60)
    tags = read(media, made)[0]["tags"]
    assert tags["title"] == "By ffmpeg" and tags["albumArtist"] == "All"
    assert (tags["discNumber"], tags["discTotal"], tags["trackGain"]) == (1, 3, 3.0)


def test_words_for_nothing_are_nothing(media, sounds, tmp_path):
    path = copy(sounds, tmp_path, "flac")
    file = mutagen.flac.FLAC(path)
    file["ALBUM"], file["ARTIST"], file["DISCNUMBER"], file["TRACKNUMBER"] = "[Unknown Album]", "none", "0", "0/0"
    file["DATE"], file["TITLE"], file["GENRE"] = "0000", "  ", ""
    file.save()
    assert read(media, path)[0]["tags"] == {}
    file["ALBUM"], file["ARTIST"] = "Unknown Album (1/1/2003 4:05:06 PM)", "N/A"
    file.save()
    assert read(media, path)[0]["tags"] == {}
    file["ALBUM"], file["DATE"] = "Unknown Album (Live)", "03/04/1999"
    file.save()
    assert read(media, path)[0]["tags"] == {"album": "Unknown Album (Live)", "date": "1999"}


def test_guests_are_told_apart_and_names_are_not_torn(media, sounds, tmp_path):
    path = copy(sounds, tmp_path, "flac")
    for credit, artists in [("Ana feat. Bo", ["Ana", "Bo"]), ("Ana (feat. Bo)", ["Ana", "Bo"]), ("AC/DC", ["AC/DC"]),
                            ("Earth, Wind & Fire", ["Earth, Wind & Fire"]), ("A / B", ["A", "B"])]:
        file = mutagen.flac.FLAC(path)
        file["ARTIST"] = credit
        file.save()
        tags = read(media, path)[0]["tags"]
        assert (tags["artist"], tags["artists"]) == (credit, artists)


def test_synchronized_lyrics(media, sounds, tmp_path):
    path = copy(sounds, tmp_path, "mp3")
    tags = mutagen.id3.ID3()
    tags.add(mutagen.id3.SYLT(3, "eng", 2, 1, "", [("one", 1500), ("two", 61020)]))
    tags.save(path)
    assert read(media, path)[0]["tags"]["syncedLyrics"] == "[00:01.50]one\n[01:01.02]two"


@pytest.mark.parametrize("suffix", ["mp3", "flac", "m4a", "ogg", "wma"])
def test_the_picture_of_the_front(media, sounds, tmp_path, suffix):
    path = copy(sounds, tmp_path, suffix)
    assert not read(media, path)[0]["hasArt"]

    def block(kind, data):
        picture = mutagen.flac.Picture()
        picture.type, picture.mime, picture.data = kind, "image/png", data
        return picture

    if suffix == "mp3":
        tags = mutagen.id3.ID3()
        tags.add(mutagen.id3.APIC(3, "image/png", 4, "back", PNG))
        tags.add(mutagen.id3.APIC(3, "image/jpeg", 3, "front", JPEG))
        tags.save(path)
    elif suffix == "flac":
        file = mutagen.flac.FLAC(path)
        file.add_picture(block(4, PNG))
        file.add_picture(block(3, JPEG))
        file.save()
    elif suffix == "m4a":
        file = mutagen.mp4.MP4(path)
        file["covr"] = [mutagen.mp4.MP4Cover(JPEG)]
        file.save()
    elif suffix == "wma":
        file = mutagen.asf.ASF(path)
        file["WM/Picture"] = [mutagen.asf.ASFByteArrayAttribute(
            struct.pack("<BI", kind, len(data)) + "image/png".encode("utf-16-le") + bytes(4) + data)
            for kind, data in ((4, PNG), (3, JPEG))]
        file.save()
    else:
        import base64
        file = mutagen.oggvorbis.OggVorbis(path)
        file["METADATA_BLOCK_PICTURE"] = [base64.b64encode(block(3, JPEG).write()).decode()]
        file.save()
    assert read(media, path)[0]["hasArt"]
    answer, _, bodies = media.job({"job": "tags-picture"}, path.read_bytes(), 1)
    assert answer["bytes"] == len(JPEG) and bodies == [JPEG]


def test_another_sound_has_another_hash(media, sounds, tmp_path):
    hashes = set()
    for pitch in (300, 500):
        for suffix, options in ENCODERS.items():
            path = tmp_path / f"{pitch}.{suffix}"
            subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"sine={pitch}:r=44100:d=2", *options,
                            str(path)], check=True, timeout=60)
            hashes.add(read(media, path)[0]["hash"])
    assert len(hashes) == 2 * len(ENCODERS)


def test_a_broken_file_stops_no_other(media, sounds, tmp_path):
    text, empty, huge = tmp_path / "words.mp3", tmp_path / "empty.flac", tmp_path / "huge.mp3"
    text.write_text("no sound at all\n" * 100)
    empty.write_bytes(b"")
    size = 100 << 20
    with open(huge, "wb") as file:  # a tag of 100 MB, as one frame
        file.write(b"ID3\4\0\0" + bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127]))
        file.truncate(size + 10)
        file.seek(size + 10)
        file.write((sounds / "plain.mp3").read_bytes())
    files = read(media, text, sounds / "plain.flac", empty, huge, sounds / "plain.m4a")
    assert [file.get("code") for file in files] == ["not-audio", None, "not-audio", "too-large", None]
    assert all(file["reason"] for file in files if "code" in file)
    assert SANITIZED or media.memory_max() < 600 << 20


def test_long_lyrics_come_in_as_many_answers_as_they_need(media, sounds, tmp_path):
    paths = []
    for number in range(8):
        path = tmp_path / f"{number}.flac"
        shutil.copy(sounds / "plain.flac", path)
        file = mutagen.flac.FLAC(path)
        file["TITLE"], file["LYRICS"] = str(number), "ü\"" * 20000
        file.save()
        paths.append(path)
    titles = []
    while len(titles) < len(paths):
        some = read(media, *paths[len(titles):])
        assert some
        titles += [file["tags"]["title"] for file in some]
    assert titles == [str(number) for number in range(8)]
