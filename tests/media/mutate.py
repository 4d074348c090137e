"""Good files, and what 200 seeds make of each."""
import random
import subprocess

# name, what ffmpeg is told
SOUNDS = {
    "16.wav": "-c:a pcm_s16le", "24.wav": "-c:a pcm_s24le", "float.wav": "-c:a pcm_f32le -ac 6", "rf64.wav": "-rf64 always",
    "a.w64": "", "a.flac": "", "24.flac": "-sample_fmt s32", "alac.m4a": "-c:a alac", "a.aiff": "", "a.mp3": "-b:a 128k",
    "vbr.mp3": "-q:a 5", "a.m4a": "-c:a aac", "frag.m4a": "-c:a aac -movflags frag_keyframe+empty_moov", "a.aac": "-c:a aac",
    "a.ogg": "-c:a libvorbis", "flac.oga": "-c:a flac", "a.opus": "-c:a libopus", "a.wv": "",
    "a.tta": "", "a.wma": "-c:a wmav2",
}
PICTURES = {
    "a.jpg": "-q:v 6", "grey.jpg": "-pix_fmt gray", "a.png": "", "pal.png": "-pix_fmt pal8", "deep.png": "-pix_fmt rgba64be",
    "a.webp": "-quality 60", "lossless.webp": "-lossless 1", "a.gif": "-r 2",
}
TAGS = ["-metadata", "title=A Title", "-metadata", "artist=Ä", "-metadata", "track=3/12", "-metadata", "lyrics=La la\nla"]
WITH_PICTURE = ("a.flac", "a.mp3", "a.m4a")


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True, timeout=60)


def make_good(folder):
    """{name: bytes} of sounds of 0.4 s and of pictures of 90 × 60."""
    chord = "0.3*sin(2*PI*440*t)+0.05*random(0)|0.3*sin(2*PI*554*t)"
    ffmpeg("-f", "lavfi", "-i", f"aevalsrc='{chord}':s=44100:d=0.4", folder / "source.wav")
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=90x60", "-frames:v", "2", folder / "source%d.png")
    sounds, pictures = {}, {}
    for name, options in SOUNDS.items():
        picture = ["-i", folder / "source1.png", "-map", "0:a", "-map", "1:v", "-c:v", "mjpeg", "-disposition:v",
                   "attached_pic"] if name in WITH_PICTURE else []
        ffmpeg("-i", folder / "source.wav", *picture, *options.split(), *TAGS, folder / name)
        sounds[name] = (folder / name).read_bytes()
    for name, options in PICTURES.items():
        frames = ["-frames:v", 2 if name.endswith("gif") else 1]
        ffmpeg("-i", folder / "source%d.png", *options.split(), *frames, folder / name)
        pictures[name] = (folder / name).read_bytes()
    return sounds, pictures


def truncate(draw, data):
    return data[:draw.randrange(len(data))]


def flip(draw, data):
    """A few bits anywhere."""
    for _ in range(draw.choice((1, 2, 8, 64))):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return data


def flip_head(draw, data):
    """Bits where the headers are."""
    for _ in range(draw.choice((1, 2, 8))):
        data[draw.randrange(min(len(data), 512))] ^= 1 << draw.randrange(8)
    return data


def extreme(draw, data):
    """A number of the file becomes the largest, the smallest or none, where the headers are."""
    at, width = draw.randrange(min(len(data), 2048)), draw.choice((1, 2, 4, 8))
    value = draw.choice((b"\xff", b"\x00", b"\x7f", b"\x80"))
    fill = value if value in (b"\xff", b"\x00") else value + b"\xff" * 7
    data[at:at + width] = (fill * width)[:width]
    return data


def repeat(draw, data):
    """A piece twice: chunks and pages come again."""
    begin = draw.randrange(len(data))
    end = min(len(data), begin + draw.randrange(1, 4096))
    return data[:end] + data[begin:end] * draw.choice((1, 2, 20)) + data[end:]


def drop(draw, data):
    begin = draw.randrange(len(data))
    return data[:begin] + data[begin + draw.randrange(1, 4096):]


def noise(draw, data):
    """A piece becomes random bytes."""
    begin = draw.randrange(len(data))
    end = min(len(data), begin + draw.randrange(1, 1024))
    data[begin:end] = draw.randbytes(end - begin)
    return data


def other_end(draw, data, others):
    """It goes on as a file of another kind."""
    other = draw.choice(others)
    cut = draw.random()
    return data[:int(len(data) * cut)] + other[int(len(other) * cut):]


KINDS = (truncate, truncate, flip, flip, flip_head, extreme, extreme, repeat, drop, noise)


def mutated(seed, name, data, others):
    """The same for the same seed and name, on any machine."""
    draw = random.Random(f"{seed}/{name}")
    if draw.random() < 0.05:
        return bytes(other_end(draw, data, others))
    data = bytearray(data)
    for _ in range(draw.choice((1, 1, 2))):
        data = draw.choice(KINDS)(draw, data) or bytearray(b"\0")
    return bytes(data)
