"""The job "fingerprint": what encoders, cuts and loudness do to a recording stays below the distance at which the server
tells two recordings apart, and another playing of the same piece stays above it."""
import base64
import struct
import sys

import pytest

from media import Media, ROOT

sys.path.insert(0, str(ROOT / "tests" / "tools"))
import music  # noqa: E402

SAME_BELOW = 0.15  # of src/service/ingest/prints/print.c


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """The words of a file made of the piece."""
    folder = tmp_path_factory.mktemp("prints")
    piece = music.piece(folder / "piece.wav", 1)
    with Media() as media:
        def of(name, source=piece, options=()):
            path = music.encode(source, folder / name, *options)
            answer, _, _ = media.job({"job": "fingerprint"}, path.read_bytes(), 0)
            assert answer["ok"], answer
            packed = base64.b64decode(answer["words"])
            return struct.unpack(f"<{len(packed) // 4}I", packed)
        yield of


def distance(left, right):
    """The least share of bits that differ, at any shift up to 8 s."""
    least = 1.0
    for shift in range(-64, 65):
        pairs = [(left[i + shift], word) for i, word in enumerate(right) if 0 <= i + shift < len(left)]
        if len(pairs) >= 0.8 * min(len(left), len(right)):
            least = min(least, sum((a ^ b).bit_count() for a, b in pairs) / (32 * len(pairs)))
    return least


@pytest.mark.parametrize("name, options", [
    ("a.mp3", ["-b:a", "128k"]), ("low.mp3", ["-b:a", "64k"]), ("a.ogg", []), ("a.m4a", ["-b:a", "96k"]),
    ("a.opus", ["-b:a", "48k"]), ("trimmed.mp3", ["-ss", "1"]), ("late.flac", ["-af", "adelay=730"]),
    ("quiet.mp3", ["-af", "volume=-12dB"]), ("stereo.flac", ["-ac", "2", "-ar", "48000"]),
    ("loud.ogg", ["-af", "volume=6dB,alimiter"]), ("cut.flac", ["-t", "28"])])
def test_one_recording_in_other_files(words, name, options):
    assert distance(words("whole.flac"), words(name, options=options)) < SAME_BELOW / 2


@pytest.mark.parametrize("how", [{"beat": 0.26}, {"detune": 0.5, "noise": 0.1, "beat": 0.255}, {"beat": 0.2}, {"seed": 2}])
def test_other_recordings(words, tmp_path, how):
    other = music.piece(tmp_path / "other.wav", **{"seed": 1, **how})
    assert distance(words("whole.flac"), words("other.flac", other)) > 1.5 * SAME_BELOW


def test_the_beginning_is_enough(words):
    long, longer = (words(f"{seconds}.flac", options=["-af", f"aloop=-1:size=661500,atrim=0:{seconds}"])
                    for seconds in (125, 150))
    assert long == longer and 900 < len(long) < 1024


def test_what_is_short_has_none(words, tmp_path):
    assert words("short.flac", music.piece(tmp_path / "short.wav", 1, seconds=1)) == ()
