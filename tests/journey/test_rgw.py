"""Over Ceph's gateway: the contracts of objects and of the pipeline, and what people notice when it is killed, or its
connections are cut, while they upload. `./dev test objects`, or by hand with TUTTI_TEST_OBJECTS=rgw."""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import socket
import subprocess
import threading
import time
import urllib.parse

import pytest
import requests

import conftest
import rgw
from conftest import People, Server, until, wait_for
from test_objects import client, metrics

CONTRACTS = pathlib.Path(os.environ.get("TUTTI_CONTRACTS", conftest.ROOT / "build-asan" / "tests" / "contract"))
MEDIA = os.environ.get("TUTTI_MEDIA", str(pathlib.Path(conftest.BINARY).parent / "tutti-media"))


@pytest.fixture(scope="module")
def gateway():
    return conftest.object_gateway()


@pytest.mark.parametrize("name, arguments", [("blob", []), ("blob_described", []), ("transcode", [MEDIA])])
def test_the_contract(gateway, name, arguments):
    bucket = gateway.make_bucket(f"contract-{name.replace('_', '-')}")
    done = subprocess.run([CONTRACTS / f"test_contract_{name}", *arguments], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "TUTTI_TEST_S3": gateway.url(bucket)})
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


class Cutter:
    """A way to the gateway that can be cut: what goes over it then ends in the middle."""

    def __init__(self, port):
        self.to = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open, self.lock = [], threading.Lock()
        self.refuse = 0  # so many connections are closed before a byte is read
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            try:
                if self.refuse > 0:
                    self.refuse -= 1
                    raise ConnectionError
                far = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                near.close()  # as the gateway would, which is not there
                continue
            with self.lock:
                self.open += [near, far]
            threading.Thread(target=self.carry, args=(near, far), daemon=True).start()
            threading.Thread(target=self.carry, args=(far, near), daemon=True).start()

    def carry(self, source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        with self.lock:
            ends, self.open = self.open, []
        for end in ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def upload_until_done(person, album, body, title, tries=60):
    """As a client does that tries again: the track's id, once POST /tracks has said 201, and the uploads it took."""
    for attempt in range(tries):
        try:
            place = person.get("/api/v1/tracks/upload-url", params={"filename": "a.flac", "size": len(body)})
            if place.status_code == 200 and \
                    requests.put(place.json()["uploadUrl"], data=body, timeout=30).status_code == 200:
                made = person.post("/api/v1/tracks", json={"albumId": album["id"], "title": title,
                                                           "trackUrl": place.json()["trackUrl"]})
                assert made.status_code in (201, 503, 504), made.text
                if made.status_code == 201:
                    return made.json()["id"], attempt
                assert made.status_code != 503 or int(made.headers.get("Retry-After", 1)) >= 1
        except requests.RequestException:
            pass
        time.sleep(0.25)
    raise AssertionError("it never went through")


def check_all(gateway, bucket, person, made, body):
    """Every acknowledged track becomes ready, is there once, and its original has the bytes that were sent."""
    store = client(gateway)
    listed = [one["id"] for one in person.get("/api/v1/tracks", params={"limit": 200}).json()["items"]]
    assert len(set(made)) == len(made) and all(listed.count(one) == 1 for one in made)
    for one in made:
        track = wait_for(person, one, whole=True, timeout=300)
        assert track["status"] == "ready", track
        original = store.get_object(Bucket=bucket, Key=f"m/{one}/1/original.flac")["Body"].read()
        assert hashlib.sha256(original).digest() == hashlib.sha256(body).digest()


@pytest.mark.parametrize("harm", ["killed", "cut"])
def test_no_upload_is_lost(gateway, sounds, harm):
    """Six uploads while the gateway is killed and started twice, or all its connections are cut again and again."""
    bucket = gateway.make_bucket(f"harmed-{harm}")
    cutter = Cutter(gateway.port)
    address = gateway.url(bucket).replace(f":{gateway.port}/", f":{cutter.port}/")
    server = Server(environment={"TUTTI_BLOB_STORE": address, "TUTTI_SERVER_MEDIA_URL": ""}).start()

    def harm_it():
        """In this thread: what it starts ends with the thread that started it."""
        for _ in range(20 if harm == "cut" else 2):
            time.sleep(0.4)
            if harm == "cut":
                cutter.cut()
            else:
                gateway.kill_gateway()
                time.sleep(0.5)
                gateway.start_gateway()

    try:
        person = People(server).artist
        page = person.post("/api/v1/artists", json={"name": f"Harm {harm}"}).json()
        album = person.post("/api/v1/albums", json={"artistId": page["id"], "title": "Done"}).json()
        body = sounds(seconds=2).read_bytes()
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            tried = [pool.submit(upload_until_done, person, album, body, f"T{n}", tries=200) for n in range(6)]
            harm_it()
            done = [one.result() for one in tried]
        check_all(gateway, bucket, person, [one for one, _ in done], body)
        assert requests.get(server.url + "/readyz", timeout=10).status_code == 200
    finally:
        server.done()


def test_what_is_safe_is_tried_again(gateway):
    """Three connections end before an answer; nobody outside hears of it."""
    cutter = Cutter(gateway.port)
    address = gateway.url(gateway.make_bucket("retried")).replace(f":{gateway.port}/", f":{cutter.port}/")
    server = Server(environment={"TUTTI_BLOB_STORE": address, "TUTTI_SERVER_MEDIA_URL": ""}).start()
    try:
        artist = People(server).artist
        before = metrics(server, "tutti_blob_s3_retries_total")["tutti_blob_s3_retries_total"]
        cutter.refuse = 3
        cutter.cut()
        begun = artist.post("/api/v1/uploads", json={"filename": "a.wav", "size": 20_000_000})
        assert begun.status_code == 201, begun.text
        assert cutter.refuse == 0
        assert metrics(server, "tutti_blob_s3_retries_total")["tutti_blob_s3_retries_total"] - before >= 2
        parts = client(gateway).list_multipart_uploads(Bucket="retried").get("Uploads", [])
        assert len(parts) == 1 and parts[0]["Key"].startswith("uploads/")
    finally:
        server.done()


def test_readiness_comes_back_with_the_store(gateway):
    bucket = gateway.make_bucket("back")
    server = Server(environment={"TUTTI_BLOB_STORE": gateway.url(bucket), "TUTTI_SERVER_MEDIA_URL": ""}).start()
    try:
        gateway.kill_gateway()
        try:
            until(lambda: requests.get(server.url + "/readyz", timeout=10).status_code == 503)
            words = requests.get(server.url + "/readyz", timeout=10).json()["engines"]["blob"]
            assert "does not answer" in words and gateway.secret not in words
            assert requests.get(server.url + "/readyz?alone=1", timeout=10).json()["engines"] == {}
        finally:
            gateway.start_gateway()
        until(lambda: requests.get(server.url + "/readyz", timeout=10).status_code == 200)
    finally:
        server.done()


@pytest.mark.parametrize("lacking", [["s3:PutObject"], ["s3:DeleteObject", "s3:AbortMultipartUpload"], ["s3:ListBucketMultipartUploads"]])
def test_doctor_names_the_permission_that_is_missing(gateway, tmp_path, lacking):
    """Each that is, and none that is not, though one wants what another makes."""
    bucket = gateway.make_bucket("others")
    if "weak" not in gateway.ceph("radosgw-admin", "user", "list"):
        gateway.ceph("radosgw-admin", "user", "create", "--uid", "weak", "--display-name", "weak", "--access-key", "WEAKKEY",
                     "--secret-key", "weaksecret")
    manual = (conftest.ROOT / "docs" / "operations.md").read_text()
    all_ = set(re.findall(r"`(s3:\w+)`", manual[manual.index("The key needs `s3:"):].split("\n\n")[0]))
    assert all_.issuperset(lacking) and len(all_) > 10
    client(gateway).put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/weak"]}, "Action": sorted(all_ - set(lacking)),
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}]}))
    address = gateway.url(bucket).replace(gateway.key, "WEAKKEY", 1).replace(urllib.parse.quote(gateway.secret, safe=""), "weaksecret", 1)
    told = conftest.run_tutti("doctor", "--json", data=tmp_path, environment={"TUTTI_BLOB_STORE": address}, check=False).stdout
    found = next(one for one in json.loads(told)["checks"] if one["name"] == "s3")
    assert found["state"] == "failed" and gateway.endpoint in found["detail"] and "weaksecret" not in told
    assert set(re.findall(r"s3:\w+", found["advice"])) == set(lacking), found


@pytest.mark.parametrize("options, words", [
    ({"sse": "AES256"}, "takes sse=AES256 and encrypts nothing"),  # Ceph 16 passes the header over
    ({"sse": "aws:kms", "sse_key": "nobodys"}, "name a key in sse_key that it has"),
    ({"sse": "aws:kms", "sse_key": rgw.KMS_KEY}, "refuses sse=aws:kms where it copies"),  # it was heeded up to there
])
def test_encryption_that_the_store_does_not_do_is_not_believed(gateway, tmp_path, options, words):
    bucket = gateway.make_bucket("sealed")
    environment = {"TUTTI_BLOB_STORE": gateway.url(bucket, **options)}
    done = conftest.run_tutti("serve", "--data", str(tmp_path), "--listen", f"127.0.0.1:{conftest.free_port()}", environment=environment,
                              check=False)
    assert done.returncode == 2 and words in done.stderr and f"{gateway.endpoint}/{bucket}" in done.stderr, done.stderr
    assert words in conftest.run_tutti("doctor", data=tmp_path, environment=environment, check=False).stdout
    assert client(gateway).list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_rule_of_the_operator_is_left_alone(gateway):
    """Rules that were there stay, and are told of where they lack something."""
    bucket = gateway.make_bucket("ruled")
    store = client(gateway)
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["https://other.example.org"]}
    store.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    server = Server(environment={"TUTTI_BLOB_STORE": gateway.url(bucket), "TUTTI_SERVER_MEDIA_URL": ""}).start()
    try:
        kept = store.get_bucket_cors(Bucket=bucket)["CORSRules"]
        assert len(kept) == 1 and kept[0]["AllowedMethods"] == ["GET"]
        assert "add such a rule" in server.log_text()
        fresh = gateway.make_bucket("unruled")
        other = Server(environment={"TUTTI_BLOB_STORE": gateway.url(fresh), "TUTTI_SERVER_MEDIA_URL": ""}).start()
        try:
            rules = store.get_bucket_lifecycle_configuration(Bucket=fresh)["Rules"]
            assert rules[0]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 7
            cors = store.get_bucket_cors(Bucket=fresh)["CORSRules"][0]
            assert cors["AllowedOrigins"] == [other.url] and "ETag" in cors["ExposeHeaders"]
        finally:
            other.done()
    finally:
        server.done()
