#!/usr/bin/python3
"""A real Redis for tests and benches, on a free port of 127.0.0.1, that keeps nothing and wants a password.

    with Server() as server:
        server.url(1)                           # of database 1
        server.kill(); server.start()           # empty again, on the same port
        server.hang(); server.go_on()           # SIGSTOP, SIGCONT
    with Sentinels() as sentinels:              # a primary, two replicas, three Sentinels
        sentinels.url(); sentinels.lose_primary()

    redis.py VARIABLE PROGRAM [ARGUMENT…]       runs it with VARIABLE=URL, and the server's process in
                                                TUTTI_TEST_REDIS_PID for tests that harm it

Without redis-server it ends with 77, which meson takes for skipped. Standard library only.
"""
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

PASSWORD = "for-tests:only@1"
START_TIMEOUT_S = 30
FAILOVER_TIMEOUT_S = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, what, timeout_s=START_TIMEOUT_S):
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {timeout_s} s")
        time.sleep(0.05)


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Process:
    """One redis-server, as a Redis or as a Sentinel."""

    def __init__(self, lines, sentinel=False):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tutti-redis-"))
        self.port = free_port()
        self.sentinel = sentinel
        self.secret = None if sentinel else PASSWORD
        self.configuration = self.folder / "redis.conf"
        self.configuration.write_text("\n".join([f"port {self.port}", "bind 127.0.0.1", f"dir {self.folder}", *lines]) + "\n")
        self.process = None

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["redis-server", str(self.configuration), *(["--sentinel"] if self.sentinel else [])], stdout=log, stderr=log,
                preexec_fn=die_with_parent)
        wait_for(lambda: self.ask("PING") == "+PONG", f"redis-server on port {self.port}")
        return self

    def ask(self, *words, timeout_s=2):
        """The raw answer to one command, as far as it fits a packet; "" where there is none."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout_s) as connection:
                connection.settimeout(timeout_s)
                for command in ([["AUTH", self.secret]] if self.secret else []) + [list(words)]:
                    text = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in command)
                    connection.sendall(f"*{len(command)}\r\n{text}".encode())
                    answer = connection.recv(65536).decode(errors="replace")
                return answer.strip()
        except OSError:
            return ""

    def hang(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def done(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


KEEPS_NOTHING = ['save ""', "appendonly no", f"requirepass {PASSWORD}", f"masterauth {PASSWORD}"]


class Server(Process):
    def __init__(self):
        super().__init__(KEEPS_NOTHING)

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.done()

    def url(self, database=0, options=""):
        return f"redis://:{urllib.parse.quote(PASSWORD)}@127.0.0.1:{self.port}/{database}{options and '?' + options}"


class Sentinels:
    NAME = "tutti-main"

    def __enter__(self):
        lines = [*KEEPS_NOTHING, "repl-diskless-sync-delay 0", "repl-ping-replica-period 1", "repl-timeout 5"]
        self.servers = [Process(lines).start()]
        first = self.servers[0].port
        for _ in range(2):
            self.servers.append(Process([*lines, f"replicaof 127.0.0.1 {first}"]).start())
        for replica in self.servers[1:]:
            wait_for(lambda one=replica: "master_link_status:up" in one.ask("INFO", "replication"), "a replica")
        watch = [f"sentinel monitor {self.NAME} 127.0.0.1 {first} 2", f"sentinel auth-pass {self.NAME} {PASSWORD}",
                 f"sentinel down-after-milliseconds {self.NAME} 1000", f"sentinel failover-timeout {self.NAME} 5000"]
        self.sentinels = [Process(watch, sentinel=True).start() for _ in range(3)]
        for one in self.sentinels:
            wait_for(lambda s=one: "num-slaves\r\n$1\r\n2" in s.ask("SENTINEL", "MASTER", self.NAME)
                     and "num-other-sentinels\r\n$1\r\n2" in s.ask("SENTINEL", "MASTER", self.NAME), "the Sentinels")
        return self

    def __exit__(self, *unused):
        for one in self.sentinels + self.servers:
            one.done()

    def url(self, options=""):
        places = ",".join(f"127.0.0.1:{one.port}" for one in self.sentinels)
        return (f"redis://:{urllib.parse.quote(PASSWORD)}@{places}/0?sentinel={self.NAME}"
                f"{options and '&' + options}")

    def primary_port(self):
        answers = [one.ask("SENTINEL", "get-master-addr-by-name", self.NAME) for one in self.sentinels]
        return int(next(answer for answer in answers if answer.startswith("*2")).split("\r\n")[-1])

    def primary(self):
        port = self.primary_port()
        return next(one for one in self.servers if one.port == port)

    def lose_primary(self, harm="kill"):
        """SIGKILL, or with "hang" SIGSTOP; returns it when another one is the primary."""
        old = self.primary()
        getattr(old, harm)()
        wait_for(lambda: self.primary_port() != old.port and "role:master" in self.primary().ask("INFO", "replication"),
                 "the failover", FAILOVER_TIMEOUT_S)
        return old


def main():
    if shutil.which("redis-server") is None:
        sys.exit(77)
    variable, command = sys.argv[1], sys.argv[2:]
    with Server() as server:
        environment = {**os.environ, variable: server.url(1, "timeout_ms=2000&life_ms=1000"),
                       "TUTTI_TEST_REDIS_PID": str(server.process.pid)}
        status = subprocess.run(command, env=environment).returncode
    sys.exit(status)


if __name__ == "__main__":
    main()
