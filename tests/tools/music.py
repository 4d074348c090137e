"""Music made of numbers, for what listens to it: a seed is a piece, the rest is how it is played."""
import array
import math
import random
import subprocess
import wave

RATE = 22050


def note(pitch, seconds, detune):
    """Samples of a plucked string."""
    hertz = 110 * 2 ** ((pitch + detune) / 12)
    return [math.exp(-3 * i / RATE) * (math.sin(2 * math.pi * hertz * i / RATE) + 0.5 * math.sin(4 * math.pi * hertz * i / RATE)
            + 0.25 * math.sin(6 * math.pi * hertz * i / RATE)) for i in range(int(seconds * RATE))]


def piece(path, seed, seconds=30, beat=0.25, detune=0.0, noise=0.0, loud=0.2):
    """A WAV of it: two voices and a bass that walk through a scale."""
    draw = random.Random(seed)
    scale = [0, 2, 3, 5, 7, 8, 10, 12, 14, 15, 17, 19, 20, 22, 24]
    kept, samples, hiss = {}, array.array("h"), random.Random(f"{seed} {noise}")
    for _ in range(int(seconds / 0.25)):  # as many beats at any speed
        pitches = [draw.choice(scale[:5]), 12 + draw.choice(scale), 24 + draw.choice(scale)]
        for pitch in pitches:
            if pitch not in kept:
                kept[pitch] = note(pitch, beat, detune)
        for voices in zip(*(kept[pitch] for pitch in pitches)):
            level = sum(voices) * loud + (hiss.uniform(-noise, noise) if noise else 0)
            samples.append(int(max(-1, min(1, level)) * 32000))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return path


def encode(source, path, *options):
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", str(source), *options, str(path)], check=True, timeout=60)
    return path
