"""Objects in an S3 store: what is uploaded and what is played goes straight between the store and its people, and what
is wrong with a store is said in one line. The store is Ceph's gateway (TUTTI_TEST_OBJECTS=rgw), else our own: another
tutti, an outside key and a bucket of it."""
import http.server
import json
import re
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse
from xml.etree import ElementTree

import boto3
import pytest
import requests
import urllib3
from urllib.parse import urljoin

import conftest
from conftest import BINARY, PATIENCE_S, People, Server, run_tutti, wait_for

SOUND_BYTES_MIN = 300_000


class OwnStore:
    """A tutti whose built-in store is the S3 store."""

    def __init__(self, folder):
        self.server = Server(data=folder, environment={"TUTTI_BLOB_STORE": f"file:{folder}/objects"})
        self.server.start()
        words = run_tutti("s3", "key", "add", "cluster", data=folder).stdout.split()
        self.key, self.secret = words[2], words[4]
        self.endpoint = f"http://127.0.0.1:{self.server.port}/s3"

    def url(self, bucket, **options):
        query = urllib.parse.urlencode({"tls": "no", **options})
        place = self.endpoint.removeprefix("http://")
        return f"s3://{self.key}:{urllib.parse.quote(self.secret, safe='')}@{place}/{bucket}?{query}"

    def make_bucket(self, name):
        if name not in [one["Name"] for one in client(self).list_buckets()["Buckets"]]:
            client(self).create_bucket(Bucket=name)
        return name


def client(store):
    return boto3.client("s3", endpoint_url=store.endpoint, aws_access_key_id=store.key, region_name="us-east-1",
                        aws_secret_access_key=store.secret)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    if conftest.OBJECTS == "rgw":
        yield conftest.object_gateway()
        return
    own = OwnStore(tmp_path_factory.mktemp("store"))
    yield own
    own.server.done()


def settings(store, bucket, **options):
    return {"TUTTI_BLOB_STORE": store.url(bucket, **options), "TUTTI_SERVER_MEDIA_URL": ""}


@pytest.fixture(scope="module")
def platform(store):
    """A server over the store, without an edge, and its people."""
    bucket = store.make_bucket("platform")
    server = Server(environment=settings(store, bucket)).start()
    server.bucket = bucket
    yield server
    assert server.stop() == 0
    server.done()


@pytest.fixture(scope="module")
def people(platform):
    return People(platform)


def metrics(server, prefix):
    """Every metric whose name begins so, summed over its labels."""
    text = requests.get(server.url + "/metrics", timeout=10).text
    found = {}
    for name, value in re.findall(rf"^({prefix}\w*)(?:{{[^}}]*}})? ([0-9.e+-]+)$", text, re.M):
        found[name] = found.get(name, 0) + float(value)
    return found


def host_of(url):
    return urllib.parse.urlsplit(url).netloc


@pytest.fixture(scope="module")
def album(people):
    page = people.artist.post("/api/v1/artists", json={"name": "Store"}).json()
    return people.artist.post("/api/v1/albums", json={"artistId": page["id"], "title": "Far Away"}).json()


@pytest.fixture(scope="module")
def track(people, album, sounds):
    """Uploaded by one PUT, ready, whole."""
    place = people.artist.get("/api/v1/tracks/upload-url", params={"filename": "a.flac"}).json()
    answer = requests.put(place["uploadUrl"], data=sounds(seconds=10).read_bytes(), timeout=60)
    assert answer.status_code == 200, answer.text
    made = people.artist.post("/api/v1/tracks", json={"albumId": album["id"], "title": "One", "trackUrl": place["trackUrl"]})
    assert made.status_code == 201, made.text
    ready = wait_for(people.artist, made.json()["id"], whole=True)
    assert ready["status"] == "ready", ready
    return ready


@pytest.fixture
def answer(people, track):
    got = people.listener.get(f"/api/v1/tracks/{track['id']}/stream")
    assert got.status_code == 200, got.text
    return got.json()


def test_keys_stand_where_edges_read_them(store, platform, track):
    keys = [one["Key"] for one in client(store).list_objects_v2(Bucket=platform.bucket, Prefix="m/")["Contents"]]
    assert f"m/{track['id']}/1/aac-160.mp4" in keys and f"m/{track['id']}/1/hls-320.m3u8" in keys
    assert all(key.startswith(f"m/{track['id']}/1/") for key in keys)


def test_the_url_of_an_upload_copies_nothing(store, platform, people, track):
    """Neither another person's original into one's own upload, nor a part of it."""
    source = f"/{platform.bucket}/m/{track['id']}/1/original.flac"
    urls = [people.artist.get("/api/v1/tracks/upload-url", params={"filename": "a.flac", **size}).json()["uploadUrl"]
            for size in ({}, {"size": 1})]
    begun = people.artist.post("/api/v1/uploads", json={"filename": "a.flac", "size": 9 << 20}).json()
    for url in [*urls, *(part["url"] for part in begun["parts"])]:
        for body in (b"", b"x"):
            copied = requests.put(url, data=body, headers={"x-amz-copy-source": source}, timeout=10)
            assert copied.status_code == 403, (url, copied.text)
    assert people.artist.delete(f"/api/v1/uploads/{begun['id']}").status_code == 204


@pytest.mark.skipif(conftest.OBJECTS != "rgw", reason="the built-in store refuses headers that are not signed")
@pytest.mark.parametrize("options, words", [({"upload_key": "", "upload_secret": ""}, "upload_key=ID&upload_secret=SECRET"),
                                            ({"upload_key": "ITSELF", "upload_secret": "ITSELF"}, "take the right to read")])
def test_a_store_that_copies_for_uploaders_is_refused(store, tmp_path, options, words):
    if options["upload_key"]:
        options = {"upload_key": store.key, "upload_secret": store.secret}
    environment = settings(store, store.make_bucket("guarded"), **options)
    done = conftest.run_tutti("serve", "--data", str(tmp_path), "--listen", f"127.0.0.1:{conftest.free_port()}",
                              environment=environment, check=False)
    assert done.returncode == 2 and words in done.stderr and store.secret not in done.stderr, done.stderr
    told = conftest.run_tutti("doctor", data=tmp_path, environment=environment, check=False)
    assert told.returncode == 1 and words in told.stdout, told.stdout
    left = client(store).list_objects_v2(Bucket="guarded")
    assert left["KeyCount"] == 0


def test_a_play_comes_from_the_store(store, platform, answer):
    """The server sends a few hundred bytes for a track that is hundreds of thousands."""
    before = metrics(platform, "tutti_blob_s3_received_bytes_total")
    total = 0
    for file in answer["files"]:
        assert host_of(file["url"]) == host_of(store.endpoint), file["url"]
        whole = requests.get(file["url"], timeout=30)
        assert whole.status_code == 200 and len(whole.content) == file["bytes"]
        assert whole.headers["Content-Type"] == file["mime"] or file["format"] == "original"
        part = requests.get(file["url"], headers={"Range": "bytes=10-19"}, timeout=30)
        assert part.status_code == 206 and part.content == whole.content[10:20]
        total += len(whole.content)
    assert total > SOUND_BYTES_MIN
    assert answer["trackUrl"] in [file["url"] for file in answer["files"]]
    after = metrics(platform, "tutti_blob_s3_received_bytes_total")
    read = sum(after.values()) - sum(before.values())  # its sweeps and leases may have asked for something small
    assert read < total / 100, "the server read nothing of it"


def test_people_share_the_addresses_of_an_hour(people, track, answer):
    again = people.new("listener").get(f"/api/v1/tracks/{track['id']}/stream").json()
    if again["expiresAt"] == answer["expiresAt"]:
        assert again["trackUrl"] == answer["trackUrl"]
    assert 6 * 3600 * 1000 - 60_000 < answer["expiresAt"] - time.time() * 1000 <= 7 * 3600 * 1000


def test_an_original_is_no_page(answer):
    original = next(file for file in answer["files"] if file["format"] == "original")
    assert requests.get(original["url"], timeout=30).headers["Content-Type"] == "audio/flac"


def test_a_signed_address_is_for_one_file(answer):
    url = answer["trackUrl"]
    assert requests.get(url.replace("/aac-320.mp4", "/aac-160.mp4"), timeout=30).status_code == 403
    assert requests.get(url.split("?")[0], timeout=30).status_code == 403
    assert requests.put(url, data=b"x", timeout=30).status_code == 403
    assert requests.delete(url, timeout=30).status_code == 403


def playlist_names(text):
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_playlists_lead_to_the_store(store, answer):
    top = requests.get(answer["hls"], timeout=30)
    assert top.headers["Content-Type"] == "application/vnd.apple.mpegurl"
    assert "immutable" not in top.headers["Cache-Control"] and top.headers["Access-Control-Allow-Origin"] == "*"
    rungs = playlist_names(top.text)
    assert len(rungs) == 4 and all(":" not in name for name in rungs)  # the playlists themselves stay with us
    for name in rungs:
        rung = requests.get(urljoin(answer["hls"], name), timeout=30)
        init = re.search(r'#EXT-X-MAP:URI="([^"]+)"', rung.text).group(1)
        segments = playlist_names(rung.text)
        assert {host_of(url) for url in [init, *segments]} == {host_of(store.endpoint)}
        first = re.search(r"#EXT-X-BYTERANGE:(\d+)@(\d+)", rung.text)
        start, length = int(first.group(2)), int(first.group(1))
        body = requests.get(segments[0], headers={"Range": f"bytes={start}-{start + length - 1}"}, timeout=30).content
        assert body[4:8] == b"moof" and len(body) == length


def test_an_mpd_leads_to_the_store(store, platform, answer):
    """By way of /m/, which sends on."""
    before = metrics(platform, "tutti_blob_s3_received_bytes_total")
    tree = ElementTree.fromstring(requests.get(answer["dash"], timeout=30).content)
    names = [base.text for base in tree.iter("{urn:mpeg:dash:schema:mpd:2011}BaseURL")]
    assert len(names) == 4
    for name in names:
        got = requests.get(urljoin(answer["dash"], name), headers={"Range": "bytes=4-7"}, timeout=30)
        assert got.content == b"ftyp" and host_of(got.url) == host_of(store.endpoint)
    after = metrics(platform, "tutti_blob_s3_received_bytes_total")
    for name in after:
        assert after[name] - before[name] < 64 * 1024, name  # the MPD


@pytest.mark.parametrize("manifest", ["hls", "dash"])
def test_a_player_plays_the_whole_of_it(answer, manifest):
    url = answer[manifest].replace("localhost", "127.0.0.1")
    done = subprocess.run(["ffmpeg", "-v", "error", "-i", url, "-map", "0:a:0", "-f", "f32le", "-ac", "1", "-"],
                          capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert abs(len(done.stdout) // 4 - 441_000) <= 2048, done.stderr


def test_the_media_route_sends_on(store, answer):
    """A player that takes the manifest's folder for the file's."""
    base = answer["hls"].rsplit("/", 1)[0]
    sent = requests.get(base + "/aac-160.mp4", allow_redirects=False, timeout=30)
    assert sent.status_code == 307 and host_of(sent.headers["Location"]) == host_of(store.endpoint)
    assert requests.get(base + "/aac-160.mp4", timeout=30).content[4:8] == b"ftyp"
    assert requests.head(base + "/aac-160.mp4", allow_redirects=True, timeout=30).status_code == 200
    assert requests.get(base.replace("lossless", "96") + "/aac-160.mp4", timeout=30).status_code == 403


def test_an_upload_in_parts_goes_to_the_store(store, platform, people, album, sounds):
    """10 MiB and more; the server receives what it must read to make the track, and sends what it made."""
    path = sounds("wav", seconds=70)
    size = path.stat().st_size
    assert size > 10 * 1024 * 1024
    before = metrics(platform, "tutti_blob_s3_")
    begun = people.artist.post("/api/v1/uploads", json={"filename": "long.wav", "size": size}).json()
    parts = []
    with path.open("rb") as file:
        for part in begun["parts"]:
            assert host_of(part["url"]) == host_of(store.endpoint)
            file.seek((part["number"] - 1) * begun["partSize"])
            sent = requests.put(part["url"], data=file.read(begun["partSize"]), timeout=60)
            assert sent.status_code == 200, sent.text
            parts.append({"number": part["number"], "etag": sent.headers["ETag"]})
    state = people.artist.get(f"/api/v1/uploads/{begun['id']}").json()
    assert [part["state"] for part in state["parts"]] == ["uploaded"] * len(parts)
    done = people.artist.post(f"/api/v1/uploads/{begun['id']}/complete", json={"parts": parts})
    assert done.status_code == 200, done.text
    after = metrics(platform, "tutti_blob_s3_")
    for name in ("tutti_blob_s3_received_bytes_total", "tutti_blob_s3_sent_bytes_total"):
        assert after[name] - before[name] < 64 * 1024, name
    made = people.artist.post("/api/v1/tracks", json={"albumId": album["id"], "title": "Two", "trackUrl": begun["trackUrl"]})
    assert made.status_code == 201, made.text
    ready = wait_for(people.artist, made.json()["id"])
    assert ready["status"] == "ready", ready


def test_browsers_may_use_the_addresses(platform, answer, people):
    place = people.artist.get("/api/v1/tracks/upload-url", params={"filename": "a.flac"}).json()
    for url, method in ((place["uploadUrl"], "PUT"), (answer["trackUrl"], "GET")):
        asked = requests.options(url, timeout=30, headers={
            "Origin": platform.url, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "range"})
        assert asked.status_code in (200, 204), asked.text
        assert asked.headers["Access-Control-Allow-Origin"] in ("*", platform.url)
        assert method in asked.headers["Access-Control-Allow-Methods"]
    sent = requests.put(place["uploadUrl"], data=b"x", headers={"Origin": platform.url}, timeout=30)
    assert "etag" in sent.headers["Access-Control-Expose-Headers"].lower()
    page = requests.get(platform.url + "/", timeout=30).headers["Content-Security-Policy"]
    assert place["uploadUrl"].split("/", 3)[2] in page


def test_what_is_deleted_is_gone_from_the_store(store, platform, people, album, sounds):
    place = people.artist.get("/api/v1/tracks/upload-url", params={"filename": "a.flac"}).json()
    requests.put(place["uploadUrl"], data=sounds(seconds=3).read_bytes(), timeout=60)
    made = people.artist.post("/api/v1/tracks", json={"albumId": album["id"], "title": "Three", "trackUrl": place["trackUrl"]})
    track = wait_for(people.artist, made.json()["id"])
    url = people.listener.get(f"/api/v1/tracks/{track['id']}/stream").json()["trackUrl"]
    assert requests.get(url, timeout=30).status_code == 200
    assert people.artist.delete(f"/api/v1/tracks/{track['id']}").status_code == 200
    deadline = time.monotonic() + PATIENCE_S
    while requests.get(url, timeout=30).status_code != 404:
        assert time.monotonic() < deadline, "it still plays"
        time.sleep(0.1)


# What is wrong is said in one line, without the secret.

def refused_start(tmp_path, url, **environment):
    done = subprocess.run([BINARY, "serve", "--data", str(tmp_path / "data"), "--listen", f"127.0.0.1:{conftest.free_port()}"], text=True, timeout=60,
                          capture_output=True, env={"PATH": "/usr/bin:/bin", "TUTTI_BLOB_STORE": url, **environment})
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize("url, words", [
    ("s3://", "must name a key"),
    ("s3://KEY@host/bucket", "must name a key and its secret"),
    ("s3://KEY:se/cret@host/bucket", "must be written %2F"),
    ("s3://KEY:sec%ret@host/bucket", "can't be read"),
    ("s3://KEY:hidden@host", "a host and a bucket"),
    ("s3://KEY:hidden@host/b", "a bucket's name"),
    ("s3://KEY:hidden@host/bucket?tls=maybe", '"tls"'),
    ("s3://KEY:hidden@host/bucket?size=1", '"size"'),
    ("s3://KEY:hidden@host/bucket?sse=rot13", "AES256 or aws:kms"),
    ("gs://KEY:hidden@host/bucket", "unknown scheme"),
])
def test_an_address_that_can_t_be_read(tmp_path, url, words):
    said = refused_start(tmp_path, url)
    assert words in said and "s3://KEY:SECRET@HOST" in said or '"' in said
    assert "hidden" not in said and "cret@" not in said.replace("SECRET@", "")


def test_a_wrong_secret(tmp_path, store):
    said = refused_start(tmp_path, store.url(store.make_bucket("locked")).replace(urllib.parse.quote(store.secret, safe=""), "wrongsecret"))
    assert "takes the secret" in said and store.endpoint in said and "wrongsecret" not in said


def test_a_wrong_key(tmp_path, store):
    said = refused_start(tmp_path, store.url(store.make_bucket("locked")).replace(store.key, "NOBODYSKEY"))
    assert "does not know the key" in said


def test_a_bucket_that_is_not_there(tmp_path, store):
    said = refused_start(tmp_path, store.url("nowhere-to-be-found"))
    assert "no such bucket" in said and "nowhere-to-be-found" in said


def test_a_store_that_speaks_no_tls(tmp_path, store):
    said = refused_start(tmp_path, store.url("nowhere").replace("tls=no", "tls=yes"))
    assert "can't be spoken to" in said and "tls=no" in said


class EmptyBucket(http.server.BaseHTTPRequestHandler):
    """A store with nothing in it, to speak TLS to."""

    def do_GET(self):
        body = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def tls_store(tmp_path):
    """tls_store(name) → the port of one whose certificate, tmp_path/ca.pem, bears that name."""
    running = []

    def start(name):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=store", "-addext", f"subjectAltName={name}", "-keyout", tmp_path / "key.pem",
                        "-out", tmp_path / "ca.pem"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key.pem")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), EmptyBucket)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        return server.server_address[1]

    yield start
    for one in running:
        one.shutdown()


def test_a_certificate_of_another_name(tmp_path, tls_store):
    port = tls_store("DNS:store.example.org")
    said = refused_start(tmp_path, f"s3://KEY:hidden@127.0.0.1:{port}/bucket?ca={tmp_path}/ca.pem")
    assert "can't be spoken to" in said and "name in its certificate" in said and "hidden" not in said


def test_a_certificate_of_a_stranger(tmp_path, tls_store):
    port = tls_store("IP:127.0.0.1")
    assert "ca=FILE" in refused_start(tmp_path, f"s3://KEY:hidden@127.0.0.1:{port}/bucket")
    server = Server(environment={"TUTTI_BLOB_STORE": f"s3://KEY:hidden@127.0.0.1:{port}/bucket?ca={tmp_path}/ca.pem"})
    try:
        server.start()  # with the right one it is fine
    finally:
        server.done()


@pytest.mark.skipif(conftest.SANITIZED, reason="a sanitizer is to be the first library, as faketime is")
def test_a_clock_that_is_off(tmp_path, store):
    store.make_bucket("clocked")
    done = subprocess.run(["faketime", "-f", "+40m", BINARY, "serve", "--data", str(tmp_path / "data"), "--listen", f"127.0.0.1:{conftest.free_port()}"],
                          text=True, timeout=60, capture_output=True,
                          env={"PATH": "/usr/bin:/bin", "TUTTI_BLOB_STORE": store.url("clocked")})
    assert done.returncode == 2 and "our clock is" in done.stderr and "ahead" in done.stderr, done.stderr
    assert re.search(r"is (39|40) minutes", done.stderr)


def test_a_store_that_is_away_is_waited_for(store, tmp_path):
    """The start goes on, readiness says where nobody answers."""
    nobody = conftest.free_port()
    server = Server(data=tmp_path, environment={"TUTTI_BLOB_STORE": f"s3://KEY:hidden@127.0.0.1:{nobody}/bucket?tls=no"})
    server.ready_timeout_s = 4
    with pytest.raises(RuntimeError):
        server.start()
    patient = requests.Session()
    patient.mount("http://", requests.adapters.HTTPAdapter(max_retries=urllib3.Retry(connect=9, backoff_factor=0.2)))
    try:
        ready = patient.get(server.url + "/readyz", timeout=10)
        assert ready.status_code == 503
        assert f"127.0.0.1:{nobody}/bucket does not answer" in ready.json()["engines"]["blob"]
        assert "hidden" not in ready.text and "hidden" not in server.log_text()
    finally:
        server.done()


def test_a_backup_holds_the_objects(store, platform, people, track, tmp_path):
    """Out of one bucket and into another."""
    key = tmp_path / "key"
    key.write_bytes(bytes(range(64)))
    key.chmod(0o600)
    fresh = store.make_bucket("restored")
    arguments = [str(tmp_path / "a.bak"), "--key-file", str(key), "--blobs", str(tmp_path / "objects")]
    run_tutti("backup", *arguments, data=platform.data, environment=platform.environment, timeout=120)
    victim, gone = sorted((tmp_path / "objects" / "objects" / "media").rglob("*.mp4.obj"))[:2]
    whole = victim.read_bytes()
    victim.write_bytes(whole[:100] + bytes(byte ^ 1 for byte in whole[100:103]) + whole[103:])
    alone = gone.with_name("zz.obj")  # of an object that was deleted since
    alone.write_bytes(b"other" + gone.read_bytes()[5:])
    told = run_tutti("backup", *arguments, "--verify", data=platform.data, environment=platform.environment, timeout=120, check=False)
    assert told.returncode == 1 and "had wrong bytes and was copied again" in told.stderr and ", 1 damaged" in told.stderr
    assert "/zz has wrong bytes, and can't be copied again" in told.stderr
    assert victim.read_bytes()[:-512] == whole[:-512]
    alone.unlink()
    run_tutti("restore", *arguments, data=tmp_path / "data", environment=settings(store, fresh), timeout=120)
    listed = [[(one["Key"], one["Size"]) for one in client(store).list_objects_v2(Bucket=bucket, Prefix=f"m/{track['id']}/")["Contents"]]
              for bucket in (platform.bucket, fresh)]
    assert listed[0] == listed[1] and len(listed[0]) > 10
    again = Server(data=tmp_path / "data", environment=settings(store, fresh)).start()
    try:
        url = conftest.Person(again.url, people.listener.username).get(f"/api/v1/tracks/{track['id']}/stream").json()["trackUrl"]
        assert requests.get(url, timeout=30).content[4:8] == b"ftyp"
    finally:
        again.done()


class OfKeyService(http.server.BaseHTTPRequestHandler):
    """Before a store: its objects as one shows them that has encrypted them with a key of its key service."""

    def do_GET(self):
        answer = requests.request(self.command, self.server.behind + self.path, headers=dict(self.headers), timeout=30)
        body = re.sub(rb"(?<=<ETag>&quot;)(\w+)|(?<=<ETag>\")(\w+)", lambda found: found[0][::-1], answer.content)
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name.lower() == "etag":
                self.send_header(name, value[::-1])
                self.send_header("x-amz-server-side-encryption", "aws:kms")
            elif name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", answer.headers.get("Content-Length") if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


def test_what_a_key_service_encrypted_is_told_by_no_hash(tmp_path):
    (tmp_path / "store").mkdir()
    own = OwnStore(tmp_path / "store")
    own.make_bucket("sealed")
    for count in range(3):
        client(own).put_object(Bucket="sealed", Key=f"m/{count}", Body=b"object %d" % count)
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), OfKeyService)
    proxy.behind = own.endpoint.removesuffix("/s3")
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    url = own.url("sealed").replace(f":{own.server.port}/", f":{proxy.server_port}/")
    said = [run_tutti("migrate", "--from", url, "--to", f"file:{tmp_path / 'copies'}", *more, data=tmp_path, timeout=60).stderr
            for more in ((), (), ("--verify",))]
    assert "3 copied" in said[0] and "0 copied" in said[1] and "0 copied" in said[2] and "3 read" in said[2], said
    proxy.shutdown()

    # And back: what was replaced there since is kept.
    time.sleep(1.1)  # the store tells times in seconds
    client(own).put_object(Bucket="sealed", Key="m/0", Body=b"newer")
    back = run_tutti("migrate", "--from", f"file:{tmp_path / 'copies'}", "--to", own.url("sealed"), data=tmp_path, timeout=60).stderr
    assert "0 copied" in back and "1 left, since they are newer" in back
    assert client(own).get_object(Bucket="sealed", Key="m/0")["Body"].read() == b"newer"
    own.server.done()


def test_doctor_tries_what_the_key_may(platform):
    done = run_tutti("doctor", data=platform.data, check=False,
                     environment={**platform.environment, "TUTTI_SERVER_LISTEN": f"127.0.0.1:{platform.port}"})
    line = next(line for line in done.stdout.splitlines() if " s3 " in f" {line} ")
    assert "does all that is needed" in line, done.stdout


class SlowWay:
    """Connections to a store; while bytes_per_second is set, what it sends comes no faster."""

    def __init__(self, place):
        host, port = place.split(":")
        self.place, self.bytes_per_second = (host, int(port)), 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(self.place)
            threading.Thread(target=self.carry, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self.carry, args=(far, near, True), daemon=True).start()

    def carry(self, source, target, slowed):
        try:
            while data := source.recv(8192):
                if slowed and self.bytes_per_second:
                    time.sleep(len(data) / self.bytes_per_second)
                target.sendall(data)
        except OSError:
            pass
        finally:
            for one in (source, target):
                one.close()


def test_a_slow_store_costs_no_worker_its_job(store, sounds):
    """An original comes for longer than the lease is renewed at: it is renewed meanwhile."""
    way = SlowWay(host_of(store.endpoint))
    url = store.url(store.make_bucket("slow")).replace(host_of(store.endpoint), way.address)
    server = Server(environment={"TUTTI_BLOB_STORE": url, "TUTTI_SERVER_MEDIA_URL": ""}).start()
    try:
        artist = People(server).new("artist")
        page = artist.post("/api/v1/artists", json={"name": "Slow"}).json()
        album = artist.post("/api/v1/albums", json={"artistId": page["id"], "title": "Slower"}).json()
        place = artist.get("/api/v1/tracks/upload-url", params={"filename": "a.wav"}).json()
        sound = sounds("wav", seconds=10).read_bytes()
        assert len(sound) > 1024 * 1024  # larger than what is read at once
        assert requests.put(place["uploadUrl"], data=sound, timeout=60).status_code == 200
        way.bytes_per_second = 40_000
        made = artist.post("/api/v1/tracks", json={"albumId": album["id"], "title": "S", "trackUrl": place["trackUrl"]})
        assert made.status_code == 201, made.text
        leases, deadline = set(), time.monotonic() + 60
        while len(leases) < 2:
            assert time.monotonic() < deadline, leases
            leases |= set(server.rows("SELECT lease_until FROM transcode_job WHERE state = 'running' AND step = 'FETCH'"))
            time.sleep(0.2)
        way.bytes_per_second = 0
        ready = wait_for(artist, made.json()["id"])
        assert ready["status"] == "ready", ready
        assert server.rows("SELECT MAX(claims) FROM transcode_job") == [(1,)]
        assert server.stop() == 0
    finally:
        server.done()
        way.listener.close()


@pytest.mark.skipif(conftest.OBJECTS != "rgw", reason="./dev test objects brings the browser")
def test_a_browser_uploads_to_the_store_and_plays_from_it(store, platform, people, sounds):
    """A person drops a file onto the page and plays it: its bytes are exchanged with the store alone, as the browser and
    the counters of the server both say."""
    name = f"artist-{time.time_ns()}"
    conftest.add_user(platform, name, "artist")
    assert people.admin.user  # without one the page asks for the set-up code
    path = sounds("wav", seconds=70)
    size, at_store = path.stat().st_size, host_of(store.endpoint)
    done = subprocess.run(["node", conftest.ROOT / "tests" / "browser" / "store.mjs", platform.url, name, conftest.PASSWORD, path],
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["heardS"] >= 3 and told["wrong"] == []
    there = [one for one in told["requests"] if one["host"] == at_store]
    here = [one for one in told["requests"] if one["host"] != at_store]
    sent = [one for one in there if one["method"] == "PUT"]
    assert len(sent) > 1 and {one["status"] for one in sent} == {200} and sum(one["sent"] for one in sent) == size
    assert {one["status"] for one in there if one["method"] == "GET"} == {206}
    assert sum(one["received"] for one in there if one["method"] == "GET") > 20_000
    assert sum(one["sent"] for one in here) < 64 * 1024, here
    assert sum(one["received"] for one in here if one["path"].startswith("/m/")) < 64 * 1024, here  # playlists
