"""bash completion, sourced in bash as a shell does it, asked as the Tab key asks it."""
import re
import shutil
import subprocess

import pytest

from journey import BINARY, ROOT

SCRIPT = ROOT / "deploy" / "bash-completion" / "tutti"
ROLES = ["catalog", "gateway", "identity", "ingest", "library", "objectstore", "search", "streaming", "transcode"]

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash isn't installed")

ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
_tutti "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}" 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered(*words, folder=None):
    """What Tab offers for a line whose last word is being written."""
    done = subprocess.run(["bash", "-c", ASK, "bash", str(SCRIPT), BINARY, *words], text=True, capture_output=True,
                          timeout=30, check=True, cwd=folder)
    assert done.stderr == ""
    return sorted(filter(None, done.stdout.split("\n")))


def commands(tutti):
    return re.findall(r"^  ([a-z][a-z0-9-]*(?: [a-z0-9-]+)*)(?:  | [A-Z])", tutti("--help").stdout, re.M)


def test_it_is_registered():
    done = subprocess.run(["bash", "-c", f'source "{SCRIPT}" && complete -p tutti'], text=True, capture_output=True, timeout=30)
    assert "-F _tutti tutti" in done.stdout


def test_every_command_is_offered(tutti):
    every = commands(tutti)
    assert len(every) > 10
    assert offered("") == sorted({words.split()[0] for words in every})
    for words in every:
        parts = words.split()
        for at in range(len(parts)):
            assert parts[at] in offered(*parts[:at], parts[at][:1]), words


def test_part_of_a_word_is_completed():
    assert offered("us") == ["user"]
    assert offered("user", "set") == ["set-password"]
    assert offered("s3", "") == ["key"] and offered("s3", "key", "") == ["add"]
    assert offered("nothing", "") == []


def test_the_options_of_a_command_are_offered():
    assert set(offered("serve", "--")) == {"--config", "--data", "--listen", "--roles", "--log-level", "--help"}
    assert "--role" in offered("user", "add", "anna", "--ro") and "--roles" not in offered("user", "add", "anna", "--ro")
    assert offered("backup", "x.bak", "--bl") == ["--blobs"]
    assert offered("backup", "--verify", "x.bak", "--bl") == ["--blobs"], "what takes no value swallows no word"
    assert offered("doctor", "--deep", "--js") == ["--json"]


def test_values_are_offered():
    assert offered("user", "add", "anna", "--role", "") == ["admin", "artist", "listener"]
    assert offered("serve", "--log-level", "w") == ["warning"]
    sections = offered("config", "show", "--section", "")
    assert {"server", "log", "limits", "mail", "transcode"} <= set(sections)
    for section in sections:
        shown = subprocess.run([BINARY, "config", "show", "--section", section], text=True, capture_output=True, timeout=30)
        assert shown.returncode == 0 and shown.stdout.startswith(f"[{section}]\n") and shown.stdout.count("\n[") == 0
    unknown = subprocess.run([BINARY, "config", "show", "--section", "x"], text=True, capture_output=True, timeout=30)
    assert unknown.returncode == 2 and "no section [x]" in unknown.stderr


def test_roles_are_a_list(tutti, tmp_path):
    told = tutti("serve", "--roles", "nonsense", data=tmp_path, check=False).stderr
    assert sorted(re.search(r"there are (.*), or all", told).group(1).split(", ")) == ROLES, "the script's list is the program's"
    assert offered("serve", "--roles", "") == sorted([*ROLES, "all"])
    assert offered("serve", "--roles", "catalog,in") == ["catalog,ingest"]
    assert "catalog,catalog" not in offered("serve", "--roles", "catalog,")


def test_files_and_folders_are_offered(tmp_path):
    (tmp_path / "music.bak").touch()
    (tmp_path / "music").mkdir()
    assert offered("restore", "mus", folder=tmp_path) == ["music", "music.bak"]
    assert offered("serve", "--data", "mus", folder=tmp_path) == ["music"]
    assert offered("backup", "--key-file", "mus", folder=tmp_path) == ["music", "music.bak"]
