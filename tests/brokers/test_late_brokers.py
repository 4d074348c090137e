"""Brokers hear of a new topic one after the other. A consumer joins as soon as one of them knows it; where the broker that keeps
its group does not yet, the group's leader has no partition to share out. Events come to every consumer all the same."""
import asyncio
import sqlite3
import subprocess
import threading

import pytest

import kafka as engine
import maven
from program import PROGRAM
from test_server import until

HOMES = 6
LATE_S = 0.5  # what the controllers say comes so much later
# What takes a silent controller for a dead one waits for longer than the lines do.
PATIENT = "".join(f"{name}={value}\n" for name, value in {
    "controller.quorum.fetch.timeout.ms": 60000, "controller.quorum.request.timeout.ms": 60000,
    "broker.session.timeout.ms": 60000, "controller.quorum.election.timeout.ms": 5000}.items())


class SlowLines:
    """Doors before ports of loopback; what comes back through them waits for .late_s."""

    def __init__(self, ports):
        self.ports, self.doors, self.late_s = ports, maven.free_ports(len(ports)), 0
        self.loop, self.ready = asyncio.new_event_loop(), threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        assert self.ready.wait(20)

    def run(self):
        asyncio.set_event_loop(self.loop)
        for door, port in zip(self.doors, self.ports):
            self.loop.run_until_complete(asyncio.start_server(lambda r, w, port=port: self.serve(r, w, port), "127.0.0.1", door))
        self.ready.set()
        self.loop.run_forever()
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))

    async def serve(self, reader, writer, port):
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", port)
        except OSError:  # who is behind the door does not listen yet
            writer.close()
            return
        await asyncio.gather(self.carry(reader, forth, lambda: 0), self.carry(back, writer, lambda: self.late_s))

    @staticmethod
    async def carry(reader, writer, late_s):
        try:
            while piece := await reader.read(1 << 16):
                await asyncio.sleep(late_s())
                writer.write(piece)
        except OSError:
            pass
        writer.close()

    def end(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(20)


@pytest.fixture
def late_brokers(tmp_path):
    engine.fetch()
    kafka = engine.Kafka(tmp_path / "brokers", settings=PATIENT)
    lines = SlowLines(kafka.controllers)
    kafka.doors = lines.doors
    kafka.late = lambda: setattr(lines, "late_s", LATE_S)
    kafka.start()
    yield kafka
    kafka.stop()
    lines.end()


class Home:
    """A platform with a topic of its own, and a consumer of either kind."""

    def __init__(self, folder, brokers, name):
        self.path, self.log = folder / f"{name}.db", folder / f"{name}.log"
        self.where = f"sqlite:{self.path}", f"kafka://{brokers.addresses}?prefix={name}&lease_ms=6000"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([PROGRAM, "consume", *self.where, "inside", "outside"], stderr=log, stdout=log)

    def change(self):
        done = subprocess.run([PROGRAM, "write", *self.where, "1", "1", "1", "0"], capture_output=True, text=True, timeout=60)
        assert done.stdout.split() == ["0"], done.stderr

    def told(self):
        """How many of the two consumers were."""
        with sqlite3.connect(self.path, timeout=20) as db:
            return db.execute("SELECT (SELECT COUNT(*) FROM effect) + (SELECT COUNT(*) FROM told)").fetchone()[0]

    def stop(self):
        self.process.kill()
        self.process.wait()


def all_are_told(folder, brokers, names):
    homes = [Home(folder, brokers, name) for name in names]
    try:
        until(lambda: all("ready" in home.log.read_text() for home in homes))
        for home in homes:
            home.change()
        until(lambda: [home.told() for home in homes] == [2] * len(homes))
    finally:
        for home in homes:
            home.stop()


def test_each_group_has_its_partitions_in_the_end(late_brokers, tmp_path):
    all_are_told(tmp_path, late_brokers, ["first"])  # topics that the brokers need for themselves are there
    late_brokers.late()
    all_are_told(tmp_path, late_brokers, [f"home{number}" for number in range(HOMES)])
