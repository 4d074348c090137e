"""From one process on files to PostgreSQL and an S3 store: everything is there afterwards, log-ins go on, and a move that
was cut goes on where it was."""
import shutil
import sqlite3
import subprocess

import pytest
import requests

import conftest
from conftest import BINARY, PASSWORD, People, Person, Server, run_tutti, wait_for
from test_objects import OwnStore

EMBEDDED = {"TUTTI_BLOB_STORE": "", "TUTTI_SERVER_MEDIA_URL": "", "TUTTI_DATABASE_CATALOG": "", "TUTTI_DATABASE_USERS": "",
            "TUTTI_DATABASE_ACTIVITY": ""}
LISTS = ["/api/v1/artists", "/api/v1/albums", "/api/v1/tracks", "/api/v1/genres"]


@pytest.fixture
def target(tmp_path):
    """Databases and a bucket, empty."""
    databases = conftest.postgres_server()
    name = "moved_" + tmp_path.name.replace("-", "_")[-20:]
    for database in ("catalog", "users", "activity"):
        databases.create(f"{database}_{name}")
    (tmp_path / "store").mkdir()
    store = OwnStore(tmp_path / "store") if conftest.OBJECTS != "rgw" else conftest.object_gateway()
    bucket = store.make_bucket("moved")
    yield {"TUTTI_DATABASE_CATALOG": databases.url(f"catalog_{name}"), "TUTTI_DATABASE_USERS": databases.url(f"users_{name}"),
           "TUTTI_DATABASE_ACTIVITY": databases.url(f"activity_{name}"),
           "TUTTI_BLOB_STORE": store.url(bucket), "TUTTI_SERVER_MEDIA_URL": ""}
    if conftest.OBJECTS != "rgw":
        store.server.done()


def move(data, environment, *arguments, check=True):
    return run_tutti("migrate", *arguments, data=data, check=check, environment=environment, timeout=120)


def everything(person):
    """What the API tells of the catalogue, to be compared."""
    found = {path: person.get(path, params={"limit": 100}).json() for path in LISTS}
    found["users"] = person.get("/api/v1/admin/users").json()
    return found


def test_a_process_becomes_a_cluster(tmp_path, target, sounds):
    data = tmp_path / "data"
    data.mkdir()
    before = Server(data=data, environment=EMBEDDED).start()
    people = People(before)
    admin, artist = people.admin, people.artist
    page = artist.post("/api/v1/artists", json={"name": "Mövers & \"Söhne\""}).json()
    album = artist.post("/api/v1/albums", json={"artistId": page["id"], "title": "Out", "genres": ["Drone"]}).json()
    place = artist.get("/api/v1/tracks/upload-url", params={"filename": "a.flac"}).json()
    requests.put(place["uploadUrl"], data=sounds(seconds=3).read_bytes(), timeout=60)
    track = artist.post("/api/v1/tracks", json={"albumId": album["id"], "title": "Box", "trackUrl": place["trackUrl"],
                                                "lyrics": "line\nline"}).json()
    wait_for(artist, track["id"], whole=True)
    told, stored = everything(admin), {}
    for file in admin.get(f"/api/v1/tracks/{track['id']}/stream").json()["files"]:
        stored[file["format"], file["bitrate"]] = requests.get(file["url"], timeout=30).content

    refused = move(data, target, "--from", f"sqlite:{data}/catalog.db", check=False)
    assert refused.returncode == 1 and "in use; stop the server" in refused.stderr
    assert before.stop() == 0

    for source in (f"sqlite:{data}/catalog.db", f"sqlite:{data}/users.db", f"sqlite:{data}/activity.db", f"file:{data}/objects"):
        cut = subprocess.Popen([BINARY, "migrate", "--from", source, "--data", str(data)], stderr=subprocess.DEVNULL,
                               env={**conftest.os.environ, **target})
        try:
            cut.wait(0.15)
        except subprocess.TimeoutExpired:
            cut.kill()
            cut.wait()
        done = move(data, target, "--from", source)
        again = move(data, target, "--from", source)
        assert done.stderr and again.stderr
    assert "0 copied" in again.stderr
    with sqlite3.connect(data / "catalog.db") as catalog:
        born = catalog.execute("SELECT MIN(applied_at) FROM db_migration").fetchone()[0]
    name = target["TUTTI_DATABASE_CATALOG"].partition("/catalog_")[2].partition("?")[0]
    moved = conftest.postgres_server().ask(f"catalog_{name}", "SELECT MIN(applied_at) FROM db_migration")
    assert int(moved) == born, "what was in the store before the move is the catalog's own"

    after = Server(data=data, environment=target, port=before.port).start()
    try:
        old = Person(after.url)
        old.headers["Authorization"] = admin.headers["Authorization"]
        assert everything(old) == told, "a token from before says who somebody is"
        renewed = requests.post(after.url + "/api/v1/auth/refresh", json={"refreshToken": artist.refresh_token}, timeout=30)
        assert renewed.status_code == 200, renewed.text
        again = Person(after.url, artist.username)  # the password too
        assert again.get(f"/api/v1/tracks/{track['id']}/lyrics").json()["text"] == "line\nline"
        for file in again.get(f"/api/v1/tracks/{track['id']}/stream").json()["files"]:
            assert requests.get(file["url"], timeout=30).content == stored[file["format"], file["bitrate"]]
        place = again.get("/api/v1/tracks/upload-url", params={"filename": "b.flac"}).json()
        assert requests.put(place["uploadUrl"], data=sounds(seconds=3).read_bytes(), timeout=60).status_code == 200
        made = again.post("/api/v1/tracks", json={"albumId": album["id"], "title": "New", "trackUrl": place["trackUrl"]})
        assert wait_for(again, made.json()["id"])["status"] == "ready"
        assert after.stop() == 0
    finally:
        after.done()

    other = move(data, target, "--from", f"sqlite:{data}/catalog.db", check=False)
    assert other.returncode == 1 and "that database held others" in other.stderr, other.stderr


def test_music_that_stayed_in_its_folder_is_missed(tmp_path, target, sounds):
    """The bucket has not got what is imported by reference: doctor says so."""
    data, music = tmp_path / "data", tmp_path / "music"
    music.mkdir()
    shutil.copy(sounds(seconds=3), music / "a.flac")
    run_tutti("user", "add", "anna", "--role", "admin", "--password-stdin", stdin=PASSWORD + "\n", data=data, environment=EMBEDDED)
    run_tutti("import", str(music), data=data, environment=EMBEDDED)
    for source in (f"sqlite:{data}/catalog.db", f"sqlite:{data}/users.db", f"sqlite:{data}/activity.db"):
        move(data, target, "--from", source)
    done = run_tutti("doctor", data=data, environment=target, check=False)
    assert "1 of 1 objects that tracks and pictures need are missing" in done.stdout, done.stdout


@pytest.mark.parametrize("arguments, words", [
    (["--to", "s3://K:S@host/bucket"], "--to needs --from"),
    (["--from", "postgresql:///x"], "can be sqlite:PATH, file:DIR or s3://"),
    (["--from", "sqlite:/nowhere/catalog.db"], "is no database that can be read"),
    (["--from", "s3://KEY:hidden@127.0.0.1:1/bucket?tls=no"], "does not answer"),
])
def test_what_can_t_be_moved(tmp_path, arguments, words):
    refused = move(tmp_path, EMBEDDED, *arguments, check=False)
    assert refused.returncode in (1, 2) and words in refused.stderr, refused.stderr
    assert "hidden" not in refused.stderr
