"""Restores that meet something: a server that starts meanwhile, other file systems, a name that can't be changed, no room.
What kills and power cuts leave is in tests/fault/test_restore.py."""
import os
import pathlib
import signal
import subprocess
import tempfile

import postgres
import pytest

from journey import BINARY, PASSWORD, free_port, run_tutti
from programs import in_own_mounts

SHM = pathlib.Path("/dev/shm")


def install(data, username, environment=None):
    run_tutti("user", "add", username, "--role", "admin", "--password-stdin", data=data, stdin=PASSWORD + "\n",
              environment=environment)


def users(data, environment=None):
    lines = run_tutti("user", "list", data=data, environment=environment).stdout.splitlines()
    return [line.split()[1] for line in lines]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A key file and a backup of an installation whose one user is "newer"."""
    folder = tmp_path_factory.mktemp("made")
    key = folder / "key"
    key.write_bytes(os.urandom(32))
    key.chmod(0o600)
    install(folder / "data", "newer")
    run_tutti("backup", str(folder / "backup"), "--key-file", str(key), data=folder / "data")
    return type("Made", (), {"words": ["restore", str(folder / "backup"), "--key-file", str(key)], "data": folder / "data",
                             "backup": folder / "backup"})


def tree(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def mounted(script, *arguments, environment=None):
    """A command beside what script mounts; skips the test where nobody may mount."""
    if subprocess.run(in_own_mounts("true", "x", "true"), capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount: root, or a user namespace (unshare -rm)")
    return subprocess.run(in_own_mounts(script, *arguments), text=True, capture_output=True, timeout=60,
                          env={**os.environ, **(environment or {})})


def test_nothing_starts_while_a_restore_is_at_work(made, tmp_path):
    data = tmp_path / "data"
    install(data, "older")
    process = subprocess.Popen([BINARY, *made.words, "--replace", "--data", str(data)], text=True, stderr=subprocess.PIPE,
                               stdout=subprocess.DEVNULL)
    assert process.stderr.readline().startswith("unsealing")
    process.send_signal(signal.SIGSTOP)
    before = sorted(os.listdir(data))
    for command in (["serve", "--listen", f"127.0.0.1:{free_port()}"], ["user", "list"], ["migrate"], ["sweep"],
                    ["backup", str(tmp_path / "backup"), "--key-file", made.words[-1]], ["doctor"],
                    [*made.words, "--replace"]):
        refused = run_tutti(*command, data=data, check=False)
        said = refused.stderr + refused.stdout
        assert refused.returncode == 1 and ("is at work" in said or "stop it first" in said), command
    assert sorted(os.listdir(data)) == before
    process.send_signal(signal.SIGCONT)
    assert process.wait(60) == 0 and users(data) == ["newer"]


def test_nothing_starts_where_there_was_nothing(made, tmp_path):
    """The restore makes the data directory."""
    data = tmp_path / "data"
    process = subprocess.Popen([BINARY, *made.words, "--data", str(data)], text=True, stderr=subprocess.PIPE,
                               stdout=subprocess.DEVNULL)
    assert process.stderr.readline().startswith("unsealing")
    process.send_signal(signal.SIGSTOP)
    refused = run_tutti("serve", "--listen", f"127.0.0.1:{free_port()}", data=data, check=False)
    assert refused.returncode == 1 and "is at work" in refused.stderr
    process.send_signal(signal.SIGCONT)
    assert process.wait(60) == 0 and users(data) == ["newer"]


def test_a_command_at_work_keeps_a_restore_off(made, tmp_path):
    """Though no server runs."""
    data = tmp_path / "data"
    install(data, "older")
    with subprocess.Popen([BINARY, "user", "add", "third", "--role", "listener", "--password-stdin", "--data", str(data)],
                          stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as waiting:
        for _ in range(200):  # until it has begun what is there is in the way
            refused = run_tutti(*made.words, data=data, check=False)
            if "stop it first" in refused.stderr:
                break
        assert refused.returncode == 1 and "stop it first" in refused.stderr
        waiting.kill()
    assert run_tutti(*made.words, "--replace", data=data).returncode == 0


@pytest.mark.skipif(not SHM.is_dir() or SHM.stat().st_dev == pathlib.Path(tempfile.gettempdir()).stat().st_dev,
                    reason="needs /dev/shm beside the temporary folder")
def test_what_was_there_stays_on_its_file_system(made, tmp_path):
    data = tmp_path / "data"
    with tempfile.TemporaryDirectory(dir=SHM, prefix="tutti-restore-") as other:
        environment = {"TUTTI_DATABASE_CATALOG": f"sqlite:{other}/catalog.db"}
        install(data, "older", environment)
        keys, catalog = tree(data / "keys"), pathlib.Path(other, "catalog.db").read_bytes()
        replaced = run_tutti(*made.words, "--replace", data=data, environment=environment)
        assert users(data, environment) == ["newer"] and tree(data / "keys") == tree(made.data / "keys")
        here, there = next(data.glob("before-restore-*")), next(pathlib.Path(other).glob("before-restore-*"))
        assert f"what was there before is in {here} and {there}" in replaced.stdout
        assert tree(here / "keys") == keys and (here / "users.db").exists()
        assert (there / "catalog.db").read_bytes() == catalog
        again = run_tutti(*made.words, "--replace", data=data, environment=environment)
        assert here.name not in again.stdout.replace(f"{here.name}-2", ""), "of the same second or not"


def test_names_that_cannot_be_changed_change_none(made, tmp_path):
    """Midway: users.db is a mount, and what is aside by then is taken back."""
    data = tmp_path / "data"
    install(data, "older")
    before = tree(data)
    users_db = str(data / "users.db")
    done = mounted('mount --bind "$1" "$1"', users_db, BINARY, *made.words, "--replace", "--data", str(data))
    assert done.returncode == 1 and f"{users_db} can't be renamed" in done.stderr, done.stderr
    assert tree(data) == before and not list(data.glob("*restor*"))
    assert users(data) == ["older"]


@pytest.fixture
def on_servers(tmp_path):
    """A data directory with an older installation whose databases are on PostgreSQL, and the environment that says so."""
    data, names = tmp_path / "data", ("catalog", "users", "activity")
    with postgres.Server() as server:
        for name in names:
            server.create(name)
        environment = {f"TUTTI_DATABASE_{name.upper()}": server.url(name) for name in names}
        install(data, "older", environment)
        yield data, environment


def test_what_servers_hold_is_not_taken_back(made, on_servers, tmp_path):
    """The keys are a mount, which is seen when the databases are filled: nothing starts until a restore went through."""
    data, environment = on_servers
    keys = tree(data / "keys")
    done = mounted('mount --bind "$1" "$1"', str(data / "keys"), BINARY, *made.words, "--replace", "--data", str(data),
                   environment=environment)
    assert done.returncode == 1 and "can't be renamed" in done.stderr and "is not taken back" in done.stderr, done.stderr
    assert tree(data / "keys") == keys and not list(data.glob("*.restoring*"))
    for _ in range(2):  # also behind a restore that could not begin
        refused = run_tutti("user", "list", data=data, environment=environment, check=False)
        assert refused.returncode == 1 and "was cut off" in refused.stderr and "schema before-restore" in refused.stderr
        assert run_tutti("restore", str(tmp_path / "nothing"), data=data, environment=environment, check=False).returncode == 1
    run_tutti(*made.words, "--replace", data=data, environment=environment)
    assert users(data, environment) == ["newer"] and tree(data / "keys") == tree(made.data / "keys")


def test_what_is_missing_is_told_before_the_work(made, tmp_path):
    missing = subprocess.run([BINARY, "restore", str(made.backup), "--blobs", str(tmp_path), "--data", str(tmp_path / "data")],
                             text=True, capture_output=True, stdin=subprocess.DEVNULL, start_new_session=True, timeout=30)
    assert missing.returncode == 1 and "holds no objects" in missing.stderr, missing.stderr
    assert not (tmp_path / "data").exists()
    (tmp_path / "folder").mkdir()
    folder = run_tutti("backup", str(tmp_path / "folder"), *made.words[2:], data=made.data, check=False)
    assert folder.returncode == 2 and "is a directory" in folder.stderr and "catalog" not in folder.stderr
    assert not (tmp_path / "folder.part").exists()


def test_no_room_is_told_before_the_work(made, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    full = mounted('mount -t tmpfs -o size=64k tmpfs "$1"', str(data), BINARY, *made.words, "--data", str(data))
    assert full.returncode == 1 and "are free for" in full.stderr and "unsealing" not in full.stderr, full.stderr


def test_a_journal_that_cannot_be_written_shuts_nothing(made, on_servers):
    """No server was touched by then, and nothing is told of what they hold."""
    data, environment = on_servers
    (data / ".restore.part").mkdir()
    done = run_tutti(*made.words, "--replace", data=data, environment=environment, check=False)
    assert done.returncode == 1 and ".restore.part" in done.stderr and "not taken back" not in done.stderr, done.stderr
    assert users(data, environment) == ["older"] and not list(data.glob("*.restoring*"))


def made_aside(data, *names):
    """What a restore leaves that was cut off when it had put these aside."""
    aside = data / "before-restore-20260101T000000Z"
    aside.mkdir()
    for name in names:
        (data / name).rename(aside / name)
    lines = [line for name in names for line in (data / name, aside / name)]
    (data / ".restore").write_text("".join(f"{line}\n" for line in ["What was there before goes aside", *lines]))
    return aside


def test_names_taken_back_by_hand_are_not_forgotten(made, tmp_path):
    """The first of them, and then the journal is given to a restore: all are back."""
    data = tmp_path / "data"
    install(data, "older")
    before = tree(data)
    aside = made_aside(data, "keys", "catalog.db")
    (aside / "keys").rename(data / "keys")
    done = run_tutti("restore", str(tmp_path / "nothing"), data=data, check=False)
    assert done.returncode == 1 and "are taken back" in done.stderr
    assert tree(data) == before


def test_names_that_are_lost_keep_the_journal(made, tmp_path):
    data = tmp_path / "data"
    install(data, "older")
    aside = made_aside(data, "keys", "catalog.db")
    (aside / "catalog.db").rename(tmp_path / "lost")
    for command in (made.words, ["user", "list"]):
        done = run_tutti(*command, data=data, check=False)
        assert done.returncode == 1 and (data / ".restore").exists() and (aside / "keys").exists(), done.stderr
    done = run_tutti(*made.words, data=data, check=False)
    assert f"Neither {aside}/catalog.db nor {data}/catalog.db is there" in done.stderr
    (tmp_path / "lost").rename(data / "catalog.db")
    run_tutti("restore", str(tmp_path / "nothing"), data=data, check=False)
    assert users(data) == ["older"] and not (data / ".restore").exists()
