"""The built-in store as an S3 client sees it: boto3 with an outside key, and raw requests for what boto3 never
does (chunked bodies over plain HTTP, tampered and stale signatures)."""
import base64
import datetime
import hashlib
import http.client
import io
import os
import pathlib
import re
import socket
import time
import uuid
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from conftest import OBJECTS, PATIENCE_S, SANITIZED
from s3_key import Key, code_of, put_chunked, refused, sign

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def key(server):
    return Key(server, f"journey-{uuid.uuid4().hex[:8]}")


@pytest.mark.parametrize("name", ["plain", "a b/ü+&=?#'\".flac", "deep/er/and/deeper", "a//b", "trailing/", "~-._"])
def test_an_object_comes_back_as_it_was_put(s3, bucket, name):
    put = s3.put_object(Bucket=bucket, Key=name, Body=b"hello", ContentType="text/plain", CacheControl="max-age=7")
    assert put["ETag"] == '"5d41402abc4b2a76b9719d911017c592"'
    got = s3.get_object(Bucket=bucket, Key=name)
    assert got["Body"].read() == b"hello"
    assert (got["ContentType"], got["CacheControl"], got["ETag"]) == ("text/plain", "max-age=7", put["ETag"])
    assert s3.head_object(Bucket=bucket, Key=name)["ContentLength"] == 5
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [name]
    s3.delete_object(Bucket=bucket, Key=name)
    s3.delete_object(Bucket=bucket, Key=name)
    assert refused(s3.get_object, Bucket=bucket, Key=name) == ("NoSuchKey", 404)


def test_ranges_and_conditions(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")["ETag"]
    for range_, expected in (("bytes=0-3", b"0123"), ("bytes=7-", b"789"), ("bytes=-2", b"89"), ("bytes=5-99", b"56789")):
        got = s3.get_object(Bucket=bucket, Key="k", Range=range_)
        assert got["Body"].read() == expected and got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert refused(s3.get_object, Bucket=bucket, Key="k", Range="bytes=10-") == ("InvalidRange", 416)
    assert refused(s3.get_object, Bucket=bucket, Key="k", IfNoneMatch=etag)[1] == 304
    assert refused(s3.get_object, Bucket=bucket, Key="k", IfMatch='"other"')[1] == 412
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"x", IfNoneMatch="*") == ("PreconditionFailed", 412)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"0123456789"


def test_only_one_of_many_wins_a_conditional_put(key, bucket):
    def put(number):
        try:
            key.client().put_object(Bucket=bucket, Key="won", Body=str(number).encode(), IfNoneMatch="*")
            return number
        except ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailed"

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(put, range(16)) if number is not None]
    assert len(winners) == 1
    assert key.client().get_object(Bucket=bucket, Key="won")["Body"].read() == str(winners[0]).encode()


def test_bodies_are_compared_with_their_digests(s3, bucket):
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    assert refused(s3.put_object, Bucket=bucket, Key="d", Body=b"x", ContentMD5=wrong) == ("BadDigest", 400)
    assert refused(s3.put_object, Bucket=bucket, Key="d", Body=b"x", ContentMD5="no") == ("InvalidDigest", 400)
    assert refused(s3.put_object, Bucket=bucket, Key="d", Body=b"x", ChecksumCRC32="AAAAAA==") == ("BadDigest", 400)
    assert refused(s3.get_object, Bucket=bucket, Key="d") == ("NoSuchKey", 404)
    for algorithm in ("CRC32", "SHA1", "SHA256"):
        s3.put_object(Bucket=bucket, Key="d", Body=os.urandom(300_000), ChecksumAlgorithm=algorithm)


def test_listing_pages_in_byte_order(s3, bucket):
    names = [f"{folder}/{number:02}" for folder in "abc" for number in range(7)] + ["a", "a!", "root", "zö"]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: s3.put_object(Bucket=bucket, Key=name, Body=b"x"), names))

    def walk(operation, **arguments):
        pages = s3.get_paginator(operation).paginate(Bucket=bucket, **arguments)
        keys, prefixes = [], []
        for page in pages:
            keys += [entry["Key"] for entry in page.get("Contents", [])]
            prefixes += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
        return keys, prefixes

    ordered = sorted(names, key=str.encode)
    for operation in ("list_objects_v2", "list_objects"):
        for size in (1, 4, 1000):
            assert walk(operation, PaginationConfig={"PageSize": size}) == (ordered, [])
            assert walk(operation, Delimiter="/", PaginationConfig={"PageSize": size}) == \
                (["a", "a!", "root", "zö"], ["a/", "b/", "c/"])
            assert walk(operation, Prefix="b/0", PaginationConfig={"PageSize": size}) == \
                ([name for name in ordered if name.startswith("b/0")], [])
    assert s3.list_objects_v2(Bucket=bucket, StartAfter="b/03", MaxKeys=1)["Contents"][0]["Key"] == "b/04"
    page = s3.list_objects_v2(Bucket=bucket, MaxKeys=3)
    assert page["IsTruncated"] and page["KeyCount"] == 3
    assert refused(s3.list_objects_v2, Bucket=bucket, ContinuationToken="*") == ("InvalidArgument", 400)


def test_a_multipart_upload(s3, bucket):
    body = os.urandom(13 * MIB)
    s3.upload_fileobj(io.BytesIO(body), bucket, "big", ExtraArgs={"ContentType": "audio/flac"},
                      Config=TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB))
    got = s3.get_object(Bucket=bucket, Key="big")
    assert got["Body"].read() == body
    assert got["ContentType"] == "audio/flac"
    parts = b"".join(hashlib.md5(body[at:at + 5 * MIB]).digest() for at in range(0, len(body), 5 * MIB))
    assert got["ETag"] == f'"{hashlib.md5(parts).hexdigest()}-3"'


def test_multipart_refusals(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="mp")["UploadId"]
    at = {"Bucket": bucket, "Key": "mp", "UploadId": upload}
    etags = {number: s3.upload_part(**at, PartNumber=number, Body=b"x" * 10)["ETag"] for number in (1, 2, 7)}
    listed = s3.list_parts(**at, MaxParts=2)
    assert [part["PartNumber"] for part in listed["Parts"]] == [1, 2] and listed["IsTruncated"]
    assert [p["PartNumber"] for p in s3.list_parts(**at, PartNumberMarker=2)["Parts"]] == [7]

    def complete(*numbers, etag=None, where=at):
        parts = [{"PartNumber": number, "ETag": etag or etags[number]} for number in numbers]
        return refused(s3.complete_multipart_upload, **where, MultipartUpload={"Parts": parts})

    # Ceph, below our store, wants every part that it has, and says so first.
    assert complete(1, 2) == ("EntityTooSmall" if OBJECTS == "file" else "InvalidPart", 400)
    assert complete(2, 1) == ("InvalidPartOrder", 400)
    assert complete(1, etag='"' + "0" * 32 + '"') == ("InvalidPart", 400)
    assert complete(1, where={**at, "UploadId": "0" * 32}) == ("NoSuchUpload", 404)
    assert complete(1, where={**at, "Key": "other"}) == ("NoSuchUpload", 404)
    assert refused(s3.upload_part, **at, PartNumber=10001, Body=b"x") == ("InvalidArgument", 400)
    s3.abort_multipart_upload(**at)
    assert refused(s3.abort_multipart_upload, **at) == ("NoSuchUpload", 404)
    assert refused(s3.upload_part, **at, PartNumber=1, Body=b"x") == ("NoSuchUpload", 404)


def test_an_upload_goes_on_after_a_kill(own_server):
    server = own_server()
    key = Key(server, "killed")
    s3 = key.client()
    s3.create_bucket(Bucket="label")
    upload = s3.create_multipart_upload(Bucket="label", Key="mp")["UploadId"]
    at = {"Bucket": "label", "Key": "mp", "UploadId": upload}
    body = os.urandom(6 * MIB)
    first = s3.upload_part(**at, PartNumber=1, Body=body[:5 * MIB])["ETag"]
    server.kill()
    server.start()
    assert [part["ETag"] for part in s3.list_parts(**at)["Parts"]] == [first]
    second = s3.upload_part(**at, PartNumber=2, Body=body[5 * MIB:])["ETag"]
    parts = [{"PartNumber": 1, "ETag": first}, {"PartNumber": 2, "ETag": second}]
    for _ in range(2):  # a client whose answer was lost asks again
        s3.complete_multipart_upload(**at, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket="label", Key="mp")["Body"].read() == body


def test_copying(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="from ü", Body=b"master", ContentType="audio/flac")["ETag"]
    copy = s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "from ü"}, CopySourceIfMatch=etag)
    assert copy["CopyObjectResult"]["ETag"] == etag
    s3.put_object(Bucket=bucket, Key="from ü", Body=b"other")
    got = s3.get_object(Bucket=bucket, Key="to")
    assert got["Body"].read() == b"master" and got["ContentType"] == "audio/flac"
    assert refused(s3.copy_object, Bucket=bucket, Key="of", CopySource=f"{bucket}/to", CopySourceIfMatch='"x"') == \
        ("PreconditionFailed", 412)
    assert refused(s3.copy_object, Bucket=bucket, Key="to", CopySource=f"{bucket}/to") == ("InvalidRequest", 400)
    assert refused(s3.copy_object, Bucket=bucket, Key="to", CopySource=f"{bucket}/none") == ("NoSuchKey", 404)


def test_media_is_nobodys(s3, bucket, key):
    denied = ("AccessDenied", 403)
    assert "media" not in [entry["Name"] for entry in s3.list_buckets()["Buckets"]]
    assert refused(s3.get_object, Bucket="media", Key="m/1/1/original.flac") == denied
    assert refused(s3.put_object, Bucket="media", Key="x", Body=b"x") == denied
    assert refused(s3.list_objects_v2, Bucket="media") == denied
    assert refused(s3.delete_object, Bucket="media", Key="x") == denied
    assert refused(s3.create_multipart_upload, Bucket="media", Key="x") == denied
    assert refused(s3.copy_object, Bucket=bucket, Key="x", CopySource="media/m/1/1/original.flac") == denied
    assert refused(s3.create_bucket, Bucket="media") == denied
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "media", "Key": "x"})
    assert requests.get(url, timeout=10).status_code == 403


def test_buckets(s3, bucket):
    assert bucket in [entry["Name"] for entry in s3.list_buckets()["Buckets"]]
    s3.head_bucket(Bucket=bucket)
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None  # us-east-1
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert refused(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}) == \
        ("NotImplemented", 501)
    assert refused(s3.create_bucket, Bucket=bucket) == ("BucketAlreadyOwnedByYou", 409)
    assert refused(s3.put_object, Bucket="no-such-bucket", Key="x", Body=b"x") == ("NoSuchBucket", 404)
    assert refused(s3.head_bucket, Bucket="no-such-bucket")[1] == 404
    assert refused(s3.get_object_acl, Bucket=bucket, Key="x") == ("NotImplemented", 501)


def test_promises_that_are_not_kept_are_refused(s3, bucket):
    no = ("NotImplemented", 501)
    for more in ({"ServerSideEncryption": "AES256"}, {"Tagging": "a=b"}, {"WebsiteRedirectLocation": "/x"},
                 {"ACL": "public-read"}, {"GrantRead": "id=x"}):
        assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"x", **more) == no
        assert refused(s3.create_multipart_upload, Bucket=bucket, Key="k", **more) == no
        assert refused(s3.copy_object, Bucket=bucket, Key="k", CopySource=f"{bucket}/k", **more) == no
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="private")
    assert refused(s3.create_bucket, Bucket=f"{bucket}-open", ACL="public-read-write") == no


def test_bad_keys(key, bucket, s3):
    assert refused(key.client(secret="0" * 40).list_buckets) == ("SignatureDoesNotMatch", 403)
    assert refused(key.client(key_id="A" * 20).list_buckets) == ("InvalidAccessKeyId", 403)
    answer = requests.get(f"{key.url}/{bucket}/x", timeout=10)
    assert answer.status_code == 403 and code_of(answer) == "AccessDenied"
    assert "<RequestId>" in answer.text and answer.headers["Content-Type"] == "application/xml"
    bearer = requests.get(f"{key.url}/{bucket}/x", headers={"Authorization": "Bearer x"}, timeout=10)
    assert bearer.status_code == 400 and code_of(bearer) == "InvalidRequest"


def test_presigned_urls(s3, bucket):
    at = {"Bucket": bucket, "Key": "pre signed"}
    put = s3.generate_presigned_url("put_object", Params=at, ExpiresIn=60)
    get = s3.generate_presigned_url("get_object", Params=at, ExpiresIn=60)
    assert requests.put(put, data=b"body", timeout=10).headers["ETag"]
    assert requests.get(get, timeout=10).content == b"body"
    assert requests.get(get, headers={"Range": "bytes=1-2"}, timeout=10).content == b"od"
    for tampered in (get.replace("pre", "per"), get + "0", get[:-1] + ("0" if get[-1] != "0" else "1"),
                     get.replace("X-Amz-Expires=60", "X-Amz-Expires=600"), put):
        answer = requests.get(tampered, timeout=10)
        assert answer.status_code == 403 and code_of(answer) == "SignatureDoesNotMatch", tampered
    assert requests.delete(get, timeout=10).status_code == 403
    short = s3.generate_presigned_url("get_object", Params=at, ExpiresIn=1)
    time.sleep(2.1)
    stale = requests.get(short, timeout=10)
    assert stale.status_code == 403 and "expired" in stale.text


def test_a_body_begun_in_time_may_end_later(s3, bucket):
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "slow"}, ExpiresIn=2)

    def halves():
        yield b"x" * MIB
        time.sleep(3.1)
        yield b"y" * MIB

    line = http.client.HTTPConnection(url.split("/")[2], timeout=20)
    line.request("PUT", url, halves(), {"Content-Length": str(2 * MIB)})
    answer = line.getresponse()
    assert answer.status == 200, answer.read()
    line.close()
    assert s3.get_object(Bucket=bucket, Key="slow")["Body"].read() == b"x" * MIB + b"y" * MIB
    assert requests.put(url, data=b"late", timeout=10).status_code == 403


def test_a_url_signed_for_another_host(key, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    elsewhere = Key.__new__(Key)
    elsewhere.id, elsewhere.secret, elsewhere.url = key.id, key.secret, "http://elsewhere.example.org/s3"
    url = elsewhere.client().generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    answer = requests.get(url.replace(elsewhere.url, key.url), timeout=10)
    assert answer.status_code == 403 and code_of(answer) == "SignatureDoesNotMatch"


def test_browsers_may_use_signed_urls(s3, bucket):
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "page"})
    asked = requests.options(url, headers={"Origin": "https://studio.example", "Access-Control-Request-Method": "PUT",
                                           "Access-Control-Request-Headers": "content-type"}, timeout=10)
    assert asked.status_code == 204 and asked.headers["Access-Control-Allow-Origin"] == "*"
    assert "PUT" in asked.headers["Access-Control-Allow-Methods"]
    answer = requests.put(url, data=b"x", headers={"Origin": "https://studio.example"}, timeout=10)
    assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
    denied = requests.put(url + "0", data=b"x", headers={"Origin": "https://studio.example"}, timeout=10)
    assert denied.status_code == 403 and denied.headers["Access-Control-Allow-Origin"] == "*"


def test_our_own_upload_urls_take_exactly_their_size(people):
    place = people.artist.get("/api/v1/tracks/upload-url", params={"filename": "a.flac", "size": 5})
    url = place.json()["uploadUrl"]
    for wrong in (b"four", b"sixsix", b""):
        assert requests.put(url, data=wrong, timeout=10).status_code == 403
    assert requests.put(url.replace("/uploads/", "/media/"), data=b"12345", timeout=10).status_code == 403
    assert requests.get(url, timeout=10).status_code == 403
    assert requests.put(url, data=b"12345", timeout=10).status_code == 200


@pytest.mark.skipif(OBJECTS != "file", reason="uploads go to the other store (test_objects.py)")
def test_nothing_is_added_to_our_own_urls(people, upload, s3, bucket):
    """An upload's URL must not copy another artist's master."""
    track = upload(title="A master", wait=False)
    source = f"/media/m/{track['id']}/1/original.flac"
    for query in ({"filename": "a.flac"}, {"filename": "a.flac", "size": 1}):
        url = people.artist.get("/api/v1/tracks/upload-url", params=query).json()["uploadUrl"]
        for headers in ({"x-amz-copy-source": source}, {"X-Amz-Copy-Source": source, "Content-Length": "0"}):
            answer = requests.put(url, headers=headers, timeout=10)
            assert answer.status_code == 403 and code_of(answer) in ("AccessDenied", "SignatureDoesNotMatch")
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "k"})
    answer = requests.put(url, data=b"", headers={"x-amz-copy-source": f"{bucket}/other"}, timeout=10)
    assert answer.status_code == 403 and "not signed" in answer.text


# What boto3 does only over TLS, or never.

def test_signed_chunks(key, s3, bucket):
    chunks = [os.urandom(65536), b"zz" * 5000, b"end"]
    path = f"/s3/{bucket}/chunked"
    assert put_chunked(key, path, chunks).status_code == 200
    assert s3.get_object(Bucket=bucket, Key="chunked")["Body"].read() == b"".join(chunks)
    spoiled = put_chunked(key, path, [b"zz" * 10], spoil=True)
    assert spoiled.status_code == 403 and code_of(spoiled) == "SignatureDoesNotMatch"
    assert s3.get_object(Bucket=bucket, Key="chunked")["Body"].read() == b"".join(chunks)


@pytest.mark.parametrize("right", [True, False])
def test_a_checksum_behind_the_body(key, s3, bucket, right):
    payload = os.urandom(100_000)
    crc = base64.b64encode((zlib.crc32(payload) ^ (not right)).to_bytes(4, "big")).decode()
    headers, *_ = sign(key, "PUT", f"/s3/{bucket}/trailer",
                       {"x-amz-decoded-content-length": str(len(payload)), "content-encoding": "aws-chunked",
                        "x-amz-trailer": "x-amz-checksum-crc32"}, "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
    body = f"{len(payload):x}\r\n".encode() + payload + f"\r\n0\r\nx-amz-checksum-crc32:{crc}\r\n\r\n".encode()
    answer = requests.put(f"{key.url}/{bucket}/trailer", data=body, headers=headers, timeout=20)
    if right:
        assert answer.status_code == 200
        assert s3.get_object(Bucket=bucket, Key="trailer")["Body"].read() == payload
    else:
        assert answer.status_code == 400 and code_of(answer) == "BadDigest"
        assert refused(s3.get_object, Bucket=bucket, Key="trailer") == ("NoSuchKey", 404)


def test_another_body_than_signed(key, s3, bucket):
    headers, *_ = sign(key, "PUT", f"/s3/{bucket}/swapped", {}, hashlib.sha256(b"signed").hexdigest())
    answer = requests.put(f"{key.url}/{bucket}/swapped", data=b"swaped", headers=headers, timeout=10)
    assert answer.status_code == 400 and code_of(answer) == "XAmzContentSHA256Mismatch"
    assert refused(s3.get_object, Bucket=bucket, Key="swapped") == ("NoSuchKey", 404)


def test_a_clock_that_is_off(key, bucket):
    off = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=16)
    headers, *_ = sign(key, "GET", f"/s3/{bucket}/x", {}, hashlib.sha256(b"").hexdigest(), when=off)
    answer = requests.get(f"{key.url}/{bucket}/x", headers=headers, timeout=10)
    assert answer.status_code == 403 and code_of(answer) == "RequestTimeTooSkewed"


@pytest.mark.parametrize("body, code", [
    (b"", "MalformedXML"), (b"<x/>", "MalformedXML"), (b"<CompleteMultipartUpload>", "MalformedXML"),
    (b'<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><CompleteMultipartUpload><Part><PartNumber>1</PartNumber>'
     b"<ETag>&b;</ETag></Part></CompleteMultipartUpload>", "MalformedXML")])
def test_bad_xml(s3, bucket, body, code):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="xml")["UploadId"]
    url = s3.generate_presigned_url("complete_multipart_upload",
                                    Params={"Bucket": bucket, "Key": "xml", "UploadId": upload})
    answer = requests.post(url, data=body, timeout=10)
    assert answer.status_code == 400 and code_of(answer) == code


@pytest.mark.skipif(OBJECTS != "file", reason="looks into the folder of the objects")
def test_a_cut_upload_leaves_nothing(server, s3, bucket):
    temporary = pathlib.Path(server.data) / "objects" / "temporary"
    before = set(temporary.iterdir())
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "cut"})
    host, port = url.split("/")[2].split(":")
    with socket.create_connection((host, int(port))) as line:
        line.sendall(f"PUT {url.split(host + ':' + port)[1]} HTTP/1.1\r\nHost: {host}:{port}\r\n"
                     f"Content-Length: 50000000\r\n\r\n".encode() + b"x" * 2_000_000)
        deadline = time.monotonic() + PATIENCE_S
        while not set(temporary.iterdir()) - before and time.monotonic() < deadline:
            time.sleep(0.02)
        assert set(temporary.iterdir()) - before
    deadline = time.monotonic() + PATIENCE_S
    while set(temporary.iterdir()) - before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not set(temporary.iterdir()) - before
    assert refused(s3.get_object, Bucket=bucket, Key="cut") == ("NoSuchKey", 404)


@pytest.mark.skipif(SANITIZED, reason="measures memory, and a sanitizer has much of its own")
def test_large_bodies_keep_memory_flat(server, s3, bucket):
    def peak_kb():
        status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status).group(1))

    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "large"})
    before = peak_kb()
    block = bytes(MIB)
    answer = requests.put(url, data=(block for _ in range(0)), timeout=10)  # no length: refused
    assert answer.status_code == 411 and code_of(answer) == "MissingContentLength"

    class Zeros:
        left = 200 * MIB

        def __iter__(self):
            return iter(self.read, b"")

        def __len__(self):
            return 200 * MIB

        def read(self, size=-1):
            size = min(size if size > 0 else MIB, self.left, MIB)
            self.left -= size
            return block[:size]

    assert requests.put(url, data=Zeros(), timeout=120).status_code == 200
    assert s3.head_object(Bucket=bucket, Key="large")["ContentLength"] == 200 * MIB
    assert peak_kb() - before < 16 * 1024
    s3.delete_object(Bucket=bucket, Key="large")
