"""Commands and the installation they work on: of a mistyped or forgotten --data none is made."""
import os
import shutil

import pytest

from journey import PASSWORD, run_tutti

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

