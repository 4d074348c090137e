"""Every format that is taken, damaged by every seed: each is taken or refused with words, and the process lives on.

What a file says of itself must hold to the end: where the first rung was made, the ladder is made too, of as many
samples, and its picture can be had. Between them a good file gives the same bytes as before: nothing stays behind.
"""
import concurrent.futures
import os

import pytest

import media
import mutate

GOOD_EVERY = 50
LADDER_EVERY = 10


def follow(process, answer, told, body, ladder):
    """What the server does with a file whose first rung was made."""
    if answer["hasArt"]:
        found, picture = process.art(body)
        assert found["ok"] and len(picture) == found["bytes"] > 0
        process.cover(picture)
    if ladder:
        probe = answer["probe"]
        flac = [("flac", 0)] if probe["lossless"] and probe["flac"] else []
        made, renditions, _ = process.ladder(body, ("aac", 96), ("opus", 96), *flac)
        assert made["ok"] and len(renditions) == 2 + len(flac), made
        assert renditions[0]["samples"] == told[0]["samples"]
        assert not flac or renditions[2]["samples"] == probe["samples"]


def check_seed(process, name, body, seed):
    if name in mutate.PICTURES:
        process.cover(body)
        return
    answer, told, _ = process.first(body)
    if answer["ok"]:
        follow(process, answer, told, body, seed % LADDER_EVERY == 0)


def run_all(name, seeds, sounds, pictures):
    """What went wrong: [(seed, words)]."""
    everything = {**sounds, **pictures}
    good, others = everything[name], list(everything.values())
    wrong, reference = [], None
    with media.Media() as process:
        for seed in seeds:
            try:
                check_seed(process, name, mutate.mutated(seed, name, good, others), seed)
                if seed % GOOD_EVERY == 0:
                    made = process.job({"job": "ladder", "outputs": [{"format": "aac", "bitrate": 160}]}, sounds["16.wav"], 1)
                    assert made[0]["ok"] and reference in (None, made[2]), "a good file became another one"
                    reference = made[2]
            except (AssertionError, media.Died) as error:
                wrong.append((seed, f"{type(error).__name__}: {error}"[:500]))
        if process.process is not None:
            assert process.memory_max() < 1 << 30
            assert process.end() == 0
    return wrong


@pytest.fixture(scope="module")
def outcomes(good, request):
    """{name: the future of run_all}, on all cores."""
    first = request.config.getoption("--seed")
    seeds = range(first, first + request.config.getoption("--seeds"))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {name: pool.submit(run_all, name, seeds, *good) for name in (*mutate.SOUNDS, *mutate.PICTURES)}


@pytest.mark.parametrize("name", [*mutate.SOUNDS, *mutate.PICTURES])
def test_no_damage_does_any_harm(outcomes, name):
    assert outcomes[name].result() == []


def test_seeds_are_the_same_everywhere():
    body = bytes(range(256)) * 8
    made = [mutate.mutated(seed, "x", body, [b"other" * 99]) for seed in range(40)]
    assert made == [mutate.mutated(seed, "x", body, [b"other" * 99]) for seed in range(40)]
    assert len(set(made)) > 35 and sum(one == body for one in made) <= 2
