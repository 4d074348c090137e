"""Every decoder that can be told the length gives exactly N samples, and they lie where they lay."""
import struct
import subprocess

import numpy
import pytest

import sound

LENGTHS = [1, 3, 5, 47, 48, 500, 1023, 1024, 1025, 2048, 4095, 4096, 4097, 20480, 176127, 176128, 176129, 200003]


@pytest.mark.parametrize("count", LENGTHS)
def test_a_track_of_n_samples_plays_n_samples(tmp_path, count):
    source = sound.sine(count)
    files = sound.encode(tmp_path, source, "aac-96", "aac-160", "aac-320", "mp3-160", "opus-160", "vorbis-160", "flac")
    for name in ("aac-96", "aac-160", "aac-320"):
        decoded = sound.decode(files[name]["path"])
        assert files[name]["samples"] == count
        # FFmpeg skips the priming and plays the padding: what sounds there is the faded prediction.
        assert len(decoded) == sound.aac_frames(count) * sound.FRAME - sound.FRAME
    mp3 = sound.decode(files["mp3-160"]["path"], "-f", "mp3")  # a file of one frame is hard to recognise
    assert len(mp3) == count == sound.count_mpg123(files["mp3-160"]["path"])
    opus = round(count * 48000 / 44100)
    assert len(sound.decode(files["opus-160"]["path"])) == opus == sound.count_opusdec(files["opus-160"]["path"])
    assert files["opus-160"]["samples"] == opus
    assert last_granule(files["vorbis-160"]["path"]) == count
    assert len(sound.decode(files["flac"]["path"])) == count


def last_granule(path):
    data = path.read_bytes()
    return struct.unpack_from("<q", data, data.rindex(b"OggS") + 6)[0]


@pytest.mark.parametrize("name", ["aac-320", "mp3-320", "opus-320", "vorbis-320"])
@pytest.mark.parametrize("rate", [44100, 48000])
def test_sound_lies_where_it_lay(tmp_path, name, rate):
    """No shift: the best match of the decoded with the source is at lag 0."""
    source = sound.noise(3 * rate) * numpy.repeat(numpy.random.default_rng(2).uniform(0, 1, 300), rate // 100)[:, None]
    file = sound.encode(tmp_path, source, name, rate=rate)[name]
    decoded = resampled(file, rate)
    middle = slice(rate, 2 * rate)
    lags = range(-40, 41)
    scores = [numpy.dot(numpy.roll(decoded[:, 0], -lag)[middle], source[middle, 0]) for lag in lags]
    assert lags[int(numpy.argmax(scores))] == 0


def resampled(file, rate):
    run = subprocess.run(["ffmpeg", "-v", "error", "-i", str(file["path"]), "-ar", str(rate), "-f", "f32le", "-"],
                         check=True, capture_output=True)
    return numpy.frombuffer(run.stdout, "<f4").reshape(-1, 2)


@pytest.mark.parametrize("rate,target", [(8000, 48000), (22050, 44100), (88200, 44100), (96000, 48000), (37800, 48000)])
def test_other_rates_become_the_rungs_rate(tmp_path, rate, target):
    count = 2 * rate + 1
    files = sound.encode(tmp_path, sound.sine(count, rate), "aac-160", "mp3-160", "opus-160", rate=rate)
    exact = (count * target * 2 + rate) // (2 * rate)
    assert (files["aac-160"]["samples"], files["aac-160"]["timescale"]) == (exact, target)
    decoded = sound.decode(files["aac-160"]["path"])[:exact]
    assert sound.db(decoded[2048:-2048] - sound.sine(exact, target)[2048:-2048]) < -50
    assert len(sound.decode(files["mp3-160"]["path"])) == exact
    assert len(sound.decode(files["opus-160"]["path"])) == (count * 96000 + rate) // (2 * rate)
