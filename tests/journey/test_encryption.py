"""Encryption at rest ([blob] encrypt): people and S3 clients notice nothing, and the disk shows nothing: no byte of
an upload or of a rendition, not in an object, a part or a temporary file, at no time."""
import os
import pathlib
import subprocess
import threading
import uuid

import pytest
import requests

from conftest import BINARY, OBJECTS, People, Server, wait_for
from s3_key import Key

pytestmark = pytest.mark.skipif(OBJECTS != "file", reason="an object store encrypts for itself")
MIB = 1024 * 1024


class Watch(threading.Thread):
    """Reads all files of the store over and over and counts in how many a mark was seen."""

    def __init__(self, folder, marks):
        super().__init__(daemon=True)
        self.folder, self.marks = pathlib.Path(folder), marks
        self.seen, self.files, self.temporary = set(), set(), set()
        self.stopping = threading.Event()

    def look(self):
        for path in self.folder.rglob("*"):
            try:
                data = path.read_bytes() if path.is_file() else b""
            except FileNotFoundError:
                continue
            if data:
                self.files.add(path)
                if path.parent.name == "temporary":
                    self.temporary.add(path)
                self.seen |= {name for name, mark in self.marks.items() if mark in data}

    def run(self):
        while not self.stopping.wait(0.05):
            self.look()

    def stop(self):
        self.stopping.set()
        self.join()
        self.look()
        return self


# What the fragments of our MP4s hold in the clear: a box of 16 bytes, "mfhd", version and flags.
FRAGMENT = b"\x00\x00\x00\x10mfhd\x00\x00\x00\x00"


@pytest.fixture(scope="module", params=["encrypted", "plain"])
def stored(request, tmp_path_factory):
    """A server with an artist's track on it, and what was seen of it on the disk meanwhile."""
    encrypted = request.param == "encrypted"
    server = Server(environment={"TUTTI_BLOB_ENCRYPT": "yes" if encrypted else "no"}).start()
    song = tmp_path_factory.mktemp("song") / "song.flac"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "anoisesrc=r=44100:d=12:a=0.3:seed=7", "-ac", "2",
                    "-metadata", "title=Noise", str(song)], check=True, timeout=60)
    data = song.read_bytes()
    watch = Watch(server.data / "objects", {"head": data[:42], "middle": data[len(data) // 2:][:32],
                                            "end": data[-32:], "fragment": FRAGMENT})
    watch.start()
    person = People(server).new("artist")
    artist = person.post("/api/v1/artists", json={"name": "Band"}).json()["id"]
    album = person.post("/api/v1/albums", json={"artistId": artist, "title": "Album"}).json()["id"]
    place = person.get("/api/v1/tracks/upload-url", params={"filename": "song.flac", "size": len(data)}).json()
    assert requests.put(place["uploadUrl"], data=data, timeout=60).status_code == 200
    track = person.post("/api/v1/tracks", json={"albumId": album, "title": "Song", "trackUrl": place["trackUrl"]}).json()
    track = wait_for(person, track["id"], whole=True)
    watch.stop()
    assert track["status"] == "ready", track
    stored.server, stored.person, stored.album, stored.track = server, person, album, track
    stored.watch, stored.encrypted, stored.original = watch, encrypted, data
    yield stored
    status = server.stop()
    server.done()
    assert status == 0


def media(stored, name):
    url = stored.person.get(f"/api/v1/tracks/{stored.track['id']}/stream").json()["hls"]
    return url.rsplit("/", 1)[0] + "/" + name


def test_the_disk_shows_nothing(stored):
    assert len(stored.watch.files) > 5 and stored.watch.temporary, "too little was looked at"
    assert stored.watch.seen == (set() if stored.encrypted else {"head", "middle", "end", "fragment"})


def test_what_is_streamed_is_whole(stored, tmp_path):
    whole = requests.get(media(stored, "aac-160.mp4"), timeout=20)
    assert whole.status_code == 200 and FRAGMENT in whole.content
    assert int(whole.headers["Content-Length"]) == len(whole.content)
    size = len(whole.content)
    for first, last in ((0, 0), (0, 99), (65535, 65536), (70000, 200000), (size - 10, size - 1), (131072, size + 5)):
        part = requests.get(whole.url, headers={"Range": f"bytes={first}-{last}"}, timeout=20)
        assert part.status_code == 206 and part.content == whole.content[first:last + 1]
        assert part.headers["Content-Range"] == f"bytes {first}-{min(last, size - 1)}/{size}"
    several = requests.get(whole.url, headers={"Range": "bytes=5-9,70000-70009"}, timeout=20)
    assert several.status_code == 206 and whole.content[5:10] in several.content
    assert whole.content[70000:70010] in several.content and len(several.content) == int(several.headers["Content-Length"])
    head = requests.head(whole.url, timeout=20)
    assert head.status_code == 200 and int(head.headers["Content-Length"]) == size and head.content == b""
    assert requests.get(whole.url, headers={"Range": f"bytes={size}-"}, timeout=20).status_code == 416
    assert requests.get(whole.url, headers={"If-None-Match": whole.headers["ETag"]}, timeout=20).status_code == 304
    file = tmp_path / "song.mp4"
    file.write_bytes(whole.content)
    seconds = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(file)],
                             check=True, capture_output=True, text=True, timeout=30).stdout
    assert 11.5 < float(seconds) < 12.5
    playlist = requests.get(media(stored, "hls-160.m3u8"), timeout=20)
    assert playlist.status_code == 200 and playlist.text.startswith("#EXTM3U")


def test_a_cover_is_scaled(stored, tmp_path):
    picture = tmp_path / "cover.png"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "mandelbrot=size=400x400", "-frames:v", "1", str(picture)],
                   check=True, timeout=30)
    answer = stored.person.put(f"/api/v1/albums/{stored.album}/cover", data=picture.read_bytes(),
                               headers={"Content-Type": "image/png"})
    assert answer.status_code == 202, answer.text
    bad = stored.person.put(f"/api/v1/albums/{stored.album}/cover", data=b"no picture", headers={"Content-Type": "image/png"})
    assert bad.status_code in (415, 422)
    art = answer.json()["id"]
    for _ in range(300):
        small = requests.get(f"{stored.server.url}/api/v1/art/{art}?size=64", timeout=20)
        if small.status_code == 200:
            break
        threading.Event().wait(0.1)
    assert small.status_code == 200 and small.content[:3] == b"\xff\xd8\xff"


def test_s3_clients_notice_nothing(stored):
    s3 = Key(stored.server, f"key-{uuid.uuid4().hex[:8]}").client()
    s3.create_bucket(Bucket="label")
    body = os.urandom(6 * MIB + 12345)
    etag = s3.put_object(Bucket="label", Key="plain", Body=body, Metadata={"k": "v"})["ETag"]
    upload = s3.create_multipart_upload(Bucket="label", Key="joined")["UploadId"]
    at = {"Bucket": "label", "Key": "joined", "UploadId": upload}
    watch = Watch(stored.server.data / "objects", {"body": body[3 * MIB:][:32]})
    tags = [s3.upload_part(**at, PartNumber=1, Body=body)["ETag"],
            s3.upload_part_copy(**at, PartNumber=2, CopySource="label/plain", CopySourceRange="bytes=65530-65549")
            ["CopyPartResult"]["ETag"]]
    watch.look()
    s3.complete_multipart_upload(**at, MultipartUpload={"Parts": [
        {"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]})
    s3.copy_object(Bucket="label", Key="copy", CopySource="label/joined")
    watch.look()
    assert watch.seen == (set() if stored.encrypted else {"body"})
    assert s3.get_object(Bucket="label", Key="copy")["Body"].read() == body + body[65530:65550]
    got = s3.get_object(Bucket="label", Key="plain", Range="bytes=65000-66000")
    assert got["Body"].read() == body[65000:66001] and got["Metadata"] == {"k": "v"} and got["ETag"] == etag


def test_encryption_can_be_switched_on_and_off(own_server, tmp_path):
    server = own_server(environment={"TUTTI_BLOB_ENCRYPT": "no"})
    key = Key(server, "switched")
    s3 = key.client()
    s3.create_bucket(Bucket="label")
    bodies = {}
    for turn in ("no", "yes", "no", "yes"):
        assert server.stop() == 0
        server.environment["TUTTI_BLOB_ENCRYPT"] = turn
        server.start()
        name = f"{turn}-{len(bodies)}"
        bodies[name] = os.urandom(100_000)
        s3.put_object(Bucket="label", Key=name, Body=bodies[name])
        for known, body in bodies.items():
            assert s3.get_object(Bucket="label", Key=known)["Body"].read() == body
    watch = Watch(server.data / "objects", {name: body[500:532] for name, body in bodies.items()})
    watch.look()
    assert watch.seen == {name for name in bodies if name.startswith("no")}


def test_a_lost_key_is_not_replaced_unasked(own_server):
    """A server that made another one would seem well, and answer 500 for all that was there."""
    server = own_server(environment={"TUTTI_BLOB_ENCRYPT": "yes"})
    s3 = Key(server, "lost").client()
    s3.create_bucket(Bucket="label")
    body = os.urandom(100_000)
    s3.put_object(Bucket="label", Key="before", Body=body)
    assert server.stop() == 0
    key, away = server.data / "keys" / "blob-keys", server.data / "blob-keys.away"
    key.rename(away)
    refused = subprocess.run([BINARY, "serve", "--data", str(server.data), "--listen", f"127.0.0.1:{server.port}"], text=True, timeout=60,
                             capture_output=True, env={**os.environ, "TUTTI_BLOB_ENCRYPT": "yes"})
    assert refused.returncode != 0 and not key.exists()
    assert f'{key}" is gone' in refused.stderr and f'{server.data}/objects/sealed"' in refused.stderr
    away.rename(key)
    server.start()
    assert s3.get_object(Bucket="label", Key="before")["Body"].read() == body
    assert server.stop() == 0
    key.unlink()
    (server.data / "objects" / "sealed").unlink()  # as it says, for who has no backup
    server.start()
    s3.put_object(Bucket="label", Key="after", Body=body)
    assert s3.get_object(Bucket="label", Key="after")["Body"].read() == body


def test_a_damaged_object_is_not_sent(own_server):
    server = own_server(environment={"TUTTI_BLOB_ENCRYPT": "yes"})
    s3 = Key(server, "damaged").client()
    s3.create_bucket(Bucket="label")
    body = os.urandom(300_000)
    s3.put_object(Bucket="label", Key="key", Body=body)
    path = server.data / "objects" / "objects" / "label" / "key.obj"
    data = bytearray(path.read_bytes())
    data[150_000] ^= 1
    path.write_bytes(data)
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "label", "Key": "key"})
    assert requests.get(url, headers={"Range": "bytes=0-99999"}, timeout=10).content == body[:100_000]
    with pytest.raises(requests.exceptions.RequestException):
        requests.get(url, timeout=10).content
    data[-300] ^= 1
    path.write_bytes(data)
    assert requests.get(url, timeout=10).status_code == 500
