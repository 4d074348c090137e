"""Options, the template that every round starts from, and the table at the end."""
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import pytest
import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(1, str(ROOT / "tests" / "journey"))

from openapi import Specification  # noqa: E402
from rounds import Known, Round  # noqa: E402
from world import PASSWORD, World, roomy_folder  # noqa: E402

COLUMNS = ("scenario", "rounds", "harms", "writes", "plays", "unanswered", "lost", "doubled", "orphans", "other")
TABLE = []


def pytest_addoption(parser):
    parser.addoption("--rounds", type=int, default=3, help="rounds of each scenario")
    parser.addoption("--seed", default=os.environ.get("FAULT_SEED") or str(random.SystemRandom().getrandbits(32)))


def pytest_generate_tests(metafunc):
    if "number" in metafunc.fixturenames:
        metafunc.parametrize("number", range(metafunc.config.getoption("--rounds")))


def pytest_report_header(config):
    return f"fault seed: {config.getoption('--seed')}"


def table_text():
    sums = {}
    for row in TABLE:
        sum_ = sums.setdefault(row["scenario"], {name: 0 for name in COLUMNS[1:]})
        for name in COLUMNS[1:]:
            sum_[name] += row[name]
    rows = [{"scenario": name, **sum_} for name, sum_ in sums.items()]
    rows.append({"scenario": "all", **{name: sum(row[name] for row in rows) for name in COLUMNS[1:]}})
    widths = {name: max(len(name), *(len(str(row[name])) for row in rows)) for name in COLUMNS}
    lines = ["  ".join(f"{name:<{widths[name]}}" if name == "scenario" else f"{name:>{widths[name]}}"
                       for name in COLUMNS)]
    lines += ["  ".join(f"{row[name]:<{widths[name]}}" if name == "scenario" else f"{row[name]:>{widths[name]}}"
                        for name in COLUMNS) for row in rows]
    return "\n".join(lines)


def pytest_terminal_summary(terminalreporter, config):
    if not TABLE:
        return
    text = table_text() + f"\nseed {config.getoption('--seed')}"
    terminalreporter.write_line(text)
    results = pathlib.Path(os.environ.get("FAULT_RESULTS", ROOT / "build" / "results" / "fault.txt"))
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(text + "\n")


def chord(path, seconds):
    tone = "+".join(f"0.2*sin(2*PI*{f}*t)" for f in (220, 277.18, 329.63))
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"aevalsrc='{tone}':s=22050:d={seconds}",
                    str(path)], check=True, timeout=60)
    return path.read_bytes()


@pytest.fixture(scope="session")
def specification():
    return Specification(ROOT / "docs" / "api" / "openapi.yaml")


@pytest.fixture(scope="session")
def media(tmp_path_factory):
    """A sound that is transcoded in no time, and a picture."""
    folder = tmp_path_factory.mktemp("media")
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=400x400", "-frames:v", "1",
                    str(folder / "a.png")], check=True, timeout=60)
    return chord(folder / "short.wav", 0.5), (folder / "a.png").read_bytes()


def ok(answer, status=200):
    assert answer.status_code == status, answer.text
    return answer.json()


def signed_in(world, username):
    http = requests.Session()
    body = {"username": username, "password": PASSWORD}
    tokens = ok(http.post(world.url + "/api/v1/auth/login", json=body))
    http.headers["Authorization"] = f"Bearer {tokens['accessToken']}"
    return http


def make_track(world, http, artist, sound):
    """A published track that is ready; its id and its AAC 160."""
    body = {"artistId": artist, "title": "Known", "status": "published"}
    album = ok(http.post(world.url + "/api/v1/albums", json=body), 201)
    place = ok(http.get(f"{world.url}/api/v1/tracks/upload-url?filename=a.wav"))
    assert requests.put(place["uploadUrl"], data=sound, timeout=20).status_code == 200
    body = {"albumId": album["id"], "title": "Known", "trackUrl": place["trackUrl"]}
    track = ok(http.post(world.url + "/api/v1/tracks", json=body), 201)["id"]
    deadline = time.monotonic() + 180
    while world.rows("SELECT 1 FROM track WHERE working = 1"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    files = ok(http.get(f"{world.url}/api/v1/tracks/{track}/stream"))["files"]
    url = next(file["url"] for file in files if file["format"] == "aac" and file["bitrate"] == 160)
    return track, requests.get(url, timeout=20).content


@pytest.fixture(scope="session")
def known(tmp_path_factory):
    with tempfile.TemporaryDirectory(dir=roomy_folder(), prefix="tutti-fault-template-") as folder:
        with World(folder) as world:
            for name, role in (("maker", "artist"), ("second", "artist"), ("listener", "listener"),
                               ("visitor", "listener")):
                world.add_user(name, role)
            world.start()
            sound = chord(tmp_path_factory.mktemp("long") / "long.wav", 4)
            artists = {}
            for name in ("maker", "second"):
                http = signed_in(world, name)
                artists[name] = ok(http.post(world.url + "/api/v1/artists", json={"name": f"Band {name}"}), 201)["id"]
            track, body = make_track(world, http, artists[name], sound)
            world.stop()
            yield Known(world.data, artists, track, body)


@pytest.fixture
def tabled():
    """tabled("scenario", harms=…, writes=…): a row of what has no Round."""
    def add(scenario, **numbers):
        TABLE.append({"scenario": scenario, **{name: 0 for name in COLUMNS[1:]}, "rounds": 1, **numbers})

    return add


@pytest.fixture
def begin(known, specification, media, request):
    """begin("scenario", **options) → a round with its world; at the end its row goes into the table."""
    made = []
    number = request.node.callspec.params.get("number", 0)

    def make(scenario, **options):
        made.append(Round(known, specification, media, scenario, number, request.config.getoption("--seed"),
                          **options))
        return made[-1]

    yield make
    TABLE.extend(row for row in (round_.row() for round_ in made) if row)
