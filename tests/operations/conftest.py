"""What the tests of running Tutti for years share: the fixtures of the journeys (a real server, people,
uploads).

    programs    starts and runs other people's programs (programs.py)
    tutti       a command of the binary: tutti("doctor", data=…) → the finished process
"""
import importlib.util
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "journey"))
sys.path.insert(0, str(HERE))


def journey_fixtures():
    path = HERE.parent / "journey" / "conftest.py"
    spec = importlib.util.spec_from_file_location("journey", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["journey"] = module  # tests import its classes: from journey import Server
    spec.loader.exec_module(module)
    return module


journey = journey_fixtures()
for name in ("server", "people", "own_server", "sounds", "album", "upload"):
    globals()[name] = getattr(journey, name)

from programs import programs  # noqa: E402, F401


@pytest.fixture(scope="session")
def tutti():
    return journey.run_tutti
