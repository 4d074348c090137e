"""One cluster: which nodes it has, where it stands, and what can be done to it. All that a later command must know is in
state.json; who lives is asked of the kernel."""
import concurrent.futures
import json
import os
import pathlib
import secrets
import shutil
import signal
import threading
import time

import shared  # noqa: F401  (where the engines' files find what they share with tests and deployments)
import network
import node as nodes
from kinds import ceph, etcd, haproxy, kafka, nginx, pgbouncer, postgresql, redis, tutti, varnish
from network import Refused

PLAN = (  # name, what it is, the last byte of its address
    ("way-in", haproxy.WayIn, 10),
    ("way-in-tls", haproxy.TlsWayIn, 9),
    *((f"etcd-{i}", etcd.Etcd, 10 + i) for i in (1, 2, 3)),
    *((f"pg-{i}", postgresql.Postgresql, 20 + i) for i in (1, 2, 3)),
    ("pg-proxy", haproxy.DatabaseProxy, 24),
    ("pgbouncer", pgbouncer.Pgbouncer, 25),
    ("redis", redis.Redis, 31),
    ("ceph-mon", ceph.CephMon, 40),
    *((f"osd-{i}", ceph.CephOsd, 40 + i) for i in (1, 2, 3)),
    ("rgw", ceph.CephRgw, 45),
    *((f"kafka-{i}", kafka.Kafka, 50 + i) for i in (1, 2, 3)),
    *((f"api-{i}", tutti.Api, 60 + i) for i in (1, 2)),
    *((f"stream-{i}", tutti.Streaming, 70 + i) for i in (1, 2)),
    *((f"transcode-{i}", tutti.Transcode, 80 + i) for i in (1, 2)),
    *((f"edge-{i}", varnish.Varnish, 90 + i) for i in (1, 2)),
    ("edge-3", nginx.Nginx, 93),
)
SECRETS = ("postgres", "replicator", "tutti", "redis", "s3_key", "s3_secret", "s3_upload_key", "s3_upload_secret",
           "admin")


class Cluster:
    def __init__(self, name, binary=None, subnet=None, known=None, settings=None):
        self.name = name
        self.folder = folder_of(name)
        self.configuration = self.folder / "tutti.conf"
        state = known or {"subnet": subnet, "binary": str(binary), "settings": settings or [],
                          "secrets": {word: secrets.token_hex(20) for word in SECRETS}}
        self.state = state
        self.binary, self.secrets = state["binary"], state["secrets"]
        self.settings = {(section, key): value for section, key, value in state["settings"]}
        self.network = network.Network(name, state["subnet"])
        self.nodes = {row[0]: row[1](self, row[0], row[2]) for row in PLAN}
        self.url = f"http://{self.one('way-in').address}:{self.one('way-in').port}"

    @classmethod
    def existing(cls, name):
        try:
            return cls(name, known=json.loads((folder_of(name) / "state.json").read_text()))
        except FileNotFoundError:
            raise Refused("there is no cluster; ./dev cluster up makes one") from None

    # -- who is there

    def one(self, name):
        for node in self.nodes.values():
            if name in (node.name, node.kind):
                return node
        raise Refused(f"there is no \"{name}\"; there are: {', '.join(self.nodes)}")

    def of_kind(self, kind):
        return [node for node in self.nodes.values() if node.kind == kind]

    def tutti(self, role):
        return self.of_kind(f"tutti-{role}")

    def edges(self):
        return self.of_kind("varnish") + self.of_kind("nginx")

    # -- up

    def up(self, tell):
        network.may_make_namespaces()
        self.folder.mkdir(mode=0o711)
        (self.folder / "log").mkdir()
        (self.folder / "nodes").mkdir(mode=0o711)
        state = self.folder / "state.json"
        state.touch(mode=0o600)
        state.write_text(json.dumps(self.state))
        self.network.make()
        for node in self.nodes.values():
            self.network.add(node.name, node.number)
        tutti.write_configuration(self)
        self.start_all(tell)
        tutti.command(self, "user", "add", "admin", "--role", "admin", "--password-stdin", text=self.secrets["admin"] + "\n")

    def start_all(self, tell):
        """All at once, but each after those that it needs. The first failure ends the rest."""
        done = {name: threading.Event() for name in self.nodes}
        failed = threading.Event()
        began = time.monotonic()

        def bring(node):
            try:
                for other in self.nodes.values():
                    if other.kind in node.needs or other.name in node.needs:
                        while not done[other.name].wait(0.2):
                            if failed.is_set():
                                return
                node.start()
                node.wait_ready(failed.is_set)
                if not failed.is_set():
                    node.founded()
                    tell(f"{time.monotonic() - began:5.1f} s  {node.name}")
                done[node.name].set()
            except BaseException:
                failed.set()
                raise

        with concurrent.futures.ThreadPoolExecutor(len(self.nodes)) as pool:
            for future in [pool.submit(bring, node) for node in self.nodes.values()]:
                future.result()

    # -- what is done to one of them

    def kill(self, name):
        node = self.one(name)
        nodes.kill(self.network.inhabitants()[node.name])
        self.wait_empty(node)

    def wait_empty(self, node):
        deadline = time.monotonic() + 10
        while self.network.inhabitants()[node.name]:
            if time.monotonic() > deadline:
                raise Refused(f"{node.name} outlives SIGKILL")
            time.sleep(0.02)

    def stop(self, name):
        """As an administrator would: SIGTERM, and time to finish."""
        node = self.one(name)
        nodes.kill([pid for pid in [node.pid()] if pid in self.network.inhabitants()[node.name]], signal.SIGTERM)
        deadline = time.monotonic() + 60
        while self.network.inhabitants()[node.name]:
            if time.monotonic() > deadline:
                raise Refused(f"{node.name} did not end within 60 s of SIGTERM")
            time.sleep(0.05)

    def start(self, name):
        node = self.one(name)
        if self.network.inhabitants()[node.name]:
            raise Refused(f"{node.name} runs already")
        node.start()
        node.wait_ready()

    def cut(self, name):
        self.network.cut(self.one(name).name)

    def mend(self, name):
        self.network.mend(self.one(name).name)

    # -- status, down

    def status(self):
        inhabitants, cut = self.network.inhabitants(), self.network.cut_nodes()

        def row(node):
            pids = inhabitants.get(node.name, [])
            return {"name": node.name, "kind": node.kind, "pid": node.pid() if node.pid() in pids else None,
                    "address": node.address, "port": node.port, "rssKb": nodes.memory_kb(pids),
                    "cut": node.name in cut, "up": bool(pids) and node.name not in cut and node.answers()}

        with concurrent.futures.ThreadPoolExecutor(len(self.nodes)) as pool:
            rows = list(pool.map(row, self.nodes.values()))
        return {"url": self.url, "adminPassword": self.secrets["admin"], "configuration": str(self.configuration),
                "folder": str(self.folder), "processes": rows}

    def down(self):
        everybody = self.network.inhabitants()
        nodes.kill([pid for pids in everybody.values() for pid in pids])
        deadline = time.monotonic() + 20
        while any(self.network.inhabitants().values()) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.network.remove()
        shutil.rmtree(self.folder)


def folder_of(name):
    return pathlib.Path(os.environ.get("TUTTI_CLUSTER_FOLDER", "/tmp")) / f"tutti-cluster-{name}"
