"""The cluster that the tests of this folder share: the one that TUTTI_TEST_CLUSTER names, which is up already, or one of
their own. Options, people and the table of harm."""
import importlib.util
import json
import os
import pathlib
import random
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
for folder in ("fault", "journey"):
    sys.path.insert(1, str(HERE.parent / folder))
sys.path.insert(0, str(HERE))

from cluster_round import ClusterWorld  # noqa: E402
from place import Place  # noqa: E402
from rounds import Known  # noqa: E402
from table import Table  # noqa: E402


def of_the_faults():
    """What the tests of tests/fault share; they are no package, and this file has their file's name."""
    spec = importlib.util.spec_from_file_location("fault", HERE.parent / "fault" / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["fault"] = module
    spec.loader.exec_module(module)
    return module


fault = of_the_faults()
specification, media = fault.specification, fault.media

TABLE = Table()


def pytest_addoption(parser):
    parser.addoption("--rounds", type=int, default=1, help="rounds of every harm")
    parser.addoption("--first", type=int, default=0, help="the number of the first round: what parts of one run differ in")
    parser.addoption("--minutes", type=float, default=float("inf"), help="after so many a round begins no further harm")
    parser.addoption("--sum", type=pathlib.Path, help="a table's JSON of an earlier part, to which this one's rounds are added")
    parser.addoption("--seed", default=os.environ.get("FAULT_SEED") or str(random.SystemRandom().getrandbits(32)))


def pytest_report_header(config):
    return f"cluster seed: {config.getoption('--seed')}"


def pytest_generate_tests(metafunc):
    if "number" in metafunc.fixturenames:
        metafunc.parametrize("number", range(metafunc.config.getoption("--rounds")))


def pytest_configure(config):
    if config.getoption("--sum"):
        TABLE.add_sum(json.loads(config.getoption("--sum").read_text()))


def save(config):
    """After every round: one that is stopped from outside leaves what it knew."""
    path = pathlib.Path(os.environ.get("CLUSTER_RESULTS", HERE.parents[1] / "build" / "results" / "cluster.txt"))
    TABLE.save(path, f"\nseed {config.getoption('--seed')}\n")


def pytest_terminal_summary(terminalreporter, config):
    if TABLE.harms:
        save(config)
        terminalreporter.write_line(TABLE.text() + f"\nseed {config.getoption('--seed')}")


@pytest.fixture
def save_table(request):
    return lambda: save(request.config)


@pytest.fixture(scope="session")
def place():
    name = os.environ.get("TUTTI_TEST_CLUSTER")
    one = Place(name or f"test{os.getpid()}")
    if not name:
        one.command("up", *UNLIMITED)
    yield one
    if not name:
        one.command("down")


# The limits of rates are for people; these clients are none.
UNLIMITED = [word for kind in ("logins", "reads", "writes", "uploads", "plays", "objects")
             for word in ("--set", f"limits.{kind}_per_minute=0")]


@pytest.fixture(scope="session")
def table():
    return TABLE


@pytest.fixture(scope="session")
def world(place):
    return ClusterWorld(place)


@pytest.fixture(scope="session")
def known(world, tmp_path_factory):
    """People, a page of each artist, and a track that plays."""
    for name, role in (("maker", "artist"), ("second", "artist"), ("listener", "listener"), ("visitor", "listener")):
        world.add_user(name, role)
    artists = {}
    for name in ("maker", "second"):
        http = fault.signed_in(world, name)
        page = http.post(world.url + "/api/v1/artists", json={"name": f"Band {name}"}, timeout=10)
        artists[name] = fault.ok(page, 201)["id"]
    sound = fault.chord(tmp_path_factory.mktemp("long") / "long.wav", 4)
    track, body = fault.make_track(world, http, artists["second"], sound)
    return Known(None, artists, track, body)
