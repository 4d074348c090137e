"""What the tests of edges share: the fixtures of the journeys (a real server, people, uploads), and the real programs
with the files of deploy/, rendered as docs/operations.md says.

    edge     an edge of each kind before the session's server; a test that takes it runs with Varnish and with nginx
    origin   a function that starts an origin whose answers the test gives (origin.py)
"""
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "engines"), str(HERE.parent / "journey"), str(HERE.parent / "operations")]

from conftest_of import conftest_of  # noqa: E402

journey = conftest_of("journey")
for name in ("server", "people", "own_server", "sounds", "album", "upload"):
    globals()[name] = getattr(journey, name)

from edges import KINDS  # noqa: E402
from origin import Origin  # noqa: E402


@pytest.fixture(scope="session", params=sorted(KINDS))
def kind(request):
    return request.param


@pytest.fixture(scope="session")
def edge(kind, server, tmp_path_factory):
    started = KINDS[kind](tmp_path_factory.mktemp(kind), [f"127.0.0.1:{server.port}"], server.data / "keys" / "edge-keys")
    yield started.start()
    started.stop()


@pytest.fixture
def own_edge(kind, tmp_path):
    """own_edge(origins, keys, **values of the template) → an edge of the test's own."""
    made = []

    def start(origins, keys, **values):
        folder = tmp_path / f"edge{len(made)}"
        folder.mkdir()
        made.append(KINDS[kind](folder, origins, keys, **values))
        return made[-1].start()

    yield start
    for one in made:
        one.stop()


@pytest.fixture
def origin():
    made = []

    def start(answer):
        made.append(Origin(answer))
        return made[-1]

    yield start
    for one in made:
        one.stop()
