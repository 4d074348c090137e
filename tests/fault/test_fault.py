"""Uploads, edits, plays and log-ins go on while the platform is harmed; afterwards everything acknowledged must be there,
once. README.md tells what is done and what is checked."""
import time

import pytest

import check
from rounds import WORK_S


def judge(round_):
    round_.finish()
    found = list(round_.findings.words())
    assert not found, "\n".join(found[:20]) + f"\nseed {round_.seed}"


def until(round_):
    """Yields until the time of the harm is over."""
    deadline = time.monotonic() + WORK_S
    while time.monotonic() < deadline:
        yield


def test_killed(begin, number):
    """SIGKILL to the server at random moments; what it wrote is there, synced or not."""
    with begin("killed") as round_:
        round_.begin()
        for _ in until(round_):
            round_.pause(0.2, 1.2)
            round_.world.restart_after_kill(round_.world.front)
        judge(round_)


def test_power_cut(begin, number):
    """SIGKILL to all, and nothing is left but what was synced."""
    with begin("power cut", on_disk=True) as round_:
        round_.begin()
        for _ in until(round_):
            round_.pause(0.2, 1.2)
            round_.world.cut_power()
        judge(round_)


def test_power_cut_with_leavings(begin, number):
    """As before, but of what was not synced some names and some blocks of 4 KiB reached the disk."""
    with begin("power cut, parts left", on_disk=True) as round_:
        round_.begin()
        for _ in until(round_):
            round_.pause(0.2, 1.2)
            round_.world.cut_power(round_.random)
        judge(round_)


@pytest.mark.parametrize("broken", ["", "users.db", "catalog.db", "objects"])
def test_lost_syncs_are_noticed(begin, broken):
    """The harness can fail: on a disk that ignores the syncs of these files, acknowledged writes are lost, and the
    checks say so."""
    with begin(f"broken {broken}", on_disk=True, broken_disk=broken) as round_:
        round_.begin()
        time.sleep(1.5)
        round_.end()
        check.settle(round_)
        assert not list(round_.findings.words()) and not round_.journal.wrong and round_.journal.writes > 10
        round_.world.cut_power()
        check.api(round_)
        round_.world.stop()
        check.store(round_)
        assert round_.findings.lost, "every one of its syncs was ignored, and nothing is missing"
