"""tutti doctor: what is broken here is found there, with what to do; and what is well is left in peace."""
import http.server
import json
import os
import pathlib
import resource
import shlex
import shutil
import socket
import sqlite3
import subprocess
import threading
import time

import pytest
import requests

from journey import BINARY, Person, free_port, run_tutti, wait_for
from programs import in_own_mounts

CHECKS = ["configuration", "data", "keys", "disk", "catalog", "users", "activity", "events", "bus", "jobs", "s3", "objects", "store", "redis", "search",
          "media", "server", "edges", "mail", "clock", "limits"]
OF_THE_MACHINE = {"disk", "clock", "limits"}  # may be a warning wherever the tests run
HOUR_MS = 3_600_000


@pytest.fixture
def data(first_release):
    """A library that is well: the first release's, brought to this version."""
    path = first_release()
    run_tutti("migrate", data=path)
    return path


def doctor(data, *more, environment=None, prepare=None):
    """What it finds, by name, and its exit status under "exit"."""
    done = subprocess.run([BINARY, "doctor", "--json", "--data", str(data), *(more or ("--listen", f"127.0.0.1:{free_port()}"))],
                          text=True, capture_output=True, timeout=60, preexec_fn=prepare,
                          env={**os.environ, **(environment or {})})
    report = json.loads(done.stdout)
    found = {one["name"]: one for one in report["checks"]}
    failed = [one for one in report["checks"] if one["state"] == "failed"]
    assert done.returncode == (1 if failed else 0) and report["failed"] == len(failed)
    assert report["ok"] + report["warnings"] + report["failed"] == len(report["checks"])
    return found


def change(path, *statements):
    with sqlite3.connect(path) as database:
        for statement in statements:
            database.execute(statement)
    database.close()


def assert_well(found, but=()):
    assert {name: one["detail"] for name, one in found.items()
            if one["state"] != "ok" and name not in OF_THE_MACHINE and name not in but} == {}


def assert_found(found, name, state, detail, advice):
    assert found[name]["state"] == state, found[name]
    assert detail in found[name]["detail"], found[name]
    assert advice in found[name].get("advice", ""), found[name]
    assert_well(found, but=(name,))


def test_what_is_well_is_well(data):
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*") if path.is_file()}
    found = doctor(data)
    assert list(found) == CHECKS
    assert_well(found)
    assert "encoded a test sound in its sandbox" in found["media"]["detail"]
    assert "is free" in found["server"]["detail"]
    after = {path: path.stat().st_mtime_ns for path in data.rglob("*") if path.is_file()}
    assert before == after, "it changes nothing"


def test_a_running_server_is_well(data, own_server):
    server = own_server(data=data)
    found = doctor(data, "--listen", f"127.0.0.1:{server.port}")
    assert_well(found)
    assert "it answers" in found["server"]["detail"] and "ready" in found["server"]["detail"]
    assert_well(doctor(data, "--listen", f"0.0.0.0:{server.port}"), but=("configuration",))


def test_people_read_lines(data):
    (data / "keys" / "seal.key").chmod(0o640)
    done = run_tutti("doctor", "--listen", f"127.0.0.1:{free_port()}", data=data, check=False)
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert any(line.startswith("failed   keys ") for line in lines) and any("→ chmod 600" in line for line in lines)
    assert lines[-1].endswith("1 failed")


def test_before_the_first_start(tmp_path):
    found = doctor(tmp_path / "nothing")
    assert found["catalog"]["state"] == found["data"]["state"] == "warning"
    assert "isn't there" in found["catalog"]["detail"]
    assert not (tmp_path / "nothing").exists()


def test_a_key_of_the_store_before_the_first_start(tmp_path):
    done = run_tutti("s3", "key", "add", "studio", data=tmp_path / "nothing", check=False)
    assert done.returncode == 1 and "nothing/keys isn't there: start the server once" in done.stderr


def test_migrate_makes_all_of_this_version(tmp_path):
    run_tutti("migrate", data=tmp_path / "data")
    found = doctor(tmp_path / "data")
    assert found["catalog"]["state"] == found["users"]["state"] == "ok"


# ---- configuration

def test_a_broken_configuration(data, tmp_path):
    config = tmp_path / "tutti.conf"
    config.write_text("[server]\nlistn = 1\n")
    found = doctor(data, "--config", str(config))
    assert list(found) == ["configuration"] and found["configuration"]["state"] == "failed"
    assert "tutti.conf:2" in found["configuration"]["detail"] and "listn" in found["configuration"]["detail"]


def test_passwords_in_the_clear(data):
    found = doctor(data, "--listen", f"0.0.0.0:{free_port()}")
    assert_found(found, "configuration", "warning", "passwords would travel in the clear", "https://")
    proxied = doctor(data, "--listen", f"0.0.0.0:{free_port()}", environment={"TUTTI_SERVER_URL": "https://example.org"})
    assert_well(proxied)


@pytest.mark.parametrize("setting", ["[mail]\nurl = smtp://me:secret@", "[cache]\nstore = redis://me:secret@"])
def test_a_password_that_everybody_may_read(data, tmp_path, setting):
    config = tmp_path / "tutti.conf"
    config.write_text(f"{setting}127.0.0.1:{free_port()}\n[server]\nlisten = 127.0.0.1:{free_port()}\n")
    config.chmod(0o644)
    found = doctor(data, "--config", str(config))
    assert found["configuration"]["state"] == "warning" and "chmod 640" in found["configuration"]["advice"]
    assert "secret" not in json.dumps(found)


# ---- rights

@pytest.mark.parametrize("name, mode, path", [("data", 0o755, "."), ("data", 0o644, "catalog.db"),
                                              ("keys", 0o750, "keys"), ("keys", 0o604, "keys/seal.key")])
def test_rights_that_are_too_wide_and_the_advice_mends_it(data, name, mode, path):
    (data / path).chmod(mode)
    found = doctor(data)
    assert_found(found, name, "failed", "others may use", "chmod")
    subprocess.run(found[name]["advice"].split(), check=True)
    assert_well(doctor(data))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_a_file_that_root_left_behind(data):
    for path in [data, *data.rglob("*")]:
        os.chown(path, 65534, 65534)
    os.chown(data / "keys" / "edge-keys", 0, 0)
    assert_found(doctor(data), "keys", "failed", "edge-keys belongs to another user", "chown")


# ---- databases

def test_a_damaged_database(data):
    with open(data / "users.db", "r+b") as file:
        file.seek(6 * 4096)
        file.write(b"\x5a" * 12288)
    found = doctor(data)
    assert found["users"]["state"] == "failed" and "damaged" in found["users"]["detail"]
    assert "backup" in found["users"]["advice"] and found["catalog"]["state"] == "ok"


@pytest.mark.parametrize("name", ["catalog", "users", "activity"])
def test_a_database_that_is_lost(data, name):
    """A start would make an empty one; that is not what to do."""
    file, other = data / f"{name}.db", data / ("users.db" if name == "catalog" else "catalog.db")
    file.write_bytes(b"")
    for suffix in ("-wal", "-shm"):
        (data / f"{name}.db{suffix}").unlink(missing_ok=True)
    for words in ("is empty", "isn't there"):
        found = doctor(data)
        assert found[name]["state"] == "failed" and f"{file} {words}, but {other} is there" in found[name]["detail"], found[name]
        assert "restore the last backup" in found[name]["advice"]
        file.unlink(missing_ok=True)


def test_a_database_that_came_with_a_later_version(first_release):
    """Its absence is no loss before this version was started."""
    data = first_release()
    (data / "activity.db").unlink(missing_ok=True)
    assert doctor(data)["activity"]["state"] == "warning"


def test_keys_that_are_lost(data):
    shutil.move(data / "keys", data.parent / "keys-elsewhere")
    found = doctor(data)
    assert found["keys"]["state"] == "failed" and "restore the last backup" in found["keys"]["advice"]
    (data / "keys").mkdir(mode=0o700)
    found = doctor(data)
    assert found["keys"]["state"] == "failed" and "there is nothing in it" in found["keys"]["detail"]


def test_a_disk_that_became_read_only(data):
    """Nothing of it is damaged for that, so no backup need be restored."""
    done = subprocess.run(in_own_mounts('mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"', str(data), BINARY, "doctor", "--json",
                                        "--data", str(data), "--listen", f"127.0.0.1:{free_port()}"),
                          text=True, capture_output=True, timeout=60)
    assert done.returncode == 1, done.stderr
    found = {one["name"]: one for one in json.loads(done.stdout)["checks"]}
    for name in ("data", "catalog", "users", "activity"):
        assert found[name]["state"] == "failed" and "Read-only file system" in found[name]["detail"], found[name]
        assert "dmesg" in found[name]["advice"] and "backup" not in found[name]["advice"], found[name]


def test_a_disk_that_is_full(data, tmp_path):
    """Nor for that, though SQLite calls it a disk I/O error."""
    place = tmp_path / "full"
    place.mkdir()
    fill = f'mount -t tmpfs -o size=64m tutti "$1" && cp -a {shlex.quote(str(data))}/. "$1" && (head -c 100M /dev/zero >"$1/fill" || :)'
    done = subprocess.run(in_own_mounts(fill, str(place), BINARY, "doctor", "--json", "--data", str(place),
                                        "--listen", f"127.0.0.1:{free_port()}"), text=True, capture_output=True, timeout=60)
    assert done.returncode == 1, done.stderr
    found = {one["name"]: one for one in json.loads(done.stdout)["checks"]}
    for name in ("catalog", "users", "activity"):
        assert found[name]["state"] == "failed" and "No space left on device" in found[name]["detail"], found[name]
        assert "room" in found[name]["advice"] and "backup" not in found[name]["advice"], found[name]


def test_something_else_in_place_of_a_database(data):
    (data / "catalog.db").write_bytes(b"these are no rows\n" * 1000)
    found = doctor(data)
    assert found["catalog"]["state"] == "failed" and "backup" in found["catalog"]["advice"]


def test_a_database_of_a_newer_version(data):
    change(data / "catalog.db", "INSERT INTO db_migration VALUES ('catalog', 900, 'x', 0)")
    assert_found(doctor(data), "catalog", "failed", "newer version", "install the newer version")


def test_an_edited_migration(data):
    change(data / "users.db", "UPDATE db_migration SET checksum = 'other' WHERE component = 'identity'")
    assert_found(doctor(data), "users", "failed", "another text", "backup")


def test_a_migration_that_is_missing(data):
    change(data / "catalog.db", "DELETE FROM db_migration WHERE component = 'transcode' AND number = 2",
           "DROP INDEX transcode_job_ended")
    assert_found(doctor(data), "catalog", "warning", "1 migrations are not applied", "tutti migrate")
    run_tutti("migrate", data=data)
    assert_well(doctor(data))


# ---- events and jobs

def park(data):
    """The newest event of a track, as if a consumer had given it up."""
    change(data / "catalog.db",
           "INSERT INTO bus_waiting (consumer, sequence, entity_key, tries, next_at, parked_at, error) "
           "SELECT 'catalog.media', sequence, entity_key, 10, 9223372036854775807, 1, 'io' FROM bus_outbox "
           "WHERE type LIKE 'media.%' ORDER BY sequence DESC LIMIT 1")
    with sqlite3.connect(data / "catalog.db") as database:
        row = database.execute("SELECT o.id, o.type FROM bus_waiting w JOIN bus_outbox o ON o.sequence = w.sequence").fetchone()
    database.close()
    return row


def test_events_that_were_given_up(data, own_server):
    event_id, kind = park(data)
    assert_found(doctor(data), "events", "failed", "1 events were given up after all tries, the oldest by the consumer catalog.media", "tutti events parked")
    listed = run_tutti("events", "parked", data=data).stdout
    assert str(event_id) in listed and kind in listed and "10 tries" in listed
    assert run_tutti("events", "retry", str(event_id), data=data).returncode == 0
    server = own_server(data=data)
    deadline = time.monotonic() + 20
    while doctor(data)["events"]["state"] != "ok" and time.monotonic() < deadline:
        time.sleep(0.2)
    assert server.stop() == 0
    assert_well(doctor(data))
    assert run_tutti("events", "parked", data=data).stdout == ""


def test_an_event_given_up_for_good(data):
    event_id, _ = park(data)
    assert run_tutti("events", "drop", str(event_id), data=data).returncode == 0
    assert_well(doctor(data))


def test_events_that_nobody_takes(data):
    change(data / "catalog.db", "UPDATE bus_consumer SET position = 0 WHERE name = 'transcode.jobs'")
    assert_found(doctor(data), "events", "warning", " events wait for the consumer transcode.jobs", "start a server")


def test_jobs_that_nobody_takes(data):
    change(data / "catalog.db", f"UPDATE transcode_job SET state = 'waiting', due_at = {int(time.time() * 1000) - HOUR_MS} "
           "WHERE kind = 'first'")
    assert_found(doctor(data), "jobs", "warning", "nobody has taken", "role transcode")


def test_jobs_that_have_just_come(data):
    """They are due at once, which is no wait."""
    change(data / "catalog.db", f"UPDATE transcode_job SET state = 'waiting', due_at = 0, created_at = {int(time.time() * 1000)}")
    assert_well(doctor(data))


# ---- objects

def objects_of(data, suffix):
    return sorted((data / "objects" / "objects" / "media").rglob(f"*{suffix}.obj"))


def test_objects_that_are_missing(data):
    objects_of(data, "aac-320.mp4")[0].unlink()
    objects_of(data, "300.jpg")[0].unlink()
    found = doctor(data)
    assert_found(found, "objects", "failed", "objects that tracks and pictures need are missing", "backup")
    assert found["objects"]["detail"].startswith("2 of ") and "aac-320.mp4" in found["objects"]["detail"]


def test_objects_whose_disk_is_not_there(data):
    shutil.move(data / "objects", data.parent / "objects-elsewhere")
    found = doctor(data)
    assert found["objects"]["state"] == "failed" and "isn't there, nor any of the" in found["objects"]["detail"], found["objects"]
    assert "mount the disk" in found["objects"]["advice"]


def test_an_object_of_another_length(data):
    whole, other = objects_of(data, "aac-320.mp4")[0], objects_of(data, "aac-96.mp4")[0]
    shutil.copy(other, whole)
    assert_found(doctor(data), "objects", "failed", "1 are damaged, of another length, or without their key: m/", "backup")


def test_a_damaged_object(data):
    victim = objects_of(data, "hls-320.m3u8")[0]
    os.truncate(victim, victim.stat().st_size - 1)
    assert_found(doctor(data), "store", "failed", "1 of ", "smartctl")


def rot(path):
    """Changes three bytes of an object, as a disk might; it keeps its length and description."""
    with open(path, "r+b") as file:
        file.seek(100)
        bytes_ = file.read(3)
        file.seek(100)
        file.write(bytes(byte ^ 1 for byte in bytes_))


def test_bytes_that_rotted_are_found_by_reading_and_come_back_from_copies(data, tmp_path):
    objects, copies = data / "objects", tmp_path / "copies"
    shutil.copytree(objects, copies)
    assert_well(doctor(data, "--deep", "--listen", f"127.0.0.1:{free_port()}"))
    victims = objects_of(data, "aac-320.mp4")[0], objects_of(data, "300.jpg")[0]
    for victim in victims:
        rot(victim)
    found = doctor(data)
    assert_well(found)
    assert "bytes" not in found, "nobody asked for it"
    done = run_tutti("doctor", "--deep", "--json", data=data, check=False)
    found = {one["name"]: one for one in json.loads(done.stdout)["checks"]}
    assert done.returncode == 1
    assert_found(found, "bytes", "failed", "2 of ", f"tutti migrate --from file:COPIES --to file:{objects} --verify")
    for name in "aac-320.mp4", "300.jpg":
        assert name in found["bytes"]["detail"] and f"{name} is damaged" in done.stderr
    mended = run_tutti("migrate", "--from", f"file:{copies}", "--to", f"file:{objects}", "--verify", data=data)
    assert "2 had wrong bytes and were copied again" in mended.stderr
    assert_well(doctor(data, "--deep", "--listen", f"127.0.0.1:{free_port()}"))


def test_objects_that_no_row_names(data):
    source = objects_of(data, "aac-320.mp4")[0]
    orphan = source.parent.parent / "2.dir" / source.name
    orphan.parent.mkdir()
    shutil.copy(source, orphan)
    assert_well(doctor(data))  # a row may still come
    with sqlite3.connect(data / "catalog.db") as catalog:
        born = catalog.execute("SELECT min(applied_at) FROM db_migration").fetchone()[0] / 1000
    catalog.close()
    os.utime(orphan, (born - 2 * 86400,) * 2)
    assert_found(doctor(data), "store", "warning", "older than the catalog", "tutti sweep --accept-lost")
    assert "1 objects are older than the catalog and were left" in run_tutti("sweep", data=data).stdout
    change(data / "catalog.db", "UPDATE db_migration SET applied_at = applied_at - 864000000")
    assert_found(doctor(data), "store", "warning", "1 of ", "tutti sweep removes them")
    run_tutti("sweep", data=data)
    assert not orphan.exists()
    assert_well(doctor(data))


def test_encrypted_objects_whose_key_is_gone(data, own_server, sounds):
    server = own_server(data=data, environment={"TUTTI_BLOB_ENCRYPT": "yes"})
    artist = Person(server.url, "artist-of-then")
    album = artist.get("/api/v1/albums").json()["items"][0]
    place = artist.get("/api/v1/tracks/upload-url", params={"filename": "a.flac"}).json()
    assert requests.put(place["uploadUrl"], data=sounds("flac", seconds=1.0).read_bytes(), timeout=30).status_code == 200
    track = artist.post("/api/v1/tracks", json={"albumId": album["id"], "title": "Sealed", "trackUrl": place["trackUrl"]})
    wait_for(artist, track.json()["id"], whole=True)
    assert server.stop() == 0
    assert_well(doctor(data))
    (data / "keys" / "blob-keys").rename(data / "keys.lost")
    assert_found(doctor(data), "objects", "failed", "without their key: m/", "backup")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
def test_a_disk_that_is_nearly_full(data, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=30m", "none", str(disk)], check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        shutil.copytree(data, disk / "data")
        found = doctor(disk / "data")
        assert found["disk"]["state"] == "failed" and "free for" in found["disk"]["detail"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# ---- what must answer

@pytest.mark.parametrize("program, words", [("/nowhere/tutti-media", "no program"), ("/bin/true", "can't encode"),
                                            ("/bin/sleep", "can't encode")])
def test_a_tutti_media_that_does_not_work(data, program, words):
    found = doctor(data, environment={"TUTTI_TRANSCODE_MEDIA_PROGRAM": program})
    assert_found(found, "media", "failed", words, "transcode.media_program")


def test_something_else_at_the_port(data):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        found = doctor(data, "--listen", f"127.0.0.1:{other.server_port}")
        other.shutdown()
    assert_found(found, "server", "failed", "something else listens", "server.listen")


def test_a_server_that_does_not_answer(data):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(4)
        found = doctor(data, "--listen", f"127.0.0.1:{silent.getsockname()[1]}")
    assert_found(found, "server", "failed", "no answer within", "restart")


def test_an_edge_that_is_away(data):
    found = doctor(data, environment={"TUTTI_EDGE_URLS": f"http://127.0.0.1:{free_port()}"})
    assert_found(found, "edges", "failed", "the edge http://127.0.0.1", "edge.urls")


def test_mail_that_does_not_go(data):
    found = doctor(data, environment={"TUTTI_MAIL_URL": f"smtp://127.0.0.1:{free_port()}"})
    assert_found(found, "mail", "failed", "The mail server", "mail.url")


def test_mail_that_goes(data):
    controller = pytest.importorskip("aiosmtpd.controller")

    class Nothing:
        async def handle_DATA(self, server, session, envelope):
            raise AssertionError("doctor sends no mail")

    smtp = controller.Controller(Nothing(), hostname="127.0.0.1", port=free_port())
    smtp.start()
    try:
        found = doctor(data, environment={"TUTTI_MAIL_URL": f"smtp://127.0.0.1:{smtp.port}"})
    finally:
        smtp.stop()
    assert_well(found)
    assert "lets us in" in found["mail"]["detail"]


# ---- the machine

def test_a_clock_that_went_back(data):
    change(data / "catalog.db", "UPDATE bus_outbox SET created_at = "
           f"{int(time.time() * 1000) + HOUR_MS} WHERE sequence = (SELECT MAX(sequence) FROM bus_outbox)")
    found = doctor(data)
    assert found["clock"]["state"] == "failed" and "behind what the database catalog holds" in found["clock"]["detail"]


def test_too_few_descriptors(data):
    found = doctor(data, prepare=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024)))
    assert found["limits"]["state"] == "warning" and "LimitNOFILE" in found["limits"]["advice"]
