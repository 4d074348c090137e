"""Changes are written while the relay, a broker and the consumers are killed in turn, and the relay is stopped for longer
than its lease and its session, and goes on. Afterwards every committed change
stands on the wire at least once, in order, and has come to each consumer: to the one inside exactly once in effect, to the
one outside at least once; per key in the order of the commits. Over PostgreSQL, as where there are many processes."""
import json
import random
import signal
import subprocess
import threading
import time

import pytest

from postgres import Server
from program import PROGRAM

WRITERS = 4
KEYS = 40
PAUSE_MS = 20
LEASE_MS = 3000
SETTLE_S = 120  # a bound
CHANGES = 1500, 10000


class Platform:
    """Processes over one database and the brokers: each is a consumer of both kinds and perhaps the relay."""

    def __init__(self, folder, database, brokers, prefix):
        self.folder, self.database, self.brokers = folder, database, brokers
        self.topic = f"{prefix}.changes"
        self.bus = f"kafka://{brokers.addresses}?prefix={prefix}&retry_ms=20&retry_max_ms=200&lease_ms={LEASE_MS}"
        self.consumers, self.count = {}, 0
        self.starting = None  # a broker and where its log begins
        self.acked = set()

    def start_consumer(self, name):
        self.count += 1
        log = self.folder / f"{name}-{self.count}.log"
        with open(log, "wb") as file:
            process = subprocess.Popen([PROGRAM, "consume", self.database, self.bus, "inside", "outside"],
                                       stdout=subprocess.DEVNULL, stderr=file)
        self.consumers[name] = process, log

    def kill_consumer(self, name):
        process, _ = self.consumers[name]
        assert process.poll() is None, f"{name} ended by itself: {self.consumers[name][1].read_text()[-2000:]}"
        process.kill()
        process.wait()

    def wait_for_broker(self):
        if self.starting is not None:
            self.brokers.wait_ready(*self.starting)
            self.starting = None

    def relay(self):
        """The name of the process that took the relay last, of those that live."""
        took = {}
        for name, (_, log) in self.consumers.items():
            for line in log.read_text().splitlines():
                if '"bus.kafka.relay"' in line:
                    took[json.loads(line)["t"]] = name
        return took[max(took)] if took else None

    def write(self, changes):
        def run(number):
            done = subprocess.run([PROGRAM, "write", self.database, self.bus, str(number), str(changes // WRITERS), str(KEYS),
                                   str(PAUSE_MS)], capture_output=True, text=True, timeout=900)
            assert done.returncode == 0, done.stderr[-2000:]
            self.acked.update((str(number), int(line)) for line in done.stdout.split())

        threads = [threading.Thread(target=run, args=(number,)) for number in range(1, WRITERS + 1)]
        for thread in threads:
            thread.start()
        return threads

    def wire(self):
        done = subprocess.run([PROGRAM, "wire", self.brokers.addresses, self.topic], capture_output=True, text=True,
                              timeout=120)
        assert done.returncode == 0, done.stderr
        return [line.split() for line in done.stdout.splitlines()]

    def stop(self):
        for process, _ in self.consumers.values():
            process.kill()
            process.wait()


def harm(platform, what, kills, chance):
    """One kill, and after a while the restart. A broker comes back while others are killed; the next broker's turn
    waits until it is there."""
    if what == "broker":
        platform.wait_for_broker()
        number = chance.randrange(platform.brokers.brokers)
        platform.brokers.kill(number)
        time.sleep(chance.uniform(0.2, 1.5))
        platform.starting = number, platform.brokers.start_broker(number, wait=False)
    elif what == "freeze":  # a process that does not know that it is taken for dead
        process, _ = platform.consumers[platform.relay() or "first"]
        process.send_signal(signal.SIGSTOP)
        time.sleep(LEASE_MS / 1000 + 1.5)
        process.send_signal(signal.SIGCONT)
    else:
        name = platform.relay() if what == "relay" else chance.choice(sorted(platform.consumers))
        if name is None:
            return
        platform.kill_consumer(name)
        time.sleep(chance.uniform(0.1, 1.0))
        platform.start_consumer(name)
    kills[what] += 1


def rows(server, sql):
    return [line.split("|") for line in server.ask("changes", sql).splitlines()]


def wait_for_effects(server, changes):
    deadline = time.monotonic() + SETTLE_S
    while True:
        effects, told = (int(rows(server, f"SELECT COUNT(*) FROM {table}")[0][0]) for table in ("effect", "told"))
        if effects >= changes and told >= changes:
            return
        assert time.monotonic() < deadline, f"{effects} effects and {told} told of {changes}"
        time.sleep(0.2)


def per_key(pairs):
    lists = {}
    for key, value in pairs:
        lists.setdefault(key, []).append(value)
    return lists


def check_wire(outbox, wire):
    """At least once each; first appearances in a partition, and so of a key, in the order of the commits."""
    assert {event for _, event, _ in outbox} == {line[4] for line in wire}
    seen, partitions = set(), {}
    for partition, _, key, sequence, event in wire:
        if event not in seen:
            partitions.setdefault(partition, []).append(int(sequence))
            seen.add(event)
    for sequences in partitions.values():
        assert sequences == sorted(sequences)
    assert len({(line[0], line[2]) for line in wire}) == len({line[2] for line in wire}), "a key changed its partition"


def check_effects(outbox, found):
    """Every event once, per key in the order of the commits."""
    assert per_key((key, event) for _, event, key in outbox) == per_key((key, event) for event, key in found)


@pytest.fixture
def platform(tmp_path, brokers, request):
    with Server() as server:
        one = Platform(tmp_path, server.create("changes"), brokers, f"changes-{random.getrandbits(32)}")
        one.server = server
        yield one
        one.stop()


def test_every_change_arrives(platform, request):
    server, chance = platform.server, random.Random(request.config.getoption("--seed"))
    changes = CHANGES[request.config.getoption("--rounds") > 0]
    for name in ("first", "second", "third"):
        platform.start_consumer(name)
    kills = {"broker": 0, "relay": 0, "consumer": 0, "freeze": 0}
    threads = platform.write(changes)
    begun = time.monotonic()
    while any(thread.is_alive() for thread in threads) or min(kills.values()) < 1:
        for what in ("relay", "broker", "freeze", "relay", "consumer"):
            harm(platform, what, kills, chance)
            time.sleep(chance.uniform(0.1, 1.0))
    platform.wait_for_broker()
    for thread in threads:
        thread.join()
    expected = changes // WRITERS * WRITERS
    written_s = time.monotonic() - begun
    wait_for_effects(server, expected)
    settled_s = time.monotonic() - begun - written_s
    outbox = rows(server, "SELECT sequence, id, entity_key FROM bus_outbox ORDER BY sequence")
    written = {(writer, int(number)) for writer, number in rows(server, "SELECT writer, number FROM change")}
    assert platform.acked <= written and len(written) == len(outbox)
    wire = platform.wire()
    check_wire(outbox, wire)
    check_effects(outbox, rows(server, "SELECT event, entity_key FROM effect ORDER BY at_us"))
    check_effects(outbox, rows(server, "SELECT event, entity_key FROM told ORDER BY at_us"))
    assert rows(server, "SELECT COUNT(*) FROM bus_waiting") == [["0"]]
    twice = int(rows(server, "SELECT COALESCE(SUM(times - 1), 0) FROM told")[0][0])
    print(f"\n{len(outbox)} changes in {written_s:.0f} s, all had arrived {settled_s:.0f} s later; harm {kills}; on the wire {len(wire)},"
          f" told outside {twice} more than once, inside 0")
