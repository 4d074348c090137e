"""Uploads, edits, plays and log-ins go on while the platform is harmed; afterwards everything acknowledged must be there,
once. README.md tells what is done and what is checked."""
import contextlib
import os
import shutil
import signal
import sqlite3
import time
from random import Random

import pytest
import requests

import check
from cutter import Cutter
from world import FRONT, SmallDisk, World

ROLES = ((None,), (FRONT, "transcode"))  # one process, or two


def judge(round_):
    round_.finish()
    found = list(round_.findings.words())
    assert not found, "\n".join(found[:20]) + f"\nseed {round_.seed}"


def test_killed(begin, number):
    """SIGKILL to the server at random moments; what it wrote is there, synced or not."""
    with begin("killed") as round_:
        round_.begin()
        for _ in round_.until():
            round_.pause(0.2, 1.2)
            round_.world.restart_after_kill(round_.world.front)
        judge(round_)


def test_power_cut(begin, number):
    """SIGKILL to all, and nothing is left but what was synced."""
    with begin("power cut", on_disk=True, roles=ROLES[number % 2]) as round_:
        round_.begin()
        for _ in round_.until():
            if round_.random.random() < 0.3:  # the next process takes over what this one had not synced
                round_.pause(0.1, 0.4)
                round_.world.restart_after_kill(round_.world.front)
            round_.pause(0.2, 0.8)
            round_.world.cut_power()
        judge(round_)


def test_power_cut_with_leavings(begin, number):
    """As before, but of what was not synced some names and some blocks of 4 KiB reached the disk."""
    with begin("power cut, parts left", on_disk=True, roles=ROLES[number % 2]) as round_:
        round_.begin()
        for _ in round_.until():
            round_.pause(0.2, 1.2)
            round_.world.cut_power(round_.random)
        judge(round_)


def test_power_cut_at_the_first_start(tmp_path, tabled, number, request):
    """From nothing at all: whenever the power goes, the next start comes up; who and what was acknowledged is there, and
    every key that something was signed with."""
    random = Random(f"{request.config.getoption('--seed')}/first/{number}")
    with World(tmp_path / "world", on_disk=True, untouched=True) as world:
        places, keys = {}, {}
        for again in range(6):
            node = world.front.start()
            if again % 2:
                node.wait_ready()
                name = f"person{again}"
                world.add_user(name, "artist")
                places[name] = put_object(world, name)
                keys.update((file, file.read_bytes()) for file in world.keys.iterdir())
            time.sleep(random.uniform(0, 0.15))
            world.cut_power(random if number % 2 else None, restart=False)
        world.start()
        lost = [file.name for file, body in keys.items() if not file.exists() or not file.read_bytes().startswith(body)]
        for name, key in places.items():
            check.signed_in(world, name)
            path = check.objects(world).get(("uploads", key))
            lost += [] if path and check.check_object(path) is None else [f"the upload of {name}"]
        tabled("power cut, first start", harms=world.harms, writes=2 * len(places), lost=len(lost))
        assert not lost
        world.stop()


def test_killed_at_a_sync(tmp_path, tabled, number, request):
    """SIGKILL at the very moment of one of the first syncs, by its number; what the next process then acknowledges, on top
    of what this one left, survives a power cut."""
    random = Random(f"{request.config.getoption('--seed')}/sync/{number}")
    for again in range(2):
        with World(tmp_path / str(again), on_disk=True, untouched=True) as world:
            at = random.randrange(1, 70)
            node = world.front.start(TUTTI_FAULT_DIE=str(at))
            with contextlib.suppress(AssertionError):
                node.wait_ready()
            world.add_user("maker", "artist")
            with contextlib.suppress(requests.ConnectionError):
                put_object(world, "maker")
            node.kill()
            node.start().wait_ready()
            key = put_object(world, "maker")
            world.cut_power()
            path = check.objects(world).get(("uploads", key))
            lost = not path or check.check_object(path) is not None
            tabled("killed at a sync, then power cut", harms=2, writes=2, lost=int(lost))
            assert not lost, f"the upload after a kill at sync {at} is lost"
            check.signed_in(world, "maker")


def put_object(world, name):
    """Uploads something; its key."""
    place = check.signed_in(world, name).get(world.url + "/api/v1/tracks/upload-url?filename=a.wav", timeout=10).json()
    assert requests.put(place["uploadUrl"], data=b"sound" * 2000, timeout=10).status_code == 200
    return place["trackUrl"].split("/uploads/")[1]


def test_killed_workers(begin, number):
    """The transcoding in a process of its own, which is killed, as sometimes is the other one."""
    with begin("workers killed", roles=(FRONT, "transcode"), uploads_each=5) as round_:
        round_.begin()
        for _ in round_.until():
            round_.pause(0.1, 0.9)
            node = round_.world.nodes[0 if round_.random.random() < 0.2 else 1]
            round_.world.restart_after_kill(node)
        judge(round_)


def test_killed_media(begin, number):
    """tutti-media dies while it decodes and encodes."""
    with begin("media killed", uploads_each=5) as round_:
        round_.begin()
        for _ in round_.until(lambda: round_.world.harms > 0):
            round_.pause(0.001, 0.05)
            for pid in round_.world.front.media():
                if round_.world.harms < 4 and round_.random.random() < 0.3:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        round_.world.harms += 1
        judge(round_)


def test_full_disk(begin, number, tmp_path):
    """No room at all for a while, again and again; sometimes the server is killed meanwhile."""
    if not SmallDisk.possible(tmp_path):
        pytest.skip("needs the right to mount a tmpfs: root, or a user namespace (unshare -rm)")
    with begin("disk full", small_disk=True) as round_:
        round_.begin()
        for _ in range(2):  # not more often: a job that finds it full thrice waits for 16 s
            round_.pause(0.3, 0.9)
            round_.world.small.fill(leave=int(200_000 * round_.random.random() ** 3))
            round_.world.harms += 1
            round_.pause(0.2, 0.8)
            killed = round_.random.random() < 0.25
            if killed:
                round_.world.front.kill()
            round_.world.small.free()
            if killed:
                round_.world.front.start().wait_ready()
            assert round_.world.front.process.poll() is None, round_.world.log_tail()
        judge(round_)


def test_cut_connections(begin, number):
    """Between clients and server stands one that cuts connections after a number of bytes, either way."""
    with begin("connections cut") as round_:
        round_.lingering = True
        cutter = Cutter(round_.seed, round_.world.front.port)
        round_.world.public_url = f"http://localhost:{cutter.port}"
        round_.begin()
        for _ in round_.until(lambda: cutter.cuts > 5):
            time.sleep(0.1)
        round_.end()
        cutter.cutting = False
        round_.world.harms = cutter.cuts
        judge(round_)
        assert cutter.cuts > 5
        cutter.done()


def test_jumping_clock(begin, number):
    """The wall clock jumps by hours, ahead and back; the server is killed now and then. No two times are a day apart: for so
    long an Idempotency-Key is known, and what got no answer is sent again with its own."""
    with begin("clock jumps", clock=True) as round_:
        round_.begin()
        for _ in round_.until():
            round_.pause(0.2, 0.7)
            round_.world.clock.set(int(round_.random.uniform(-11.9, 11.9) * 3600_000))
            round_.world.harms += 1
            if round_.random.random() < 0.3:
                round_.world.restart_after_kill(round_.world.front)
        judge(round_)


@pytest.mark.parametrize("broken", ["", "users.db", "catalog.db", "objects"])
def test_lost_syncs_are_noticed(begin, broken):
    """The harness can fail: on a disk that ignores the syncs of these files, acknowledged writes are lost, and the
    checks say so."""
    with begin(f"broken {broken}", on_disk=True, broken_disk=broken) as round_:
        round_.begin()
        for _ in round_.until():
            time.sleep(0.1)
        round_.end()
        check.settle(round_)
        assert not list(round_.findings.words()) and not round_.journal.wrong
        round_.world.cut_power()
        check.api(round_)
        round_.world.stop()
        check.store(round_)
        assert round_.findings.lost, "every one of its syncs was ignored, and nothing is missing"


def spoil_object(world):
    path = next(path for (_, key), path in check.objects(world).items() if key.endswith("aac-160.mp4"))
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)


def add_object(world):
    path = next(path for (_, key), path in check.objects(world).items() if key.endswith("aac-160.mp4"))
    shutil.copy(path, path.with_name("left-over.obj"))


def remove_object(world):
    next(path for (_, key), path in check.objects(world).items() if key.endswith("aac-160.mp4")).unlink()


def change(statement):
    def work(world):
        with contextlib.closing(sqlite3.connect(world.data / "catalog.db")) as database, database:
            assert database.execute(statement).rowcount > 0
    return work


@pytest.mark.parametrize("spoil, kind, words", [
    (spoil_object, "other", "not its ETag"),
    (add_object, "orphans", "left-over"),
    (remove_object, "lost", "aac-160.mp4"),
    (change("DELETE FROM bus_outbox WHERE type = 'track.uploaded'"), "other", "without its event"),
    (change("UPDATE bus_consumer SET position = position - 40 WHERE name = 'catalog.media'"), "other", "is behind"),
    (change("INSERT INTO bus_outbox SELECT sequence + 9000, -id, type, entity_key, payload, created_at"
            " FROM bus_outbox WHERE type = 'media.complete'"), "doubled", "told twice"),
    (change("UPDATE transcode_job SET state = 'running'"), "other", "does not end"),
    (change("DELETE FROM rendition WHERE file = 'aac-96.mp4'"), "other", "count of renditions"),
    (change("UPDATE album SET duration_ms = duration_ms + 1"), "other", "sum of an album"),
])
def test_the_checks_see(begin, spoil, kind, words):
    """Whatever is spoiled by hand in what the template left is found."""
    with begin("spoiled") as round_:
        check.database(round_)
        check.store(round_)
        assert not list(round_.findings.words())
        spoil(round_.world)
        check.database(round_)
        check.store(round_)
        assert any(words in line for line in getattr(round_.findings, kind)), list(round_.findings.words())
        round_.findings = check.Findings()
