"""Backup and restore: on a server that is written to all the while, and with files that are damaged, foreign, or
somebody else's."""
import fcntl
import hashlib
import os
import pathlib
import pty
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time

import boto3
import pytest
import requests

from journey import BINARY, PASSWORD, People, Person, Server, run_tutti, wait_for

LOAD_BEFORE_S, LOAD_AFTER_S = 3.0, 0.5


@pytest.fixture(scope="module")
def key_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("key") / "backup.key"
    path.write_bytes(os.urandom(32))
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def other_key_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("key") / "other.key"
    path.write_bytes(os.urandom(32))
    path.chmod(0o600)
    return path


def backup(data, path, key, *more, check=True):
    return run_tutti("backup", str(path), "--key-file", str(key), *more, data=data, check=check, timeout=120)


def restore(data, path, key, *more, check=True):
    return run_tutti("restore", str(path), "--key-file", str(key), *more, data=data, check=check, timeout=120)


def copied(done):
    """How many objects a backup copied after the databases' moment, by what it said."""
    return int(re.search(r"^objects +(\d+) copied", done.stderr, re.M).group(1))


def files_of(person, track_id):
    """SHA-256 of every file of a track, as a player gets them."""
    answer = person.get(f"/api/v1/tracks/{track_id}/stream")
    assert answer.status_code == 200, answer.text
    hashes = {}
    for file in answer.json()["files"]:
        got = requests.get(file["url"], timeout=30)
        assert got.status_code == 200, f"{file['url']}: {got.status_code}"
        hashes[f"{file['format']}-{file['bitrate']}"] = hashlib.sha256(got.content).hexdigest()
    assert requests.get(answer.json()["hls"], timeout=30).status_code == 200
    return hashes


def tree(path):
    """Every file below a folder with its content."""
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


class Load:
    """People who write all the while, each in a thread of their own, and a journal of what was acknowledged."""

    def __init__(self, server, sound):
        self.server, self.sound = server, sound
        self.ending = threading.Event()
        self.journal, self.failures = [], []
        self.threads = [threading.Thread(target=self.guard, args=(work,), daemon=True)
                        for work in (self.write_pages, self.upload_tracks, self.register, self.put_only)]

    def guard(self, work):
        try:
            work()
        except Exception as failure:  # a test must see it, whatever it is
            self.failures.append(failure)

    def __enter__(self):
        self.people = People(self.server)
        self.people.new("admin")  # before there is one nobody else may register
        self.artists = [self.people.new("artist") for _ in range(3)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self.ending.set()
        for thread in self.threads:
            thread.join(60)
        assert not self.failures, self.failures

    def note(self, kind, **what):
        self.journal.append((time.monotonic(), kind, what))

    def before(self, moment, kind):
        return [what for at, noted, what in list(self.journal) if noted == kind and at < moment]

    def write_pages(self):
        artist = self.artists[0]
        count = 0
        while not self.ending.is_set():
            count += 1
            page = artist.post("/api/v1/artists", json={"name": f"Page {count}"}).json()
            self.note("page", id=page["id"], name=page["name"])

    def upload_tracks(self):
        artist = self.artists[1]
        page = artist.post("/api/v1/artists", json={"name": "Uploading"}).json()
        album = artist.post("/api/v1/albums", json={"artistId": page["id"], "title": "Uploads"}).json()
        count = 0
        while not self.ending.is_set():
            count += 1
            url = self.put(artist)
            track = artist.post("/api/v1/tracks", json={"albumId": album["id"], "title": f"Take {count}",
                                                        "trackUrl": url})
            assert track.status_code == 201, track.text
            self.note("track", id=track.json()["id"], title=f"Take {count}")
            time.sleep(0.3)

    def put(self, artist):
        place = artist.get("/api/v1/tracks/upload-url",
                           params={"filename": self.sound.name, "size": self.sound.stat().st_size}).json()
        assert requests.put(place["uploadUrl"], data=self.sound.read_bytes(), timeout=30).status_code == 200
        return place["trackUrl"]

    def put_only(self):
        """Files that are sent but not yet made a track of."""
        artist = self.artists[2]
        page = artist.post("/api/v1/artists", json={"name": "Sending"}).json()
        album = artist.post("/api/v1/albums", json={"artistId": page["id"], "title": "Sent"}).json()
        while not self.ending.is_set():
            self.note("upload", url=self.put(artist), album=album["id"], artist=artist.username)
            time.sleep(0.5)

    def register(self):
        count = 0
        while not self.ending.is_set():
            count += 1
            answer = Person(self.server.url).post("/api/v1/auth/register", json={
                "username": f"person-{count}", "email": f"person-{count}@example.org", "password": PASSWORD})
            assert answer.status_code in (200, 201), answer.text
            self.note("person", name=f"person-{count}")


def test_a_loaded_server_is_restored_whole(own_server, sounds, key_file, tmp_path):
    source = own_server()
    with Load(source, sounds("flac", seconds=1.0)) as load:
        time.sleep(LOAD_BEFORE_S)
        moment = time.monotonic()
        done = backup(source.data, tmp_path / "backup", key_file, "--blobs", str(tmp_path / "blobs"))
        took_s = time.monotonic() - moment
        assert len(load.before(time.monotonic(), "page")) > len(load.before(moment, "page")), "nobody waited for it"
        time.sleep(LOAD_AFTER_S)
    assert copied(done) > 0
    assert not list(source.data.glob(".backup*")), "no copies are left behind"

    restored_to = tmp_path / "elsewhere"
    began = time.monotonic()
    restore(restored_to, tmp_path / "backup", key_file, "--blobs", str(tmp_path / "blobs"))
    copy = own_server(data=restored_to)
    print(f"backup {took_s:.2f} s, restored and ready {time.monotonic() - began:.2f} s")

    # What was acknowledged before the backup began is there.
    writer, uploader, sender = (Person(copy.url, artist.username) for artist in load.artists)
    pages = {page["id"]: page["name"] for page in everything(writer, f"/api/v1/artists?ownerId={writer.user['id']}")}
    assert len(load.before(moment, "page")) > 5
    for page in load.before(moment, "page"):
        assert pages.get(page["id"]) == page["name"]
    assert load.before(moment, "person")
    for person in load.before(moment, "person"):
        Person(copy.url, person["name"])  # signs in
    keys = [requests.get(one.url + "/.well-known/jwks.json", timeout=10).json() for one in (source, copy)]
    assert keys[0]["keys"] and keys[0] == keys[1], "the keys came along"

    # Every upload becomes a track, whatever state it was in, and every track plays what the source plays.
    assert load.before(moment, "track") and load.before(moment, "upload")
    for track in load.before(moment, "track"):
        assert wait_for(uploader, track["id"], timeout=120)["title"] == track["title"]
    for upload in load.before(moment, "upload"):
        answer = sender.post("/api/v1/tracks", json={"albumId": upload["album"], "title": "Sent",
                                                     "trackUrl": upload["url"]})
        assert answer.status_code == 201, answer.text
        assert wait_for(sender, answer.json()["id"], timeout=120)["status"] == "ready"
    for track in everything(uploader, "/api/v1/tracks?limit=500"):
        track = wait_for(uploader, track["id"], timeout=120, whole=True)
        assert track["status"] == "ready"
        assert files_of(uploader, track["id"])
    for track in load.before(moment, "track")[:2]:
        wait_for(load.artists[1], track["id"], timeout=120, whole=True)
        assert files_of(uploader, track["id"]) == files_of(load.artists[1], track["id"])


def test_uploads_taken_between_any_two_steps_are_there(own_server, sounds, key_file, tmp_path):
    """The backup is stopped after each of its steps, and meanwhile an upload that was there when it began becomes a
    track, whose file leaves the uploads. Restored, each is a track that plays, or an upload that can become one."""
    source = own_server()
    artist = People(source).new("artist")
    page = artist.post("/api/v1/artists", json={"name": "Between"}).json()
    album = artist.post("/api/v1/albums", json={"artistId": page["id"], "title": "Steps"}).json()
    sound = sounds("flac", seconds=1.0).read_bytes()
    urls = []
    for _ in range(9):
        place = artist.get("/api/v1/tracks/upload-url", params={"filename": "a.flac"}).json()
        assert requests.put(place["uploadUrl"], data=sound, timeout=30).status_code == 200
        urls.append(place["trackUrl"])

    def take(person, url):
        return person.post("/api/v1/tracks", json={"albumId": album["id"], "title": url, "trackUrl": url})

    waiting = list(urls)
    before = take(artist, waiting.pop()).json()
    wait_for(artist, before["id"], whole=True)
    process = subprocess.Popen([BINARY, "backup", str(tmp_path / "backup"), "--key-file", str(key_file), "--blobs",
                                str(tmp_path / "blobs"), "--data", str(source.data)], text=True, stderr=subprocess.PIPE)
    for line in process.stderr:
        process.send_signal(signal.SIGSTOP)
        answer = take(artist, waiting.pop())
        assert answer.status_code == 201, answer.text
        wait_for(artist, answer.json()["id"], whole=True)
        process.send_signal(signal.SIGCONT)
    assert process.wait(60) == 0 and 5 <= len(urls) - len(waiting) <= 9

    restore(tmp_path / "data", tmp_path / "backup", key_file, "--blobs", str(tmp_path / "blobs"))
    copy = Person(own_server(data=tmp_path / "data").url, artist.username)
    there = {track["title"]: track for track in everything(copy, f"/api/v1/albums/{album['id']}/tracks")}
    assert before["title"] in there and len(there) < len(urls) - len(waiting), "tracks of before and after the moment"
    for url in urls:
        if url not in there:
            answer = take(copy, url)
            assert answer.status_code == 201, answer.text
            there[url] = answer.json()
        assert wait_for(copy, there[url]["id"], whole=True)["status"] == "ready"
        assert files_of(copy, there[url]["id"])


def everything(person, path):
    cursor, join = None, "&" if "?" in path else "?"
    while True:
        page = person.get(path + (f"{join}cursor={cursor}" if cursor else "")).json()
        yield from page["items"]
        cursor = page["next"]
        if cursor is None:
            return


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, sounds, key_file):
    """A stopped server's data with one whole track, and its backup with objects."""
    folder = tmp_path_factory.mktemp("stopped")
    server = Server(data=folder / "data", environment={"TUTTI_MAIL_FROM": "Us <us@example.org>"})
    server.data.mkdir(mode=0o700)
    server.start()
    people = People(server)
    artist = people.new("artist")
    page = artist.post("/api/v1/artists", json={"name": "Before"}).json()
    album = artist.post("/api/v1/albums", json={"artistId": page["id"], "title": "Kept"}).json()
    place = artist.get("/api/v1/tracks/upload-url", params={"filename": "a.flac"}).json()
    requests.put(place["uploadUrl"], data=sounds("flac", seconds=1.0).read_bytes(), timeout=30)
    track = artist.post("/api/v1/tracks", json={"albumId": album["id"], "title": "One",
                                                "trackUrl": place["trackUrl"]}).json()
    wait_for(artist, track["id"], whole=True)
    hashes = files_of(artist, track["id"])
    assert server.stop() == 0
    backup(server.data, folder / "backup", key_file, "--blobs", str(folder / "blobs"))
    yield type("Stopped", (), {"data": server.data, "backup": folder / "backup", "blobs": folder / "blobs",
                               "artist": artist, "album": album, "track": track, "hashes": hashes})
    server.done()


def test_only_what_is_new_is_copied(stopped, key_file, tmp_path):
    again = backup(stopped.data, tmp_path / "again", key_file, "--blobs", str(stopped.blobs))
    assert copied(again) == 0
    # An object that is another in the copies is copied anew, and so is one that was lost there.
    objects = sorted((stopped.blobs / "objects" / "media").rglob("*.obj"))
    assert len(objects) > 5
    objects[0].unlink()
    objects[1].write_bytes(objects[1].read_bytes()[:-1])
    mended = backup(stopped.data, tmp_path / "mended", key_file, "--blobs", str(stopped.blobs))
    assert copied(mended) == 2


def test_an_older_database_and_newer_objects_work_together(stopped, own_server, sounds, key_file, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(stopped.data, data)
    blobs = tmp_path / "blobs"
    shutil.copytree(stopped.blobs, blobs)
    server = own_server(data=data)
    artist = Person(server.url, stopped.artist.username)
    place = artist.get("/api/v1/tracks/upload-url", params={"filename": "b.flac"}).json()
    requests.put(place["uploadUrl"], data=sounds("flac", seconds=2.0).read_bytes(), timeout=30)
    later = artist.post("/api/v1/tracks", json={"albumId": stopped.album["id"], "title": "Two",
                                                "trackUrl": place["trackUrl"]}).json()
    wait_for(artist, later["id"], whole=True)
    assert artist.delete(f"/api/v1/tracks/{stopped.track['id']}").status_code == 200
    newer = backup(data, tmp_path / "newer", key_file, "--blobs", str(blobs))
    assert copied(newer) > 0
    server.stop()

    restore(tmp_path / "older", stopped.backup, key_file, "--blobs", str(blobs))
    copy = own_server(data=tmp_path / "older")
    artist = Person(copy.url, stopped.artist.username)
    assert files_of(artist, stopped.track["id"]) == stopped.hashes, "what was deleted since is there again"
    assert artist.get(f"/api/v1/tracks/{later['id']}").status_code == 404


def test_what_is_restored_is_private_and_tells_of_the_configuration(stopped, key_file, tmp_path):
    config = tmp_path / "tutti.conf"
    config.write_text("# ours\n[mail]\nfrom = Them <them@example.org>\n")
    made = run_tutti("backup", str(tmp_path / "backup"), "--key-file", str(key_file), "--config", str(config),
                     data=stopped.data, environment={"TUTTI_PLAN_DEFAULT": "free"})
    assert "no objects" in made.stdout
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o600
    assert b"them@example.org" not in (tmp_path / "backup").read_bytes(), "all of it is sealed"
    said = restore(tmp_path / "data", tmp_path / "backup", key_file).stdout
    assert str(tmp_path / "data" / "tutti.conf.restored") in said
    assert said.count("there was no --blobs") == 1
    assert (tmp_path / "data" / "tutti.conf.restored").read_text() == config.read_text()
    assert (tmp_path / "data" / "environment.restored").read_text() == "TUTTI_PLAN_DEFAULT=free\n"
    for path in [tmp_path / "data", *(tmp_path / "data").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_passphrase_seals_too(stopped, tmp_path):
    made = run_tutti("backup", str(tmp_path / "backup"), "--password-stdin", data=stopped.data, stdin="quite a secret\n")
    assert made.returncode == 0
    wrong = run_tutti("restore", str(tmp_path / "backup"), "--password-stdin", data=tmp_path / "data",
                      stdin="quite another\n", check=False)
    assert wrong.returncode == 1 and "another passphrase" in wrong.stderr
    assert not list((tmp_path / "data").iterdir())
    right = run_tutti("restore", str(tmp_path / "backup"), "--password-stdin", data=tmp_path / "data",
                      stdin="quite a secret\n")
    assert right.returncode == 0 and (tmp_path / "data" / "catalog.db").exists()
    cut = run_tutti("backup", str(tmp_path / "b2"), "--password-stdin", data=stopped.data, stdin="quite a\0 secret\n", check=False)
    assert cut.returncode == 2 and "random bytes go into a --key-file" in cut.stderr and not (tmp_path / "b2").exists()
    short = run_tutti("backup", str(tmp_path / "b2"), "--password-stdin", data=stopped.data, stdin="short\n", check=False)
    assert short.returncode == 2 and "at least 8" in short.stderr


def test_wrong_secrets_are_told_from_damage(stopped, key_file, other_key_file, tmp_path):
    other = restore(tmp_path / "data", stopped.backup, other_key_file, check=False)
    assert other.returncode == 1 and "another key file" in other.stderr
    phrase = run_tutti("restore", str(stopped.backup), "--password-stdin", data=tmp_path / "data",
                       stdin="a passphrase\n", check=False)
    assert phrase.returncode == 2 and "--key-file" in phrase.stderr
    other_key_file.chmod(0o644)
    readable = restore(tmp_path / "data", stopped.backup, other_key_file, check=False)
    assert readable.returncode == 2 and "chmod 600" in readable.stderr
    alone = subprocess.run([BINARY, "restore", str(stopped.backup), "--data", str(tmp_path / "data")], text=True,
                           capture_output=True, stdin=subprocess.DEVNULL, start_new_session=True, timeout=30)
    assert alone.returncode == 2 and "--key-file" in alone.stderr, "without a terminal nobody is asked"


def places(length):
    """Where a byte is flipped: every field of the head, and all over the stream."""
    head = [0, 8, 12, 16, 24, 32, 40, 56, 80, 96, 127]
    return head + [128, 200, 128 + 65552, 128 + 65553, length // 2, length - 18, length - 1]


def test_damage_anywhere_is_refused_and_changes_nothing(stopped, key_file, tmp_path):
    whole = stopped.backup.read_bytes()
    assert len(whole) > 4 * 65553
    target = tmp_path / "data"
    restore(target, stopped.backup, key_file)
    before = tree(target)
    for at in places(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x01
        (tmp_path / "damaged").write_bytes(damaged)
        done = restore(target, tmp_path / "damaged", key_file, "--replace", check=False)
        assert done.returncode == 1, f"byte {at}: {done.stdout}"
        assert re.search("damaged|no backup|newer version", done.stderr), f"byte {at}: {done.stderr}"
        assert tree(target) == before, f"byte {at}"


def test_a_part_of_a_backup_is_refused(stopped, key_file, tmp_path):
    whole = stopped.backup.read_bytes()
    for length in (0, 1, 100, 128, 129, 145, 128 + 65553, 128 + 2 * 65553, len(whole) - 17, len(whole) - 1):
        (tmp_path / "part").write_bytes(whole[:length])
        done = restore(tmp_path / "data", tmp_path / "part", key_file, check=False)
        assert done.returncode == 1 and re.search("damaged|only its beginning", done.stderr), (length, done.stderr)
    (tmp_path / "more").write_bytes(whole + b"x")
    assert "damaged" in restore(tmp_path / "data", tmp_path / "more", key_file, check=False).stderr
    assert not (tmp_path / "data" / "catalog.db").exists()


def test_foreign_and_newer_files_are_refused(stopped, key_file, tmp_path):
    (tmp_path / "foreign").write_bytes(os.urandom(4096))
    foreign = restore(tmp_path / "data", tmp_path / "foreign", key_file, check=False)
    assert foreign.returncode == 1 and "no backup of Tutti" in foreign.stderr
    newer = bytearray(stopped.backup.read_bytes())
    newer[8] = 2
    (tmp_path / "newer").write_bytes(newer)
    done = restore(tmp_path / "data", tmp_path / "newer", key_file, check=False)
    assert done.returncode == 1 and "newer version" in done.stderr
    missing = restore(tmp_path / "data", tmp_path / "nothing", key_file, check=False)
    assert missing.returncode == 1 and "No such file" in missing.stderr
    folder = restore(tmp_path / "data", tmp_path, key_file, check=False)
    assert folder.returncode == 2 and "is no file" in folder.stderr


def test_a_newer_database_is_refused(stopped, key_file, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(stopped.data, data)
    subprocess.run(["/usr/bin/python3", "-c", "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); "
                    "db.execute(\"INSERT INTO db_migration VALUES ('catalog', 999, 'x', 0)\"); db.commit()",
                    str(data / "catalog.db")], check=True, timeout=30)
    backup(data, tmp_path / "backup", key_file)
    done = restore(tmp_path / "elsewhere", tmp_path / "backup", key_file, check=False)
    assert done.returncode == 1 and "newer version of Tutti" in done.stderr
    assert not (tmp_path / "elsewhere" / "catalog.db").exists()


def test_what_is_there_is_kept(stopped, own_server, key_file, tmp_path):
    target = tmp_path / "data"
    restore(target, stopped.backup, key_file)
    users = (target / "users.db").read_bytes()
    full = restore(target, stopped.backup, key_file, check=False)
    assert full.returncode == 1 and "--replace" in full.stderr
    replaced = restore(target, stopped.backup, key_file, "--replace", "--blobs", str(stopped.blobs))
    assert "no --blobs" not in replaced.stdout
    aside = next(target.glob("before-restore-*"))
    assert str(aside) in replaced.stdout
    assert (aside / "users.db").read_bytes() == users and (aside / "keys").is_dir()
    running = own_server(data=target)
    refused = restore(target, stopped.backup, key_file, "--replace", check=False)
    assert refused.returncode == 1 and "stop it first" in refused.stderr
    assert running.stop() == 0


def test_a_backup_appears_whole_or_not_at_all(stopped, key_file, tmp_path):
    path = tmp_path / "backup"
    path.write_bytes(b"TUTTIBAK of yesterday")
    process = subprocess.Popen([BINARY, "backup", str(path), "--password-stdin", "--data", str(stopped.data)],
                               stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process.send_signal(signal.SIGSTOP)
    process.kill()
    process.wait(10)
    assert path.read_bytes() == b"TUTTIBAK of yesterday"
    (tmp_path / "backup.part").write_bytes(b"left by a backup that was killed" * 100000)
    (stopped.data / ".backup").mkdir(exist_ok=True)
    (stopped.data / ".backup" / "catalog.db").write_bytes(b"as was this")
    backup(stopped.data, path, key_file)
    assert restore(tmp_path / "data", path, key_file).returncode == 0
    assert not (tmp_path / "backup.part").exists() and not (stopped.data / ".backup").exists()


def test_a_backup_that_cannot_be_made_says_why(stopped, key_file, tmp_path):
    nothing = backup(tmp_path / "nowhere", tmp_path / "backup", key_file, check=False)
    assert nothing.returncode == 1 and "isn't there" in nothing.stderr
    assert not (tmp_path / "nowhere").exists(), "and makes no database"
    place = backup(stopped.data, tmp_path / "no" / "folder" / "backup", key_file, check=False)
    assert place.returncode == 1 and "can't be written" in place.stderr
    (tmp_path / "file").touch()
    for folder, words in (("", "--blobs needs a value"), (str(tmp_path / "file"), f"the folder of --blobs {tmp_path / 'file'} can't be")):
        blobs = backup(stopped.data, tmp_path / "backup", key_file, f"--blobs={folder}", check=False)
        assert blobs.returncode == 2 and words in blobs.stderr, blobs.stderr
    nameless = restore(tmp_path / "data", stopped.backup, key_file, "--blobs=", check=False)
    assert nameless.returncode == 2 and "--blobs needs a value" in nameless.stderr
    full = backup(stopped.data, pathlib.Path("/dev/full/backup"), key_file, check=False)
    assert full.returncode == 1 and not (stopped.data / ".backup").exists()


def test_a_backup_replaces_nothing_but_a_backup(stopped, key_file, tmp_path):
    """A wrong word, or two in the wrong order, costs no database and no key; nor does root lose /dev/null."""
    data = tmp_path / "data"
    shutil.copytree(stopped.data, data)
    kept = tmp_path / "key"
    shutil.copy(key_file, kept)
    named = tmp_path / "named"
    named.symlink_to(data / "users.db")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    files = (data / "catalog.db", data / "keys" / "seal.key", kept)
    before = [file.read_bytes() for file in files]
    for target in (*files, named, pipe):
        done = backup(data, target, kept, check=False)
        assert done.returncode == 2 and f"{target} is there, and no backup" in done.stderr, done.stderr
        assert not (target.parent / f"{target.name}.part").exists()
    assert [file.read_bytes() for file in files] == before and named.is_symlink() and pipe.is_fifo()
    for older in (b"", b"TUTTIBAK cut off"):
        (tmp_path / "backup").write_bytes(older)
        assert backup(data, tmp_path / "backup", kept).returncode == 0


def test_a_backup_leaves_what_another_works_with(stopped, key_file, tmp_path):
    """The second of two at a time is refused, and costs the first nothing."""
    work = stopped.data / ".backup"
    work.mkdir(mode=0o700)
    (work / "catalog.db").write_bytes(b"the first one's")
    first = os.open(work, os.O_RDONLY)
    fcntl.flock(first, fcntl.LOCK_EX)
    second = backup(stopped.data, tmp_path / "backup", key_file, check=False)
    assert second.returncode == 1 and "another backup" in second.stderr
    assert (work / "catalog.db").read_bytes() == b"the first one's" and not (tmp_path / "backup").exists()
    os.close(first)
    backup(stopped.data, tmp_path / "backup", key_file)
    assert not work.exists()


def test_a_damaged_database_is_not_backed_up(stopped, key_file, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(stopped.data, data)
    with open(data / "catalog.db", "r+b") as file:
        file.seek(5 * 4096)
        file.write(b"\x5a" * 8192)
    done = backup(data, tmp_path / "backup", key_file, check=False)
    assert done.returncode == 1 and "damaged" in done.stderr
    assert not (tmp_path / "backup").exists()


def test_damaged_objects_are_named_and_left_out(stopped, key_file, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(stopped.data, data)
    victim = sorted((data / "objects" / "objects" / "media").rglob("*.mp4.obj"))[0]
    with open(victim, "r+b") as file:
        file.seek(100)
        file.write(b"\x00\x01\x02\x03")
    done = backup(data, tmp_path / "backup", key_file, "--blobs", str(tmp_path / "blobs"), check=False)
    assert done.returncode == 1 and victim.name in done.stderr and "1 damaged" in done.stderr
    assert not list((tmp_path / "blobs").rglob(victim.name))
    assert restore(tmp_path / "elsewhere", tmp_path / "backup", key_file).returncode == 0


def rot(path):
    """Changes three bytes of an object, as a disk might; it keeps its length and description."""
    with open(path, "r+b") as file:
        file.seek(100)
        was = file.read(3)
        file.seek(100)
        file.write(bytes(byte ^ 1 for byte in was))


def test_copies_that_rotted_are_read_and_mended(stopped, key_file, tmp_path):
    data, blobs = tmp_path / "data", tmp_path / "blobs"
    shutil.copytree(stopped.data, data)
    shutil.copytree(stopped.blobs, blobs)
    victim, other = sorted((blobs / "objects" / "media").rglob("*.mp4.obj"))[:2]
    whole = victim.read_bytes()
    rot(victim)
    mended = backup(data, tmp_path / "mended", key_file, "--blobs", str(blobs), "--verify")
    assert f"{victim.name} had wrong bytes and was copied again" in mended.stderr
    assert "(1 had wrong bytes and were copied again), 0 damaged" in mended.stderr and copied(mended) == 1
    assert victim.read_bytes() == whole

    # Where the live one is as bad it is told, and the rest is mended all the same.
    rot(victim)
    rot(data / "objects" / victim.relative_to(blobs))
    rot(other)
    told = backup(data, tmp_path / "told", key_file, "--blobs", str(blobs), "--verify", check=False)
    assert told.returncode == 1 and (tmp_path / "told").exists()
    assert f"{victim.name} has wrong bytes, and can't be copied again" in told.stderr and ", 1 damaged" in told.stderr
    assert other.read_bytes() == (data / "objects" / other.relative_to(blobs)).read_bytes()

    moved = run_tutti("migrate", "--from", f"file:{data}/objects", "--to", f"file:{blobs}", "--verify", data=data, check=False)
    assert moved.returncode == 1 and "1 objects are damaged" in moved.stderr and "left out" not in moved.stderr

    # And back: what is there is passed over, or read and mended.
    back = data / "objects" / other.relative_to(blobs)
    rot(back)
    for more, same in ((), False), (("--verify",), True):
        done = restore(data, stopped.backup, key_file, "--blobs", str(stopped.blobs), "--replace", *more, check=False)
        assert done.returncode == 0, done.stderr
        assert " 0 damaged" in done.stderr and (back.read_bytes() == other.read_bytes()) == same
        time.sleep(1.1)  # what is put aside has the second in its name
    alone = run_tutti("backup", str(tmp_path / "alone"), "--key-file", str(key_file), "--verify", data=data, check=False)
    assert alone.returncode == 2 and "--verify needs --blobs" in alone.stderr


def test_what_wants_a_person_is_named_after_any_number_of_mended_ones(stopped, key_file, tmp_path):
    blobs = tmp_path / "blobs"
    shutil.copytree(stopped.blobs, blobs)
    folder = blobs / "objects" / "media"
    victim = sorted(folder.rglob("*.mp4.obj"))[0]
    data = tmp_path / "data"
    shutil.copytree(stopped.data, data)
    for count in range(30):
        for store in (folder, data / "objects" / "objects" / "media"):
            (store / f"x{count}.obj").write_bytes(victim.read_bytes())
    for path in sorted(folder.glob("x*.obj")):
        rot(path)
    gone = list(folder.glob("x*.obj"))[-3:]
    for path in gone:
        rot(data / "objects" / "objects" / "media" / path.name)
    told = backup(data, tmp_path / "told", key_file, "--blobs", str(blobs), "--verify", check=False)
    assert told.returncode == 1 and "(27 had wrong bytes and were copied again), 3 damaged" in told.stderr
    assert told.stderr.count("had wrong bytes and was copied again") == 20
    for path in gone:
        assert f"tutti: media/{path.name} has wrong bytes, and can't be copied again" in told.stderr


def test_what_goes_back_leaves_what_is_newer(own_server, key_file, tmp_path):
    """Outside buckets are the only ones whose objects are replaced under their name."""
    server = own_server()
    words = run_tutti("s3", "key", "add", "studio", data=server.data).stdout.split()
    client = boto3.client("s3", endpoint_url=server.url + "/s3", region_name="us-east-1", aws_access_key_id=words[2],
                          aws_secret_access_key=words[4])
    client.create_bucket(Bucket="mine")
    for key in ("new", "bad", "off"):
        client.put_object(Bucket="mine", Key=key, Body=b"the first of " * 20)
    blobs = tmp_path / "blobs"
    backup(server.data, tmp_path / "backup", key_file, "--blobs", str(blobs))
    client.put_object(Bucket="mine", Key="new", Body=b"the second")
    client.delete_object(Bucket="mine", Key="off")
    rot(server.data / "objects" / "objects" / "mine" / "bad.obj")

    def is_right():
        return (client.get_object(Bucket="mine", Key="new")["Body"].read() == b"the second" and
                all(client.get_object(Bucket="mine", Key=key)["Body"].read() == b"the first of " * 20 for key in ("bad", "off")))

    mended = run_tutti("migrate", "--from", f"file:{blobs}", "--to", f"file:{server.data}/objects", "--verify", data=server.data)
    assert "1 left, since they are newer" in mended.stderr and is_right()
    assert server.stop() == 0
    restored = restore(server.data, tmp_path / "backup", key_file, "--blobs", str(blobs), "--replace")
    assert "1 left, since they are newer" in restored.stderr
    server.start()
    assert is_right()


def test_each_copy_is_read_once_in_a_month_of_backups(stopped, key_file, tmp_path):
    blobs = tmp_path / "blobs"
    shutil.copytree(stopped.blobs, blobs)
    victim = sorted((blobs / "objects" / "media").rglob("*.mp4.obj"))[0]
    rot(victim)
    mended = []
    for day in range(31):
        done = subprocess.run(["faketime", "-f", f"+{day}d", BINARY, "backup", str(tmp_path / "backup"), "--key-file", str(key_file),
                               "--blobs", str(blobs), "--data", str(stopped.data)], text=True, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
        (tmp_path / "backup").unlink()
        mended += [day] if "(1 had wrong bytes" in done.stderr else []
    assert len(mended) == 1


def test_copies_are_refused_where_the_objects_are(stopped, key_file, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(stopped.data, data)
    (tmp_path / "link").symlink_to(data / "objects")
    for folder, words in ((data / "objects", "are one folder"), (tmp_path / "link", "are one folder"),
                          (tmp_path / "data" / ".." / "data" / "objects", "are one folder"), (data, "holds"),
                          (data / "objects" / "copies" / "of", "is inside"), (tmp_path / "link" / "objects", "is inside")):
        done = backup(data, tmp_path / "backup", key_file, "--blobs", str(folder), check=False)
        assert done.returncode == 2 and words in done.stderr and "name another folder" in done.stderr, done.stderr
        assert not (tmp_path / "backup").exists() and not (data / "objects" / "copies").exists()
        done = restore(data, stopped.backup, key_file, "--blobs", str(folder), "--replace", check=False)
        told = words if (folder / "objects").is_dir() else "holds no objects"
        assert done.returncode != 0 and told in done.stderr, done.stderr
    assert not list(data.glob("before-restore-*"))
    moved = run_tutti("migrate", "--from", f"file:{tmp_path / 'link'}", data=data, check=False)
    assert moved.returncode == 2 and "are one folder" in moved.stderr
    typo = run_tutti("migrate", "--from", f"file:{tmp_path / 'typo'}", data=data, check=False)
    assert typo.returncode == 1 and f"{tmp_path / 'typo'} holds no objects" in typo.stderr and not (tmp_path / "typo").exists()
    backup(data, tmp_path / "backup", key_file, "--blobs", str(data / "beside"))


def test_copies_go_to_another_file_system(stopped, key_file, tmp_path):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as far:
        if os.stat(far).st_dev == os.stat(stopped.data).st_dev:
            pytest.skip("/dev/shm is no file system of its own beside the data directory")
        done = backup(stopped.data, tmp_path / "backup", key_file, "--blobs", f"{far}/blobs")
        assert copied(done) > 5 and " 0 damaged" in done.stderr
        restore(tmp_path / "data", tmp_path / "backup", key_file, "--blobs", f"{far}/blobs")


def test_encrypted_objects_stay_encrypted_and_are_checked(own_server, stopped, sounds, key_file, tmp_path):
    sealed = {"TUTTI_BLOB_ENCRYPT": "yes"}
    source = own_server(environment=sealed)
    artist = People(source).new("artist")
    page = artist.post("/api/v1/artists", json={"name": "Sealed"}).json()
    album = artist.post("/api/v1/albums", json={"artistId": page["id"], "title": "At rest"}).json()
    content = sounds("flac", seconds=1.0).read_bytes()
    place = artist.get("/api/v1/tracks/upload-url", params={"filename": "a.flac"}).json()
    assert requests.put(place["uploadUrl"], data=content, timeout=30).status_code == 200
    track = artist.post("/api/v1/tracks", json={"albumId": album["id"], "title": "One",
                                                "trackUrl": place["trackUrl"]}).json()
    wait_for(artist, track["id"], whole=True)
    blobs = tmp_path / "blobs"
    backup(source.data, tmp_path / "backup", key_file, "--blobs", str(blobs))
    copies = list(blobs.rglob("*.obj"))
    assert len(copies) > 10 and all(b"fLaC" not in path.read_bytes() for path in copies)
    restore(tmp_path / "data", tmp_path / "backup", key_file, "--blobs", str(blobs))
    copy = Person(own_server(data=tmp_path / "data", environment=sealed).url, artist.username)
    assert files_of(copy, track["id"]) == files_of(artist, track["id"])

    # To a backup of before there was a key, what it can't open is no damage.
    assert " 0 damaged" in restore(tmp_path / "before", stopped.backup, key_file, "--blobs", str(blobs)).stderr

    victim = next(path for path in copies if path.name == "aac-320.mp4.obj")
    rot(victim)
    mended = backup(source.data, tmp_path / "mended", key_file, "--blobs", str(blobs), "--verify")
    assert f"{victim.name} had wrong bytes and was copied again" in mended.stderr and " 0 damaged" in mended.stderr
    rot(victim)
    done = restore(tmp_path / "again", tmp_path / "backup", key_file, "--blobs", str(blobs), check=False)
    assert done.returncode == 1 and "aac-320.mp4.obj is damaged" in done.stderr


@pytest.mark.parametrize("step", ["unsealing", "checking", "objects"])
def test_a_restore_that_is_killed_is_done_again(stopped, own_server, key_file, tmp_path, step):
    data = tmp_path / "data"
    process = subprocess.Popen([BINARY, "restore", str(stopped.backup), "--key-file", str(key_file), "--blobs",
                                str(stopped.blobs), "--data", str(data)], text=True, stderr=subprocess.PIPE,
                               stdout=subprocess.DEVNULL)
    for line in process.stderr:
        if line.startswith(step):
            process.kill()
            break
    process.wait(10)
    assert process.returncode in (-signal.SIGKILL, 0)
    again = restore(data, stopped.backup, key_file, "--blobs", str(stopped.blobs), check=False)
    if step == "objects" and again.returncode != 0:  # killed while names were changed: something is in the way
        assert "--replace" in again.stderr
        again = restore(data, stopped.backup, key_file, "--blobs", str(stopped.blobs), "--replace")
    assert again.returncode == 0, again.stderr
    assert not list(data.glob("*.restoring*"))
    assert files_of(Person(own_server(data=data).url, stopped.artist.username), stopped.track["id"]) == stopped.hashes


def on_terminal(*arguments, answers=()):
    """A command on a terminal of its own, where questions are answered: exit status and all it showed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(BINARY, [BINARY, *arguments])
    shown, waiting = "", list(answers)
    while True:
        try:
            shown += os.read(terminal, 4096).decode()
        except OSError:  # the other side has ended
            break
        if waiting and shown.endswith(waiting[0][0]):
            os.write(terminal, (waiting.pop(0)[1] + "\n").encode())
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


def test_on_a_terminal_a_passphrase_is_asked_for_unseen(stopped, tmp_path):
    path = str(tmp_path / "backup")
    first, again = "Passphrase of the backup: ", "Again: "
    status, shown = on_terminal("backup", path, "--data", str(stopped.data), answers=[(first, "open sesame"), (again, "open sesamo")])
    assert status == 2 and "not the same" in shown and "sesam" not in shown
    status, shown = on_terminal("backup", path, "--data", str(stopped.data), answers=[(first, "open sesame"), (again, "open sesame")])
    assert status == 0 and "sesame" not in shown and "holds everything" in shown
    assert "\033[K" in shown, "steps are redrawn"
    status, shown = on_terminal("restore", path, "--data", str(tmp_path / "data"), answers=[(first, "open sesame")])
    assert status == 0 and (tmp_path / "data" / "users.db").exists()
