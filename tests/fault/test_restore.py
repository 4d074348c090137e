"""`tutti restore` killed at every sync, with and without the power going: what was there before, or what came, and
nothing in between that anybody would take for an installation."""
import os
import random
import shutil
import subprocess

import pytest

import disk
from world import BINARY, PASSWORD, UNLIMITED, World, free_port, roomy_folder

CUT_OFF = "was cut off"
SYNCS_MAX = 400


def tutti(*arguments, data, environment=None, stdin=""):
    return subprocess.run([BINARY, *arguments, "--data", str(data)], input=stdin, text=True, capture_output=True, timeout=60,
                          env={**os.environ, **(environment or {})})


def users(data):
    done = tutti("user", "list", data=data)
    assert done.returncode == 0, done.stderr
    return [line.split()[1] for line in done.stdout.splitlines()]


def keys_of(data):
    return {path.name: path.read_bytes() for path in (data / "keys").iterdir()}


def install(data, username):
    """A data directory with one user, and with keys of every kind that the first start makes."""
    tutti("user", "add", username, "--role", "admin", "--password-stdin", data=data, stdin=PASSWORD + "\n")
    tutti("s3", "key", "add", username, data=data)
    tutti("keys", "rotate", data=data)
    assert users(data) == [username]


@pytest.fixture(scope="module")
def place():
    folder = roomy_folder() / f"tutti-fault-restore-{random.SystemRandom().getrandbits(32):08x}"
    folder.mkdir()
    (folder / "key").write_bytes(os.urandom(32))
    (folder / "key").chmod(0o600)
    install(folder / "old", "older")
    install(folder / "new", "newer")
    made = tutti("backup", str(folder / "backup"), "--key-file", str(folder / "key"), data=folder / "new")
    assert made.returncode == 0, made.stderr
    yield folder
    shutil.rmtree(folder)


def restore(place, data, **environment):
    return tutti("restore", str(place / "backup"), "--key-file", str(place / "key"), "--replace", data=data,
                 environment=environment)


def serve_refused(data):
    """A start of the server on what a cut left; what it says."""
    before = sorted(os.listdir(data))
    done = tutti("serve", "--listen", f"127.0.0.1:{free_port()}", data=data, environment=UNLIMITED)
    assert done.returncode == 1 and sorted(os.listdir(data)) == before
    return done.stderr


def check_whole(data, place, which, username):
    """A copy of it, since to open one changes it."""
    shutil.copytree(data, place / "copy")
    try:
        assert keys_of(place / "copy") == keys_of(place / which) and users(place / "copy") == [username]
    finally:
        shutil.rmtree(place / "copy")


def check_cut_off(place, data):
    """Whoever would open the data says what happened and what to do."""
    for command in (["user", "list"], ["keys", "rotate"], ["migrate"], ["sweep"], ["doctor"],
                    ["backup", str(place / "another"), "--key-file", str(place / "key")]):
        refused = tutti(*command, data=data)
        said = refused.stderr + refused.stdout
        assert refused.returncode == 1 and CUT_OFF in said and "tutti restore FILE --replace" in said, command


@pytest.mark.parametrize("power", ["stays", "goes"])
def test_killed_at_every_sync(place, tabled, power):
    """Each rename has a sync of its own behind it, so that every state that a kill can leave is here."""
    cut_off = 0
    for at in range(1, SYNCS_MAX):
        root, data = place / "root", place / "root" / "data"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        shutil.copytree(place / "old", data)
        image = disk.Disk(root, place / "image")
        image.settle()
        killed = restore(place, data, **image.environment(), TUTTI_FAULT_DIE=str(at))
        if power == "goes":
            image.cut()
        if killed.returncode == 0:
            break
        assert killed.returncode == -9, killed.stderr
        if (data / ".restore").exists():
            cut_off += 1
            changed = False
            assert CUT_OFF in serve_refused(data)
            if cut_off == 8:
                check_cut_off(place, data)
            if cut_off % 3 == 0:  # to go back, no backup is needed
                assert tutti("restore", str(place / "nothing"), data=data).returncode == 1
                check_whole(data, place, "old", "older")
        else:
            changed = keys_of(data) == keys_of(place / "new")
            check_whole(data, place, *(("new", "newer") if changed else ("old", "older")))
        again = restore(place, data)
        assert again.returncode == 0, again.stderr
        check_whole(data, place, "new", "newer")
        asides = sorted(data.glob("before-restore-*"))
        check_whole(asides[0 if changed else -1], place, "old", "older")
        assert not list(data.rglob("*.restoring*")) and not list(data.glob(".restore*"))
    assert killed.returncode == 0 and cut_off >= 10, "a kill behind each of the renames"
    check_whole(data, place, "new", "newer")
    tabled(f"restore killed at a sync, power {power}", harms=at - 1)


def test_a_restore_outlives_a_power_cut(known, place, tabled):
    """Databases, keys and objects in folders of their own; the power goes when it has said that it is done."""
    sealed, blobs = ["--key-file", str(place / "key")], ["--blobs", str(place / "blobs")]
    made = tutti("backup", str(place / "known"), *sealed, *blobs, data=known.data)
    assert made.returncode == 0, made.stderr
    with World(place / "world", on_disk=True, untouched=True) as world:
        world.run("restore", str(place / "known"), *sealed, *blobs)
        world.disk.cut()
        world.harms += 1
        kept = {path.name: path.read_bytes() for path in world.keys.iterdir()}
        assert kept == keys_of(known.data) and len(kept) >= 4, sorted(kept)
        world.start()
        assert {name for name, in world.rows("SELECT username FROM users", database="users")} >= {"maker", "second"}
        world.stop()
        tabled("power cut after a restore", harms=world.harms)
