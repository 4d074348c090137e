"""Several processes over one Redis (cache.store = redis://…): what they share, and that nothing is wrong, and no answer
a 5xx, when it is killed, hangs, comes back empty or is replaced by Sentinels. The processes share a data directory, as
they would share PostgreSQL."""
import json
import pathlib
import socket
import sys
import threading
import time
import uuid

import pytest
import requests

from conftest import PASSWORD, ROOT, Person, Server, free_port, run_tutti, until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "engines"))
import redis as engine  # noqa: E402


def state_of(server):
    answer = requests.get(server.url + "/readyz", timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()["engines"].get("redis"), answer.json()["status"]


def wait_for_redis(*servers, state="ok"):
    for server in servers:
        until(lambda one=server: state_of(one)[0] == state, f"redis is not {state}")


def metric(server, name):
    for line in requests.get(server.url + "/metrics", timeout=10).text.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[-1])
    return 0.0


class Platform:
    """Processes on one data directory, with one Redis."""

    def __init__(self, tmp_path, url):
        self.data, self.url, self.servers = tmp_path, url, []
        self.common = {"TUTTI_CACHE_STORE": url, "TUTTI_SERVER_URL": "http://localhost:4040"}  # who issues tokens

    def start(self, **environment):
        server = Server(data=self.data, environment={**self.common, **environment})
        self.servers.append(server)
        server.start()
        wait_for_redis(server)
        return server

    def done(self):
        for server in self.servers:
            server.done()


@pytest.fixture(scope="module")
def redis():
    with engine.Server() as server:
        yield server


@pytest.fixture
def platform(tmp_path, redis):
    if redis.process.poll() is not None:
        redis.start()
    made = Platform(tmp_path, redis.url(0, "timeout_ms=1000"))
    yield made
    made.done()


def somebody(server, role="listener"):
    name = f"{role}-{uuid.uuid4().hex[:10]}"
    server.add_user(name, role)
    return Person(server.url, name, role)


def elsewhere(person, server):
    """The same person, with the same token, at another process."""
    other = Person(server.url)
    other.headers.update(person.headers)
    return other


# --- rate limits ---

BURST = 51  # of 300 a minute


def allowed_of(people, tries):
    """How many requests went through, asked in turn; every other is a 429 with true headers."""
    allowed = 0
    for turn in range(tries):
        answer = people[turn % len(people)].get("/api/v1/me")
        assert answer.status_code in (200, 429), answer.text
        assert int(answer.headers["RateLimit-Limit"]) == BURST
        assert int(answer.headers["RateLimit-Reset"]) > 0
        if answer.status_code == 429:
            assert answer.headers["RateLimit-Remaining"] == "0" and int(answer.headers["Retry-After"]) >= 1
        allowed += answer.status_code == 200
    return allowed


def assert_shared(servers):
    """One bucket for both, and what refills meanwhile (5 a second), and a few that went before it was known."""
    began = time.monotonic()
    person = somebody(servers[0])
    allowed = allowed_of([elsewhere(person, server) for server in servers], 3 * BURST)
    assert BURST <= allowed <= BURST + 5 * (time.monotonic() - began) + BURST // 3


def test_limits_are_those_of_all_processes_together(platform, redis):
    limits = {"TUTTI_LIMITS_READS_PER_MINUTE": "300", "TUTTI_LIMITS_TIGHTEN_DELAY_MS": "0"}
    servers = [platform.start(**limits) for _ in range(2)]
    assert_shared(servers)

    redis.kill()
    wait_for_redis(*servers, state="degraded")
    person = somebody(servers[0])
    for server in servers:  # each has its own
        assert allowed_of([elsewhere(person, server)], BURST + 10) >= BURST

    redis.start()
    wait_for_redis(*servers)
    assert_shared(servers)
    assert metric(servers[0], "tutti_rate_exchanges_total") > 0


def test_guesses_are_counted_by_all_processes(platform):
    one, other = platform.start(), platform.start()
    person = somebody(one)
    guess = {"username": person.username, "password": "not the right one"}
    for _ in range(4):
        assert requests.post(one.url + "/api/v1/auth/login", json=guess, timeout=30).status_code == 401
    refused = []

    def is_refused():
        refused.append(requests.post(other.url + "/api/v1/auth/login", json=guess, timeout=30))
        return refused[-1].status_code == 429

    until(is_refused, "the other process lets guesses go on")
    assert len(refused) <= 4, "these were its own failures"
    assert int(refused[-1].headers["Retry-After"]) >= 1


# --- revocations ---

def refused(person):
    return person.get("/api/v1/me").status_code == 401


def test_what_ends_here_is_over_everywhere(platform, redis):
    one, other = platform.start(), platform.start()

    person = somebody(one)
    there = elsewhere(person, other)
    assert not refused(there)
    assert person.post("/api/v1/auth/logout", json={"refreshToken": person.refresh_token}).status_code == 204
    until(lambda: refused(there), "a session that was ended goes on")

    admin, changed = somebody(one, "admin"), somebody(one)
    there = elsewhere(changed, other)
    assert not refused(there)
    answer = admin.patch(f"/api/v1/admin/users/{changed.user['id']}", json={"roles": ["listener", "artist"]})
    assert answer.status_code == 200, answer.text
    until(lambda: refused(there), "a token with roles of before is taken")

    # The command line is a process too.
    third = somebody(one)
    run_tutti("user", "set-password", third.username, "--password-stdin", stdin=PASSWORD + "\n", data=platform.data,
              environment={"TUTTI_CACHE_STORE": platform.url})
    until(lambda: refused(third), "a session outlives its password")

    # Who comes later knows it, also when Redis has lost everything meanwhile.
    assert refused(elsewhere(changed, platform.start()))
    redis.kill()
    wait_for_redis(one, other, state="degraded")
    redis.start()
    wait_for_redis(one, other)
    until(lambda: redis.ask("ZCARD", "tutti:identity") not in ("", ":0"), "nobody told the new Redis")
    assert refused(elsewhere(changed, platform.start()))


@pytest.mark.parametrize("harm, mend", [("hang", "go_on"), ("kill", "start")])
def test_what_ends_while_redis_is_away_is_told_later(platform, redis, harm, mend):
    one, other = platform.start(), platform.start()
    person = somebody(one)
    there = elsewhere(person, other)
    assert not refused(there)
    getattr(redis, harm)()
    assert person.post("/api/v1/auth/logout", json={"refreshToken": person.refresh_token}).status_code == 204
    assert refused(person)
    getattr(redis, mend)()
    until(lambda: refused(there), "a session that ended during an outage goes on elsewhere")


# --- under load, with harm ---

class Load:
    """Writers at one process, who read back what they wrote there and at the other."""

    def __init__(self, servers, writers=3):
        self.servers, self.stop, self.troubles, self.rounds = servers, threading.Event(), [], 0
        artist = somebody(servers[0], "artist")
        self.threads = [threading.Thread(target=self.run, args=(artist, number)) for number in range(writers)]

    def run(self, artist, number):
        try:
            here = elsewhere(artist, self.servers[number % len(self.servers)])
            there = elsewhere(artist, self.servers[(number + 1) % len(self.servers)])
            page = here.post("/api/v1/artists", json={"name": f"Band {uuid.uuid4().hex}"}).json()["id"]
            turn = 0
            while not self.stop.is_set():
                turn += 1
                self.round(here, there, f"/api/v1/artists/{page}", f"Band {number} {turn}")
                self.rounds += 1
        except Exception as trouble:  # noqa: BLE001 - shown by the test
            self.troubles.append(repr(trouble))

    def round(self, here, there, path, name):
        answer = here.patch(path, json={"name": name})
        assert answer.status_code == 200, answer.text
        assert here.get(path).json()["name"] == name, "its own write was not read back"
        deadline = time.monotonic() + 5  # the other process hears of it by the outbox
        while there.get(path).json()["name"] != name:
            assert time.monotonic() < deadline, "an old name outlived its change elsewhere"
        for _ in range(3):  # and it never comes back
            assert there.get(path).json()["name"] == name, "an old name came back"

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def more(self, rounds=10):
        """Until so many more were made: the harm is not only looked at when it is over."""
        goal = self.rounds + rounds
        until(lambda: self.rounds >= goal or self.troubles, "the load stands still")

    def __exit__(self, *unused):
        self.stop.set()
        for thread in self.threads:
            thread.join(60)
        assert not self.troubles, self.troubles
        assert self.rounds > 0


def test_slow_but_never_wrong_without_redis(platform, redis):
    servers = [platform.start() for _ in range(2)]
    with Load(servers) as load:
        load.more()
        redis.kill()
        wait_for_redis(*servers, state="degraded")
        load.more()
        redis.start()
        wait_for_redis(*servers)
        load.more()
        redis.hang()
        wait_for_redis(*servers, state="degraded")
        load.more()
        redis.go_on()
        wait_for_redis(*servers)
        load.more()
        redis.ask("CLIENT", "KILL", "TYPE", "normal")
        redis.ask("FLUSHALL")
        load.more()
    for server in servers:
        assert not [line for line in server.log_text().splitlines() if '"status":5' in line]


def test_sentinels_name_another_primary(tmp_path):
    with engine.Sentinels() as sentinels:
        platform = Platform(tmp_path, sentinels.url("timeout_ms=1000"))
        try:
            servers = [platform.start() for _ in range(2)]
            with Load(servers) as load:
                load.more()
                for harm, mend in (("kill", "start"), ("hang", "go_on")):
                    old = sentinels.lose_primary(harm)
                    wait_for_redis(*servers)
                    load.more()
                    getattr(old, mend)()  # takes itself for the primary, for a moment
                    load.more()
            # What was shared is shared again, over the new primary.
            calls = metric(servers[0], "tutti_redis_calls_total")
            person = somebody(servers[0])
            there = elsewhere(person, servers[1])
            assert not refused(there)
            person.post("/api/v1/auth/logout", json={"refreshToken": person.refresh_token})
            until(lambda: refused(there), "a session that was ended goes on")
            assert metric(servers[0], "tutti_redis_calls_total") > calls
        finally:
            platform.done()


# --- mistakes ---

@pytest.fixture
def stranger():
    """The port of something that answers, and is no Redis."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def answer():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"220 mail.example.org ESMTP\r\n")
                    connection.recv(4096)
        threading.Thread(target=answer, daemon=True).start()
        yield listener.getsockname()[1]


def start_with(tmp_path, url):
    return run_tutti("serve", "--listen", f"127.0.0.1:{free_port()}", data=tmp_path, check=False,
                     environment={"TUTTI_CACHE_STORE": url})


def test_mistakes_in_the_address_stop_the_start(tmp_path, redis, stranger):
    if redis.process.poll() is not None:
        redis.start()
    bad = {
        "redis://:geheim@127.0.0.1:port": "port",
        "rediss://:geheim@127.0.0.1": "asks for TLS",
        f"redis://:geheim@127.0.0.1:{redis.port}?": "password is wrong",
        f"redis://127.0.0.1:{redis.port}?": "wants a password",
        f"redis://:geheim@127.0.0.1:{stranger}?": "something else",
        redis.url(0, "sentinel=geheim&"): "Sentinel",
        redis.url(99, "life_ms=100&"): "database 99",
    }
    for url, words in bad.items():
        done = start_with(tmp_path, url + ("timeout_ms=5000" if url[-1] in "?&" else ""))
        assert done.returncode != 0 and done.stdout == "", url
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1 and words in lines[0] and "cache.store" in lines[0], done.stderr
        assert "geheim" not in done.stderr.replace("sentinel=geheim", "").replace('"geheim"', "")
        assert "for-tests" not in done.stderr


def test_a_redis_that_is_not_there_stops_nothing(tmp_path):
    port = free_port()
    server = Server(data=tmp_path, environment={"TUTTI_CACHE_STORE": f"redis://:geheim@127.0.0.1:{port}"})
    try:
        server.start()
        assert state_of(server) == ("degraded", "degraded")
        reason = requests.get(server.url + "/readyz", timeout=10).json()["reason"]
        assert reason.startswith(f"Redis at 127.0.0.1:{port} does not answer") and "geheim" not in reason
        assert requests.get(server.url + "/readyz", timeout=10).json()["breakers"]["redis"] != "closed"
        person = somebody(server)
        assert person.get("/api/v1/me").status_code == 200
        assert "geheim" not in server.log_text()
    finally:
        server.done()


# --- tutti doctor ---

def doctor(data, url):
    done = run_tutti("doctor", "--json", data=data, check=False, environment={"TUTTI_CACHE_STORE": url})
    assert "for-tests" not in done.stdout + done.stderr
    return next(one for one in json.loads(done.stdout)["checks"] if one["name"] == "redis")


def test_doctor_says_what_is_wrong_with_redis(tmp_path, redis):
    if redis.process.poll() is not None:
        redis.start()
    assert doctor(tmp_path, "memory:")["state"] == "ok"
    found = doctor(tmp_path, redis.url())
    assert found["state"] == "ok" and f"127.0.0.1:{redis.port}" in found["detail"] and "Redis 7" in found["detail"]

    gone = doctor(tmp_path, f"redis://127.0.0.1:{free_port()}")
    assert gone["state"] == "failed" and "does not answer" in gone["detail"] and "start it" in gone["advice"]
    wrong = doctor(tmp_path, redis.url().replace("only", "all"))
    assert wrong["state"] == "failed" and "password" in wrong["detail"] and "cache.store" in wrong["advice"]

    # The user of the manual may all; without something of it doctor names it.
    manual = (ROOT / "docs" / "operations.md").read_text()
    rule = next(line for line in manual.splitlines() if line.startswith("user tutti on ")).split()[2:]
    rule = [">for-tests" if word.startswith(">") else word for word in rule]
    as_user = redis.url().replace("redis://:", "redis://tutti:", 1).replace("for-tests%3Aonly%401", "for-tests")
    assert redis.ask("ACL", "SETUSER", "tutti", "reset", *rule) == "+OK"
    assert doctor(tmp_path, as_user)["state"] == "ok"
    for taken, advice in (("-evalsha", "+evalsha"), ("-publish", "+publish"), ("resetchannels", "&tutti:*")):
        assert redis.ask("ACL", "SETUSER", "tutti", "reset", *rule, taken) == "+OK"
        found = doctor(tmp_path, as_user)
        assert found["state"] == "failed" and advice in found["advice"], found

    redis.ask("CONFIG", "SET", "maxmemory", "100mb")
    assert "volatile-ttl" in doctor(tmp_path, redis.url())["advice"]
    redis.ask("CONFIG", "SET", "maxmemory", "0")


def test_the_user_of_the_manual_may_all_that_is_needed(tmp_path, redis):
    """With its ACL the processes share as they do with a password alone."""
    if redis.process.poll() is not None:
        redis.start()
    manual = (ROOT / "docs" / "operations.md").read_text()
    rule = next(line for line in manual.splitlines() if line.startswith("user tutti on ")).split()[2:]
    redis.ask("ACL", "SETUSER", "tutti", "reset", *[">for-tests" if word.startswith(">") else word for word in rule])
    redis.ask("ACL", "LOG", "RESET")
    url = redis.url(0, "timeout_ms=5000")  # a slow machine is no refusal
    made = Platform(tmp_path, url.replace("redis://:", "redis://tutti:", 1).replace("for-tests%3Aonly%401", "for-tests"))
    limits = {"TUTTI_LIMITS_READS_PER_MINUTE": "60000"}
    try:
        one, other = made.start(**limits), made.start(**limits)
        with Load([one, other], writers=1) as load:
            load.more(3)
        person = somebody(one)
        there = elsewhere(person, other)
        assert not refused(there)
        person.post("/api/v1/auth/logout", json={"refreshToken": person.refresh_token})
        until(lambda: refused(there), "a session that was ended goes on")
        assert metric(one, "tutti_rate_exchanges_total") > 0
        assert metric(one, "tutti_redis_failed_calls_total") == 0
        assert redis.ask("ACL", "LOG") == "*0", "something was refused"
    finally:
        made.done()
