"""Halves of a sine, made into two tracks, join without a missing or an extra sample; rungs switch inside one."""
import numpy
import pytest

import sound

CUTS = [1025, 20480, 44100, 44100 + 331, 88200 - 1]
RUNGS = ["aac-96", "aac-160", "aac-320"]


@pytest.mark.parametrize("cut", CUTS)
def test_two_halves_are_the_whole(tmp_path, cut):
    whole = sound.sine(3 * 44100 + 7)
    first = sound.encode(tmp_path / "first", whole[:cut], *RUNGS)
    second = sound.encode(tmp_path / "second", whole[cut:], *RUNGS)
    alone = sound.encode(tmp_path / "whole", whole, *RUNGS)
    for name in RUNGS:
        # What an append window of [c, c + N) leaves of each.
        parts = [sound.decode(file["path"])[:file["samples"]] for file in (first[name], second[name])]
        joined = numpy.concatenate(parts)
        assert len(joined) == len(whole)
        own = sound.decode(alone[name]["path"])[:len(whole)] - whole
        worst = max(sound.db(own[at:at + 1024]) for at in range(0, len(own) - 1024, 1024))
        near = slice(max(0, cut - 1024), cut + 1024)
        assert sound.db(joined[near] - whole[near]) < max(worst, -60) + 3, name
        # A sample lost or doubled would be a step of 997 Hz's slope and a shift of all behind it.
        assert numpy.abs(joined[near] - whole[near]).max() < 0.03, name


def rung_file(path, files, rungs):
    """What a player appends that takes fragment k from rungs[k]: no index, which speaks of one file only."""
    out = b""
    for number, name in enumerate(rungs):
        file = files[name]
        data = file["path"].read_bytes()
        sizes = [fragment[0] for fragment in file["fragments"]]
        at = file["initBytes"] + file["indexBytes"] + sum(sizes[:number])
        out += (data[:file["initBytes"]] if number == 0 else b"") + data[at:at + sizes[number]]
    path.write_bytes(out)


@pytest.mark.parametrize("make", [sound.sine, sound.chords])
def test_rungs_switch_at_fragments_without_loss(tmp_path, make):
    source = make(4 * sound.FRAGMENT - 1024 - 300)
    files = sound.encode(tmp_path, source, *RUNGS)
    alone = {name: sound.decode(file["path"])[:len(source)] - source for name, file in files.items()}
    assert all(len(file["fragments"]) == 4 for file in files.values())
    rung_file(tmp_path / "mixed.mp4", files, ["aac-96", "aac-320", "aac-160", "aac-96"])
    mixed = sound.decode(tmp_path / "mixed.mp4")
    assert len(mixed) == sound.aac_frames(len(source)) * 1024 - 1024
    error = mixed[:len(source)] - source
    for border in (175104, 175104 + sound.FRAGMENT, 175104 + 2 * sound.FRAGMENT):
        near = slice(border - 1024, border + 1024)
        worst = max(sound.db(other[near]) for other in alone.values())
        assert sound.db(error[near]) < worst + 6
    inside = slice(175104 + 2048, 175104 + sound.FRAGMENT - 2048)
    assert numpy.abs(mixed[inside] - (alone["aac-320"] + source)[inside]).max() < 1e-3


def test_all_rungs_have_the_same_head_borders_and_times(tmp_path):
    files = sound.encode(tmp_path, sound.chords(3 * sound.FRAGMENT + 5), *RUNGS)
    heads = {file["path"].read_bytes()[:file["initBytes"]] for file in files.values()}
    times = {tuple(duration for _, duration in file["fragments"]) for file in files.values()}
    assert len(heads) == 1 and len(times) == 1
