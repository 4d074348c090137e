"""Debian's journal without systemd as process 1: systemd-journald in mounts of its own, and what process 1 does for a unit
whose standard error goes there.

    journal.py SOCKET IDENTIFIER UNIT COMMAND…   a command whose standard error becomes the journal's
"""
import os
import pathlib
import re
import shlex
import socket
import subprocess
import sys
import time

import pytest

from programs import in_own_mounts

JOURNALD = "/lib/systemd/systemd-journald"
CONFIGURATION = """[Journal]
Storage=volatile
ReadKMsg=no
RateLimitBurst=1000
"""
# journald sees these alone; a journal that this machine may have is hidden, not written to.
MOUNTS = """mount -t tmpfs tutti /run && { [ ! -d /var/log/journal ] || mount -t tmpfs tutti /var/log/journal; } &&
mkdir -p /run/log/journal /run/systemd/journal /run/systemd/units /run/systemd/journald.conf.d &&
printf %s "$1" >/run/systemd/journald.conf.d/test.conf"""
INFO = 6
LIMITS = {"LogRateLimitIntervalSec": "log-rate-limit-interval", "LogRateLimitBurst": "log-rate-limit-burst"}


def identifier(unit_file):
    """By which the journal knows its lines: the program's name, unless the unit says another."""
    text = pathlib.Path(unit_file).read_text()
    named = re.search(r"^SyslogIdentifier=(.+)", text, re.M)
    return named[1] if named else os.path.basename(re.search(r"^ExecStart=(\S+)", text, re.M)[1])


def connect(path, name, unit):
    """As process 1 does (systemd's exec_child): a stream that begins with whose lines they are."""
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stream.connect(path)
    stream.sendall(f"{name}\n{unit}\n{INFO}\n1\n0\n0\n0\n".encode())
    return stream


class Journal:
    def __init__(self, folder):
        self.log = open(folder / "journald.log", "ab")
        self.process = subprocess.Popen(in_own_mounts(MOUNTS, CONFIGURATION, JOURNALD), stdout=self.log, stderr=self.log)
        self.run_folder = pathlib.Path(f"/proc/{self.process.pid}/root/run")
        deadline = time.monotonic() + 30
        while not self.takes_streams():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.done()
                pytest.skip("systemd-journald does not run here: " + (folder / "journald.log").read_text()[-300:])
            time.sleep(0.05)

    def takes_streams(self):
        try:
            connect(str(self.socket), "test", "").close()
            return True
        except OSError:
            return False

    @property
    def socket(self):
        return self.run_folder / "systemd" / "journal" / "stdout"

    def start_unit(self, unit_file, unit):
        """What process 1 leaves for journald of the unit's limits: nothing of one that is 0 (systemd 252's unit.c), so the
        journal's own holds for it."""
        text = pathlib.Path(unit_file).read_text()
        for key, file in LIMITS.items():
            value = re.search(rf"^{key}=(.+)", text, re.M)
            number = re.fullmatch(r"(\d+)(s?)", value[1] if value else "0")
            if int(number[1]):
                os.symlink(number[1] + ("000000" if number[2] else ""), self.run_folder / "systemd" / "units" / f"{file}:{unit}")
        return identifier(unit_file), unit

    def wrapper(self, name, unit):
        """The words before a command whose standard error is to become the journal's."""
        return [sys.executable, __file__, str(self.socket), name, unit]

    def write(self, name, unit, lines):
        """By a process of its own: the journal remembers by its id whose it is."""
        subprocess.run([*self.wrapper(name, unit), "sh", "-c", "exec cat >&2"], input="".join(f"{line}\n" for line in lines), text=True,
                       check=True, timeout=120)

    def inside(self, *command):
        """A command that runs where the journal's files are."""
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        return ["nsenter", f"--target={self.process.pid}", *user, "--mount", f"--wd={os.getcwd()}", *command]

    def lines(self, *matches):
        """The texts of what matches, as journalctl finds it, when all that was written so far is there."""
        script = f"journalctl --sync && exec journalctl --quiet --no-pager -o cat {shlex.join(matches)}"
        return subprocess.run(self.inside("sh", "-c", script), check=True, text=True, capture_output=True, timeout=60).stdout.splitlines()

    def done(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


if __name__ == "__main__":
    connected = connect(*sys.argv[1:4])
    os.dup2(connected.fileno(), 2)
    os.execvp(sys.argv[4], sys.argv[4:])
