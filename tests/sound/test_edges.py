"""The first and the last 1024 samples are coded as well as the middle."""
import pytest

import sound

# dBFS of error that the first and last 1024 samples of a sine may have; plain encoding has −14 and −28 at 96.
LIMITS = {"aac-96": (-46, -44), "aac-160": (-72, -70), "aac-320": (-72, -70)}


@pytest.mark.parametrize("count", [44100, 44100 + 500, 4 * 44100 + 77])
def test_a_sine_starts_and_ends_clean(tmp_path, count):
    source = sound.sine(count)
    for name, file in sound.encode(tmp_path, source, *LIMITS).items():
        error = sound.decode(file["path"])[:count] - source
        first, last = LIMITS[name]
        assert sound.db(error[:1024]) < first, name
        assert sound.db(error[-1024:]) < last, name


# Noise at 320 is left out: there the encoder's error varies by 8 dB from one fading end to another.
@pytest.mark.parametrize("make,names", [(sound.noise, ["aac-96", "aac-160"]), (sound.chords, list(LIMITS))])
def test_other_sound_is_no_worse_at_its_edges(tmp_path, make, names):
    source = make(4 * 44100 + 77)
    for name, file in sound.encode(tmp_path, source, *names).items():
        error = sound.decode(file["path"])[:len(source)] - source
        worst = max(sound.db(error[at:at + 1024]) for at in range(2048, len(source) - 3072, 1024))
        assert sound.db(error[:1024]) < worst + 1, name
        assert sound.db(error[-1024:]) < worst + 1, name


def test_what_sounds_behind_the_end_has_no_click(tmp_path):
    """Players that are not told N play up to 1023 samples more: they must fade, not jump."""
    source = sound.sine(44100 + 125)
    for name, file in sound.encode(tmp_path, source, *LIMITS).items():
        decoded = sound.decode(file["path"])
        steps = abs(decoded[1:] - decoded[:-1]).max(axis=1)
        assert len(decoded) > len(source) and steps[len(source) - 1:].max() < 1.1 * steps[1000:-2000].max(), name
