"""The way in: TLS 1.3 and HTTP/2 through HAProxy, requests to the roles by their path, and what happens when a process
behind it dies."""
import json
import re
import socket
import ssl
import subprocess
import threading
import time

import pytest
import requests
import yaml

from edges import DEPLOY, HAProxy, Varnish, keys_of, program, render, sign, until
from journey import PASSWORD, Person, Server, wait_for


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """Two processes of everything on one data directory; what clients see is the way in."""
    folder = tmp_path_factory.mktemp("way-in")
    first = Server()
    second = Server(data=first.data)
    edge = Varnish(tmp_path_factory.mktemp("edge"), [f"127.0.0.1:{one.port}" for one in (first, second)],
                   first.data / "keys" / "edge-keys")
    addresses = [f"127.0.0.1:{one.port}" for one in (first, second)]
    way_in = HAProxy(folder, l4=True, API=addresses, STREAMING=addresses, OBJECTS=addresses,
                     EDGE=[f"127.0.0.1:{edge.port}"])
    for one in (first, second):
        one.environment = {"TUTTI_SERVER_URL": way_in.url, "TUTTI_SERVER_TRUSTED_PROXIES": "127.0.0.1"}
        one.options = ["--roles", "all"]
        one.start()
    edge.start()
    way_in.start()
    first.add_user("artist", "artist")
    yield first, second, edge, way_in
    way_in.stop()
    edge.stop()
    for one in (second, first):
        one.done()


@pytest.fixture(scope="module")
def way_in(processes):
    return processes[3]


@pytest.fixture(scope="module", autouse=True)
def trusted(way_in):
    """requests trusts the way in's own authority."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(way_in.authority))
        yield


@pytest.fixture(scope="module")
def artist(way_in, trusted):
    person = Person(way_in.url)
    answer = person.post("/api/v1/auth/login", json={"username": "artist", "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    person.take(answer.json())
    return person


def test_tls_is_1_3_and_speaks_http_2(way_in):
    context = ssl.create_default_context(cafile=way_in.authority)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("localhost", way_in.port), 5) as plain, \
            context.wrap_socket(plain, server_hostname="localhost") as connection:
        assert connection.version() == "TLSv1.3"
        assert connection.selected_alpn_protocol() == "h2"
    old = ssl.create_default_context(cafile=way_in.authority)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("localhost", way_in.port), 5) as plain, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain, server_hostname="localhost")
    other = ssl.create_default_context(cafile=way_in.authority)
    with socket.create_connection(("localhost", way_in.port), 5) as plain, pytest.raises(ssl.SSLCertVerificationError):
        other.wrap_socket(plain, server_hostname="music.example.org")


def test_a_request_by_http_2(way_in):
    done = subprocess.run(["curl", "-sS", "--http2", "--cacert", way_in.authority, "-o", "/dev/null", "-w",
                           "%{http_version} %{http_code}", way_in.url + "/"],
                          capture_output=True, text=True, timeout=20)
    assert done.stdout == "2 200", done.stdout + done.stderr


def test_browsers_are_told_to_stay_with_tls(way_in):
    for path in ("/", "/api/v1/tracks/1/stream", "/healthz"):
        answer = requests.get(way_in.url + path, timeout=10)
        assert re.fullmatch(r"max-age=\d{8,}", answer.headers["Strict-Transport-Security"]), path
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_plain_http_is_sent_to_https(way_in):
    answer = requests.get(f"http://localhost:{way_in.plain}/albums?x=1", allow_redirects=False, timeout=10)
    assert answer.status_code == 308
    assert answer.headers["Location"].startswith("https://localhost")


def test_certificates_are_made_once_and_again_for_other_names(tmp_path):
    def make(*names):
        subprocess.run([DEPLOY / "haproxy" / "certificates.sh", tmp_path, *names], check=True)
        return (tmp_path / "tutti.pem").read_text(), (tmp_path / "authority.pem").read_text()

    first = make("localhost")
    assert make("localhost") == first
    second = make("localhost", "127.0.0.1")
    assert second[0] != first[0] and second[1] == first[1]
    text = subprocess.run(["openssl", "x509", "-in", tmp_path / "tutti.pem", "-noout", "-text"], check=True,
                          capture_output=True, text=True).stdout
    assert "DNS:localhost, IP Address:127.0.0.1" in text
    assert (tmp_path / "tutti.pem").stat().st_mode & 0o077 == 0
    assert (tmp_path / "authority.key").stat().st_mode & 0o077 == 0


def test_what_the_world_may_not(way_in):
    session = requests.Session()
    for path in ("/metrics", "/%6detrics"):
        request = requests.Request("GET", way_in.url).prepare()
        request.url = way_in.url + path
        assert session.send(request, timeout=10, verify=str(way_in.authority)).status_code == 404
    assert session.request("PURGE", way_in.url + "/m/1/", timeout=10).status_code == 405
    assert session.post(way_in.url + "/m/1/1/1/1", timeout=10).status_code == 405


def test_an_upload_and_its_play(processes, artist, upload, way_in):
    """Everything by the way in: log-in, the upload's PUT, the play from the edge."""
    _, _, edge, _ = processes
    track = wait_for(artist, upload(artist=artist)["id"], whole=True)
    stream = artist.get(f"/api/v1/tracks/{track['id']}/stream").json()
    assert stream["trackUrl"].startswith(way_in.url + "/m/")
    answer = requests.get(stream["trackUrl"], timeout=10)
    assert answer.status_code == 200 and answer.headers["X-Cache"] == "miss"
    again = requests.get(stream["trackUrl"], timeout=10)
    assert again.headers["X-Cache"] == "hit" and again.content == answer.content
    token = stream["trackUrl"].split("/m/")[1].split("/")[0]
    log = way_in.programs[0].said()
    assert token not in log and "X-Amz-Signature" not in log
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert any(line["path"].startswith("/m/-/") and line["server"] == "edges/edge1" for line in lines)
    assert any(line["path"].startswith("/s3/") and line["server"].startswith("objects/") for line in lines)


def test_who_called_is_known(processes, artist, way_in):
    """The way in says whose address it was; what the caller says of it counts for nothing."""
    artist.get("/api/v1/me", headers={"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.8"})
    first, second, _, _ = processes
    log = first.log_text() + second.log_text()
    assert '"remote":"127.0.0.1"' in log
    assert "203.0.113" not in log


def test_a_killed_process_fails_no_request(processes, artist, way_in):
    first, second, edge, _ = processes
    until(lambda: set(way_in.states().values()) == {"UP"}, "all are up")
    statuses, ending = [], threading.Event()

    def ask():
        session = requests.Session()
        session.headers.update(artist.headers)
        while not ending.is_set():
            statuses.append(session.get(way_in.url + "/api/v1/me", timeout=10).status_code)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(statuses) > 50, "requests are answered")
        second.kill()
        before = len(statuses)
        until(lambda: way_in.states()["api/api2"].startswith("DOWN"), "the way in notices")
        until(lambda: len(statuses) > before + 100, "requests go on")
        second.start()
        until(lambda: way_in.states()["api/api2"].startswith("UP"), "the way in takes it back")
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    assert set(statuses) == {200}, {status: statuses.count(status) for status in set(statuses)}


def test_a_dead_edge_is_passed_over(processes, tmp_path, artist, upload):
    first, second, edge, _ = processes
    addresses = [f"127.0.0.1:{one.port}" for one in (first, second)]
    other = Varnish(tmp_path, addresses, first.data / "keys" / "edge-keys")
    other.start()
    folder = tmp_path / "haproxy"
    folder.mkdir()
    both = HAProxy(folder, API=addresses, STREAMING=addresses, OBJECTS=addresses,
                   EDGE=[f"127.0.0.1:{one.port}" for one in (edge, other)])
    both.start()
    try:
        until(lambda: set(both.states().values()) == {"UP"}, "all are up")
        key = keys_of(edge.keys)[-1]
        paths = [f"/m/{sign(key, 1000 + i, 1)}/{1000 + i}/1/aac-160.mp4" for i in range(20)]

        def ask():
            return [requests.get(both.url + path, verify=str(both.authority), timeout=10).status_code for path in paths]

        assert set(ask()) == {404}
        served = [re.findall(rf'"server":"edges/edge{i}"', both.programs[0].said()) for i in (1, 2)]
        assert all(served), "a track's edge is told by its number, so 20 tracks are at both"
        other.program.process.kill()
        assert set(ask()) == {404}  # also before anybody has noticed
        until(lambda: both.states()["edges/edge2"].startswith("DOWN"), "the way in notices")
        assert set(ask()) == {404}
    finally:
        both.stop()
        other.stop()


def test_the_manual_fills_the_templates_in(tmp_path):
    """The lines of docs/operations.md that run deploy/render.py and the scripts beside it, where they can be run."""
    manual = (DEPLOY.parent / "docs" / "operations.md").read_text()
    lines = [line for block in re.findall(r"^```console\n(.*?)^```$", manual, re.M | re.S) for line in block.splitlines()]
    lines += [line.strip() for block in re.findall(r"^  ```console\n(.*?)^  ```$", manual, re.M | re.S) for line in block.splitlines()]
    ours = [line for line in lines if line.startswith("deploy/")]
    assert {line.split()[0] for line in ours} == {"deploy/edge-keys.sh", "deploy/render.py", "deploy/haproxy/certificates.sh"}
    (tmp_path / "edge-keys").write_text(f"1 {'a' * 64}\n")
    (tmp_path / "deploy").symlink_to(DEPLOY)
    for line in ours:
        there = re.sub(r"/(etc/[a-z]+|srv)/", f"{tmp_path}/", line)
        done = subprocess.run(there, shell=True, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    for command in (["varnishd", "-j", "none", "-C", "-n", tmp_path / "work", "-f", tmp_path / "edge.vcl"],
                    ["haproxy", "-c", "-f", tmp_path / "haproxy.cfg"],
                    ["haproxy", "-c", "-f", tmp_path / "postgresql.cfg"]):
        done = subprocess.run([program(command[0]), *command[1:]], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    patroni = yaml.safe_load((tmp_path / "config.yml").read_text())
    assert len(patroni["etcd3"]["hosts"]) == 3 and patroni["postgresql"]["connect_address"] == "10.0.0.31:5432"
    times = patroni["bootstrap"]["dcs"]
    assert times["synchronous_mode"] and times["ttl"] >= times["loop_wait"] + 2 * times["retry_timeout"], "Patroni's own rule"


def test_looking_whether_it_works_is_no_trouble_in_the_log(way_in, artist):
    """l4.cfg looks each second, by a handshake that is whole."""
    lower = way_in.programs[0]
    before = len(lower.said())
    time.sleep(5)
    assert artist.get("/api/v1/me").status_code == 200  # it passes on, so the looks were good
    deadline = time.monotonic() + 30
    while '"status":200' not in lower.said()[before:] and time.monotonic() < deadline:
        time.sleep(0.1)
    said = lower.said()[before:].splitlines()
    assert '"status":200' in said[-1] and len(said) <= 2, said  # one look may come too late on a busy machine


def test_a_name_without_words_leaves_the_next_its_own():
    assert render.render("#: DATA = /srv\n#: RUN = /run\n@DATA@ @RUN@\n", {}).splitlines()[-1] == "/srv /run"


def test_a_template_says_what_it_lacks():
    template = (DEPLOY / "haproxy" / "l4.cfg").read_text()
    with pytest.raises(ValueError, match="it needs L7"):
        render.render(template, {"HTTPS": [":443"]})
    with pytest.raises(ValueError, match="it takes no L8; it takes HTTPS, L7"):
        render.render(template, {"HTTPS": [":443"], "L7": ["a:1"], "L8": ["b:2"]})
    text = render.render(template, {"HTTPS": [":443"], "L7": ["a:1", "[::1]:2"]})
    assert "server l71 a:1 check" in text and "server l72 [::1]:2 check" in text and "#:" not in text
    assert render.render("#: A = x:1\n@A.host@-@A.port@-@A.n@\n", {"A": ["[::1]:9", "b:8"]}) == "::1-9-1\nb-8-2\n"
    assert render.render("#: A\nfirst @A@\nlast\n", {"A": []}) == "last\n"
