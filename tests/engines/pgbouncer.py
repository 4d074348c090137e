#!/usr/bin/python3
"""A real PgBouncer in transaction mode before a server of postgres.py, for tests.

    with Pgbouncer(server) as pooler:
        pooler.url("catalog")

    pgbouncer.py PROGRAM [ARGUMENT…]    runs it with TUTTI_TEST_POSTGRES, the URL of the pooler, and
                                        TUTTI_TEST_POSTGRES_DIRECT, that of the server
"""
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import postgres


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Pgbouncer:
    def __init__(self, server, pool_size=20):
        self.server, self.port, self.pool_size = server, postgres.free_port(), pool_size
        self.folder = tempfile.mkdtemp(prefix="tutti-pgbouncer-")
        self.user = pwd.getpwnam("postgres") if os.getuid() == 0 else None

    def __enter__(self):
        with open(f"{self.folder}/ini", "w", encoding="utf-8") as file:
            # auth_type any takes no user from the client: the databases say which
            file.write(f"""[databases]
* = host=127.0.0.1 port={self.server.port} user=tutti
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
max_client_conn = 1000
default_pool_size = {self.pool_size}
""")
        for path in (self.folder, f"{self.folder}/ini"):
            if self.user:
                os.chown(path, self.user.pw_uid, self.user.pw_gid)
        self.log = open(f"{self.folder}/log", "w", encoding="utf-8")
        self.process = subprocess.Popen(["/usr/sbin/pgbouncer", f"{self.folder}/ini"], stdout=self.log, stderr=self.log,
                                        preexec_fn=die_with_parent, **self.server.identity())
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise RuntimeError(open(f"{self.folder}/log", encoding="utf-8").read()) from None
                time.sleep(0.05)

    def __exit__(self, *unused):
        self.process.kill()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database):
        return f"postgresql://tutti@127.0.0.1:{self.port}/{database}"


def main():
    if postgres.binaries() is None or not os.path.exists("/usr/sbin/pgbouncer"):
        print("skipped: postgresql-15 or pgbouncer is not installed")
        sys.exit(postgres.MISSING)
    with postgres.Server() as server, Pgbouncer(server) as pooler:
        environment = {**os.environ, "TUTTI_TEST_POSTGRES": pooler.url(""), "TUTTI_TEST_POSTGRES_DIRECT": server.url("")}
        sys.exit(subprocess.run(sys.argv[1:], env=environment).returncode)


if __name__ == "__main__":
    main()
