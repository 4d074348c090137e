"""Folders that the server follows by itself: what is noticed, how, and what is held back."""
import os
import random
import shutil
import subprocess
import time
import wave

import pytest

from conftest import BINARY, PATIENCE_S, Person, Server, add_user, engine_environment, run_tutti

POLLED_ONLY = {"TUTTI_IMPORT_WATCH": "poll", "TUTTI_IMPORT_POLL_S": "1"}
LIMITED = ["unshare", "--user", "--map-root-user", "sh", "-c", 'echo 2 > /proc/sys/user/max_inotify_watches && exec "$@"', "sh"]


def sound(path):
    """A file of a sound of its own, named by its path alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(random.Random(str(path.name)).randbytes(8000))
    return path


class Followed:
    """A server that follows a folder; nobody asks it to look."""

    def __init__(self, folder, environment=None, wrapper=()):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.server = Server(environment={"TUTTI_IMPORT_FOLDERS": str(folder), **(environment or {})})
        self.server.wrapper = list(wrapper)
        add_user(self.server, "owner", "admin")
        self.server.start()
        self.admin = Person(self.server.url, "owner", "admin")

    def state(self):
        return self.admin.get("/api/v1/imports").json()["followed"][0]

    def runs(self):
        return self.admin.get("/api/v1/imports").json()["items"]

    def titles(self):
        return sorted(track["title"] for track in self.admin.get("/api/v1/tracks", params={"limit": 500}).json()["items"])

    def missing(self):
        tracks = self.admin.get("/api/v1/tracks", params={"limit": 500}).json()["items"]
        return sorted(track["title"] for track in tracks if track["missing"])

    def until(self, holds):
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, (self.state(), self.titles(), self.server.log_text()[-3000:])
            time.sleep(0.1)

    def first_look(self):
        self.until(lambda: self.state()["by"] != "waiting")


@pytest.fixture
def follow(tmp_path):
    made = []

    def start(*arguments, **options):
        made.append(Followed(tmp_path / "music", *arguments, **options))
        return made[-1]

    yield start
    for one in made:
        one.server.done()


@pytest.mark.parametrize("environment", [{}, POLLED_ONLY], ids=["watched", "polled"])
def test_what_changes_comes_in_unasked(follow, environment):
    followed = follow(environment)
    followed.first_look()
    assert followed.state()["by"] == ("poll" if environment else "watch")
    sound(followed.folder / "Ana" / "First" / "01 one.wav")
    followed.until(lambda: followed.titles() == ["one"])
    deep = sound(followed.folder / "Bo" / "Second" / "CD 1" / "01 two.wav")  # folders that were not there at the first look
    followed.until(lambda: followed.titles() == ["one", "two"])
    track = next(one for one in followed.admin.get("/api/v1/tracks").json()["items"] if one["title"] == "two")
    (followed.folder / "Bo").rename(followed.folder / "Bea")
    followed.until(lambda: any(run["counts"].get("moved") for run in followed.runs()))
    assert followed.admin.get(f"/api/v1/tracks/{track['id']}").json()["missing"] is False
    (followed.folder / "Bea" / deep.relative_to(followed.folder / "Bo")).unlink()
    followed.until(lambda: followed.missing() == ["two"])
    sound(deep)
    followed.until(lambda: followed.missing() == [])


def test_where_the_system_watches_no_more_folders_they_are_polled(follow):
    followed = follow({"TUTTI_IMPORT_POLL_S": "1"}, wrapper=LIMITED)
    followed.first_look()
    for number in range(4):
        sound(followed.folder / f"f{number}" / "x" / f"{number}.wav")
    followed.until(lambda: followed.state()["by"] == "poll" and len(followed.titles()) == 4)
    assert "max_user_watches" in followed.state()["reason"]
    sound(followed.folder / "f9" / "y" / "9.wav")
    followed.until(lambda: len(followed.titles()) == 5)
    assert followed.server.log_text().count("import.polled") == 1


def test_a_folder_that_is_away_is_told_and_found_again(follow):
    followed = follow()
    sound(followed.folder / "a" / "1 one.wav")
    followed.until(lambda: followed.titles() == ["one"])
    away = followed.folder.with_name("away")
    followed.folder.rename(away)
    followed.until(lambda: followed.state()["by"] == "away")
    assert "can't be opened" in followed.state()["reason"] and followed.missing() == []
    away.rename(followed.folder)
    sound(followed.folder / "a" / "2 two.wav")
    followed.until(lambda: followed.state()["by"] == "watch" and followed.titles() == ["one", "two"])
    assert followed.missing() == [] and followed.server.log_text().count("import.failed") == 1


def test_many_files_gone_at_once_are_held_until_somebody_says_so(follow):
    followed = follow()
    for number in range(60):
        sound(followed.folder / f"f{number // 20}" / f"{number}.wav")
    followed.until(lambda: len(followed.titles()) == 60)
    shutil.rmtree(followed.folder / "f0")  # a third: believed
    followed.until(lambda: len(followed.missing()) == 20)
    away = followed.folder.with_name("away")
    away.mkdir()
    for name in ("f1", "f2"):
        shutil.move(followed.folder / name, away / name)
    sound(followed.folder / "new" / "new.wav")
    followed.until(lambda: "new" in followed.titles() and followed.runs()[0]["state"] == "held")
    held = followed.runs()[0]
    assert "40 of 40 files are gone" in held["reason"] and "acceptMissing" in held["reason"]
    assert len(followed.missing()) == 20
    refused = followed.admin.post("/api/v1/imports", json={"acceptMissing": "yes"})
    assert refused.status_code == 422
    assert followed.admin.post("/api/v1/imports", json={"acceptMissing": True}).status_code == 202
    followed.until(lambda: len(followed.missing()) == 60)
    for name in ("f1", "f2"):
        shutil.move(away / name, followed.folder / name)
    followed.until(lambda: len(followed.missing()) == 20)


def test_the_command_believes_what_it_is_told(own_server, tmp_path):
    server = own_server()
    add_user(server, "owner", "admin")
    for number in range(30):
        sound(tmp_path / "music" / "x" / f"{number}.wav")
    run_tutti("import", str(tmp_path / "music"), data=server.data)
    shutil.rmtree(tmp_path / "music" / "x")
    held = run_tutti("import", str(tmp_path / "music"), data=server.data)
    assert "0 missing" in held.stdout and "30 of 30 files are gone" in held.stderr
    done = run_tutti("import", str(tmp_path / "music"), "--accept-missing", data=server.data)
    assert "30 missing" in done.stdout and done.stderr == ""


def import_without_rights(server, folder):
    """As root, but for the capabilities to read past permissions."""
    command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", BINARY, "import", str(folder)]
    return subprocess.run([*command, "--data", str(server.data)], text=True, capture_output=True, timeout=60,
                          env={**os.environ, **engine_environment(server.data)})


def test_what_may_not_be_read_is_told_and_left_as_it_was(own_server, tmp_path):
    server, music = own_server(), tmp_path / "music"
    add_user(server, "owner", "admin")
    sound(music / "shut" / "in" / "1 in.wav")
    file = sound(music / "2 out.wav")
    run_tutti("import", str(music), data=server.data)
    (music / "shut").chmod(0)
    file.chmod(0)
    os.utime(file)
    done = import_without_rights(server, music)
    (music / "shut").chmod(0o755)
    assert "shut: Permission denied" in done.stderr and "2 out.wav: Permission denied" in done.stderr
    assert " 0 missing, 1 broken" in done.stdout
    tracks = Person(server.url, "owner", "admin").get("/api/v1/tracks").json()["items"]
    assert sorted(track["title"] for track in tracks if not track["missing"]) == ["in", "out"]
    late = sound(music / "3 late.wav")
    late.chmod(0)
    assert "0 new, 0 changed, 0 moved, 0 missing, 2 broken" in import_without_rights(server, music).stdout
    for one in (file, late):  # which changes neither their size nor their time
        one.chmod(0o644)
    assert "1 new, 1 changed, 0 moved, 0 missing, 0 broken" in import_without_rights(server, music).stdout


def test_a_folder_in_one_that_is_followed_is_not_followed_twice(own_server, tmp_path):
    music = tmp_path / "music"
    sound(music / "sub" / "1 one.wav")
    server = own_server(environment={"TUTTI_IMPORT_FOLDERS": f"{music}/sub/,{music}/,{tmp_path}/music2"})
    add_user(server, "owner", "admin")
    admin = Person(server.url, "owner", "admin")
    followed = admin.get("/api/v1/imports").json()["followed"]
    assert [one["folder"] for one in followed] == [f"{music}/", f"{tmp_path}/music2"]
