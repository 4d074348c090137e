"""What the tests of running Tutti for years share: the fixtures of the journeys (a real server, people,
uploads).

    programs       starts and runs other people's programs (programs.py)
    tutti          a command of the binary: tutti("doctor", data=…) → the finished process
    first_release  a function that unpacks the first release's data directory (fixtures/README.md) → its path
"""
import os
import pathlib
import sqlite3
import sys
import tarfile
import time

import pytest

DAY_MS = 86_400_000
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "engines"), str(HERE.parent / "journey")]

from conftest_of import conftest_of  # noqa: E402

journey = conftest_of("journey")
for name in ("server", "people", "own_server", "sounds", "album", "upload"):
    globals()[name] = getattr(journey, name)

from programs import programs  # noqa: E402, F401


@pytest.fixture(scope="session")
def tutti():
    return journey.run_tutti


def unpack(name, target):
    """The data directory as it was when it was packed: what runs out after hours or days has not run out yet."""
    target.mkdir(mode=0o700)
    with tarfile.open(HERE / "fixtures" / f"{name}.tar.xz") as archive:
        archive.extractall(target)
    for path in target.rglob("*"):
        os.utime(path)
    now_ms = int(time.time() * 1000)
    with sqlite3.connect(target / "catalog.db") as catalog:
        catalog.execute("UPDATE upload SET expires_at = ?", (now_ms + DAY_MS,))
        catalog.execute("UPDATE idempotency SET created_at = ?", (now_ms,))
    catalog.close()
    return target


@pytest.fixture
def first_release(tmp_path):
    return lambda: unpack("first-release", tmp_path / "first-release")
