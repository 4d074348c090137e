"""Commands and the installation they work on: of a mistyped or forgotten --data none is made, and what root does in the
directory of another user is that user's."""
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from journey import BINARY, PASSWORD, Person, Server, run_tutti

KEY = os.urandom(32)
ON_AN_INSTALLATION = [["keys", "rotate"], ["sweep"], ["events", "parked"], ["events", "retry", "1"], ["events", "drop", "1"],
                      ["user", "list"], ["user", "set-password", "anna", "--password-stdin"], ["search", "rebuild"],
                      ["import", "/usr/share/doc"], ["s3", "key", "add", "rclone"]]


@pytest.mark.parametrize("command", ON_AN_INSTALLATION, ids=" ".join)
def test_a_command_makes_no_installation(tmp_path, command):
    done = run_tutti(*command, data=tmp_path / "other", stdin=PASSWORD + "\n", check=False)
    assert done.returncode == 1 and done.stdout == "" and "isn't there" in done.stderr and "--data" in done.stderr, done.stderr
    home = tmp_path / "home"
    home.mkdir()
    done = run_tutti(*command, stdin=PASSWORD + "\n", check=False, environment={"HOME": str(home), "XDG_DATA_HOME": ""})
    assert done.returncode == 1 and str(home) in done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["home"]


def test_a_backup_makes_no_installation(tmp_path):
    key = tmp_path / "key"
    key.write_bytes(KEY)
    key.chmod(0o600)
    done = run_tutti("backup", str(tmp_path / "b"), "--key-file", str(key), data=tmp_path / "other", check=False)
    assert done.returncode == 1 and "isn't there" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_lost_keys_are_not_made_by_a_command(first_release):
    data = first_release()
    shutil.rmtree(data / "keys")
    done = run_tutti("keys", "rotate", data=data, check=False)
    assert done.returncode == 1 and f"The keys' folder isn't there: {data}/keys" in done.stderr
    assert not (data / "keys").exists()


def test_rotated_keys_are_told_of(first_release):
    data = first_release()
    before = set((data / "keys").glob("*.jwk"))
    done = run_tutti("keys", "rotate", data=data)
    assert f"made new signing keys in {data}/keys" in done.stdout
    assert len(set((data / "keys").glob("*.jwk")) - before) == 1


# ---- as root, of another user

SOMEBODY = 65432  # nobody's, like those of a container
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root works in the directory of another user")


class TheirServer(Server):
    """A server that runs as the user that owns its data."""

    def __init__(self, binary, **options):
        super().__init__(binary=str(binary), **options)
        self.wrapper = ["setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups", "--"]


@pytest.fixture
def theirs(first_release):
    """A directory of another user, and a binary where that user can run it."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tutti-theirs-"))
    folder.chmod(0o755)
    (folder / "bin").mkdir()
    for name in ("tutti", "tutti-media"):
        shutil.copy(pathlib.Path(BINARY).parent / name, folder / "bin" / name)
    shutil.copytree(first_release(), folder / "data")
    subprocess.run(["chown", "-R", f"{SOMEBODY}:{SOMEBODY}", str(folder / "data")], check=True)
    yield folder
    shutil.rmtree(folder)


def not_theirs(folder):
    return [str(path) for path in (folder / "data").rglob("*")
            if (path.lstat().st_uid, path.lstat().st_gid) != (SOMEBODY, SOMEBODY)]


@needs_root
def test_what_root_does_is_the_owners(theirs, tmp_path, sounds):
    data, key, music = theirs / "data", tmp_path / "key", tmp_path / "music"  # the last two root's alone
    key.write_bytes(KEY)
    key.chmod(0o600)
    music.mkdir(mode=0o700)
    shutil.copy(sounds(seconds=3), music / "a.flac")
    copying = {"TUTTI_IMPORT_MODE": "copy"}
    commands = [["migrate"], ["keys", "rotate"], ["user", "add", "anna", "--role", "admin", "--password-stdin"], ["user", "list"],
                ["s3", "key", "add", "rclone"], ["events", "parked"], ["sweep"], ["search", "rebuild"], ["import", str(music)],
                ["backup", str(tmp_path / "b"), "--key-file", str(key), "--blobs", str(tmp_path / "objects")]]
    for command in commands:
        run_tutti(*command, data=data, stdin=PASSWORD + "\n", environment=copying, binary=str(theirs / "bin" / "tutti"))
        assert not_theirs(theirs) == [], command
    server = TheirServer(theirs / "bin" / "tutti", data=data, environment=copying)
    try:
        server.start()
        assert [track["title"] for track in Person(server.url, "anna").get("/api/v1/tracks").json()["items"]]
        assert server.stop() == 0
    finally:
        server.done()

    run_tutti("restore", str(tmp_path / "b"), "--key-file", str(key), "--blobs", str(tmp_path / "objects"), "--replace", data=data,
              binary=str(theirs / "bin" / "tutti"))
    assert [path for path in not_theirs(theirs) if "server.log" not in path] == []
    server = TheirServer(theirs / "bin" / "tutti", data=data)
    try:
        server.start()
        assert server.stop() == 0
    finally:
        server.done()


@needs_root
def test_a_new_installation_is_its_folders_owners(theirs):
    shutil.rmtree(theirs / "data")
    (theirs / "data").mkdir(mode=0o700)
    os.chown(theirs / "data", SOMEBODY, SOMEBODY)
    run_tutti("user", "add", "anna", "--role", "admin", "--password-stdin", data=theirs / "data" / "below", stdin=PASSWORD + "\n",
              binary=str(theirs / "bin" / "tutti"))
    assert (theirs / "data" / "below" / "users.db").exists() and not_theirs(theirs) == []
