"""Today's program on the data directory of the first release (fixtures/README.md): all is there and plays."""
import hashlib
import json
import os
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess

import boto3
import pytest
import requests
from botocore.config import Config

from journey import BINARY, Person, free_port, run_tutti, wait_for

FIXTURES = pathlib.Path(__file__).resolve().parent / "fixtures"


@pytest.fixture(scope="module")
def facts():
    return json.loads((FIXTURES / "first-release.json").read_text())


@pytest.fixture
def data(first_release):
    return first_release()


@pytest.fixture
def upgraded(own_server, data):
    return own_server(data=data)


@pytest.fixture
def artist(upgraded):
    return Person(upgraded.url, "artist-of-then")


def assert_holds(now, then):
    """What was told then is told now; members may have been added."""
    if isinstance(then, dict):
        for name, value in then.items():
            assert name in now, name
            assert_holds(now[name], value)
    else:
        assert now == then


def test_everything_told_then_is_told_now(artist, facts):
    for kind, path in (("artist", "artists"), ("album", "albums"), ("draft", "albums"), ("ready", "tracks"),
                       ("failed", "tracks")):
        answer = artist.get(f"/api/v1/{path}/{facts[kind]['id']}")
        assert answer.status_code == 200, answer.text
        assert_holds(answer.json(), facts[kind])
    assert_holds(artist.get(f"/api/v1/tracks/{facts['ready']['id']}/lyrics").json(), facts["lyrics"])
    assert artist.get(f"/api/v1/tracks/{facts['deleted']}").status_code == 404
    assert [one["id"] for one in artist.get(f"/api/v1/albums/{facts['album']['id']}/tracks").json()["items"]] == \
        [facts["ready"]["id"], facts["failed"]["id"]]


def test_it_plays_as_it_did(artist, facts):
    answer = artist.get(f"/api/v1/tracks/{facts['ready']['id']}/stream").json()
    now = {f"{file['format']}-{file['bitrate']}": hashlib.sha256(requests.get(file["url"], timeout=30).content).hexdigest()
           for file in answer["files"]}
    assert_holds(now, facts["files"])
    manifest = requests.get(answer["hls"], timeout=30)
    assert manifest.status_code == 200 and manifest.text.startswith("#EXTM3U")
    for kind in ("artist", "album"):
        art = facts[kind].get("coverArtId") or facts[kind]["imageArtId"]
        picture = artist.get(f"/api/v1/art/{art}", params={"size": 300})
        assert picture.status_code == 200 and picture.headers["Content-Type"].startswith("image/")


def test_people_sign_in_as_who_they_were(upgraded, facts):
    roles = {name: Person(upgraded.url, name).user for name in facts["users"]}
    assert "admin" in roles["admin-of-then"]["roles"] and "artist" in roles["artist-of-then"]["roles"]
    assert roles["listener-of-then"]["plan"] == "free"


def test_what_was_begun_goes_on(artist, facts):
    again = requests.post(artist.base + "/api/v1/tracks", json=facts["once"]["request"],  # the answer of then, as it was
                          headers={**artist.headers, "Idempotency-Key": facts["once"]["key"]})
    assert again.status_code == 201 and again.json()["id"] == facts["ready"]["id"], "done once, however often asked"
    album = facts["album"]["id"]
    made = artist.post("/api/v1/tracks", json={"albumId": album, "title": "Wartete", "trackUrl": facts["waiting"]})
    assert made.status_code == 201, made.text
    assert wait_for(artist, made.json()["id"], whole=True)["status"] == "ready"
    upload = artist.get(f"/api/v1/uploads/{facts['parts']}").json()
    assert [part["state"] for part in upload["parts"]] == ["uploaded"]
    assert artist.post(f"/api/v1/uploads/{facts['parts']}/complete").status_code == 200
    made = artist.post("/api/v1/tracks", json={"albumId": album, "title": "Teile", "trackUrl": upload["trackUrl"]})
    assert made.status_code == 201, made.text
    assert wait_for(artist, made.json()["id"])["status"] == "ready"


def test_outside_keys_open_what_they_opened(upgraded, facts):
    s3 = facts["s3"]
    store = boto3.client("s3", endpoint_url=upgraded.url + "/s3", region_name="us-east-1", aws_access_key_id=s3["key"],
                         aws_secret_access_key=s3["secret"],
                         config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
    got = store.get_object(Bucket=s3["bucket"], Key=s3["object"])
    assert got["Body"].read().decode() == s3["text"] and got["ContentType"] == "text/plain"


def test_migrate_alone_brings_it_to_this_version(data):
    done = run_tutti("migrate", data=data)
    assert done.returncode == 0 and "of this version" in done.stdout


def test_it_is_backed_up_and_restored(data, own_server, facts, tmp_path):
    key = tmp_path / "key"
    key.write_bytes(os.urandom(32))
    key.chmod(0o600)
    run_tutti("backup", str(tmp_path / "backup"), "--key-file", str(key), "--blobs", str(tmp_path / "blobs"), data=data)
    run_tutti("restore", str(tmp_path / "backup"), "--key-file", str(key), "--blobs", str(tmp_path / "blobs"),
              data=tmp_path / "restored")
    artist = Person(own_server(data=tmp_path / "restored").url, "artist-of-then")
    test_it_plays_as_it_did(artist, facts)


SLOW = """
CREATE VIEW slow AS WITH RECURSIVE step (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM step WHERE n < 40000000)
    SELECT COUNT(*) AS steps FROM step;
CREATE TRIGGER slows AFTER INSERT ON db_migration WHEN (SELECT COUNT(*) FROM db_migration) = %d
    BEGIN UPDATE db_position SET position = position + 0 * (SELECT steps FROM slow); END;
"""


def test_a_long_migration_is_given_the_time_it_takes(data, tmp_path):
    """Killed by systemd after its 90 s it would be undone, and tried for ever."""
    with sqlite3.connect(data / "catalog.db") as catalog:
        applied = catalog.execute("SELECT COUNT(*) FROM db_migration").fetchone()[0]
        catalog.executescript(SLOW % (applied + 1))
    catalog.close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener, open(tmp_path / "log", "w+") as log:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(120)
        process = subprocess.Popen([BINARY, "serve", "--data", str(data), "--listen", f"127.0.0.1:{free_port()}"], stderr=log,
                                   env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")})
        told = [listener.recv(4096).decode()]
        while not told[-1].startswith("READY=1"):
            told.append(listener.recv(4096).decode())
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        log.seek(0)
        assert '"event":"database.migrating","database":"catalog","migration":' in log.read()
    assert len(told) > 1 and "STATUS=Serving" in told.pop()
    for one in told:
        assert re.fullmatch(r"EXTEND_TIMEOUT_USEC=90000000\nSTATUS=Bringing the database (catalog|users|activity) to this version: "
                            r"migration \d+ of [a-z]+", one), one
