#!/usr/bin/env python3
"""Ceph's S3 gateway (RGW) on loopback, over a monitor and some OSDs that keep their objects in memory: for tests.

    rgw.py run [--osds N] -- COMMAND…     a gateway of its own around a command, which finds its bucket in
                                          TUTTI_TEST_S3, as blob.store takes it

As a module: Rgw(folder, osds=1).start(); .url(bucket) and .endpoint, .key, .secret; .make_bucket(name);
.kill_gateway(), .start_gateway(); .kill_osd(n), .start_osd(n); .stop(). What runs ends with who started it, however that
ends. Packages: ceph-mon ceph-osd radosgw ceph-common. Standard library only.
"""
import argparse
import ctypes
import datetime
import hashlib
import hmac
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

OSD_TRIES = 5
START_SECONDS = 300  # a bound, for machines that are busy
KEY, SECRET = "TUTTITESTKEY", "test/secret+with=signs"
UPLOAD_KEY, UPLOAD_SECRET = "TUTTIUPLOADKEY", "another/secret"  # may write and nothing else
KMS_KEY = "a-key"  # for aws:kms: the gateway's own keys, for tests, also without TLS
KMS = f"""rgw_crypt_require_ssl = false
rgw_crypt_s3_kms_backend = testing
rgw_crypt_s3_kms_encryption_keys = {KMS_KEY}=YmluCmJvb3N0CmJvb3N0LWJ1aWxkCmNlcGguY29uZgo="""
# For few cores and little memory, and quick to notice a death.
SETTINGS = """ms_bind_msgr2 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
err_to_stderr = true
mon_cluster_log_to_file = false
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_osd_min_down_reporters = 1
mon_data_avail_warn = 1
mon_data_avail_crit = 1
memstore_device_bytes = 2147483648
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_class_update_on_start = false
osd_heartbeat_interval = 1
osd_heartbeat_grace = 4
osd_op_num_shards = 1
osd_op_num_threads_per_shard = 2
osd_class_load_list = *
rgw_thread_pool_size = 64
rgw_gc_obj_min_wait = 10
rgw_dynamic_resharding = false
rgw_enable_usage_log = false"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def die_with_parent():
    """In the child: SIGKILL when whoever started it is gone."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def signed(endpoint, key_id, secret, method, path, query="", body=None):
    """A request signed with the key; its answer's text."""
    now = datetime.datetime.utcnow().strftime("%Y%m%dT%H%M%SZ")
    scope = f"{now[:8]}/us-east-1/s3/aws4_request"
    names = "host;x-amz-content-sha256;x-amz-date"
    canonical = (f"{method}\n{path}\n{query}{'=' if query and '=' not in query else ''}\nhost:{endpoint.split('//')[1]}\n"
                 f"x-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{now}\n\n{names}\nUNSIGNED-PAYLOAD")
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    request = urllib.request.Request(
        f"{endpoint}{path}{'?' + query if query else ''}", method=method, data=body and body.encode(), headers={
            "x-amz-date": now, "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()


class Rgw:
    def __init__(self, folder, osds=1, extra=""):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.osds = osds
        self.extra = extra  # lines for the gateway's part of ceph.conf
        self.port, self.monitor_port = free_port(), free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.key, self.secret = KEY, SECRET
        self.fsid = str(uuid.uuid4())
        self.running = {}
        self.buckets = set()

    def url(self, bucket, **options):
        """The address of a bucket as blob.store takes it."""
        query = urllib.parse.urlencode({"tls": "no", "upload_key": UPLOAD_KEY, "upload_secret": UPLOAD_SECRET, **options})
        return f"s3://{self.key}:{urllib.parse.quote(self.secret, safe='')}@127.0.0.1:{self.port}/{bucket}?{query}"

    def write_configuration(self):
        size, least = min(self.osds, 3), 2 if self.osds >= 3 else 1
        (self.folder / "ceph.conf").write_text(f"""[global]
fsid = {self.fsid}
mon_host = v1:127.0.0.1:{self.monitor_port}
run_dir = {self.folder}
admin_socket = {self.folder}/$name.asok
crash_dir = {self.folder}
log_file = {self.folder}/$name.log
mon_data = {self.folder}/mon
osd_data = {self.folder}/osd-$id
osd_objectstore = memstore
osd_pool_default_size = {size}
osd_pool_default_min_size = {least}
{SETTINGS}
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:{self.port}
rgw_data = {self.folder}
{self.extra}
""")

    def ceph(self, *command, timeout=START_SECONDS):
        environment = {name: value for name, value in os.environ.items() if name != "AWS_CA_BUNDLE"}
        done = subprocess.run([*map(str, command), "--conf", str(self.folder / "ceph.conf")], text=True, timeout=timeout,
                              capture_output=True, env=environment)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def launch(self, name, *command):
        with open(self.folder / f"{name}.out", "ab") as out:
            self.running[name] = subprocess.Popen([*map(str, command), "-f", "--conf", str(self.folder / "ceph.conf")],
                                                  stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                                  preexec_fn=die_with_parent, cwd=self.folder)

    def kill(self, name):
        process = self.running.pop(name)
        process.kill()
        process.wait(60)

    def start(self):
        self.write_configuration()
        monmap = self.folder / "monmap"
        self.ceph("monmaptool", "--create", "--clobber", "--addv", "a", f"[v1:127.0.0.1:{self.monitor_port}]",
                  "--fsid", self.fsid, monmap)
        self.ceph("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap)
        self.launch("mon", "ceph-mon", "-i", "a", "--public-addr", f"127.0.0.1:{self.monitor_port}")
        for number in range(self.osds):
            self.start_osd(number)
        self.ceph("radosgw-admin", "user", "create", "--uid", "tutti", "--display-name", "Tutti", "--access-key",
                  self.key, "--secret-key", self.secret)
        self.ceph("radosgw-admin", "subuser", "create", "--uid", "tutti", "--subuser", "tutti:uploads", "--access", "write",
                  "--key-type", "s3", "--access-key", UPLOAD_KEY, "--secret-key", UPLOAD_SECRET)
        return self.start_gateway()

    def start_osd(self, number):
        """A new one, or one that was killed: its memory is gone, the others fill it again."""
        shutil.rmtree(self.folder / f"osd-{number}", ignore_errors=True)
        (self.folder / f"osd-{number}").mkdir()
        name = str(uuid.uuid5(uuid.UUID(self.fsid), str(number)))
        self.ceph("ceph", "osd", "new", name, number)
        self.ceph("ceph-osd", "-i", number, "--mkfs", "--osd-uuid", name)
        for _ in range(OSD_TRIES):
            self.launch(f"osd-{number}", "ceph-osd", "-i", number, "--public-addr", "127.0.0.1")
            if self.osd_comes_up(number):
                return
        raise RuntimeError(f"ceph-osd ends; see {self.folder}/osd-{number}.out")

    def osd_comes_up(self, number):
        """Up in the monitor's map. One that asked for its place before it knew which cluster it is of ("wrong fsid") ends."""
        deadline = time.monotonic() + START_SECONDS
        while self.running[f"osd-{number}"].poll() is None and time.monotonic() < deadline:
            osds = json.loads(self.ceph("ceph", "osd", "dump", "--format", "json"))["osds"]
            if any(osd["osd"] == number and osd["up"] for osd in osds):
                return True
            time.sleep(0.1)
        return False

    def kill_osd(self, number):
        self.kill(f"osd-{number}")

    def start_gateway(self):
        self.launch("gateway", "radosgw", "-n", "client.rgw")
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.running["gateway"].poll() is not None:
                raise RuntimeError("radosgw ended: " + (self.folder / "gateway.out").read_text()[-2000:])
            try:
                urllib.request.urlopen(self.endpoint, timeout=2).close()
                return self
            except urllib.error.HTTPError:
                return self
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"radosgw does not answer; see {self.folder}/gateway.out")

    def kill_gateway(self):
        self.kill("gateway")

    def signed(self, method, path, query=""):
        return signed(self.endpoint, self.key, self.secret, method, path, query)

    def make_bucket(self, name):
        """It may be there."""
        if name not in self.buckets:
            self.signed("PUT", f"/{name}")
            self.buckets.add(name)
        return name

    def stop(self):
        """Gateway, OSDs, monitor: in another order a SIGTERM hangs. Their data is in memory or of no worth, so SIGKILL."""
        for name in sorted(self.running, key=lambda name: (name == "mon", name.startswith("osd"))):
            self.running[name].kill()
        for process in self.running.values():
            process.wait(60)
        self.running = {}


def run_around(command, osds):
    folder = tempfile.mkdtemp(prefix="tutti-rgw-")
    rgw = Rgw(folder, osds)
    try:
        rgw.start()
        bucket = rgw.make_bucket("tutti")
        return subprocess.run(command, env={**os.environ, "TUTTI_TEST_S3": rgw.url(bucket)}).returncode
    finally:
        rgw.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run"])
    parser.add_argument("--osds", type=int, default=1)
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return run_around(arguments.command, arguments.osds)


if __name__ == "__main__":
    sys.exit(main())
