"""Running the server: what stops a start and with which words, how it ends, what it tells of itself."""
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest
import requests

from conftest import BINARY, PASSWORD, PATIENCE_S, Person, database_environment, engine_environment, free_port, run_tutti, until


def refused(*arguments, environment=None):
    """Runs a command that must be refused; returns its one line of words."""
    done = run_tutti(*arguments, check=False, environment=environment)
    assert done.returncode == 2, (done.returncode, done.stderr)
    lines = [line for line in done.stderr.splitlines() if line.startswith("tutti: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.mark.parametrize("arguments, words", [
    (["serve", "--roles", "streaming,karaoke"], "karaoke"),
    (["serve", "--listen", "4040"], "ADDRESS:PORT"),
    (["serve", "--log-level", "loud"], "loud"),
    (["serve", "--colour", "red"], "--colour"),
    (["serve", "--listen"], "needs a value"),
    (["serve", "--listen="], "--listen needs a value"),
    (["serve", "--config", ""], "--config needs a value"),
    (["backup", ""], "one of the words is empty"),
    (["serve", "--config", "/nonexistent/tutti.conf"], "/nonexistent/tutti.conf"),
    (["sing"], "sing"),
    (["events", "bogus"], 'there is no command "events bogus"; there is events parked, events retry, events drop; see'),
    (["events"], "events needs another word; there is events parked, events retry, events drop; see"),
    (["keys", "turn"], 'there is no command "keys turn"; there is keys rotate; see'),
    (["s3", "key", "drop", "x"], 'there is no command "s3 key drop"; there is s3 key add; see'),
    (["s3", "add"], 'there is no command "s3 add"; there is s3 key add; see'),
    (["user", "remove", "x"], 'there is no command "user remove"; there is user add, user list, user set-password; see'),
    (["config", "shown"], 'there is no command "config shown"; there is config check, config show; see'),
    (["search"], "search needs another word; there is search rebuild; see"),
    (["user", "add", "--role", "admin", "--password-stdin"], "NAME"),
    (["user", "add", "x", "--role", "king", "--password-stdin"], "listener, artist or admin"),
])
def test_wrong_usage_is_refused_with_words(tmp_path, arguments, words):
    data = ["--data", str(tmp_path)] if arguments[0] != "sing" else []
    assert words in refused(*arguments, *data)


def test_a_wrong_file_says_the_line(tmp_path):
    config = tmp_path / "tutti.conf"
    config.write_text("[server]\nlisten = 127.0.0.1:1\nlisen = 3\n")
    assert f"{config}:3" in refused("serve", "--config", str(config))
    assert f"{tmp_path}: can't be read as configuration: Is a directory" in refused("serve", "--config", str(tmp_path))
    assert "TUTTI_LIMITS_CONNECTIONS" in refused("config", "check", environment={"TUTTI_LIMITS_CONNECTIONS": "-1"})


@pytest.mark.parametrize("setting, words", [
    ("[blob]\nstore = s3://KEY:hush/hush@host/bucket", "blob.store: a slash"),
    ("[bus]\nstore = kafka://me:hush@one?tls=yes&colour=red", "colour"),
    ("[search]\nstore = opensearch://me:hush@one?colour=red", "search.store"),
    ("[database]\nusers = postgresql://me:hush@hush@one/users", "database users"),
    ("[database]\nusers_replicas = postgresql://me:good@one/users mysql://me:hush@two/users", "database users_replicas"),
    ("[blob]\nstore = gs://KEY:hush@host/bucket", "unknown scheme, \"gs\""),
    ("[search]\nstore = elastic://me:hush@one", "search.store must be"),
    ("[edge]\nurls = http://10.0.0.21:6081, ftp://10.0.0.22", "edge.urls has \"ftp://10.0.0.22\""),
    pytest.param("[edge]\nurls = " + ", ".join(f"http://10.0.0.{n}" for n in range(1, 66)),
                 "edge.urls has \"http://10.0.0.65\"; it must be at most 64", id="65 edges"),
    ("[server]\nlisten = music.example.org:4040", "server.listen = music.example.org:4040: must be ADDRESS:PORT"),
    ("[server]\nlisten = [::1:4040", "server.listen = [::1:4040: must be"),
    ("[database]\nusers = sqlite::memory:", ":2: database.users is \"sqlite::memory:\"; it must be sqlite:PATH"),
    ("[database]\ncatalog = sqlite:", ":2: database.catalog is \"sqlite:\"; it must be sqlite:PATH"),
    ("[mail]\nurl = imap://me:hush@one", "mail.url should read"),
    ("[server]\ntrusted_proxies = 10.0.0.2, proxy", "server.trusted_proxies = 10.0.0.2, proxy: must be addresses"),
    ("[server]\nroles = identity,streeming", "there is no role \"streeming\""),
])
def test_an_address_that_does_not_parse_is_found_before_the_start(tmp_path, setting, words):
    config = tmp_path / "tutti.conf"
    config.write_text(setting + "\n")
    said = refused("config", "check", "--config", str(config))
    assert words in said and "hush" not in said


def test_the_version_needs_no_configuration():
    assert run_tutti("version", environment={"TUTTI_SERVER_LISTEN": "nowhere"}).stdout.startswith("tutti ")


@pytest.mark.parametrize("line", ["a good\0 password\n", "a good\r password\n", "a good password" * 100 + "\n", "a good password\0"],
                         ids=["zero byte", "carriage return", "long", "zero byte at the end"])
def test_a_password_is_taken_whole_or_not_at_all(tmp_path, line):
    """What stands behind a zero byte would be missing from it unseen."""
    done = run_tutti("user", "add", "anna", "--role", "admin", "--password-stdin", data=tmp_path, stdin=line, check=False)
    assert done.returncode == 2 and "a password is a line of text" in done.stderr
    taken = run_tutti("user", "add", "anna", "--role", "admin", "--password-stdin", data=tmp_path, stdin="a good password\r\n", check=False)
    assert taken.returncode == 0 and taken.stdout.startswith("added anna")


def test_an_empty_data_directory_is_not_the_root():
    assert "--data needs a value" in refused("config", "show", "--data", "")


def test_what_is_printed_arrives_or_the_command_failed(tmp_path):
    """A key that is printed once, and never was read, is not done."""
    run_tutti("user", "add", "anna", "--role", "admin", "--password-stdin", stdin=PASSWORD + "\n", data=tmp_path)
    for into, words in ((">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")):
        for arguments in (["s3", "key", "add", f"key-{len(into)}", "--data", tmp_path], ["config", "show"], ["version"], ["--help"]):
            done = subprocess.run(["sh", "-c", f'exec "$@" {into}', "sh", BINARY, *arguments], stderr=subprocess.PIPE, text=True)
            assert done.returncode == 1 and f"standard output can't be written: {words}" in done.stderr, (arguments, into, done)


def test_descriptors_that_are_closed_stay_nobodys(tmp_path):
    """What is opened in the place of standard error would have the log in it."""
    listen = f"127.0.0.1:{free_port()}"
    server = subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", BINARY, "serve", "--data", tmp_path, "--listen", listen])
    def answers():
        try:
            return requests.get(f"http://{listen}/healthz", timeout=5).ok
        except requests.ConnectionError:
            return False
    try:
        until(answers)
        assert [os.readlink(f"/proc/{server.pid}/fd/{fd}") for fd in range(3)] == ["/dev/null"] * 3
    finally:
        server.terminate()
    assert server.wait(PATIENCE_S) == 0


def test_an_unusable_data_directory_stops_the_start(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    assert str(file) in refused("serve", "--data", str(file), "--listen", f"127.0.0.1:{free_port()}")


def test_a_port_in_use_stops_the_start(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert str(port) in refused("serve", "--data", str(tmp_path), "--listen", f"127.0.0.1:{port}")


def test_a_database_of_a_newer_version_is_left_alone(tmp_path, own_server):
    server = own_server(data=tmp_path)
    server.stop()
    server.change("INSERT INTO db_migration (component, number, checksum, applied_at) VALUES ('catalog', 9999, 'x', 1)")
    words = refused("serve", "--data", str(tmp_path), "--listen", f"127.0.0.1:{free_port()}",
                    environment=database_environment(tmp_path))
    assert "newer" in words and "catalog" in words


def test_health_and_readiness(server):
    assert requests.get(server.url + "/healthz").status_code == 200
    ready = requests.get(server.url + "/readyz")
    assert ready.status_code == 200 and ready.json()


def test_metrics_are_what_prometheus_reads(server):
    text = requests.get(server.url + "/metrics").text
    for name in ("tutti_http_requests_total", "tutti_http_request_duration_seconds_bucket"):
        assert name in text
    for line in text.splitlines():
        assert re.match(r"^(# (HELP|TYPE) (?:tutti|process)_\w+ .+|(?:tutti|process)_\w+(\{.*\})? -?[0-9.e+-]+(inf|nan)?)$", line), line


def test_sigterm_finishes_running_requests(own_server):
    one = own_server()
    request = (b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
               b'Content-Length: 41\r\n\r\n{"username":"nobody",')
    with socket.create_connection(("127.0.0.1", one.port), 5) as client:
        client.sendall(request)
        time.sleep(0.2)
        one.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        client.sendall(b'"password":"wrong-"}')
        client.settimeout(10)
        answer = client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 4"), answer[:200]
    assert one.stop() == 0


def test_sigterm_gives_notice_first(own_server):
    """Proxies that ask /readyz look elsewhere while requests are still answered; a second signal cuts it short."""
    one = own_server(environment={"TUTTI_LIMITS_NOTICE_MS": "600000"})
    kept = requests.Session()
    assert kept.get(one.url + "/healthz", timeout=5).status_code == 200
    one.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_S
    while requests.get(one.url + "/readyz", timeout=5).status_code == 200:
        assert time.monotonic() < deadline, "still ready"
        time.sleep(0.02)
    assert requests.get(one.url + "/readyz", timeout=5).json()["status"] == "draining"
    assert requests.get(one.url + "/readyz?alone=1", timeout=5).status_code == 503
    answer = kept.get(one.url + "/.well-known/jwks.json", timeout=5)
    assert answer.status_code == 200 and answer.headers["Connection"] == "close"
    assert one.process.poll() is None
    assert one.stop() == 0


def test_sighup_rereads_what_is_live(tmp_path, own_server):
    config = tmp_path / "tutti.conf"
    config.write_text("[log]\nlevel = error\n")
    one = own_server(options=["--config", str(config)])
    config.write_text("[log]\nlevel = info\n")
    one.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + PATIENCE_S
    while "configuration.reread" not in one.log_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert "configuration.reread" in one.log_text()
    config.write_text("[log]\nlevel = loud\n")
    one.process.send_signal(signal.SIGHUP)
    while "configuration.kept" not in one.log_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert "configuration.kept" in one.log_text()
    assert one.stop() == 0


def test_it_tells_systemd(tmp_path):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(20)
        process = subprocess.Popen([BINARY, "serve", "--data", str(tmp_path / "data"), "--listen",
                                    f"127.0.0.1:{free_port()}"], stderr=subprocess.DEVNULL,
                                   env={**os.environ, "NOTIFY_SOCKET": str(path), "TUTTI_LIMITS_NOTICE_MS": "100", "TUTTI_LIMITS_DRAIN_MS": "70000"})
        while b"READY=1" not in (told := listener.recv(4096)):
            assert b"EXTEND_TIMEOUT_USEC=" in told  # a busy machine
        assert b"STATUS=Serving" in told
        process.send_signal(signal.SIGTERM)
        # what the settings allow is longer than the unit's TimeoutStopSec, at whose end requests would be killed
        assert listener.recv(4096) == b"EXTEND_TIMEOUT_USEC=90100000"
        assert listener.recv(4096) == b"STOPPING=1\nEXTEND_TIMEOUT_USEC=90000000"
        assert process.wait(20) == 0


def test_what_lies_on_disk_is_private_and_holds_no_password(tmp_path, own_server):
    one = own_server(data=tmp_path)
    one.add_user("anna", "listener")
    Person(one.url, "anna")
    assert one.stop() == 0
    for path in set(tmp_path.rglob("*")) - {tmp_path / "server.log"}:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes(), path


def test_two_processes_with_roles_of_their_own(tmp_path, own_server, sounds):
    """The API in one process, the workers in another, on one data directory."""
    api = own_server(data=tmp_path, roles="gateway,identity,catalog,ingest,streaming,library,objectstore")
    api.add_user("band", "artist")
    artist = Person(api.url, "band")
    page = artist.post("/api/v1/artists", json={"name": "Two Processes"}).json()
    album = artist.post("/api/v1/albums", json={"artistId": page["id"], "title": "Apart"}).json()
    path = sounds("flac", seconds=2)
    place = artist.get("/api/v1/tracks/upload-url", params={"filename": "a.flac", "size": path.stat().st_size}).json()
    assert requests.put(place["uploadUrl"], data=path.read_bytes()).status_code == 200
    track = artist.post("/api/v1/tracks", json={"albumId": album["id"], "title": "x", "trackUrl": place["trackUrl"]})
    assert track.status_code == 201
    time.sleep(1)
    assert artist.get(f"/api/v1/tracks/{track.json()['id']}").json()["status"] in ("created", "uploaded")
    second = pathlib.Path(tmp_path, "second.log").open("wb")
    worker = subprocess.Popen([BINARY, "serve", "--roles", "transcode,catalog", "--data", str(tmp_path), "--listen",
                               f"127.0.0.1:{free_port()}"], stderr=second,
                              env={**os.environ, **engine_environment(tmp_path)})
    try:
        deadline = time.monotonic() + PATIENCE_S
        while artist.get(f"/api/v1/tracks/{track.json()['id']}").json()["status"] != "ready":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert artist.get("/api/v1/me").status_code == 200
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0


def test_a_flood_of_log_ins_does_not_starve_the_rest(own_server):
    one = own_server()
    one.add_user("anna", "listener")
    person = Person(one.url, "anna")
    stop = threading.Event()
    answers = []

    def flood(number):
        while not stop.is_set():
            body = {"username": f"nobody{number}", "password": "wrong password"}
            answers.append(requests.post(one.url + "/api/v1/auth/login", json=body, timeout=30).status_code)

    threads = [threading.Thread(target=flood, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(50):
            assert person.get("/api/v1/me").status_code == 200
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set(answers) <= {401, 429, 503} and answers


def test_the_description_of_the_api_is_served(server):
    answer = requests.get(server.url + "/api/v1/openapi.yaml")
    assert answer.status_code == 200
    assert answer.text.startswith("#") and "openapi: 3.1.0" in answer.text
    again = requests.get(server.url + "/api/v1/openapi.yaml", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304 and not again.content
