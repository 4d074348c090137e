"""Ceph: a monitor, three OSDs (each object on all three, two suffice to go on) and the S3 gateway. osd-1 keeps its data
on a file (bluestore) and comes back from SIGKILL with it; the two others keep theirs in memory and, killed, come back
empty and are filled by the rest."""
import json
import shutil
import socket
import uuid

import rgw
from network import Refused, run
from node import Node

FSID = "7b9c4f7e-3c0a-4a52-9d2c-6d5f1f0c7a11"
BUCKET = "tutti"
STARTS = 5


class Ceph(Node):
    def configuration(self):
        """One file for all of them."""
        return f"""[global]
fsid = {FSID}
mon_host = v1:{self.cluster.one("ceph-mon").address}:6789
public_network = {self.cluster.network.address(0)}/24
run_dir = {self.folder}
admin_socket = {self.folder}/$name.asok
crash_dir = {self.folder}
log_file = /dev/stderr
log_to_stderr = false
mon_osd_down_out_interval = 600
osd_pool_default_size = 3
osd_pool_default_min_size = 2
bluestore_block_size = 2147483648
bluestore_block_path = {self.folder}/block
bluestore_cache_autotune = false
bluestore_cache_size = 16777216
osd_min_pg_log_entries = 100
osd_max_pg_log_entries = 200
osd_target_pg_log_entries_per_osd = 10000
osd_pg_log_dups_tracked = 200
{rgw.SETTINGS}
"""

    def prepare(self):
        self.write("ceph.conf", self.configuration())

    def environment(self):
        """Its allocator gives back what it does not need."""
        return {"TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES": "8388608", "TCMALLOC_AGGRESSIVE_DECOMMIT": "1"}

    def wait_ready(self, given_up=lambda: False):
        """Who is refused (see ceph()) ends, or fails an assertion: once more."""
        for _ in range(STARTS - 1):
            try:
                return super().wait_ready(given_up)
            except Refused:
                if self.process is None or self.process.poll() is None:
                    raise
            self.start()
        return super().wait_ready(given_up)

    def ceph(self, *command, text=None):
        """An administrator's command, from within this node. Who asks a monitor before it has heard the cluster's id from
        it is refused (EPERM, "wrong fsid"), which happens on a busy machine: once more."""
        for _ in range(10):
            try:
                return run(*self.inside([*command, "--conf", self.folder / "ceph.conf"]), text=text)
            except Refused as refused:
                if "EPERM" not in str(refused) and "wrong fsid" not in str(refused):
                    raise
        return run(*self.inside([*command, "--conf", self.folder / "ceph.conf"]), text=text)


class CephMon(Ceph):
    kind = "ceph-mon"
    port = 6789

    def prepare(self):
        super().prepare()
        data = self.make_folder("data")
        if any(data.iterdir()):
            return
        monmap = self.folder / "monmap"
        self.ceph("monmaptool", "--create", "--clobber", "--addv", "a", f"[v1:{self.address}:6789]", "--fsid", FSID, monmap)
        self.ceph("ceph-mon", "--mkfs", "-i", "a", "--mon-data", data, "--monmap", monmap)

    def command(self):
        return ["ceph-mon", "-f", "-i", "a", "--mon-data", self.folder / "data", "--conf", self.folder / "ceph.conf",
                "--public-addr", self.address]


class CephOsd(Ceph):
    kind = "ceph-osd"
    needs = ("ceph-mon",)
    port = 6800

    def index(self):
        return self.others().index(self)

    def store(self):
        return "bluestore" if self.index() == 0 else "memstore"

    def configuration(self):
        return super().configuration() + f"osd_objectstore = {self.store()}\nosd_data = {self.folder}/data\n"

    def prepare(self):
        """A new OSD, or one in memory that was killed, is made; its name and place stay."""
        super().prepare()
        if self.store() == "bluestore" and (self.folder / "data" / "ready").exists():
            return
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        self.make_folder("data")
        self.ceph("ceph", "osd", "new", self.uuid(), self.index())
        self.ceph("ceph-osd", "-i", self.index(), "--mkfs", "--osd-uuid", self.uuid())

    def uuid(self):
        return str(uuid.uuid5(uuid.UUID(FSID), self.name))

    def command(self):
        return ["ceph-osd", "-f", "-i", str(self.index()), "--conf", self.folder / "ceph.conf", "--public-addr", self.address]

    def is_ready(self):
        """In its place, by its own word; the monitor's map would take a program of half a second."""
        return self.asked("status").get("state") == "active"

    def asked(self, question):
        """The answer at its admin socket; nothing where there is none."""
        try:
            with socket.socket(socket.AF_UNIX) as asker:
                asker.settimeout(2)
                asker.connect(str(self.folder / f"osd.{self.index()}.asok"))
                asker.sendall(json.dumps({"prefix": question}).encode() + b"\0")
                with asker.makefile("rb") as answer:
                    return json.loads(answer.read(int.from_bytes(answer.read(4), "big")))
        except (OSError, ValueError):
            return {}


class CephRgw(Ceph):
    kind = "ceph-rgw"
    needs = ("ceph-osd",)
    port = 7480

    def configuration(self):
        return super().configuration() + f"""[client.rgw.a]
rgw_frontends = beast endpoint={self.address}:{self.port}
rgw_data = {self.folder}
"""

    def command(self):
        return ["radosgw", "-f", "-n", "client.rgw.a", "--conf", self.folder / "ceph.conf"]

    def is_ready(self):
        return self.http_status("/") in (200, 403)

    def founded(self):
        secrets = self.cluster.secrets
        self.ceph("radosgw-admin", "user", "create", "--uid", "tutti", "--display-name", "Tutti",
                  "--access-key", secrets["s3_key"], "--secret-key", secrets["s3_secret"])
        self.ceph("radosgw-admin", "subuser", "create", "--uid", "tutti", "--subuser", "tutti:uploads", "--access", "write",
                  "--key-type", "s3", "--access-key", secrets["s3_upload_key"], "--secret-key", secrets["s3_upload_secret"])
        self.signed("PUT", f"/{BUCKET}")
        self.signed("PUT", f"/{BUCKET}", "policy", json.dumps({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/m/*",
            "Condition": {"IpAddress": {"aws:SourceIp": [f"{edge.address}/32" for edge in self.cluster.edges()]}}}]}))

    def signed(self, *words):
        secrets = self.cluster.secrets
        return rgw.signed(f"http://{self.address}:{self.port}", secrets["s3_key"], secrets["s3_secret"], *words)

    def url(self):
        """As blob.store takes it."""
        secrets = self.cluster.secrets
        return (f"s3://{secrets['s3_key']}:{secrets['s3_secret']}@{self.address}:{self.port}/{BUCKET}?tls=no"
                f"&upload_key={secrets['s3_upload_key']}&upload_secret={secrets['s3_upload_secret']}")
