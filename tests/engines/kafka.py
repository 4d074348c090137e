#!/usr/bin/env python3
"""Kafka on loopback (KRaft, three brokers that are controllers too): for tests and for the cluster.

    kafka.py fetch                      the artefacts, from Maven, once
    kafka.py run [--brokers N] -- COMMAND…   brokers of its own around a command, which finds their
                                        addresses in TUTTI_TEST_KAFKA
    kafka.py serve FOLDER --ports P,P,… [--brokers N]   until SIGTERM; two ports a broker

As a module: Kafka(folder).start(), .addresses, .kill(n), .start_broker(n), .freeze(n), .thaw(n), .stop(). Brokers
end with who started them, however that ends. Artefacts lie in ~/.cache/tutti/kafka-VERSION, beside an
archive of Java's loaded classes that halves a broker's start. Standard library only.
"""
import argparse
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import maven

VERSION = "4.3.1"
LOGGER = "1.7.36"
CACHE = maven.cache(f"kafka-{VERSION}")
CLUSTER_ID = "AAAAAAAAAAAAAAAAAAAAAQ"
READY = "Kafka Server started"
START_SECONDS = 240  # a bound, for machines that are busy

POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>tutti</groupId><artifactId>kafka</artifactId><version>1</version>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>{LOGGER}</version></dependency>
</dependencies></project>
"""

# For three brokers on few cores: small, and quick to notice a death; the controllers' own election keeps its defaults, for a
# busy machine that is asked for less never ends one. min.insync follows from the number.
SETTINGS = """process.roles=broker,controller
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
num.partitions=3
auto.create.topics.enable=false
unclean.leader.election.enable=false
offsets.topic.num.partitions=3
transaction.state.log.num.partitions=3
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=300
group.coordinator.threads=1
log.cleaner.enable=false
num.network.threads=2
num.io.threads=2
num.replica.fetchers=1
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
replica.lag.time.max.ms=3000
"""

JAVA = ["-Xmx256m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
        "-Dorg.slf4j.simpleLogger.showDateTime=true"]


def fetch():
    maven.fetch(CACHE, POM, archive_classes)


def archive_classes(archive):
    """One broker, once."""
    with tempfile.TemporaryDirectory() as folder:
        kafka = Kafka(folder, brokers=1, java=[f"-XX:ArchiveClassesAtExit={archive}"], shared=False)
        kafka.start()
        kafka.stop(kill=False)


def make_certificate(folder, name="127.0.0.1"):
    """cert.pem, key.pem and both.pem, for a secure listener and who trusts it."""
    folder = pathlib.Path(folder)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName=IP:{name}", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
                   check=True, capture_output=True, timeout=60)
    (folder / "both.pem").write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Kafka:
    """ports: two a broker, clients' and controllers'. secure: {"password", "pem"}: a third listener with TLS and a
    password for the user tutti. settings: more lines for server.properties."""

    def __init__(self, folder, brokers=3, ports=None, secure=None, java=(), shared=True, settings="", wrap=None):
        self.folder = pathlib.Path(folder)
        self.brokers = brokers
        self.java = list(java) + ([f"-XX:SharedArchiveFile={CACHE / 'classes.jsa'}"] if shared else [])
        self.secure = secure
        self.settings = settings
        self.wrap = wrap or (lambda n, command: command)  # a name space of the cluster's, say
        ports = ports or maven.free_ports(3 * brokers if secure else 2 * brokers)
        self.ports, self.controllers = ports[:brokers], ports[brokers:2 * brokers]
        self.secure_ports = ports[2 * brokers:3 * brokers]
        self.doors = self.controllers  # where the controllers are found, if not where they listen
        self.hosts = ["127.0.0.1"] * brokers
        self.processes = [None] * brokers

    @property
    def addresses(self):
        return ",".join(f"{host}:{port}" for host, port in zip(self.hosts, self.ports))

    @property
    def secure_addresses(self):
        return ",".join(f"{host}:{port}" for host, port in zip(self.hosts, self.secure_ports))

    def broker_folder(self, n):
        return self.folder / f"kafka-{n}"

    def temporary(self, n):
        """Where its Java unpacks native libraries; who is killed leaves them there."""
        return self.broker_folder(n) / "tmp"

    def write_settings(self, n):
        """The format of an empty broker is two files; writing them saves a Java a broker."""
        folder, host, copies = self.broker_folder(n), self.hosts[n], min(3, self.brokers)
        shutil.rmtree(self.temporary(n), ignore_errors=True)
        self.temporary(n).mkdir(parents=True)
        data = folder / "data"
        if not data.exists():
            data.mkdir(parents=True)
            (data / "meta.properties").write_text(f"version=1\ncluster.id={CLUSTER_ID}\nnode.id={n + 1}\n"
                                                  f"directory.id=AAAAAAAAAAAAAAAAAAAA{n + 1:x}Q\n")
        listeners = [f"PLAINTEXT://{host}:{self.ports[n]}"]
        lines = [SETTINGS, self.settings]
        if self.secure:
            listeners.append(f"SECURE://{host}:{self.secure_ports[n]}")
            lines += ["listener.name.secure.sasl.enabled.mechanisms=PLAIN",
                      "listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule"
                      f" required user_tutti=\"{self.secure['password']}\";",
                      "listener.name.secure.ssl.keystore.type=PEM",
                      f"listener.name.secure.ssl.keystore.location={self.secure['pem']}"]
        voters = ",".join(f"{i + 1}@{self.hosts[i]}:{port}" for i, port in enumerate(self.doors))
        lines += [f"node.id={n + 1}", f"controller.quorum.voters={voters}", f"log.dirs={data}",
                  "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL",
                  "advertised.listeners=" + ",".join(listeners + [f"CONTROLLER://{host}:{self.doors[n]}"]),
                  "listeners=" + ",".join(listeners + [f"CONTROLLER://{host}:{self.controllers[n]}"]),
                  f"default.replication.factor={copies}", f"min.insync.replicas={max(1, copies - 1)}",
                  f"offsets.topic.replication.factor={copies}", f"transaction.state.log.replication.factor={copies}",
                  f"transaction.state.log.min.isr={max(1, copies - 1)}"]
        (folder / "server.properties").write_text("\n".join(lines) + "\n")

    def command(self, n):
        return ["java", *JAVA, *self.java, f"-Djava.io.tmpdir={self.temporary(n)}", "-cp", f"{CACHE / 'lib'}/*", "kafka.Kafka",
                str(self.broker_folder(n) / "server.properties")]

    def start_broker(self, n, wait=True):
        folder = self.broker_folder(n)
        folder.mkdir(parents=True, exist_ok=True)
        self.write_settings(n)
        log = open(folder / "log", "ab")
        begin = log.tell()
        self.processes[n] = subprocess.Popen(self.wrap(n, self.command(n)), stdout=log, stderr=subprocess.STDOUT, cwd=folder,
                                             stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
        log.close()
        if wait:
            self.wait_ready(n, begin)
        return begin

    def wait_ready(self, n, begin=0):
        path, deadline = self.broker_folder(n) / "log", time.monotonic() + START_SECONDS
        while True:
            with open(path, "rb") as log:
                log.seek(begin)
                text = log.read().decode(errors="replace")
            if READY in text:
                return
            if self.processes[n].poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"broker {n} does not start; the end of {path}:\n{text[-2000:]}")
            time.sleep(0.05)

    def start(self):
        begins = [self.start_broker(n, wait=False) for n in range(self.brokers)]
        for n, begin in enumerate(begins):
            self.wait_ready(n, begin)
        return self

    def signal(self, n, number):
        if self.processes[n] is not None and self.processes[n].poll() is None:
            self.processes[n].send_signal(number)

    def kill(self, n):
        self.signal(n, signal.SIGKILL)
        if self.processes[n] is not None:
            self.processes[n].wait()
            self.processes[n] = None

    def freeze(self, n):
        self.signal(n, signal.SIGSTOP)

    def thaw(self, n):
        self.signal(n, signal.SIGCONT)

    def stop(self, kill=True):
        """kill: what they hold is not needed any more."""
        for n in range(self.brokers):
            self.signal(n, signal.SIGKILL if kill else signal.SIGTERM)
        for n, process in enumerate(self.processes):
            if process is not None:
                process.wait(timeout=60)
                self.processes[n] = None


def run(brokers, command):
    fetch()
    folder = tempfile.mkdtemp(prefix="tutti-kafka-")
    kafka = Kafka(folder, brokers=brokers)
    try:
        kafka.start()
        return subprocess.run(command, env={**os.environ, "TUTTI_TEST_KAFKA": kafka.addresses}).returncode
    finally:
        kafka.stop()
        shutil.rmtree(folder, ignore_errors=True)


def serve(folder, brokers, ports):
    fetch()
    kafka = Kafka(folder, brokers=brokers, ports=ports)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        kafka.start()
        print(kafka.addresses, flush=True)
        signal.pause()
    finally:
        kafka.stop(kill=False)


def main():
    parser = argparse.ArgumentParser()
    words = parser.add_subparsers(dest="word", required=True)
    words.add_parser("fetch")
    one = words.add_parser("run")
    one.add_argument("--brokers", type=int, default=3)
    one.add_argument("command", nargs="+")
    one = words.add_parser("serve")
    one.add_argument("folder")
    one.add_argument("--brokers", type=int, default=3)
    one.add_argument("--ports", type=lambda text: [int(port) for port in text.split(",")])
    arguments = parser.parse_args()
    if arguments.word == "fetch":
        fetch()
    elif arguments.word == "run":
        sys.exit(run(arguments.brokers, arguments.command))
    else:
        serve(arguments.folder, arguments.brokers, arguments.ports)


if __name__ == "__main__":
    main()
