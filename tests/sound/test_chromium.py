"""What Chromium plays through Media Source Extensions, recorded: starts, rung switches and joins are exact.

The recording is compared with the files as ffmpeg decodes them, trimmed to N and put end to end. A starved machine
inserts silence in whole blocks of 128 samples, so blocks of zeros are cut out and the rest is aligned by content.
"""
import json
import os
import pathlib
import subprocess
import warnings

import numpy
import pytest

import sound

HERE = pathlib.Path(__file__).parent
MODULES = HERE.parent / "browser" / "node_modules" / "playwright-core"
# RMS of a frame. PNS is noise of each decoder's own: mostly below 1e-4, seldom above 1e-3. A shift by one sample is some 6e-3.
BLEND, FAULT = 1e-3, 4e-3
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


def played(file):
    return sound.decode(file["path"])[:file["samples"]]


def heard(path):
    """The recording without blocks of silence: samples × 2."""
    tape = numpy.frombuffer(path.read_bytes(), "<f4").reshape(-1, 256)
    return tape[numpy.abs(tape).max(axis=1) > 0].reshape(-1, 2)


def errors_by_lag(wanted, tape):
    """How far tape is from wanted if that begins so many samples late: it was silent before, so within the first blocks."""
    return numpy.array([numpy.abs(tape[lag:lag + 4096] - wanted[:4096]).max() for lag in range(0, 256)])


def offset_of(wanted, tape):
    """Where wanted begins in tape."""
    return int(numpy.argmin(errors_by_lag(wanted, tape)))


def mse_cases(folder):
    """{name: (expected, plan)} for our own use of Media Source Extensions."""
    cases = {}
    whole = sound.sine(4 * 44100)

    def add(name, expected, tracks, mime=AAC):
        cases[name] = (expected, {"rate": 44100, "mime": mime, "tracks": tracks})

    for cut in (44100 + 331, 1025, 20480):
        first = sound.encode(folder / f"first{cut}", whole[:cut], "aac-160")["aac-160"]
        second = sound.encode(folder / f"second{cut}", whole[cut:2 * cut + 9000], "aac-160")["aac-160"]
        add(f"join-{cut}", numpy.concatenate([played(first), played(second)]), [track(first), track(second)])
    small = [sound.encode(folder / f"small{n}", whole[k * 3000:k * 3000 + n], "aac-320")["aac-320"]
             for k, n in enumerate((2048, 1023, 500, 5, 1024, 3000))]
    add("tiny", numpy.concatenate([played(file) for file in small]), [track(file) for file in small])

    lossless = sound.encode(folder / "lossless", whole[:60001], "flac", "aac-320")
    add("change", numpy.concatenate([played(lossless["aac-320"]), played(lossless["flac"]), played(lossless["aac-320"])]),
        [track(lossless["aac-320"], AAC), track(lossless["flac"], FLAC), track(lossless["aac-320"], AAC)])
    seven = numpy.zeros((60001, 8))
    seven[:, :2] = whole[:60001]  # front left and right alone
    files = [sound.encode(folder / f"seven{bits}", seven, "flac", rate=44100, bits=bits)["flac"] for bits in (24, 32)]
    add("seven", numpy.concatenate([whole[:60001]] * 2), [track(file) for file in files], FLAC)
    return cases


RUNGS = ["aac-96", "aac-160", "aac-320"]
LONG = 5 * sound.FRAGMENT - 1024 - 300
PLAYERS = {"hls.js": ("hls", "hls-320.m3u8"), "shaka-dash": ("shaka", "dash-320.mpd"),
           "shaka-hls": ("shaka", "hls-320.m3u8"), "dash.js": ("dash", "dash-320.mpd")}


class Recordings(dict):
    """{name: (expected, heard, result)} of {name: (expected, plan)}."""

    def __init__(self, folder, cases):
        super().__init__()
        self.folder, self.cases = folder, cases
        self.record(*cases)

    def record(self, *names):
        folder = self.folder
        (folder / "plans.json").write_text(json.dumps({name: self.cases[name][1] for name in names}))
        subprocess.run(["node", str(HERE / "chromium" / "record.mjs"), str(folder)], check=True)
        for name, result in json.loads((folder / "results.json").read_text()).items():
            tape = None if "failed" in result else heard(folder / f"{name}.f32")
            self[name] = (self.cases[name][0], tape, result)

    def judge(self, name, check):
        """check(expected, heard, result) passes for one of three takes.

        A busy machine can spoil a take, which is told; a fault of the files is in every take.
        """
        for take in (1, 2, 3):
            expected, tape, result = self[name]
            try:
                assert "failed" not in result, result["failed"]
                return check(expected, tape, result)
            except AssertionError as error:
                if take == 3:
                    raise
                warnings.warn(f"{name}, take {take}: {error}")
                self.record(name)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Everything is encoded, then played: {name: (expected, heard, result)}."""
    folder = tmp_path_factory.mktemp("chromium")
    cases = mse_cases(folder)
    rungs = sound.encode(folder / "rungs", sound.chords(LONG), *RUNGS)
    sound.write_manifests(folder / "rungs", rungs.values())
    by_rung = [sound.decode(rungs[name]["path"])[:LONG] for name in RUNGS]
    appends = sum((parts(rungs[name], {k}) for k, name in enumerate(["aac-96", "aac-320", "aac-160"])), [])
    appends += parts(rungs["aac-320"], {3, 4})
    cases["mse"] = (by_rung, {"rate": 44100, "mime": AAC, "tracks": [{"samples": LONG, "appends": appends}]})
    for name, (player, manifest) in PLAYERS.items():
        cases[name] = (by_rung, {"rate": 44100, "player": player, "url": f"/rungs/{manifest}",
                                 "switches": [[1, 2], [6, 1], [10, 0]]})
    return Recordings(folder, cases)


def cut_out(tape, expected, behind=0):
    """What was expected, cut out of the tape: silence before it, and no more than so many samples after."""
    at = offset_of(expected, tape)
    assert len(tape) - at >= len(expected), "samples are missing"
    assert numpy.abs(tape[at + len(expected) + behind:]).max(initial=0) == 0, "there is sound behind the end"
    assert numpy.abs(tape[:at]).max(initial=0) == 0, "there is sound before the start"
    return tape[at:at + len(expected)]


@pytest.mark.parametrize("name", ["join-44431", "join-1025", "join-20480", "tiny", "change"])
def test_tracks_join_to_the_sample(recorded, name):
    # Chromium makes float of FLAC's 16 bits by 1/32767, ffmpeg by 1/32768.
    limit = 2e-5 if name == "change" else 1e-6

    def check(expected, tape, result):
        assert result["ranges"] == 1, "there are gaps in what was buffered"
        assert numpy.abs(cut_out(tape, expected) - expected).max() < limit
    recorded.judge(name, check)


def test_flac_of_eight_channels_plays(recorded):
    """Mixed down by Chromium, by a factor of its own: the front channels alone, of a 24-bit and of a 32-bit master."""
    def check(expected, tape, result):
        assert result["ranges"] == 1
        gain = numpy.abs(tape).max() / numpy.abs(expected).max()
        assert 0.2 < gain <= 1.001
        assert numpy.abs(cut_out(tape, gain * expected) - gain * expected).max() < 1e-4
    recorded.judge("seven", check)


def check_switches(by_rung, tape, result, behind):
    """Every frame heard is that of one rung, at its own place; where rungs change, one frame blends the two."""
    assert result.get("errors", []) == []
    assert result["ranges"] == 1
    assert abs(result["duration"] - LONG / 44100) < (1e-5 if behind == 0 else 1024 / 44100)
    first = min(by_rung, key=lambda rung: errors_by_lag(rung, tape).min())  # a late player may begin behind the first switch
    start = cut_out(tape, first, behind)
    frames = LONG // 1024
    errors = numpy.array([numpy.sqrt(numpy.square(start - rung)[:frames * 1024].reshape(frames, -1).mean(axis=1))
                          for rung in by_rung])
    best, which = errors.min(axis=0), errors.argmin(axis=0)
    assert numpy.median(best) < 2e-4 and numpy.quantile(best, 0.98) < BLEND, "the frames are not those of any rung"
    assert len(set(which)) >= 2, "no switch happened"
    borders = numpy.array([(k + 1) * 172 - 1 + d for k in range(5) for d in (-2, -1, 0, 1)])
    assert best[borders[borders < frames]].max() < 0.1
    best[borders[borders < frames]] = 0
    assert best.max() < FAULT, "a fault away from the borders"


# Players that are not told the end play on to the end of its frame; ours is told.
@pytest.mark.parametrize("name,behind", [("mse", 0)] + [(name, 1023) for name in PLAYERS])
def test_rungs_switch_to_the_sample(recorded, name, behind):
    recorded.judge(name, lambda *recording: check_switches(*recording, behind))
