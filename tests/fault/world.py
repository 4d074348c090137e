"""The platform under test: the unmodified binary, as one process or as several, in a directory of its own, started,
killed and started again. Nothing here knows what the clients do."""
import contextlib
import os
import pathlib
import random
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import tempfile
import time

import requests

import disk

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TUTTI_BINARY", str(ROOT / "build" / "tutti"))
PASSWORD = "correct horse battery"
READY_TIMEOUT_S = 30
FRONT = "gateway,identity,catalog,ingest,streaming,library,objectstore"
UNLIMITED = {f"TUTTI_LIMITS_{kind}_PER_MINUTE": "0" for kind in ("LOGINS", "READS", "WRITES", "UPLOADS", "PLAYS")}


def free_port():
    """Below those that the system gives to connections (ip_local_port_range): while a killed server is away, nobody gets it."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", random.SystemRandom().randrange(20_000, 32_000)))
            return probe.getsockname()[1]


def roomy_folder():
    """In memory where there is room: the disk is what the image says it is, not what lies under it."""
    shm = pathlib.Path("/dev/shm")
    return shm if shm.is_dir() and shutil.disk_usage(shm).free > 1 << 30 else pathlib.Path(tempfile.gettempdir())


class Node:
    """One process of the platform."""

    def __init__(self, world, roles=None):
        self.world, self.roles = world, roles
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.process = None

    def start(self, **more):
        """more: environment for this run alone."""
        command = [BINARY, "serve", "--data", str(self.world.data), "--listen", f"127.0.0.1:{self.port}"]
        environment = {**os.environ, **UNLIMITED, "TUTTI_LOG_ACCESS": "no", **self.world.environment, **more}
        if self.world.public_url:
            environment["TUTTI_SERVER_URL"] = self.world.public_url
        with open(self.world.log, "ab") as log:
            self.process = subprocess.Popen(command + (["--roles", self.roles] if self.roles else []), stdout=log,
                                            stderr=log, env=environment, start_new_session=True)
        return self

    def wait_ready(self):
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.world.log_tail()}")
            with contextlib.suppress(requests.RequestException):
                if requests.get(self.url + "/readyz", timeout=2).status_code == 200:
                    return self
            time.sleep(0.02)
        raise AssertionError(f"the server is not ready:\n{self.world.log_tail()}")

    def kill(self):
        """SIGKILL to this process alone; its tutti-media end by themselves."""
        self.process.kill()
        self.process.wait(20)

    def kill_all(self):
        """SIGKILL to the process and its children at once, as when the power goes."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20)

    def media(self):
        """The tutti-media processes that this one has."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                name, rest = (entry / "stat").read_text().rsplit(")", 1)
                if name.endswith("(tutti-media") and int(rest.split()[1]) == self.process.pid:
                    found.append(int(entry.name))
        return found

    def stop(self):
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)


class World:
    """A data directory, its processes and its disk. `with` ends what still runs and removes it."""

    def __init__(self, folder, template=None, roles=(None,), on_disk=False, broken_disk=None, small_disk=False,
                 clock=False, untouched=False):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.small = SmallDisk(self.folder / "disk", template) if small_disk else None
        self.data, self.log = (self.small.path if small_disk else self.folder) / "data", self.folder / "server.log"
        self.keys, self.store, root = self.data / "keys", self.data / "objects", self.data
        if template:
            shutil.copytree(template, self.data)
        elif untouched:  # not even a data directory; keys and objects stand elsewhere
            root = self.folder / "disk"
            root.mkdir()
            self.data, self.keys, self.store = root / "var" / "data", root / "keys", root / "objects"
        else:
            self.data.mkdir(mode=0o700)
        self.environment = {"TUTTI_KEYS_STORE": str(self.keys), "TUTTI_BLOB_STORE": f"file:{self.store}"}
        self.public_url = None
        self.clock = Clock(self.folder / "wall-clock") if clock else None
        if self.clock:
            self.environment.update(self.clock.environment())
        self.disk = disk.Disk(root, self.folder / "image") if on_disk else None
        if self.disk:
            self.disk.settle()
            self.environment.update(self.disk.environment(broken_disk))
        self.nodes = [Node(self, roles=one) for one in roles]
        self.harms = 0  # kills, cuts, fillings, jumps: what was done to it

    @property
    def front(self):
        return self.nodes[0]

    @property
    def url(self):
        return self.public_url or self.front.url

    def start(self):
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.wait_ready()
        return self

    def restart_after_kill(self, node):
        node.kill()
        self.harms += 1
        node.start().wait_ready()

    def cut_power(self, random=None, restart=True):
        for node in self.nodes:
            node.kill_all()
        self.harms += 1
        self.disk.cut(random)
        if restart:
            self.start()

    def stop(self):
        for node in self.nodes:
            status = node.stop()
            assert status == 0, f"SIGTERM must end with 0, not {status}:\n{self.log_tail()}"

    def run(self, *arguments, stdin="", environment=None):
        """A command of the binary on the data; its standard output."""
        done = subprocess.run([BINARY, *arguments, "--data", str(self.data)], input=stdin, text=True, timeout=60,
                              capture_output=True, env={**os.environ, **(environment or self.environment)})
        assert done.returncode == 0, f"tutti {' '.join(arguments)}: {done.returncode} {done.stderr}"
        return done.stdout

    def add_user(self, username, role):
        self.run("user", "add", username, "--role", role, "--email", f"{username}@example.org", "--password-stdin",
                 stdin=PASSWORD + "\n")

    def rows(self, query, *values, database="catalog"):
        with contextlib.closing(sqlite3.connect(f"file:{self.data}/{database}.db?mode=ro", uri=True, timeout=10)) as db:
            return db.execute(query, values).fetchall()

    def log_tail(self):
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            if node.process and node.process.poll() is None:
                node.kill_all()
        if self.small:
            self.small.done()


class SmallDisk:
    """A tmpfs of some room beside what the template needs; fill() leaves next to none. Needs the right to mount."""

    ROOM = 24 << 20

    def __init__(self, path, template):
        self.path = pathlib.Path(path)
        self.path.mkdir()
        self.balloon = self.path / "balloon"
        used = sum(file.stat().st_blocks * 512 for file in pathlib.Path(template).rglob("*"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={used + self.ROOM}", "tutti-fault", str(path)], check=True)

    @staticmethod
    def possible(folder):
        """Whether this process may mount."""
        place = pathlib.Path(folder) / "may-mount"
        place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "tutti-fault", str(place)], capture_output=True)
        if done.returncode == 0:
            subprocess.run(["umount", str(place)], check=True)
        place.rmdir()
        return done.returncode == 0

    def fill(self, leave):
        with open(self.balloon, "ab") as file:
            status = os.statvfs(self.path)
            room = status.f_bavail * status.f_frsize - leave
            if room > 0:
                with contextlib.suppress(OSError):  # others write at the same time
                    os.posix_fallocate(file.fileno(), 0, room)

    def free(self):
        self.balloon.unlink(missing_ok=True)

    def done(self):
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)


class Clock:
    """The wall clock of the processes that are started with environment()."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.set(0)

    def set(self, offset_ms):
        # In place: the processes have it mapped.
        mode = "r+b" if self.path.exists() else "wb"
        with open(self.path, mode) as file:
            file.write(struct.pack("<q", offset_ms))

    def environment(self):
        return {"LD_PRELOAD": disk.LIBRARY, "TUTTI_FAULT_CLOCK": str(self.path)}
