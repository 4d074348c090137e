#!/usr/bin/python3
"""A real PostgreSQL for tests and benches, with data of its own that is gone at the end, however who started it ends.

    with Server() as server:                    # socket in its folder, and 127.0.0.1:server.port
        url = server.create("catalog")          # a database of the user tutti
        with server.replica(delay_ms=1000) as replica:
            replica.url("catalog")

    postgres.py PROGRAM [ARGUMENT…]             runs it with TUTTI_TEST_POSTGRES, the URL of a server
                                                without a database behind the last slash

The server refuses to run as root: then it is the user postgres'. Standard library only.
"""
import glob
import os
import pathlib
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
import time

MISSING = 77  # what meson takes as skipped

# The server leaves the process that starts it, and would outlive it. So a shell waits for the end of its input, which
# is the end of that process, by whatever means, and takes the server and its folder away: a hundred databases are 30,000
# files, for which nobody waits.
KEEPER = """cat >/dev/null; "$0/pg_ctl" stop -D "$1/data" -m immediate -t 60 >/dev/null 2>&1; rm -rf "$1" >/dev/null 2>&1 & """

# A test's data need not survive the machine, so nothing waits for the disk; benches say otherwise.
QUICK = {"fsync": "off", "full_page_writes": "off"}
USUAL = {"max_connections": "200", "shared_buffers": "32MB", "wal_level": "replica", "max_wal_senders": "8",
         "hot_standby": "on", "max_replication_slots": "8", "log_min_messages": "warning",
         "max_pred_locks_per_transaction": "256"}


def binaries():
    """The folder of the newest PostgreSQL from 15 on, None without one."""
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))
    return folders[-1] if folders and int(folders[-1].split("/")[4]) >= 15 else None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, settings=None, quick=True, password=None):
        self.settings = {**USUAL, **(QUICK if quick else {}), **(settings or {})}
        self.password = password
        self.port = free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tutti-pg-"))
        self.user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
        if self.user:
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        self.bin = binaries()
        self.keeper = subprocess.Popen(["sh", "-c", KEEPER, self.bin, self.folder], stdin=subprocess.PIPE, cwd="/",
                                       start_new_session=True, **self.identity())
        self.databases = set()  # those that somebody keeps count of

    def identity(self):
        return {"user": self.user.pw_uid, "group": self.user.pw_gid} if self.user else {}

    def run(self, program, *arguments, check=True, text=None, timeout_s=120):
        done = subprocess.run(
            [f"{self.bin}/{program}", *map(str, arguments)], input=text, text=True, capture_output=True, cwd=self.folder,
            timeout=timeout_s, **self.identity(),
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PGHOST": str(self.folder), "PGPORT": str(self.port),
                 "PGUSER": "tutti", "PGDATA": str(self.folder / "data"), "PGPASSWORD": self.password or ""})
        if check and done.returncode != 0:
            raise RuntimeError(f"{program}: {done.stderr or done.stdout}")
        return done

    def make(self):
        secret = self.folder / "secret"
        secret.write_text((self.password or "none") + "\n")
        if self.user:
            os.chown(secret, self.user.pw_uid, self.user.pw_gid)
        self.run("initdb", "-A", "scram-sha-256" if self.password else "trust", f"--pwfile={secret}", "-U", "tutti",
                 "--no-sync", "-E", "UTF8", "--locale=C.UTF-8", "-k")

    def start(self):
        options = " ".join(f"-c {name}={value}" for name, value in self.settings.items())
        # Its output goes to a file: a server that inherits our pipe would keep it open.
        self.run("pg_ctl", "start", "-w", "-t", 60, "-l", self.folder / "log", "-o",
                 f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.folder} {options}")
        return self

    def stop(self, mode="fast"):
        self.run("pg_ctl", "stop", "-w", "-m", mode, check=False)

    def kill(self):
        """SIGKILL of the server and all its children, as when the machine dies."""
        pid = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
        for one in [pid, *map(int, children)]:
            try:
                os.kill(one, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def __enter__(self):
        try:
            self.make()
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *unused):
        self.keeper.stdin.close()
        self.keeper.wait(120)

    def url(self, database):
        secret = f":{self.password}" if self.password else ""
        return f"postgresql://tutti{secret}@127.0.0.1:{self.port}/{database}"

    def create(self, database):
        self.run("createdb", database)
        return self.url(database)

    def drop(self, database):
        self.run("dropdb", "--if-exists", "--force", database)

    def ask(self, database, sql, timeout_s=120):
        """The rows of a statement, a line each, columns divided by |."""
        return self.run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, text=sql,
                        timeout_s=timeout_s).stdout.strip()

    def replica(self, delay_ms=0, settings=None):
        return Replica(self, delay_ms, settings)


class Replica(Server):
    """A hot standby that streams from the primary; it replays what is delay_ms old."""

    def __init__(self, primary, delay_ms, settings):
        super().__init__({**primary.settings, **(settings or {})}, False, primary.password)
        self.primary, self.delay_ms = primary, delay_ms

    def make(self):
        p = self.primary
        self.run("pg_basebackup", "-h", p.folder, "-p", p.port, "-U", "tutti", "-D", self.folder / "data", "-R", "-c", "fast",
                 "--no-sync")
        with open(self.folder / "data" / "postgresql.auto.conf", "a", encoding="utf-8") as file:
            file.write(f"recovery_min_apply_delay = '{self.delay_ms}ms'\n")

    def wait(self, timeout_s=60):
        """Until it has replayed what the primary has now."""
        position = self.primary.ask("postgres", "SELECT pg_current_wal_flush_lsn()")
        deadline = time.monotonic() + timeout_s
        while self.ask("postgres", f"SELECT pg_last_wal_replay_lsn() >= '{position}'") != "t":
            if time.monotonic() > deadline:
                raise RuntimeError("the replica does not catch up")
            time.sleep(0.05)


def main():
    if binaries() is None:
        print("skipped: postgresql-15 is not installed")
        sys.exit(MISSING)
    with Server() as server:
        sys.exit(subprocess.run(sys.argv[1:], env={**os.environ, "TUTTI_TEST_POSTGRES": server.url("")}).returncode)


if __name__ == "__main__":
    main()
