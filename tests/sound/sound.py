"""Making sound, encoding it with media-encode, decoding it with other people's decoders."""
import json
import os
import pathlib
import struct
import subprocess

import numpy

TOOL = os.environ.get("MEDIA_ENCODE", str(pathlib.Path(__file__).parents[2] / "build/tests/tools/media-encode"))
FRAME = 1024
FRAGMENT = 172 * FRAME


def sine(count, rate=44100, start=0):
    """997 Hz, the channels a radian apart (equal ones would be coded as one), samples × 2."""
    times = numpy.arange(start, start + count) / rate
    return 0.5 * numpy.stack([numpy.sin(2 * numpy.pi * 997 * times), numpy.sin(2 * numpy.pi * 997 * times + 1)], 1)


def noise(count, channels=2, seed=1):
    return numpy.random.default_rng(seed).uniform(-0.4, 0.4, (count, channels))


def chords(count, rate=44100, seed=3):
    """Plucked strings: attacks at odd times, tones that decay, what music is made of."""
    draw, out = numpy.random.default_rng(seed), numpy.zeros((count + rate, 2))
    times = numpy.arange(rate) / rate
    fade = numpy.exp(-3 * times) * (1 - times) ** 2
    tones = [fade * sum(numpy.sin(2 * numpy.pi * pitch * k * times) / k for k in range(1, 9))
             for pitch in (110, 165, 220, 277.2, 330, 440, 554.4)]
    at = 0
    while at < count:
        for pick in draw.choice(len(tones), 3, replace=False):
            out[at:at + rate] += 0.06 * tones[pick][:, None] * draw.uniform(0.4, 1, 2)
        at += int(draw.uniform(0.2, 0.6) * rate)
    return out[:count]


def write_wav(path, samples, rate=44100, bits=16, mask=None, floating=False):
    """samples × channels, −1 … 1; integers are written as they are. mask: the speakers, in an extensible header;
    floating: floats of 32 or 64 bits."""
    channels, width = samples.shape[1], bits // 8
    if floating:
        data = samples.astype(f"<f{width}").tobytes()
    else:
        if samples.dtype.kind == "f":
            samples = numpy.round(samples * (2 ** (bits - 1) - 1)).astype(numpy.int64)
        data = samples.astype("<i4").tobytes()
        data = b"".join(data[i:i + width] for i in range(0, len(data), 4)) if bits != 32 else data
    kind = 3 if floating else 1
    head = struct.pack("<HHIIHH", kind if mask is None else 0xfffe, channels, rate, rate * channels * width,
                       channels * width, bits)
    if mask is not None:
        head += struct.pack("<HHIH", 22, bits, mask, kind) + bytes.fromhex("000000001000800000aa00389b71")
    path.write_bytes(b"RIFF" + struct.pack("<I", 20 + len(head) + len(data)) + b"WAVEfmt " +
                     struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(data)) + data)


def encode(folder, samples, *renditions, **wav):
    """Renditions by their names ("aac-160"); each has path beside what media-encode says of it. wav: write_wav's."""
    folder.mkdir(exist_ok=True)
    write_wav(folder / "in.wav", samples, **wav)
    text = subprocess.run([TOOL, str(folder / "in.wav"), str(folder), *renditions], check=True, capture_output=True,
                          timeout=120).stdout
    files = json.loads(text)
    for file in files:
        file["path"] = folder / file["file"]
    return dict(zip(renditions, files))


def write_manifests(folder, files):
    """HLS and DASH manifests of encoded files, as a server writes them."""
    plain = [{key: value for key, value in file.items() if key != "path"} for file in files]
    tool = pathlib.Path(TOOL).with_name("media-manifest")
    subprocess.run([str(tool), str(folder)], input=json.dumps(plain).encode(), check=True, timeout=60)


def decode(path, *options):
    """By ffmpeg, all it gives: samples × 2 floats. Any word of complaint is an error."""
    run = subprocess.run(["ffmpeg", "-v", "warning", *options, "-i", str(path), "-ac", "2", "-f", "f32le", "-"],
                         check=True, capture_output=True, timeout=120)
    assert run.stderr == b"", run.stderr.decode()
    return numpy.frombuffer(run.stdout, "<f4").reshape(-1, 2)


def count_mpg123(path):
    return len(subprocess.run(["mpg123", "-q", "-s", str(path)], check=True, capture_output=True).stdout) // 4


def count_opusdec(path):
    command = ["opusdec", "--quiet", "--rate", "48000", str(path), "-"]
    return len(subprocess.run(command, check=True, capture_output=True).stdout) // 4


def db(error):
    """Level of an error, dBFS of a full-scale square."""
    return 20 * numpy.log10(numpy.sqrt(numpy.mean(numpy.square(error))) + 1e-12)


def aac_frames(samples):
    return -(-(samples + FRAME) // FRAME)


def boxes(data, start=0, end=None):
    """[(type, start, end)] of the boxes in a span of bytes."""
    found, at = [], start
    end = len(data) if end is None else end
    while at < end:
        size, kind = struct.unpack_from(">I4s", data, at)
        assert size >= 8 and at + size <= end
        found.append((kind.decode(), at, at + size))
        at += size
    return found
