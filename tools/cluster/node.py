"""A node: one program (and its children) in a namespace of its own, with an address, a port and a folder. Engines are
subclasses, a file a kind; what they share is here: starting, killing, knowing whether it answers."""
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

from network import NETNS, Refused

READY_TIMEOUT_S = 90


class Node:
    kind = ""     # what status says
    port = 0      # where it is asked for
    needs = ()    # kinds that must be ready before it is started
    user = None   # who runs it; None: whoever runs the cluster

    def __init__(self, cluster, name, number):
        self.cluster, self.name, self.number = cluster, name, number
        self.address = cluster.network.address(number)
        self.folder = cluster.folder / "nodes" / name
        self.log = cluster.folder / "log" / f"{name}.log"
        self.process = None

    # -- what a kind says

    def prepare(self):
        """Writes what the program reads. Called before every start: must leave data that is there alone."""

    def command(self):
        raise NotImplementedError

    def environment(self):
        return {}

    def is_ready(self):
        return self.answers()

    def founded(self):
        """Once, when the cluster is made and this node is ready."""

    def end(self):
        """Before it is killed for good by `down`: what would otherwise leave something behind."""

    # -- for kinds to use

    def others(self):
        """All nodes of this kind, in their order, this one too."""
        return self.cluster.of_kind(self.kind)

    def write(self, name, text, mode=0o600):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        self.own(path)
        return path

    def make_folder(self, name=""):
        path = self.folder / name
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.own(path)
        return path

    def own(self, path):
        if self.user:
            shutil.chown(path, self.user, pwd.getpwnam(self.user).pw_gid)

    def answers(self, port=None, timeout=0.5):
        try:
            with socket.create_connection((self.address, port or self.port), timeout):
                return True
        except OSError:
            return False

    def http_status(self, path, port=None):
        try:
            with urllib.request.urlopen(f"http://{self.address}:{port or self.port}{path}", timeout=2) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except (OSError, ValueError):
            return 0

    def inside(self, command):
        """The command as it runs in this node's namespaces, as its user."""
        prefix = ["nsenter", f"--net={NETNS / self.cluster.network.namespace(self.name)}", "unshare", "--ipc"]
        if self.user:
            prefix += ["setpriv", f"--reuid={self.user}", f"--regid={pwd.getpwnam(self.user).pw_gid}", "--clear-groups"]
        return prefix + [str(word) for word in command]

    # -- life

    def start(self):
        self.make_folder()
        self.prepare()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.inside(self.command()), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                start_new_session=True, env={**clean_environment(), **self.environment()})
        (self.folder / "pid").write_text(str(self.process.pid))

    def wait_ready(self, given_up=lambda: False):
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self.is_ready():
            if self.process and self.process.poll() is not None:
                raise Refused(f"{self.name} ended with {self.process.returncode}; {self.log}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise Refused(f"{self.name} is not ready after {READY_TIMEOUT_S} s; {self.log}:\n{self.log_tail()}")
            if given_up():
                return
            time.sleep(0.1)

    def log_tail(self):
        return self.log.read_text(errors="replace")[-1500:] if self.log.exists() else ""

    def pid(self):
        try:
            return int((self.folder / "pid").read_text())
        except (OSError, ValueError):
            return None


def kill(pids, number=signal.SIGKILL):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def clean_environment():
    """PATH begins with Debian's programs; nothing of the caller's proxies or Pythons gets in."""
    keep = {name: os.environ[name] for name in ("LANG", "HOME") if name in os.environ}
    return {**keep, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


def memory_kb(pids):
    """Resident memory in sum; what processes share is counted once (PSS)."""
    total = 0
    for pid in pids:
        try:
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            continue
    return total
