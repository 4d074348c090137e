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


# ---- what the owner planted there is met with the owner's rights


@pytest.fixture
def private(tmp_path):
    """A folder of root's alone."""
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    (folder / "secret").write_text("root's\n")
    return folder


@pytest.fixture
def as_root(theirs):
    def run(*words, data=theirs / "data", check=False, **options):
        return run_tutti(*words, data=data, binary=str(theirs / "bin" / "tutti"), check=check, **options)
    return run


@pytest.fixture
def backup(theirs, as_root, tmp_path):
    """The words that restore it."""
    key = tmp_path / "key"
    key.write_bytes(KEY)
    key.chmod(0o600)
    as_root("backup", str(tmp_path / "b"), "--key-file", str(key), check=True)
    return ["restore", str(tmp_path / "b"), "--key-file", str(key), "--replace"]


def plant(path, target):
    path.symlink_to(target)
    os.chown(path, SOMEBODY, SOMEBODY, follow_symlinks=False)


def plant_journal(data, *pairs):
    (data / ".restore").write_text("".join(f"{line}\n" for line in ["words", *(name for pair in pairs for name in pair)]))
    os.chown(data / ".restore", SOMEBODY, SOMEBODY)


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@needs_root
def test_a_journal_names_what_a_restore_renames(theirs, private, as_root):
    data = theirs / "data"
    (data / "evil").write_text("of theirs")
    plant_journal(data, (data / "stolen", private / "secret"), (private / "ld.so.preload", data / "evil"))
    done = as_root("restore", "/nonexistent")
    assert done.returncode == 1 and "take the names back by hand" in done.stderr, done.stderr
    assert names(private) == ["secret"] and (data / ".restore").exists() and not (data / "stolen").exists()


@needs_root
def test_a_journal_is_followed_with_the_owners_rights(theirs, private, as_root):
    """Its names are a restore's own, but they lead elsewhere."""
    data, aside = theirs / "data", theirs / "data" / "before-restore-now"
    (private / "tutti.conf.restored").write_text("root's")
    plant(aside, private)
    plant_journal(data, (data / "tutti.conf.restored", aside / "tutti.conf.restored"))
    done = as_root("restore", "/nonexistent")
    assert done.returncode == 1 and names(private) == ["secret", "tutti.conf.restored"], done.stderr
    assert not (data / "tutti.conf.restored").exists() and (data / ".restore").exists()


@needs_root
@pytest.mark.parametrize("whose", ["root's", "the owner's"])
@pytest.mark.parametrize("name", ["keys.restoring", ".restore.part", "catalog.db.restoring", "tutti.conf.restored.restoring"])
def test_a_restore_follows_no_link(theirs, private, as_root, backup, name, whose):
    if whose == "the owner's":
        private = pathlib.Path(shutil.move(private, theirs / "private"))
        subprocess.run(["chown", "-R", f"{SOMEBODY}:{SOMEBODY}", str(private)], check=True)
    plant(theirs / "data" / name, private if name == "keys.restoring" else private / "secret")
    done = as_root(*backup)
    assert done.returncode == 0, done.stderr
    assert names(private) == ["secret"] and (private / "secret").read_text() == "root's\n"
    assert not os.path.lexists(theirs / "data" / name)


@needs_root
@pytest.mark.parametrize("name", ["users.db", "users.db-wal", "keys"])
def test_no_command_makes_what_a_link_names(theirs, private, as_root, name):
    path = theirs / "data" / name
    if path.exists():
        path.rename(theirs / "data" / "was")
    plant(path, private / "made")
    as_root("user", "add", "bert", "--role", "listener", "--password-stdin", stdin=PASSWORD + "\n")
    as_root("keys", "rotate")
    assert names(private) == ["secret"]


@needs_root
def test_a_link_of_theirs_leads_no_file_of_roots(theirs, private, as_root, backup, tmp_path):
    """Neither a backup's file nor objects are written, nor a key file read, by way of it."""
    data = theirs / "data"
    plant(data / "out", private)
    key = backup[backup.index("--key-file") + 1]
    for words in (["backup", str(data / "out" / "b"), "--key-file", key],
                  ["backup", str(tmp_path / "c"), "--key-file", key, "--blobs", str(data / "out" / "objects")],
                  ["backup", str(tmp_path / "c"), "--key-file", str(data / "out" / "secret")],
                  ["import", str(data / "out")]):
        done = as_root(*words)
        assert done.returncode != 0 and "Permission denied" in done.stderr, (words, done.stderr)
    assert names(private) == ["secret"]


@needs_root
def test_music_is_read_with_the_rights_of_who_could_have_put_it_there(theirs, private, as_root, sounds):
    """A link in root's folder is root's word; one in theirs is not."""
    shutil.copy(sounds(seconds=3), private / "a.flac")
    (private / "a.flac").chmod(0o600)
    run_tutti("user", "add", "anna", "--role", "admin", "--password-stdin", data=theirs / "data", stdin=PASSWORD + "\n",
              binary=str(theirs / "bin" / "tutti"))
    music = theirs / "music"
    music.mkdir()
    plant(music / "b.flac", private / "a.flac")
    os.chown(music, SOMEBODY, SOMEBODY)
    done = as_root("import", str(music), check=True)
    assert ": 0 files" in done.stdout, done.stdout
    os.chown(music, 0, 0)
    os.chown(music / "b.flac", 0, 0, follow_symlinks=False)
    done = as_root("import", str(music), check=True)
    assert "1 new" in done.stdout and "0 broken" in done.stdout, done.stdout


@needs_root
def test_whose_folder_a_link_leads_to_says_nothing(theirs, as_root, tmp_path):
    """The owner can't choose, by a link, as whom root's command works."""
    data, other = theirs / "data", theirs / "other"
    other.mkdir(mode=0o700)
    os.chown(other, SOMEBODY + 1, SOMEBODY + 1)
    (data / "keys").rename(data / "was")
    plant(data / "keys", other)
    as_root("user", "add", "bert", "--role", "listener", "--password-stdin", stdin=PASSWORD + "\n")
    assert names(other) == []


@needs_root
def test_objects_of_root_come_and_go(theirs, private, as_root, backup, sounds):
    """A folder that was there and is root's; its copies are root's, too, and it is behind one of the owner's."""
    as_root("user", "add", "anna", "--role", "admin", "--password-stdin", stdin=PASSWORD + "\n", check=True)
    shutil.copy(sounds(seconds=3), private / "a.flac")
    copying = {"TUTTI_IMPORT_MODE": "copy"}
    as_root("import", str(private), environment=copying, check=True)
    sealed = ["--key-file", backup[backup.index("--key-file") + 1]]
    copies, within = private / "copies", private / "made" / "objects"
    copies.mkdir(mode=0o700)
    for folder in (copies, within):
        for _ in range(2):
            as_root("backup", str(folder / "b"), *sealed, "--blobs", str(folder), "--verify", check=True)
    subprocess.run(["chown", "-R", "0:0", str(copies)], check=True)
    for folder in (copies, within):
        shutil.rmtree(theirs / "data" / "objects")
        done = as_root("restore", str(folder / "b"), *sealed, "--blobs", str(folder), "--replace", check=True)
        assert list((theirs / "data" / "objects").rglob("original*.obj")) and not_theirs(theirs) == [], done.stderr
    shutil.rmtree(theirs / "data" / "objects")
    as_root("migrate", "--from", f"file:{copies}", check=True)
    as_root("migrate", "--to", f"file:{private}/third", "--from", f"file:{theirs}/data/objects", check=True)
    assert list((theirs / "data" / "objects").rglob("original*.obj")) and not_theirs(theirs) == []


@needs_root
def test_a_database_of_roots_is_moved(theirs, private, as_root):
    as_root("user", "add", "anna", "--role", "admin", "--password-stdin", stdin=PASSWORD + "\n", check=True)
    as_root("migrate", check=True)
    shutil.move(theirs / "data" / "users.db", private / "users.db")
    os.chown(private / "users.db", 0, 0)
    done = as_root("migrate", "--from", f"sqlite:{private}/users.db")
    assert done.returncode == 0, done.stderr
    assert "anna" in as_root("user", "list", check=True).stdout and not_theirs(theirs) == []
