"""What Chromium plays through Media Source Extensions, recorded: starts, rung switches and joins are exact.

The recording is compared with the files as ffmpeg decodes them, trimmed to N and put end to end. A starved machine
inserts silence in whole blocks of 128 samples, so blocks of zeros are cut out and the rest is aligned by content.
"""
import json
import os
import pathlib
import subprocess

import numpy
import pytest

import sound

HERE = pathlib.Path(__file__).parent
MODULES = HERE.parent / "browser" / "node_modules" / "playwright-core"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not (MODULES.exists() and os.path.exists(CHROMIUM)),
                                reason="playwright-core (npm ci in tests/browser) and chromium are not installed")
AAC, FLAC = 'audio/mp4; codecs="mp4a.40.2"', 'audio/mp4; codecs="flac"'


def parts(file, wanted=None):
    """[[url, begin, end]]: init, then the fragments wanted (all without)."""
    url = f"/{file['path'].parent.name}/{file['path'].name}"
    out, at = [[url, 0, file["initBytes"]]], file["initBytes"] + file["indexBytes"]
    for number, (size, _) in enumerate(file["fragments"]):
        if wanted is None or number in wanted:
            out.append([url, at, at + size])
        at += size
    return out


def track(file, mime=None):
    return {"samples": file["samples"], "appends": parts(file), **({"mime": mime} if mime else {})}


def heard(path):
    """The recording without blocks of silence: samples × 2."""
    tape = numpy.frombuffer(path.read_bytes(), "<f4").reshape(-1, 256)
    return tape[numpy.abs(tape).max(axis=1) > 0].reshape(-1, 2)


def offset_of(wanted, tape):
    """Where wanted begins in tape: it was silent before, so within the first blocks."""
    errors = [numpy.abs(tape[lag:lag + 4096] - wanted[:4096]).max() for lag in range(0, 256)]
    return int(numpy.argmin(errors))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Everything is encoded, then played in one browser: {name: (expected, heard, ranges)}."""
    folder = tmp_path_factory.mktemp("chromium")
    whole = sound.sine(4 * 44100)
    cases, plans = {}, {}

    def add(name, expected, tracks, mime=AAC):
        cases[name] = expected
        plans[name] = {"rate": 44100, "mime": mime, "tracks": tracks}

    def played(file):
        return sound.decode(file["path"])[:file["samples"]]

    for cut in (44100 + 331, 1025, 20480):
        first = sound.encode(folder / f"first{cut}", whole[:cut], "aac-160")["aac-160"]
        second = sound.encode(folder / f"second{cut}", whole[cut:2 * cut + 9000], "aac-160")["aac-160"]
        add(f"join-{cut}", numpy.concatenate([played(first), played(second)]), [track(first), track(second)])
    small = [sound.encode(folder / f"small{n}", whole[k * 3000:k * 3000 + n], "aac-320")["aac-320"]
             for k, n in enumerate((2048, 1023, 500, 5, 1024, 3000))]
    add("tiny", numpy.concatenate([played(file) for file in small]), [track(file) for file in small])

    source = sound.chords(3 * sound.FRAGMENT - 1024 - 300)
    rungs = sound.encode(folder / "rungs", source, "aac-96", "aac-160", "aac-320")
    sequence = ["aac-96", "aac-320", "aac-160"]
    appends = parts(rungs["aac-96"], {0}) + parts(rungs["aac-320"], {1}) + parts(rungs["aac-160"], {2})
    switch = [{"samples": len(source), "appends": appends}]
    add("switch", numpy.concatenate([played(rungs[name])[k * sound.FRAGMENT:][:sound.FRAGMENT]
                                     for k, name in enumerate(sequence)]), switch)

    lossless = sound.encode(folder / "lossless", whole[:60001], "flac", "aac-320")
    add("change", numpy.concatenate([played(lossless["aac-320"]), played(lossless["flac"]), played(lossless["aac-320"])]),
        [track(lossless["aac-320"], AAC), track(lossless["flac"], FLAC), track(lossless["aac-320"], AAC)])

    (folder / "plans.json").write_text(json.dumps(plans))
    subprocess.run(["node", str(HERE / "chromium" / "record.mjs"), str(folder)], check=True, timeout=300)
    results = json.loads((folder / "results.json").read_text())
    return {name: (expected, heard(folder / f"{name}.f32"), results[name]["ranges"]) for name, expected in cases.items()}


def compare(recorded, name):
    """The recording cut to what was expected, and both lengths checked."""
    expected, tape, ranges = recorded[name]
    assert ranges == 1, "there are gaps in what was buffered"
    at = offset_of(expected, tape)
    assert len(tape) - at >= len(expected), "samples are missing"
    assert numpy.abs(tape[at + len(expected):]).max(initial=0) == 0, "there is sound behind the end"
    assert numpy.abs(tape[:at]).max(initial=0) == 0, "there is sound before the start"
    return expected, tape[at:at + len(expected)]


@pytest.mark.parametrize("name", ["join-44431", "join-1025", "join-20480", "tiny", "change"])
def test_tracks_join_to_the_sample(recorded, name):
    expected, tape = compare(recorded, name)
    # Chromium makes float of FLAC's 16 bits by 1/32767, ffmpeg by 1/32768.
    limit = 2e-5 if name == "change" else 1e-6
    assert numpy.abs(tape - expected).max() < limit


def test_rungs_switch_to_the_sample(recorded):
    """Away from the borders each rung is itself; at a border one frame blends the two."""
    expected, tape = compare(recorded, "switch")
    error = numpy.abs(tape - expected).max(axis=1)
    for border in (175104, 175104 + sound.FRAGMENT):
        assert error[border - 2048:border + 2048].max() < 0.1
        error[border - 1024:border + 1024] = 0
    assert numpy.sqrt(numpy.mean(numpy.square(error))) < 1e-3
