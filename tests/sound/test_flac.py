"""FLAC keeps a lossless source: bit for bit up to 24 bits, else the nearest of 24 bits; every channel in its place."""
import json
import subprocess

import numpy
import pytest

import sound

FULL = 2 ** 23


def read_flac(path, bits):
    """Samples as the flac tool decodes them, which also compares them with the checksum in STREAMINFO."""
    native = path.with_suffix(".flac")
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", str(path), "-c", "copy", str(native)], check=True, timeout=60)
    raw = subprocess.run(["flac", "-dcs", "--force-raw-format", "--endian=little", "--sign=signed", str(native)],
                         check=True, capture_output=True, timeout=60)
    assert raw.stderr == b""
    width = bits // 8
    grown = numpy.zeros((len(raw.stdout) // width, 4), numpy.uint8)
    grown[:, 4 - width:] = numpy.frombuffer(raw.stdout, numpy.uint8).reshape(-1, width)
    return grown.view("<i4").reshape(-1) >> (32 - bits)


def flac(folder, samples, kept, **wav):
    """What a WAV of the samples becomes as FLAC of `kept` bits: samples × channels, and what is said of the file."""
    file = sound.encode(folder, samples, "flac", **wav)["flac"]
    decoded = read_flac(file["path"], kept).reshape(-1, samples.shape[1])
    assert (file["samples"], file["timescale"], file["channels"]) == (len(samples), wav["rate"], samples.shape[1])
    assert len(decoded) == len(samples)
    return decoded, file


def layout(path):
    shown = subprocess.run(["ffprobe", "-v", "error", "-of", "json", "-show_streams", str(path)], check=True,
                           capture_output=True, timeout=60)
    return json.loads(shown.stdout)["streams"][0].get("channel_layout")


@pytest.mark.parametrize("rate,bits,channels", [(44100, 16, 2), (48000, 24, 2), (96000, 24, 2), (192000, 24, 1),
                                                (44100, 16, 1), (48000, 24, 6), (8000, 16, 2), (48000, 16, 8),
                                                (96000, 24, 8), (48000, 24, 7), (11025, 16, 3), (44100, 24, 4),
                                                (192000, 24, 5), (65530, 24, 2), (65534, 16, 2)])
def test_up_to_24_bits_flac_is_the_source_bit_for_bit(tmp_path, rate, bits, channels):
    peak = 2 ** (bits - 1)
    source = numpy.random.default_rng(5).integers(-peak, peak, (2 * rate + 13, channels))
    source[:2, 0] = (-peak, peak - 1)
    decoded, _ = flac(tmp_path, source, 16 if bits == 16 else 24, rate=rate, bits=bits)
    assert numpy.array_equal(decoded, source)


def check_nearest(decoded, exact):
    """exact: the source in steps of 24 bits. Half a step at most, but for what no 24 bits can hold."""
    assert numpy.abs(decoded - numpy.clip(exact, -FULL, FULL - 1)).max() <= 0.5
    assert decoded.min() == -FULL and decoded.max() == FULL - 1  # the source goes that far


def test_integers_of_32_bits_are_rounded(tmp_path):
    source = numpy.random.default_rng(6).integers(-2 ** 31, 2 ** 31, (100_000, 2))
    near = numpy.arange(-2000, 2000)  # every remainder of 256, about zero and at both ends
    source[:4000, 0] = near
    source[:4000, 1] = numpy.where(near < 0, near + 2 ** 31, near - 2 ** 31)
    decoded, _ = flac(tmp_path, source, 24, rate=44100, bits=32)
    check_nearest(decoded, source / 256)
    assert (decoded != source >> 8).mean() > 0.4  # truncated, half of them would be lower


@pytest.mark.parametrize("bits", [32, 64])
def test_floats_are_rounded_and_clipped_at_full_scale(tmp_path, bits):
    draw = numpy.random.default_rng(7)
    source = draw.uniform(-1.2, 1.2, (100_000, 2))
    source[:1000] = draw.uniform(-1e-6, 1e-6, (1000, 2))
    source[1000:2000] = (draw.integers(-FULL, FULL, (1000, 2)) + 0.5 - 1e-5) / FULL  # a hair below the middle
    source[2000:2006, 0] = (1.0, -1.0, 1.5, -1e30, 1e30, 1 - 1 / FULL)
    source = source.astype(f"<f{bits // 8}")
    decoded, _ = flac(tmp_path, source, 24, rate=48000, bits=bits, floating=True)
    check_nearest(decoded, source.astype(float) * FULL)


@pytest.mark.parametrize("bits", [32, 64])
def test_what_is_no_sound_in_floats_is_no_harm(tmp_path, bits):
    """Numbers beyond all measure and no numbers: encoders would refuse them."""
    source = numpy.random.default_rng(8).choice([1e30, -1e30, numpy.inf, -numpy.inf, numpy.nan, 0.25], (20_000, 2))
    files = sound.encode(tmp_path, source, "aac-96", "mp3-96", "opus-96", "vorbis-96", "flac", rate=44100, bits=bits, floating=True)
    assert {file["samples"] for name, file in files.items() if name != "opus-96"} == {20_000}
    decoded = read_flac(files["flac"]["path"], 24).reshape(-1, 2)
    expected = numpy.clip(numpy.nan_to_num(source, nan=0, posinf=2, neginf=-2), -1, 1 - 1 / FULL) * FULL
    assert numpy.array_equal(decoded, expected)


# mask, the layout that FFmpeg reads in the file, what the file says of it (FLAC means the others by their number)
LAYOUTS = [(0x63f, "7.1", None), (0x70f, "6.1", None), (0x3f, "5.1(side)", None), (0x60f, "5.1(side)", None), (0x607, "5.0(side)", None),
           (0x33, "quad", None), (0x7, "3.0", None), (0xff, "7.1", "0xFF"), (0x13f, "6.1", "0x13F"),
           (0x107, "quad", "0x107"), (0xb, "3.0", "0xB")]


@pytest.mark.parametrize("mask,name,said", LAYOUTS, ids=[hex(row[0]) for row in LAYOUTS])
def test_every_channel_is_in_its_place(tmp_path, mask, name, said):
    channels = bin(mask).count("1")
    source = numpy.zeros((8000, channels), numpy.int64)
    for channel in range(channels):  # each is alone for a while, with a value of its own
        source[channel * 1000:channel * 1000 + 500, channel] = 1000 * (channel + 1)
    decoded, file = flac(tmp_path, source, 16, rate=48000, bits=16, mask=mask)
    assert numpy.array_equal(decoded, source)
    assert layout(file["path"]) == name
    head = file["path"].read_bytes()[:file["initBytes"]]
    assert (b"WAVEFORMATEXTENSIBLE_CHANNEL_MASK" in head) == (said is not None)
    if said is not None:  # STREAMINFO, then VORBIS_COMMENT, the last block
        comment = f"WAVEFORMATEXTENSIBLE_CHANNEL_MASK={said}".encode()
        block = head[head.index(b"dfLa") + 8 + 4 + 34:][:4 + 12 + len(comment)]
        assert block[:4] == bytes([0x84, 0, 0, 12 + len(comment)])
        assert block[4:] == bytes(4) + b"\1\0\0\0" + len(comment).to_bytes(4, "little") + comment
