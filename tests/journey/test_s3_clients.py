"""The built-in store as its clients see it, each as it is installed and with its usual configuration: the AWS command
line and boto3 (which frame their bodies with checksums by default), s3cmd and rclone. What they do not do themselves
(raw requests, refusals) is in test_s3.py."""
import datetime
import filecmp
import hashlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import uuid

import boto3
import pytest
import requests

from conftest import Server
from s3_key import Key, checksum, code_of, put_chunked, refused, sign

MIB = 1024 * 1024
NAMES = ["plain", "a b/c+d.flac", "ü/ß %25 100%.txt", "deep/er/and/deeper", "empty", "~-._!*'()", "&=?#;,@$"]


@pytest.fixture(scope="module")
def store():
    """A server whose store also stands at the root of http://127.0.0.1:PORT (the other name is localhost)."""
    running = Server(environment={"TUTTI_BLOB_S3_HOST": "127.0.0.1"}).start()
    yield running
    running.done()


@pytest.fixture(scope="module")
def key(store):
    return Key(store, f"clients-{uuid.uuid4().hex[:8]}")


@pytest.fixture(scope="module")
def s3(key):
    """boto3 as it comes: only keys, a region and the endpoint are given."""
    return boto3.client("s3", endpoint_url=key.url, region_name="us-east-1", aws_access_key_id=key.id,
                        aws_secret_access_key=key.secret)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A folder of files with names that need care, one of them in parts and one empty."""
    root = tmp_path_factory.mktemp("tree")
    for number, name in enumerate(NAMES):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if name == "empty" else f"content {number}\n".encode() * (number + 1))
    (root / "big.wav").write_bytes(os.urandom(12 * MIB + 17))
    return root


def same(left, right):
    """True if both folders hold the same files with the same bytes."""
    names = {path.relative_to(left) for path in left.rglob("*") if path.is_file()}
    return names == {path.relative_to(right) for path in right.rglob("*") if path.is_file()} and \
        all(filecmp.cmp(left / name, right / name, shallow=False) for name in names)


def run(command, environment=None, check=True):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60,
                          env={**clean, **(environment or {})})
    assert not check or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def aws(key, tmp_path_factory):
    """The AWS command line, as configured by its four environment variables."""
    program = pathlib.Path(sys.executable).parent / "aws"
    home = tmp_path_factory.mktemp("aws")
    environment = {"AWS_ACCESS_KEY_ID": key.id, "AWS_SECRET_ACCESS_KEY": key.secret, "HOME": str(home),
                   "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": key.url}
    return lambda *arguments, **options: run([program, *arguments], environment, **options).stdout


@pytest.fixture(scope="module", params=["at the root", "below /s3"])
def s3cmd(request, key, store, tmp_path_factory):
    """s3cmd: by the host of the store alone, and by a host with a path."""
    host = f"127.0.0.1:{store.port}" if request.param == "at the root" else f"localhost:{store.port}/s3"
    file = tmp_path_factory.mktemp("s3cmd") / "s3cfg"
    file.write_text(f"[default]\naccess_key = {key.id}\nsecret_key = {key.secret}\nhost_base = {host}\n"
                    f"host_bucket = {host}\nuse_https = False\n")
    return lambda *arguments, **options: run(["s3cmd", "-c", file, "--no-progress", *arguments], **options).stdout


@pytest.fixture(scope="module")
def rclone(key, tmp_path_factory):
    file = tmp_path_factory.mktemp("rclone") / "rclone.conf"
    file.write_text(f"[store]\ntype = s3\nprovider = Other\naccess_key_id = {key.id}\nsecret_access_key = {key.secret}\n"
                    f"endpoint = {key.url}\n")
    return lambda *arguments, **options: run(["rclone", "--config", file, *arguments], **options).stdout


# The AWS command line.

def test_aws_moves_a_tree_there_and_back(aws, s3, tree, tmp_path):
    name = f"aws-{uuid.uuid4().hex[:8]}"
    aws("s3", "mb", f"s3://{name}")
    aws("s3", "sync", "--only-show-errors", tree, f"s3://{name}/tree")
    assert "" == aws("s3", "sync", tree, f"s3://{name}/tree")  # nothing is left to do
    listed = aws("s3", "ls", "--recursive", f"s3://{name}/tree/")
    assert sorted(line.split(None, 3)[3] for line in listed.splitlines()) == sorted(f"tree/{n}" for n in [*NAMES, "big.wav"])
    aws("s3", "cp", "--recursive", "--only-show-errors", f"s3://{name}/tree", f"s3://{name}/copy")  # CopyObject, UploadPartCopy
    aws("s3", "mv", "--only-show-errors", f"s3://{name}/copy/plain", f"s3://{name}/copy/moved")
    aws("s3", "mv", "--only-show-errors", f"s3://{name}/copy/moved", f"s3://{name}/copy/plain")
    aws("s3", "cp", "--recursive", "--only-show-errors", f"s3://{name}/copy", tmp_path / "back")
    assert same(tree, tmp_path / "back")
    part = tmp_path / "part"
    aws("s3api", "get-object", "--bucket", name, "--key", "tree/big.wav", "--range", "bytes=5000000-5000009", part)
    assert part.read_bytes() == (tree / "big.wav").read_bytes()[5000000:5000010]
    aws("s3", "rb", "--force", f"s3://{name}")
    assert name not in [entry["Name"] for entry in s3.list_buckets()["Buckets"]]


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_aws_checksums(aws, s3, bucket, tree, algorithm):
    aws("s3", "cp", "--only-show-errors", "--checksum-algorithm", algorithm, tree / "plain", f"s3://{bucket}/small")
    aws("s3", "cp", "--only-show-errors", "--checksum-algorithm", algorithm, tree / "big.wav", f"s3://{bucket}/big")
    assert s3.get_object(Bucket=bucket, Key="big")["Body"].read() == (tree / "big.wav").read_bytes()


def test_aws_keeps_what_is_said_of_an_object(aws, bucket, tree):
    aws("s3", "cp", "--only-show-errors", "--metadata", "artist=Kate,Year=1985", "--content-type", "audio/x-test",
        "--content-disposition", "attachment; filename=x", "--content-language", "de", "--content-encoding", "gzip",
        "--cache-control", "max-age=7", tree / "big.wav", f"s3://{bucket}/o")
    for key in ("o", "copy"):
        head = json.loads(aws("s3api", "head-object", "--bucket", bucket, "--key", key))
        assert head["Metadata"] == {"artist": "Kate", "year": "1985"}
        assert (head["ContentType"], head["ContentDisposition"], head["ContentLanguage"], head["ContentEncoding"],
                head["CacheControl"]) == ("audio/x-test", "attachment; filename=x", "de", "gzip", "max-age=7")
        aws("s3api", "copy-object", "--bucket", bucket, "--key", "copy", "--copy-source", f"{bucket}/o")
    aws("s3api", "copy-object", "--bucket", bucket, "--key", "copy", "--copy-source", f"{bucket}/o",
        "--metadata-directive", "REPLACE", "--metadata", "new=1", "--content-type", "text/plain")
    head = json.loads(aws("s3api", "head-object", "--bucket", bucket, "--key", "copy"))
    assert head["Metadata"] == {"new": "1"} and head["ContentType"] == "text/plain" and "ContentLanguage" not in head


# s3cmd.

def test_s3cmd_moves_a_tree_there_and_back(s3cmd, tree, tmp_path):
    name = f"s3cmd-{uuid.uuid4().hex[:8]}"
    s3cmd("mb", f"s3://{name}")
    s3cmd("sync", "--multipart-chunk-size-mb=5", f"{tree}/", f"s3://{name}/tree/")
    again = s3cmd("sync", f"{tree}/", f"s3://{name}/tree/")
    assert "upload:" not in again
    assert f"s3://{name}/tree/a b/c+d.flac" in s3cmd("la", "--recursive") + s3cmd("ls", "--recursive", f"s3://{name}")
    (tmp_path / "back").mkdir()
    s3cmd("sync", f"s3://{name}/tree/", f"{tmp_path}/back/")
    assert same(tree, tmp_path / "back")
    s3cmd("cp", f"s3://{name}/tree/big.wav", f"s3://{name}/tree/copy")
    s3cmd("modify", "--add-header=x-amz-meta-note: kept", f"s3://{name}/tree/copy")
    s3cmd("mv", f"s3://{name}/tree/copy", f"s3://{name}/moved")
    told = s3cmd("info", f"s3://{name}/moved")
    assert f"File size: {12 * MIB + 17}" in told and "x-amz-meta-note: kept" in told
    s3cmd("get", f"s3://{name}/moved", tmp_path / "moved")
    assert filecmp.cmp(tree / "big.wav", tmp_path / "moved", shallow=False)
    assert "Initiated" in s3cmd("multipart", f"s3://{name}")
    s3cmd("del", "--recursive", "--force", f"s3://{name}/tree/")
    s3cmd("rb", "--force", "--recursive", f"s3://{name}")
    assert name not in s3cmd("ls")


# rclone.

def test_rclone_moves_a_tree_there_and_back(rclone, tree, tmp_path):
    name = f"rclone-{uuid.uuid4().hex[:8]}"
    parts = ("--s3-upload-cutoff", "5M", "--s3-chunk-size", "5M", "--s3-copy-cutoff", "5M")
    os.utime(tree / "plain", ns=(0, 1577836800_123456789))
    rclone("mkdir", f"store:{name}")
    rclone("sync", *parts, tree, f"store:{name}/tree")
    rclone("check", tree, f"store:{name}/tree")
    assert "2020-01-01 00:00:00.123456789 plain" in rclone("lsl", f"store:{name}/tree")  # times are user metadata
    os.utime(tree / "plain", ns=(0, 1609459200_000000000))
    rclone("sync", *parts, tree, f"store:{name}/tree")
    assert "2021-01-01 00:00:00.000000000 plain" in rclone("lsl", f"store:{name}/tree")  # by a copy onto itself
    rclone("copy", *parts, f"store:{name}/tree", f"store:{name}/copy")
    rclone("sync", f"store:{name}/copy", tmp_path / "back")
    assert same(tree, tmp_path / "back")
    assert rclone("cat", "--offset", "8", "--count", "3", f"store:{name}/tree/plain") == "0\n"
    rclone("cleanup", f"store:{name}")
    rclone("purge", f"store:{name}")
    assert name not in rclone("lsd", "store:")


# boto3 as it comes.

@pytest.mark.parametrize("name", NAMES)
def test_boto3_takes_any_key(s3, bucket, name):
    body = b"" if name == "empty" else name.encode()
    s3.put_object(Bucket=bucket, Key=name, Body=body, Metadata={"name": "x"}, ContentType="audio/flac")
    got = s3.get_object(Bucket=bucket, Key=name)
    assert (got["Body"].read(), got["Metadata"], got["ContentType"]) == (body, {"name": "x"}, "audio/flac")
    s3.copy_object(Bucket=bucket, Key=name + ".copy", CopySource={"Bucket": bucket, "Key": name})
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=name)["Contents"]
    assert [entry["Key"] for entry in listed] == [name, name + ".copy"]
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": name}, {"Key": name + ".copy"}]})
    assert sorted(entry["Key"] for entry in deleted["Deleted"]) == sorted([name, name + ".copy"])
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_many_are_deleted_at_once(s3, bucket):
    for number in range(5):
        s3.put_object(Bucket=bucket, Key=f"k{number}", Body=b"x")
    names = [{"Key": f"k{number}"} for number in range(1000)]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": names})
    assert len(answer["Deleted"]) == 1000 and "Errors" not in answer
    s3.put_object(Bucket=bucket, Key="v", Body=b"x")
    answer = s3.delete_objects(Bucket=bucket, Delete={"Quiet": True, "Objects": [
        {"Key": "v", "VersionId": "1"}, {"Key": "gone"}]})
    assert "Deleted" not in answer and [(e["Key"], e["Code"]) for e in answer["Errors"]] == [("v", "NotImplemented")]
    assert refused(s3.delete_objects, Bucket=bucket, Delete={"Objects": [*names, {"Key": "one"}]}) == ("MalformedXML", 400)
    assert refused(s3.delete_objects, Bucket="no-such-bucket", Delete={"Objects": [{"Key": "v"}]}) == ("NoSuchBucket", 404)


def test_parts_copied_from_other_objects(s3, bucket):
    body = os.urandom(7 * MIB)
    etag = s3.put_object(Bucket=bucket, Key="source", Body=body)["ETag"]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="joined", Metadata={"k": "v"})["UploadId"]
    at = {"Bucket": bucket, "Key": "joined", "UploadId": upload}
    source = {"CopySource": {"Bucket": bucket, "Key": "source"}}
    first = s3.upload_part_copy(**at, PartNumber=1, **source, CopySourceIfMatch=etag)["CopyPartResult"]["ETag"]
    second = s3.upload_part_copy(**at, PartNumber=2, **source, CopySourceRange="bytes=1000-1999")["CopyPartResult"]["ETag"]
    assert second == f'"{hashlib.md5(body[1000:2000]).hexdigest()}"'
    assert refused(s3.upload_part_copy, **at, PartNumber=3, **source, CopySourceRange=f"bytes=0-{7 * MIB}") == \
        ("InvalidArgument", 400)
    assert refused(s3.upload_part_copy, **at, PartNumber=3, **source, CopySourceIfMatch='"x"') == ("PreconditionFailed", 412)
    assert refused(s3.upload_part_copy, **at, PartNumber=3, CopySource=f"{bucket}/none") == ("NoSuchKey", 404)
    assert refused(s3.upload_part_copy, **at, PartNumber=3, CopySource="media/m/1/1/original.flac") == ("AccessDenied", 403)
    listed = s3.list_multipart_uploads(Bucket=bucket, Prefix="join")["Uploads"]
    assert [(entry["Key"], entry["UploadId"]) for entry in listed] == [("joined", upload)]
    s3.complete_multipart_upload(**at, MultipartUpload={"Parts": [
        {"PartNumber": 1, "ETag": first}, {"PartNumber": 2, "ETag": second}]})
    got = s3.get_object(Bucket=bucket, Key="joined")
    assert got["Body"].read() == body + body[1000:2000] and got["Metadata"] == {"k": "v"}
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_uploads_are_listed_in_pages(s3, bucket):
    begun = sorted((f"k{number % 3}", s3.create_multipart_upload(Bucket=bucket, Key=f"k{number % 3}")["UploadId"])
                   for number in range(7))
    for size in (1, 3, 1000):
        pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, PaginationConfig={"PageSize": size})
        assert [(entry["Key"], entry["UploadId"]) for page in pages for entry in page.get("Uploads", [])] == begun


def test_a_write_wants_what_it_read(s3, bucket):
    old = s3.put_object(Bucket=bucket, Key="c", Body=b"1", IfNoneMatch="*")["ETag"]
    assert refused(s3.put_object, Bucket=bucket, Key="c", Body=b"2", IfNoneMatch="*") == ("PreconditionFailed", 412)
    new = s3.put_object(Bucket=bucket, Key="c", Body=b"2", IfMatch=old)["ETag"]
    assert refused(s3.put_object, Bucket=bucket, Key="c", Body=b"3", IfMatch=old) == ("PreconditionFailed", 412)
    assert refused(s3.put_object, Bucket=bucket, Key="none", Body=b"3", IfMatch=old) == ("NoSuchKey", 404)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="c")["UploadId"]
    at = {"Bucket": bucket, "Key": "c", "UploadId": upload}
    parts = {"MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": s3.upload_part(**at, PartNumber=1, Body=b"mp")["ETag"]}]}}
    assert refused(s3.complete_multipart_upload, **at, **parts, IfNoneMatch="*") == ("PreconditionFailed", 412)
    s3.complete_multipart_upload(**at, **parts, IfMatch=new)
    assert s3.get_object(Bucket=bucket, Key="c")["Body"].read() == b"mp"
    assert s3.get_object(Bucket=bucket, Key="c", IfNoneMatch=new)["Body"].read() == b"mp"
    assert refused(s3.get_object, Bucket=bucket, Key="c", IfMatch=new)[1] == 412


def test_metadata_has_a_bound(s3, bucket):
    s3.put_object(Bucket=bucket, Key="m", Body=b"", Metadata={"k": "v" * 2047})
    assert s3.head_object(Bucket=bucket, Key="m")["Metadata"] == {"k": "v" * 2047}
    assert refused(s3.put_object, Bucket=bucket, Key="m", Body=b"", Metadata={"k": "v" * 2048}) == ("MetadataTooLarge", 400)


def test_sizes_by_number(key, s3, bucket):
    """What is too large is refused by its header, before a byte of it is sent."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key="n")["UploadId"]
    most, presign = 5 * 1024 ** 3, key.client().generate_presigned_url
    part = {"Bucket": bucket, "Key": "n", "UploadId": upload, "PartNumber": 1}
    for size, word in ((most + 1, "EntityTooLarge"), (2 ** 63, None)):
        for url in (presign("put_object", Params={"Bucket": bucket, "Key": "n"}), presign("upload_part", Params=part)):
            host, path = re.fullmatch("http://([^/]+)(/.*)", url).groups()
            answer = raw(host, f"PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n")
            assert answer.startswith("HTTP/1.1 400") or answer.startswith("HTTP/1.1 413"), answer
            assert word is None or f"<Code>{word}</Code>" in answer
    for number in (0, 10001, -1, "x"):
        headers, *_ = sign(key, "PUT", f"/s3/{bucket}/n", {}, hashlib.sha256(b"").hexdigest(),
                           query={"partNumber": str(number), "uploadId": upload})
        answer = requests.put(f"{key.url}/{bucket}/n", params={"partNumber": number, "uploadId": upload}, headers=headers,
                              timeout=10)
        assert (answer.status_code, code_of(answer)) == (400, "InvalidArgument")
    empty = s3.upload_part(Bucket=bucket, Key="n", UploadId=upload, PartNumber=1, Body=b"")["ETag"]
    s3.complete_multipart_upload(Bucket=bucket, Key="n", UploadId=upload,
                                 MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": empty}]})
    assert s3.head_object(Bucket=bucket, Key="n")["ContentLength"] == 0


def raw(host, text):
    name, port = host.split(":")
    with socket.create_connection((name, int(port)), timeout=10) as line:
        line.sendall(text.encode())
        answer = b""
        while more := line.recv(65536):
            answer += more
    return answer.decode()


def test_buckets_come_and_go(s3):
    name = f"go-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="deep/key", Body=b"x")
    assert refused(s3.delete_bucket, Bucket=name) == ("BucketNotEmpty", 409)
    s3.delete_object(Bucket=name, Key="deep/key")
    s3.delete_bucket(Bucket=name)
    assert refused(s3.delete_bucket, Bucket=name) == ("NoSuchBucket", 404)
    assert refused(s3.head_bucket, Bucket=name)[1] == 404


def test_tuttis_own_buckets_are_not_there_for_outside_keys(s3, bucket):
    denied = ("AccessDenied", 403)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert {"media", "uploads"}.isdisjoint(entry["Name"] for entry in s3.list_buckets()["Buckets"])
    for own in ("media", "uploads"):
        assert refused(s3.list_objects_v2, Bucket=own) == denied
        assert refused(s3.get_object, Bucket=own, Key="x") == denied
        assert refused(s3.put_object, Bucket=own, Key="x", Body=b"x") == denied
        assert refused(s3.delete_objects, Bucket=own, Delete={"Objects": [{"Key": "x"}]}) == denied
        assert refused(s3.delete_bucket, Bucket=own) == denied
        assert refused(s3.list_multipart_uploads, Bucket=own) == denied
        assert refused(s3.create_multipart_upload, Bucket=own, Key="x") == denied
        assert refused(s3.copy_object, Bucket=bucket, Key="x", CopySource=f"{own}/x") == denied
        assert refused(s3.copy_object, Bucket=own, Key="x", CopySource=f"{bucket}/k") == denied
        assert refused(s3.head_bucket, Bucket=own)[1] == 403


@pytest.mark.parametrize("kind", ["crc32", "crc32c", "crc64nvme", "sha1", "sha256", "sha512", "md5"])
@pytest.mark.parametrize("form", ["header", "trailer", "signed trailer"])
def test_every_checksum_in_every_form(key, s3, bucket, kind, form):
    payload = os.urandom(70_000)
    for right in (True, False):
        sum_ = checksum(kind, payload if right else payload + b"x")
        name = f"x-amz-checksum-{kind}"
        path = f"/s3/{bucket}/{'good' if right else 'bad'}"
        if form == "header":
            headers, *_ = sign(key, "PUT", path, {name: sum_}, hashlib.sha256(payload).hexdigest())
            answer = requests.put(key.url[:-3] + path, data=payload, headers=headers, timeout=20)
        elif form == "trailer":
            headers, *_ = sign(key, "PUT", path, {"x-amz-decoded-content-length": str(len(payload)), "x-amz-trailer": name,
                                                  "content-encoding": "aws-chunked"}, "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
            body = f"{len(payload):x}\r\n".encode() + payload + f"\r\n0\r\n{name}:{sum_}\r\n\r\n".encode()
            answer = requests.put(key.url[:-3] + path, data=body, headers=headers, timeout=20)
        else:
            answer = put_chunked(key, path, [payload[:65536], payload[65536:]], trailer=(name, sum_))
        assert answer.status_code == (200 if right else 400), answer.text
        assert answer.headers[name] == sum_ if right else code_of(answer) == "BadDigest"
    assert s3.get_object(Bucket=bucket, Key="good")["Body"].read() == payload
    assert "ContentEncoding" not in s3.head_object(Bucket=bucket, Key="good")
    assert refused(s3.get_object, Bucket=bucket, Key="bad") == ("NoSuchKey", 404)


def test_urls_that_clients_sign_by_default(aws, s3cmd, s3, bucket):
    """Version 2, for two of them."""
    body = os.urandom(1000)
    s3.put_object(Bucket=bucket, Key="a b/ü.bin", Body=body)
    at = {"Bucket": bucket, "Key": "a b/ü.bin"}
    urls = [aws("s3", "presign", f"s3://{bucket}/a b/ü.bin").strip(), s3.generate_presigned_url("get_object", Params=at),
            s3cmd("signurl", f"s3://{bucket}/a b/ü.bin", "+60").strip()]
    for url in urls:
        assert requests.get(url, timeout=10).content == body, url
        assert requests.get(url, headers={"Range": "bytes=5-9"}, timeout=10).content == body[5:10]
        for method, changed, word in (
                ("GET", re.sub(r"/a%20b/", "/other/", url), "SignatureDoesNotMatch"), ("PUT", url, "SignatureDoesNotMatch"),
                ("GET", re.sub(r"Expires=(\d+)", r"Expires=1\1", url), "SignatureDoesNotMatch"),
                ("GET", url + "&response-content-type=text/html", "SignatureDoesNotMatch"),
                ("GET", re.sub(r"AWSAccessKeyId=\w+", "AWSAccessKeyId=NOBODY", url), "InvalidAccessKeyId")):
            answer = requests.request(method, changed, timeout=10)
            assert (answer.status_code, code_of(answer)) == (403, word), changed
    put = s3.generate_presigned_url("put_object", Params=at)
    copied = requests.put(put, headers={"x-amz-copy-source": f"{bucket}/other"}, timeout=10)
    assert copied.status_code == 403 and "not signed" in copied.text
    assert requests.put(put, data=b"new", timeout=10).status_code == 200
    assert s3.get_object(**at)["Body"].read() == b"new"
    part = s3.create_multipart_upload(**at)["UploadId"]
    url = s3.generate_presigned_url("upload_part", Params={**at, "UploadId": part, "PartNumber": 1})
    assert requests.put(url.replace("partNumber=1", "partNumber=2"), data=b"x", timeout=10).status_code == 403
    assert requests.put(url, data=b"x", timeout=10).status_code == 200
    stale = s3.generate_presigned_url("get_object", Params=at, ExpiresIn=-5)
    answer = requests.get(stale, timeout=10)
    assert answer.status_code == 403 and "expired" in answer.text
    shown = requests.get(s3.generate_presigned_url("get_object", Params={**at, "ResponseContentType": "text/x"}), timeout=10)
    assert shown.status_code == 200 and shown.headers["Content-Type"] == "text/x"


@pytest.mark.parametrize("version", ["4", "as it comes"])
def test_a_signed_type_binds(key, s3, bucket, version):
    """As it comes, boto3 signs addresses by version 2 and says the type in the query, too."""
    signer = key.client() if version == "4" else s3
    url = signer.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "t", "ContentType": "audio/flac"})
    for headers, status in (({"Content-Type": "text/html"}, 403), ({}, 403), ({"Content-Type": "audio/flac"}, 200)):
        answer = requests.put(url, data=b"x", headers=headers, timeout=10)
        assert answer.status_code == status, answer.text
        assert status == 200 or code_of(answer) == "SignatureDoesNotMatch"
    assert signer.head_object(Bucket=bucket, Key="t")["ContentType"] == "audio/flac"


def test_clocks(key, s3, bucket):
    now = datetime.datetime.now(datetime.timezone.utc)
    for minutes, word in ((-16, "RequestTimeTooSkewed"), (16, "RequestTimeTooSkewed"), (-14, None), (14, None)):
        headers, *_ = sign(key, "GET", f"/s3/{bucket}", {}, hashlib.sha256(b"").hexdigest(),
                           when=now + datetime.timedelta(minutes=minutes))
        answer = requests.get(f"{key.url}/{bucket}", headers=headers, timeout=10)
        assert answer.status_code == (403 if word else 200)
        assert word is None or code_of(answer) == word
