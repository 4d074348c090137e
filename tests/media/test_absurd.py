"""Headers that claim, nest or blow up what no file holds. Each is answered soon, and within the limits."""
import pytest

import absurd
import media
import mutate

MEMORY_MAX = 1536 << 20
GROUPS = ["wav", "aiff", "flac", "mp3", "mp4", "ogg", "others", "strangers", "pictures"]


@pytest.fixture(scope="module")
def files(good, folder):
    """{group: [(name, bytes)]}"""
    sounds, pictures = good
    return {"wav": absurd.wavs(), "aiff": absurd.aiffs(), "flac": absurd.flacs(sounds["a.flac"]),
            "mp3": absurd.mp3s(sounds["a.mp3"]), "mp4": absurd.mp4s(), "ogg": absurd.oggs(sounds["a.ogg"]),
            "others": absurd.others(), "strangers": absurd.strangers(folder, mutate.ffmpeg),
            "pictures": absurd.pictures(pictures["a.webp"])}


@pytest.mark.parametrize("group", GROUPS)
def test_absurd_files_are_answered(files, group, good):
    seen, wrong = 0, []
    with media.Media() as process:
        for name, body in files[group]:
            seen += 1
            try:
                answer = (process.cover(body, [64, 600]) if group == "pictures" else process.first(body))[0]
                if group == "strangers":
                    assert answer["code"] == "not-audio", answer
                assert process.memory_max() <= MEMORY_MAX
            except (AssertionError, media.Died) as error:
                wrong.append((name, f"{type(error).__name__}: {error}"[:300]))
        assert process.first(good[0]["16.wav"])[0]["ok"]
    assert wrong == [] and seen > 5


# What the artist is told: group, file, code, a part of the words.
TOLD = [
    ("wav", "data of 1 GiB", "truncated", "although its header says 6087 s"),
    ("wav", "65,535 channels", "bad-channels", "65535 channels"),
    ("wav", "ATRAC", "not-audio", "ATRAC3"),
    ("flac", "2^36 samples", "too-long", "longer than 6 hours"),
    ("flac", "1 MHz", "bad-rate", "1048575 Hz"),
    ("mp3", "4 billion frames of sound", "too-long", "longer than 6 hours"),
    ("others", "WavPack of 4 billion samples", "too-long", "longer than 6 hours"),
    ("pictures", "2^31 a side", "too-many-pixels", "2147483647 × 2147483647"),
    ("pictures", "a GIF of 65,535 a side", "too-many-pixels", "64 million"),
    ("pictures", "a drawing", "not-image", "JPEG, PNG, WebP and GIF"),
]


@pytest.mark.parametrize("group, name, code, words", TOLD)
def test_the_words_say_what_is_wrong(good, folder, group, name, code, words):
    sounds, pictures = good
    made = {"wav": absurd.wavs, "flac": lambda: absurd.flacs(sounds["a.flac"]), "mp3": lambda: absurd.mp3s(sounds["a.mp3"]),
            "others": absurd.others, "pictures": lambda: absurd.pictures(pictures["a.webp"])}[group]()
    body = next(body for title, body in made if title == name)
    with media.Media() as process:
        answer = (process.cover(body, [64, 600]) if group == "pictures" else process.first(body))[0]
    assert (answer["ok"], answer["code"], answer["final"]) == (False, code, True)
    assert words in answer["reason"]


def test_a_word_takes_no_memory_before_it_is_there():
    body = next(body for name, body in absurd.wavs() if name == "a word of 1 GiB")
    with media.Media() as process:
        assert process.first(body)[0]["code"] == "damaged"
        assert process.memory_max() < 256 << 20


def test_texts_and_profiles_of_a_png_are_not_unpacked(good):
    """Each would take more than a gigabyte."""
    bombs = [body for name, body in absurd.pictures(good[1]["a.webp"]) if name.endswith("of 4 GB")]
    assert len(bombs) == 3
    with media.Media() as process:
        for body in bombs:
            assert process.cover(body)[0]["ok"]
        assert process.memory_max() < 512 << 20
