"""A rolling restart of two processes behind HAProxy 2.6 while people read and write: no request is dropped, though
HAProxy is told to try none a second time."""
import csv
import io
import shutil
import socket
import subprocess
import threading
import time

import pytest
import requests

from journey import PASSWORD, Person, Server, free_port, run_tutti

NOTICE_MS, CHECK_MS, WORKERS, ROUNDS = 3000, 150, 6, 2

CONFIGURATION = """
global
    maxconn 1000
    stats socket {folder}/haproxy.sock mode 600 level admin
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 60s
    timeout check 10s
    retries 0
    option httpchk GET /readyz
    http-check expect status 200
    default-server inter {check}ms fall 1 rise 1
frontend in
    bind 127.0.0.1:{port}
    default_backend api
backend api
    balance roundrobin
    server one 127.0.0.1:{one} check
    server two 127.0.0.1:{two} check
"""


class Balancer:
    def __init__(self, folder, one, two):
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "haproxy.cfg").write_text(
            CONFIGURATION.format(folder=folder, check=CHECK_MS, port=self.port, one=one.port, two=two.port))
        self.process = subprocess.Popen(["haproxy", "-db", "-f", str(folder / "haproxy.cfg")])
        self.wait("one", "UP")
        self.wait("two", "UP")

    def state(self):
        """Each server's row of `show stat`, by name."""
        with socket.socket(socket.AF_UNIX) as talk:
            talk.connect(str(self.folder / "haproxy.sock"))
            talk.sendall(b"show stat\n")
            text = b"".join(iter(lambda: talk.recv(65536), b"")).decode()
        rows = csv.DictReader(io.StringIO(text.removeprefix("# ")))
        return {row["svname"]: row for row in rows if row["pxname"] == "api"}

    def wait(self, name, status):
        deadline = time.monotonic() + 20
        while True:
            try:
                if self.state()[name]["status"].startswith(status):
                    return
            except OSError:
                pass
            assert time.monotonic() < deadline, f"{name} is not {status}"
            time.sleep(0.05)

    def end(self):
        self.process.terminate()
        self.process.wait(10)


class Crowd:
    """Reads and writes on connections that are kept, until told to stop; what went wrong is kept in words."""

    def __init__(self, url, token):
        self.url, self.token, self.stopping = url, token, threading.Event()
        self.wrong, self.read, self.written = [], 0, []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(WORKERS)]
        for thread in self.threads:
            thread.start()

    def ask(self, session, number, turn):
        if (turn + number) % 3:
            path = ("/api/v1/artists?limit=5", "/.well-known/jwks.json", "/healthz")[turn % 3]
            answer = session.get(self.url + path, timeout=30)
            return None if answer.status_code == 200 else f"GET {path}: {answer.status_code} {answer.text[:200]}"
        name = f"Band {number} {turn}"
        answer = session.post(self.url + "/api/v1/artists", json={"name": name}, timeout=30)
        if answer.status_code == 201:
            with self.lock:
                self.written.append(answer.json()["id"])
            return None
        return f"POST {name}: {answer.status_code} {answer.text[:200]}"

    def run(self, number):
        session, turn = requests.Session(), 0
        session.headers["Authorization"] = self.token
        while not self.stopping.is_set():
            try:
                wrong = self.ask(session, number, turn)
            except requests.RequestException as error:
                wrong = repr(error)
            with self.lock:
                self.read += 1
                if wrong:
                    self.wrong.append(wrong)
            turn += 1
            time.sleep(0.005)

    def end(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)


@pytest.fixture
def pair(tmp_path):
    """Two processes over one data directory."""
    data = tmp_path / "data"
    environment = {"TUTTI_SERVER_URL": "http://music.test", "TUTTI_LIMITS_NOTICE_MS": str(NOTICE_MS),
                   "TUTTI_LIMITS_SHED_DELAY_MS": "0"}
    servers = [Server(data=data, environment=environment) for _ in range(2)]
    data.mkdir(mode=0o700)
    run_tutti("user", "add", "artist", "--role", "artist", "--password-stdin", stdin=PASSWORD + "\n", data=data)
    for server in servers:
        server.start()
    yield servers
    for server in servers:
        server.done()


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")
def test_a_rolling_restart_drops_no_request(pair, tmp_path):
    balancer = Balancer(tmp_path, *pair)
    try:
        person = Person(balancer.url, "artist", "artist")
        crowd = Crowd(balancer.url, person.headers["Authorization"])
        try:
            for _ in range(ROUNDS):
                for name, server in zip(("one", "two"), pair):
                    served = int(balancer.state()[name]["stot"])
                    assert server.stop() == 0
                    assert balancer.state()[name]["status"].startswith("DOWN"), "HAProxy had the time to see it"
                    server.start()
                    balancer.wait(name, "UP")
                    deadline = time.monotonic() + 20
                    while int(balancer.state()[name]["stot"]) < served + 20:
                        assert time.monotonic() < deadline, f"{name} gets no requests"
                        time.sleep(0.05)
        finally:
            crowd.end()
        assert not crowd.wrong, crowd.wrong[:10]
        assert crowd.read > 200 and len(crowd.written) == len(set(crowd.written)) > 50
        for artist in crowd.written[::10]:
            assert person.get(f"/api/v1/artists/{artist}").status_code == 200
    finally:
        balancer.end()
