"""The file as a whole: the boxes follow each other, the index tells the truth, other tools agree."""
import json
import struct
import subprocess

import pytest

import sound


@pytest.mark.parametrize("name", ["aac-160", "flac"])
@pytest.mark.parametrize("seconds", [0.1, 5.2, 30])
def test_the_index_tells_the_truth(tmp_path, name, seconds):
    count = int(seconds * 44100) + 3
    file = sound.encode(tmp_path, sound.chords(count), name)[name]
    data = file["path"].read_bytes()
    found = sound.boxes(data)
    fragments = (len(found) - 3) // 2
    assert [kind for kind, _, _ in found] == ["ftyp", "moov", "sidx"] + ["moof", "mdat"] * fragments
    _, begin, end = found[2]
    assert (begin, end - begin) == (file["initBytes"], file["indexBytes"])
    flags, track, scale, earliest, first, reserved, number = struct.unpack_from(">IIIIIHH", data, begin + 8)
    assert (flags, track, scale, earliest, first, reserved, number) == (0, 1, 44100, 0, 0, 0, fragments)
    total = 0
    for k in range(fragments):
        size, duration, access = struct.unpack_from(">III", data, begin + 32 + 12 * k)
        assert [size, duration] == file["fragments"][k] and access == 0x90000000
        assert found[3 + 2 * k][1] + size == found[4 + 2 * k][2]
        total += duration
    assert total == count == file["samples"]
    assert found[4][2] == file["firstFragmentEnd"] and found[-1][2] == len(data) == file["bytes"]


def test_bandwidths_are_measured(tmp_path):
    quiet_then_loud = sound.chords(20 * 44100)
    quiet_then_loud[:10 * 44100] *= 0
    file = sound.encode(tmp_path, quiet_then_loud, "aac-160")["aac-160"]
    rates = [size * 8 * 44100 / (172 * 1024) for size, _ in file["fragments"][:-1]]
    assert file["bandwidthPeak"] >= int(max(rates)) > 1.5 * min(rates)
    assert min(rates) < file["bandwidthAverage"] < file["bandwidthPeak"]


@pytest.mark.parametrize("name,codec", [("aac-320", "aac"), ("flac", "flac"), ("mp3-96", "mp3"), ("opus-96", "opus"),
                                        ("vorbis-160", "vorbis")])
def test_ffprobe_agrees(tmp_path, name, codec):
    file = sound.encode(tmp_path, sound.chords(10 * 44100 + 11), name)[name]
    text = subprocess.run(["ffprobe", "-v", "warning", "-show_streams", "-show_format", "-of", "json",
                           str(file["path"])], check=True, capture_output=True)
    assert text.stderr == b""
    stream = json.loads(text.stdout)["streams"][0]
    assert (stream["codec_name"], int(stream["sample_rate"])) == (codec, file["timescale"])
    assert abs(float(json.loads(text.stdout)["format"]["duration"]) - file["samples"] / file["timescale"]) < 0.06  # whole MP3 frames


def test_the_same_sound_makes_the_same_files(tmp_path):
    """A job that is run again after a crash must not make a different object."""
    names = ["aac-160", "mp3-160", "opus-160", "vorbis-160", "flac"]
    once, again = (sound.encode(tmp_path / part, sound.chords(3 * 44100), *names) for part in ("once", "again"))
    for name in names:
        assert once[name]["path"].read_bytes() == again[name]["path"].read_bytes(), name
