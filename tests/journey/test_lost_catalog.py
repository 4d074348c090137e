"""Objects outlive the catalog that names them: without it, or with one that knows less, no sweep takes what it named."""
import os
import re
import shutil
import time

import pytest
import requests

from conftest import DATABASE, OBJECTS, People, Server, database_name, postgres_server, run_tutti, wait_for

pytestmark = pytest.mark.skipif(OBJECTS != "file", reason="the time of an object can't be changed there")
DAY_S = 86400


def objects_of(server):
    return {path for path in (server.data / "objects").rglob("*") if path.is_file()}


def age(server):
    """All objects are two days old, the catalog is ten."""
    then = time.time() - 2 * DAY_S
    for path in objects_of(server):
        os.utime(path, (then, then))
    server.change(f"UPDATE db_migration SET applied_at = applied_at - {10 * DAY_S * 1000}")


def lose_catalog(server):
    if DATABASE == "sqlite":
        for path in server.data.glob("catalog.db*"):
            path.unlink()
    else:
        postgres_server().ask(database_name(server.data, "catalog"), "DROP SCHEMA public CASCADE; CREATE SCHEMA public")


def tutti(server, *arguments, check=True):
    return run_tutti(*arguments, data=server.data, environment=server.environment, check=check, timeout=120)


@pytest.fixture
def filled(own_server, sounds):
    """A server that has ended, with a track whose objects are older than the grace."""
    server = own_server()
    artist = People(server).artist
    People(server).admin  # who must be there before a lost catalog can be told from a first start
    page = artist.post("/api/v1/artists", json={"name": "Band"}).json()
    album = artist.post("/api/v1/albums", json={"artistId": page["id"], "title": "Out"}).json()
    place = artist.get("/api/v1/tracks/upload-url", params={"filename": "a.flac"}).json()
    assert requests.put(place["uploadUrl"], data=sounds(seconds=3).read_bytes(), timeout=60).status_code == 200
    track = artist.post("/api/v1/tracks", json={"albumId": album["id"], "title": "Box", "trackUrl": place["trackUrl"]})
    wait_for(artist, track.json()["id"], whole=True)
    assert server.stop() == 0 and "catalog.new" not in server.log_text()
    age(server)
    assert "removed 0 objects" in tutti(server, "sweep").stdout
    return server


def test_a_lost_catalog_takes_no_object_with_it(filled):
    before = objects_of(filled)
    assert len(before) > 5
    lose_catalog(filled)
    refused = tutti(filled, "sweep", check=False)
    assert refused.returncode == 1 and "catalog" in refused.stderr and "--config" in refused.stderr, refused.stderr
    assert objects_of(filled) == before

    after = Server(data=filled.data, environment=filled.environment, port=filled.port).start()
    assert after.stop() == 0
    assert '"event":"catalog.new"' in after.log_text() and "though there are accounts" in after.log_text()
    swept = tutti(filled, "sweep").stdout
    left = re.search(r"^(\d+) objects are older than the catalog and were left: was a database lost\?", swept, re.M)
    assert "removed 0 objects" in swept and int(left.group(1)) == len(before), swept
    assert objects_of(filled) == before
    doctor = tutti(filled, "doctor", check=False).stdout
    assert f"{len(before)} of {len(before)} objects" in doctor and "are older than the catalog" in doctor

    swept = tutti(filled, "sweep", "--accept-lost").stdout  # it was not wanted any more
    assert f"removed {len(before)} objects" in swept and "left" not in swept
    assert objects_of(filled) == set()


def test_one_object_without_a_row_goes(filled):
    source = next(path for path in objects_of(filled) if "aac-320" in path.name)
    orphan = source.parent.parent / "77.dir" / source.name
    orphan.parent.mkdir()
    shutil.copy2(source, orphan)
    assert "removed 1 objects" in tutti(filled, "sweep").stdout
    assert not orphan.exists() and source.exists()
