"""What a person and an operator see of PostgreSQL: their own writes back at once though replicas lag, starts of
many processes at once, an older process beside a newer one, and refusals that say what would be right.

TUTTI_TRIES: how often a write is read back (300). TUTTI_OLDER_BINARY: a version before this one.
"""
import concurrent.futures
import glob
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time

import pytest
import requests

import postgres
from conftest import BINARY, DATABASE, PASSWORD, PATIENCE_S, SANITIZED, Person, free_port, run_tutti, until

FAKETIME = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)
OLDER = os.environ.get("TUTTI_OLDER_BINARY")
TRIES = int(os.environ.get("TUTTI_TRIES", "300"))

pytestmark = pytest.mark.skipif(postgres.binaries() is None, reason="postgresql-15 is not installed")


@pytest.fixture(scope="module")
def primary():
    with postgres.Server(password="s3cret/word") as server:
        yield server


def ok(answer, status=200):
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer.json()


def urls(server, name):
    """A catalogue and users of their own, as settings."""
    return {f"TUTTI_DATABASE_{database.upper()}": server.create(f"{database}_{name}").replace("s3cret/word", "s3cret%2Fword")
            for database in ("catalog", "users", "activity")}


def metric(server, name):
    text = requests.get(server.url + "/metrics").text
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.M))


def artist_of(server, name="maker"):
    run_tutti("user", "add", name, "--role", "artist", "--email", f"{name}@example.org", "--password-stdin",
              stdin=PASSWORD + "\n", data=server.data, environment=server.environment)
    return Person(server.url, name, "artist")


@pytest.fixture(scope="module")
def lagging(primary):
    """A replica that is a second behind."""
    primary.create("catalog_lag")
    primary.create("users_lag")
    primary.create("activity_lag")
    with primary.replica(delay_ms=1000) as replica:
        yield replica


@pytest.fixture
def behind(primary, lagging, own_server):
    """Two processes that read from the lagging replica."""
    secret = "s3cret%2Fword"
    environment = {"TUTTI_SERVER_URL": "http://tutti.example"}  # one issuer of tokens
    for database in ("catalog", "users", "activity"):
        for server, setting in ((primary, database), (lagging, database + "_replicas")):
            environment[f"TUTTI_DATABASE_{setting.upper()}"] = (
                f"postgresql://tutti:{secret}@127.0.0.1:{server.port}/{database}_lag")
    first = own_server(environment=environment)
    lagging.wait()  # the tables are there
    second = own_server(data=first.data, environment=environment)
    return first, second


def test_a_write_is_read_back_at_once_though_the_replica_lags(behind):
    first, second = behind
    writer = artist_of(first)
    reader = Person(second.url)
    page = ok(writer.post("/api/v1/artists", json={"name": "Nobody yet"}), 201)
    for number in range(TRIES):
        answer = writer.patch(f"/api/v1/artists/{page['id']}", json={"name": f"Name {number}"})
        ok(answer)
        seen = {"Tutti-Seen": answer.headers["Tutti-Seen"]}
        reader.headers["Authorization"] = writer.headers["Authorization"]  # which is renewed in a long run
        back = ok(reader.get(f"/api/v1/artists/{page['id']}", headers=seen))
        assert back["name"] == f"Name {number}", number
        listed = ok(reader.get("/api/v1/artists?mine=true", headers=seen)) if number % 10 == 0 else None
        assert listed is None or [one["name"] for one in listed["items"]] == [f"Name {number}"], number


def test_a_replica_answers_who_has_seen_no_more_than_it(behind, lagging):
    first, second = behind
    writer = artist_of(first, "other")
    before = metric(second, "tutti_db_replica_reads_total")
    page = ok(writer.post("/api/v1/artists", json={"name": "Late"}), 201)
    answer = writer.post("/api/v1/albums", json={"artistId": page["id"], "title": "Album"})
    album = ok(answer, 201)
    reader = Person(second.url)
    reader.headers["Authorization"] = writer.headers["Authorization"]
    path = f"/api/v1/albums/{album['id']}/tracks"
    assert reader.get(path, headers={"Tutti-Seen": answer.headers["Tutti-Seen"]}).status_code == 200
    assert metric(second, "tutti_db_replica_reads_total") == before  # it is a second behind
    assert reader.get(path).status_code == 200  # nobody knows what this person has seen: the primary
    assert metric(second, "tutti_db_replica_reads_total") == before
    lagging.wait()
    for limit in range(1, 20):
        ok(reader.get(f"{path}?limit={limit}", headers={"Tutti-Seen": answer.headers["Tutti-Seen"]}))
    assert metric(second, "tutti_db_replica_reads_total") > before


def test_a_write_sent_again_is_answered_though_the_replica_lags(behind):
    """The answer to the first is lost: who sends it again, perhaps to another process, has not heard of its position."""
    first, second = behind
    writer = artist_of(first, "again")
    for number in range(5):
        key = {"Idempotency-Key": f"upload-{number}", "Tutti-Seen": "c1.u1"}
        wish = {"filename": "a.flac", "size": 1 << 20}
        made = ok(writer.post("/api/v1/uploads", json=wish, headers=key), 201)
        other = Person(second.url)
        other.headers["Authorization"] = writer.headers["Authorization"]
        again = other.post("/api/v1/uploads", json=wish, headers=key)
        assert ok(again, 201)["id"] == made["id"] and again.headers["Idempotency-Replayed"] == "true"
        ok(other.get(f"/api/v1/uploads/{made['id']}", headers={"Tutti-Seen": again.headers["Tutti-Seen"]}))


def test_a_dead_replica_is_left_out_and_taken_back(behind, lagging):
    first, _ = behind
    someone = artist_of(first, "third")

    def until(state):
        for _ in range(100):
            ready = requests.get(first.url + "/readyz")
            assert ready.status_code == 200
            ok(someone.get("/api/v1/artists", headers={"Tutti-Seen": "c1.u1"}))
            if ready.json()["engines"]["catalog"] == state:
                return
            threading.Event().wait(0.1)
        raise AssertionError(ready.text)

    until("ok")
    lagging.stop("immediate")
    until("degraded")
    lagging.start()
    until("ok")


def test_ten_processes_start_at_once_on_an_empty_database(primary, own_server):
    """All serve; each migration was applied by one of them."""
    environment = {**urls(primary, "ten"), "TUTTI_DATABASE_CONNECTIONS": "3"}
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        servers = [one.result() for one in [pool.submit(own_server, environment=environment) for _ in range(10)]]
    assert all(requests.get(server.url + "/readyz").json()["status"] == "ready" for server in servers)
    done = [run_tutti("migrate", data=servers[0].data, environment=environment).stdout]
    for database in ("catalog_ten", "users_ten", "activity_ten"):
        rows = primary.ask(database, "SELECT component, number, COUNT(*) FROM db_migration GROUP BY 1, 2 HAVING COUNT(*) > 1")
        assert rows == ""
        assert int(primary.ask(database, "SELECT COUNT(*) FROM db_migration")) >= 2
    assert all(server.stop() == 0 for server in servers) and "of this version" in done[0]


def test_an_older_process_goes_on_while_a_newer_one_migrates(primary, own_server):
    environment = urls(primary, "two")
    older = own_server(environment=environment)
    writer = artist_of(older)
    page = ok(writer.post("/api/v1/artists", json={"name": "Before"}), 201)
    done = []

    def expand():  # what a newer version's migration does: it adds, and takes nothing away
        for number in range(1, 6):
            primary.ask("catalog_two", f"""
                BEGIN;
                ALTER TABLE artist ADD COLUMN newer_{number} TEXT;
                CREATE TABLE newer_{number} (id BIGINT PRIMARY KEY);
                INSERT INTO db_migration (component, number, checksum, applied_at) VALUES ('catalog', {9000 + number}, 'x', 1);
                COMMIT;""")
        done.append(True)

    newer = threading.Thread(target=expand)
    newer.start()
    number = 0
    while not done or number < 50:
        number += 1
        ok(writer.patch(f"/api/v1/artists/{page['id']}", json={"name": f"While {number}"}))
        assert ok(writer.get(f"/api/v1/artists/{page['id']}"))["name"] == f"While {number}"
    newer.join()
    assert requests.get(older.url + "/readyz").status_code == 200
    refused = run_tutti("migrate", data=older.data, environment=environment, check=False)
    assert refused.returncode != 0 and "newer" in refused.stderr and f"127.0.0.1:{primary.port}/catalog_two" in refused.stderr


class Plain:
    """An artist's client that knows nothing of what today's description says: an older process is asked as well."""

    def __init__(self, token):
        self.headers = {"Authorization": f"Bearer {token}"}

    def ask(self, method, server, path, status=200, **options):
        return ok(requests.request(method, f"{server.url}/api/v1/{path}", headers=self.headers, timeout=60, **options), status)

    def upload(self, server, album, sound):
        place = self.ask("GET", server, "tracks/upload-url", params={"filename": "a.flac"})
        assert requests.put(place["uploadUrl"], data=sound.read_bytes(), timeout=60).status_code == 200
        body = {"albumId": album, "title": "A", "trackUrl": place["trackUrl"]}
        return self.ask("POST", server, "tracks", 201, json=body)["id"]

    def plays(self, server, track):
        deadline = time.monotonic() + 120
        while self.ask("GET", server, f"tracks/{track}")["status"] != "ready":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        url = self.ask("GET", server, f"tracks/{track}/stream")["trackUrl"]
        return requests.get(url, timeout=60).status_code == 200


@pytest.mark.skipif(not OLDER, reason="takes a program of the version before (./dev test journey --on postgresql builds one)")
def test_a_version_before_serves_on_beside_this_one(primary, own_server, sounds):
    """The older one is asked all the time: while this one migrates, beside it, and after it has gone."""
    port = free_port()
    environment = {**urls(primary, "versions"), "TUTTI_SERVER_URL": f"http://localhost:{port}"}
    older = own_server(environment=environment, binary=OLDER, port=port)
    run_tutti("user", "add", "maker", "--role", "artist", "--email", "maker@example.org", "--password-stdin", stdin=PASSWORD + "\n",
              data=older.data, environment=environment, binary=OLDER)
    login = requests.post(older.url + "/api/v1/auth/login", json={"username": "maker", "password": PASSWORD}, timeout=60)
    artist = Plain(ok(login)["accessToken"])
    page = artist.ask("POST", older, "artists", 201, json={"name": "Then"})["id"]
    album = artist.ask("POST", older, "albums", 201, json={"artistId": page, "title": "Both"})["id"]
    tracks = [artist.upload(older, album, sounds())]

    failed, ending = [], threading.Event()

    def ask_on():
        number = 0
        while not ending.is_set():
            number += 1
            try:
                artist.ask("PATCH", older, f"artists/{page}", json={"name": f"While {number}"})
                assert artist.ask("GET", older, f"artists/{page}")["name"] == f"While {number}"
            except AssertionError as error:
                failed.append(str(error))

    asking = threading.Thread(target=ask_on)
    asking.start()
    try:
        run_tutti("migrate", data=older.data, environment=environment)
        newer = own_server(data=older.data, environment=environment)
        tracks += [artist.upload(one, album, sounds()) for one in (newer, older)]
        for one, other in ((older, newer), (newer, older)):
            made = artist.ask("POST", one, "albums", 201, json={"artistId": page, "title": "Made"})["id"]
            artist.ask("PATCH", other, f"albums/{made}", json={"title": "Changed"})
            deadline = time.monotonic() + PATIENCE_S
            while artist.ask("GET", one, f"albums/{made}")["title"] != "Changed":  # it hears of it by the database
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert all(artist.plays(one, track) for track in tracks)
        assert newer.stop() == 0
        tracks.append(artist.upload(older, album, sounds()))
        assert artist.plays(older, tracks[-1])
    finally:
        ending.set()
        asking.join()
    assert not failed, failed[:3]
    assert older.stop() == 0


def refusal(tmp_path, **settings):
    environment = {f"TUTTI_DATABASE_{name.upper()}": value for name, value in settings.items()}
    done = run_tutti("serve", "--data", str(tmp_path), "--listen", f"127.0.0.1:{free_port()}", check=False, environment=environment)
    lines = [line for line in done.stderr.splitlines() if line.startswith("tutti: ")]
    assert done.returncode != 0 and len(lines) == 1, done.stderr
    assert "hunter2" not in done.stderr + done.stdout and "s3cret" not in done.stderr + done.stdout
    return lines[0]


@pytest.mark.parametrize("url, words", [
    ("postgresql://tutti:hunter2@127.0.0.1:{port}:5/x", ["does not parse", "postgresql://USER"]),
    ("postgresql://tutti:hunter2@127.0.0.1:{port}/x?nonsense=1", ["does not parse"]),
    ("postgresql://tutti:half@hunter2@127.0.0.1:{port}/x", ["does not parse", "percent-encoded"]),
    ("postgresql://tutti:hunter2@127.0.0.1:{port}/postgres", ["127.0.0.1:{port}", "password", "wrong"]),
    ("postgresql://tutti:s3cret%2Fword@127.0.0.1:{port}/nowhere", ["nowhere", "does not exist", "CREATE DATABASE"]),
    ("postgresql://tutti:s3cret%2Fword@127.0.0.1:1/nowhere", ["127.0.0.1:1", "is PostgreSQL running there?"]),
    ("postgresql://tutti:s3cret%2Fword@127.0.0.1:{port}/french", ["sorts by", "C.UTF-8"]),
    ("postgresql://guest:s3cret%2Fword@127.0.0.1:{port}/closed", ["permission denied", "own"]),
    ("postgresql://guest:s3cret%2Fword@127.0.0.1:{port}/locked", ["permission denied for database", "GRANT CONNECT"]),
    ("postgresql://crowd:s3cret%2Fword@127.0.0.1:{port}/closed", ["too many connections", "database.connections"]),
])
def test_an_address_that_will_not_do_stops_the_start(primary, tmp_path, url, words):
    have = primary.ask("postgres", "SELECT datname FROM pg_database")
    if "french" not in have:
        primary.ask("postgres", "CREATE DATABASE french TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8' "
                                "ICU_LOCALE 'fr' LOCALE_PROVIDER icu")
        primary.ask("postgres", "CREATE DATABASE closed")
        primary.ask("postgres", "CREATE USER guest PASSWORD 's3cret/word'")
        primary.ask("postgres", "CREATE USER crowd PASSWORD 's3cret/word' CONNECTION LIMIT 0")
        primary.ask("postgres", "CREATE DATABASE locked")
        primary.ask("postgres", "REVOKE CONNECT ON DATABASE locked FROM PUBLIC")
    line = refusal(tmp_path, users=url.format(port=primary.port))
    for word in words:
        assert word.format(port=primary.port) in line, line


def test_addresses_that_do_not_go_together_stop_the_start(primary, tmp_path):
    mine = {name.removeprefix("TUTTI_DATABASE_").lower(): url for name, url in urls(primary, "together").items()}
    line = refusal(tmp_path, **{**mine, "activity": mine["users"]})
    assert "database.users and database.activity are the same one" in line, line
    told = run_tutti("migrate", data=tmp_path, check=False, environment={
        "TUTTI_DATABASE_CATALOG": mine["catalog"], "TUTTI_DATABASE_USERS": mine["catalog"], "TUTTI_DATABASE_ACTIVITY": mine["activity"]})
    assert told.returncode != 0 and "database.catalog and database.users are the same one" in told.stderr
    line = refusal(tmp_path, **mine, users_direct=mine["activity"])
    assert "database.users_direct is" in line and "activity_together, which is another database than" in line, line
    assert line.count(f"127.0.0.1:{primary.port}/") == 2, line
    run_tutti("migrate", data=tmp_path, environment={**{f"TUTTI_DATABASE_{name.upper()}": url for name, url in mine.items()}, "TUTTI_DATABASE_USERS_DIRECT": mine["users"] + "?connect_timeout=9"})


def test_a_replica_is_no_primary(lagging, tmp_path):
    line = refusal(tmp_path, users=f"postgresql://tutti:s3cret%2Fword@127.0.0.1:{lagging.port}/users_lag")
    assert "read-only" in line and "primary" in line


@pytest.fixture
def with_tls(primary, tmp_path):
    """The server speaks TLS too, as db.example.org; the certificate's place."""
    data, names = primary.folder / "data", ("server.crt", "server.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                    "/CN=db.example.org", "-out", tmp_path / names[0], "-keyout", tmp_path / names[1]], check=True, capture_output=True)
    for name in names:
        shutil.copy(tmp_path / name, data / name)
        os.chmod(data / name, 0o600)
        if primary.user:
            os.chown(data / name, primary.user.pw_uid, primary.user.pw_gid)
    primary.ask("postgres", "ALTER SYSTEM SET ssl = on")
    primary.ask("postgres", "SELECT pg_reload_conf()")
    yield tmp_path / names[0]
    primary.ask("postgres", "ALTER SYSTEM RESET ssl")
    primary.ask("postgres", "SELECT pg_reload_conf()")


def test_a_certificate_must_bear_the_name(primary, with_tls, tmp_path):
    url = f"postgresql://tutti:s3cret%2Fword@127.0.0.1:{primary.port}/postgres?sslmode="
    line = refusal(tmp_path, users=f"{url}verify-full&sslrootcert={with_tls}")
    assert '"db.example.org" does not match host name "127.0.0.1"' in line and f"127.0.0.1:{primary.port}" in line
    line = refusal(tmp_path, users=f"{url}verify-full&sslrootcert=/etc/hostname")
    assert f"127.0.0.1:{primary.port}" in line and "/etc/hostname" in line
    url = url.replace("127.0.0.1:", "db.example.org:").replace("/postgres?", "/nowhere?hostaddr=127.0.0.1&")
    line = refusal(tmp_path, users=f"{url}verify-full&sslrootcert={with_tls}")
    assert "does not exist" in line, line  # the server was spoken to


def test_passwords_are_in_no_log(primary, own_server):
    server = own_server(environment=urls(primary, "quiet"), options=("--log-level", "debug"))
    assert server.stop() == 0
    assert "s3cret" not in server.log_text()
    shown = run_tutti("config", "show", data=server.data, environment=server.environment).stdout
    assert "s3cret" not in shown and "postgresql://tutti:***@" in shown


def test_a_backup_is_restored_into_servers_and_files(primary, own_server, tmp_path):
    source = own_server(environment=urls(primary, "kept"))
    writer = artist_of(source)
    page = ok(writer.post("/api/v1/artists", json={"name": "Kept"}), 201)
    key = tmp_path / "key"
    key.write_bytes(os.urandom(32))
    key.chmod(0o600)
    file = tmp_path / "backup"

    def restore(data, environment, *more, check=True):
        return run_tutti("restore", str(file), "--key-file", str(key), *more, data=data, environment=environment, check=check)

    run_tutti("backup", str(file), "--key-file", str(key), data=source.data, environment=source.environment)
    servers, files = urls(primary, "again"), {}
    for data, environment in ((tmp_path / "servers", servers), (tmp_path / "files", files)):
        restore(data, environment)
        copy = own_server(data=data, environment=environment)
        back = Person(copy.url, writer.username)
        assert ok(back.get(f"/api/v1/artists/{page['id']}"))["name"] == "Kept"
        ok(back.post("/api/v1/artists", json={"name": "After"}), 201)  # and events flow, though places count anew
        assert copy.stop() == 0
    born = "SELECT MIN(applied_at) FROM db_migration"  # so that older objects are its own, there too
    assert primary.ask("catalog_again", born) == primary.ask("catalog_kept", born)
    if DATABASE == "sqlite":
        with sqlite3.connect(tmp_path / "files" / "catalog.db") as catalog:
            assert str(catalog.execute(born).fetchone()[0]) == primary.ask("catalog_kept", born)

    refused = restore(tmp_path / "servers", servers, check=False)
    assert refused.returncode != 0 and "--replace" in refused.stderr
    assert primary.ask("catalog_again", "SELECT COUNT(*) FROM artist") == "2"
    words = restore(tmp_path / "servers", servers, "--replace").stdout
    schema = re.search(r"schema (before-restore-\w+)", words).group(1)
    assert primary.ask("catalog_again", "SELECT COUNT(*) FROM artist") == "1"
    assert primary.ask("catalog_again", f'SELECT COUNT(*) FROM "{schema}".artist') == "2"


def test_doctor_looks_at_the_servers(primary, own_server):
    server = own_server(environment=urls(primary, "doctor"))
    done = run_tutti("doctor", data=server.data, environment=server.environment, check=False)
    lines = [line for line in done.stdout.splitlines() if re.match(r"\S+\s+(catalog|users)\s", line)]
    assert len(lines) == 2 and all(line.startswith("ok") and "postgresql://tutti@127.0.0.1" in line for line in lines), done.stdout


def finds(environment, data):
    done = run_tutti("doctor", "--json", data=data, environment=environment, check=False)
    return {one["name"]: one for one in json.loads(done.stdout)["checks"]}, done.stderr


def test_doctor_looks_at_empty_databases(primary, tmp_path):
    """What a database without tables lacks is told once, and keys that other processes may have are asked for."""
    found, told = finds(urls(primary, "empty"), tmp_path / "new")
    assert [found[name]["state"] for name in ("catalog", "users", "activity")] == ["warning"] * 3
    for name in ("events", "jobs", "objects"):
        assert found[name]["state"] == "warning" and "nothing in it yet" in found[name]["detail"], found[name]
    assert "db.statement" not in told
    assert "copy those of the processes" in found["keys"]["advice"]


def test_a_replica_that_is_away_is_named(primary, own_server):
    environment = urls(primary, "replica")
    away = f"127.0.0.1:{free_port()}/users"
    environment["TUTTI_DATABASE_USERS_REPLICAS"] = f"{environment['TUTTI_DATABASE_USERS']} postgresql://tutti:s3cret%2Fword@{away}"
    server = own_server(environment=environment)
    found, _ = finds(server.environment, server.data)
    assert found["users"]["state"] == "warning" and away in found["users"]["detail"], found["users"]
    assert "refused" in found["users"]["detail"] and "_replicas" in found["users"]["advice"]
    assert found["catalog"]["state"] == "ok"
    state = requests.get(server.url + "/readyz").json()
    assert state["status"] == "degraded" and away in state["reason"], state
    assert server.log_text().count("db.replica.away") == 1
    environment["TUTTI_DATABASE_USERS_REPLICAS"] = environment["TUTTI_DATABASE_USERS"]
    assert finds({**server.environment, **environment}, server.data)[0]["users"]["state"] == "ok"


def test_a_primary_that_is_away_is_named(own_server):
    """Beside a Redis that is away: of each the address and what would be right, of none the secret."""
    nobody = free_port()
    with postgres.Server(password="s3cret/word") as lost:
        server = own_server(environment={**urls(lost, "lost"), "TUTTI_CACHE_STORE": f"redis://:s3cret@127.0.0.1:{nobody}",
                                         "TUTTI_DATABASE_WAIT_MS": "500"})
        lost.stop("immediate")
        ready = requests.get(server.url + "/readyz", timeout=60)
        assert ready.status_code == 503 and "s3cret" not in ready.text
        state = ready.json()
        for database in ("catalog", "users", "activity"):
            words = state["engines"][database]
            assert f"//tutti@127.0.0.1:{lost.port}/{database}_lost: " in words and "is PostgreSQL running there?" in words, words
        assert f"Redis at 127.0.0.1:{nobody}" in state["reason"], state
        lost.start()
        until(lambda: requests.get(server.url + "/readyz", timeout=60).status_code == 200)


@pytest.mark.skipif(SANITIZED, reason="a sanitizer is to be the first library, as faketime is")
def test_a_clock_that_is_off(primary, own_server):
    """Three minutes ahead of the servers: what this process signs is not good yet anywhere else, nor is what others sign here."""
    environment = urls(primary, "clock")
    ahead = {"LD_PRELOAD": FAKETIME, "FAKETIME": "+3m", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    server = own_server(environment={**environment, **ahead})
    state = requests.get(server.url + "/readyz").json()
    assert state["status"] == "degraded" and state["engines"]["clock"] == "degraded", state
    assert re.search(r"our clock is 1[78]\d s ahead of that of postgresql://tutti@127", state["reason"]) and "NTP" in state["reason"]
    assert "db.clock.off" in server.log_text()
    found, _ = finds(server.environment, server.data)
    assert found["clock"]["state"] == "failed" and "s ahead of that of" in found["clock"]["detail"], found["clock"]
    right = {**server.environment, **dict.fromkeys(ahead, "")}
    assert "ahead" not in finds(right, server.data)[0]["clock"]["detail"]


def test_doctor_names_the_right_that_is_missing(primary, tmp_path):
    environment = urls(primary, "rights")
    run_tutti("migrate", data=tmp_path, environment=environment)
    if "weak" not in primary.ask("postgres", "SELECT rolname FROM pg_roles"):
        primary.ask("postgres", "CREATE USER weak PASSWORD 's3cret/word'")
    catalog = environment["TUTTI_DATABASE_CATALOG"]
    name = catalog.rsplit("/", 1)[1]

    def says():
        done = run_tutti("doctor", data=tmp_path, check=False,
                         environment={**environment, "TUTTI_DATABASE_CATALOG": catalog.replace("//tutti:", "//weak:")})
        assert "s3cret" not in done.stdout + done.stderr
        return next(line for line in done.stdout.splitlines() if re.match(r"\S+\s+catalog\s", line))

    primary.ask(name, "GRANT CREATE ON SCHEMA public TO weak; GRANT ALL ON ALL TABLES IN SCHEMA public TO weak;"
                      " REVOKE UPDATE ON album FROM weak")
    line = says()
    assert line.startswith("failed") and f"weak@127.0.0.1:{primary.port}" in line and "UPDATE of the table album" in line, line
    primary.ask(name, "GRANT UPDATE ON album TO weak")
    assert "to alter the table album" in says()
    primary.ask(name, "GRANT tutti TO weak; REVOKE CREATE ON SCHEMA public FROM weak")
    assert says().startswith("ok")
    primary.ask(name, "REVOKE tutti FROM weak")
    assert "to make tables" in says()


class Cutter:
    """A way to a server on which every n-th connection that commits breaks after the server has heard of it; or, once
    `ambush` is set, the next one and then everything until `away` is unset."""

    def __init__(self, port, every=0):
        self.target, self.every, self.commits, self.cuts = port, every, 0, 0
        self.ambush = self.away = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.away:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self.target))
            state = {"deaf": False}
            threading.Thread(target=self.pump, args=(client, server, state, True), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, state, False), daemon=True).start()

    def pump(self, source, sink, state, upwards):
        try:
            while data := source.recv(65536):
                if upwards and b"COMMIT" in data and b"pg_current_wal_flush_lsn" in data:
                    self.commits += 1
                    state["deaf"] = self.ambush or (self.every > 0 and self.commits % self.every == 0)
                    self.away = self.away or self.ambush
                    self.ambush = False
                elif upwards and self.away:
                    break
                if not upwards and state["deaf"]:
                    self.cuts += 1
                    break  # the answer to COMMIT is lost
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.listener.close()


def test_a_lost_answer_to_commit_is_found_out_and_nothing_is_done_twice(primary, own_server):
    direct = urls(primary, "lost")
    with Cutter(primary.port, every=3) as cutter:
        environment = {name: url.replace(f":{primary.port}/", f":{cutter.port}/") for name, url in direct.items()}
        environment.update({name + "_DIRECT": url for name, url in direct.items()})
        server = own_server(environment=environment)
        writer = artist_of(server)
        for number in range(60):
            ok(writer.post("/api/v1/artists", json={"name": f"Once {number}"}), 201)
        assert cutter.cuts >= 20
        assert server.stop() == 0
    rows = primary.ask("catalog_lost", "SELECT name, COUNT(*) FROM artist GROUP BY name").splitlines()
    assert sorted(rows) == sorted(f"Once {number}|1" for number in range(60))


def test_what_a_lost_commit_may_have_named_is_not_taken_away(primary, own_server):
    """Whether it was done nobody could find out then; the same request again finds that it was, and all it named is there."""
    with Cutter(primary.port) as cutter:
        server = own_server(environment={name: url.replace(f":{primary.port}/", f":{cutter.port}/")
                                         for name, url in urls(primary, "ambushed").items()})
        writer = artist_of(server)
        page = ok(writer.post("/api/v1/artists", json={"name": "Page"}), 201)

        def until_done(call):
            cutter.ambush = True
            first = call()
            assert first.status_code == 503 and int(first.headers["Retry-After"]) > 0 and cutter.cuts > 0, first.text
            cutter.away = False
            deadline = time.monotonic() + 60
            while (again := call()).status_code == 503:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert again.headers["Idempotency-Replayed"] == "true"
            return again

        upload = ok(until_done(lambda: writer.post("/api/v1/uploads", json={"filename": "a.flac", "size": 9},
                                                   headers={"Idempotency-Key": "one"})), 201)
        etag = requests.put(upload["parts"][0]["url"], data=b"123456789").headers["ETag"]
        ok(writer.post(f"/api/v1/uploads/{upload['id']}/complete", json={"parts": [{"number": 1, "etag": etag}]}))
        picture = subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=70x70", "-frames:v", "1", "-f",
                                  "image2pipe", "-c:v", "png", "-"], check=True, capture_output=True, timeout=60).stdout
        ok(until_done(lambda: writer.put(f"/api/v1/artists/{page['id']}/image", data=picture,
                                         headers={"Idempotency-Key": "two", "Content-Type": "image/png"})), 202)
        deadline = time.monotonic() + 60
        while not (image := ok(writer.get(f"/api/v1/artists/{page['id']}"))["imageArtId"]):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_server_of_the_tests_ends_with_who_started_it(tmp_path):
    """Whoever that is was killed: neither the server nor its folder is left."""
    starter = subprocess.Popen([postgres.__file__, "sh", "-c", f"echo $TUTTI_TEST_POSTGRES >{tmp_path}/url; exec sleep 600"],
                               preexec_fn=os.setpgrp)

    def until(condition):
        deadline = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def answers(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    url = tmp_path / "url"
    until(lambda: url.exists() and url.read_text())
    port = int(re.search(r":(\d+)/", url.read_text())[1])
    assert answers(port)
    os.killpg(starter.pid, signal.SIGKILL)
    starter.wait()
    until(lambda: not answers(port))
    until(lambda: not any((folder / f".s.PGSQL.{port}.lock").exists() for folder in pathlib.Path("/tmp").glob("tutti-pg-*")))


def test_a_lost_primary_loses_no_acknowledged_write(own_server):
    """What Patroni does, by hand: the primary is killed and its synchronous standby promoted."""
    with postgres.Server(quick=False) as primary, primary.replica(settings={"hot_standby_feedback": "on"}) as standby:
        for database in ("catalog", "users", "activity"):
            primary.create(database)
        primary.ask("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.ask("postgres", "SELECT pg_reload_conf()")
        environment = {f"TUTTI_DATABASE_{database.upper()}":
                       f"postgresql://tutti@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/{database}"
                       for database in ("catalog", "users", "activity")}
        server = own_server(environment=environment)
        writer = artist_of(server)
        kept, after, other = [], [], set()

        def write(number):
            answer = writer.post("/api/v1/artists", json={"name": f"Page {number}"}, timeout=60)
            if answer.status_code == 201:
                kept.append(answer.json()["id"])
            else:
                other.add((answer.status_code, "Retry-After" in answer.headers))
            return answer.status_code == 201

        for number in range(20):
            assert write(number)
        promoting = threading.Timer(1.0, lambda: (
            standby.ask("postgres", "ALTER SYSTEM SET synchronous_standby_names = ''"),
            standby.run("pg_ctl", "promote", "-w")))
        primary.kill()
        promoting.start()
        number = 20
        while len(after) < 20:
            number += 1
            assert number < 500
            if write(number):
                after.append(number)
        promoting.join()
        assert other <= {(503, True)}, other
        there = set(standby.ask("catalog", "SELECT id FROM artist").splitlines())
        assert set(kept) <= there
        assert requests.get(server.url + "/readyz").status_code == 200
