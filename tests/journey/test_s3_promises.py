"""What the built-in store says yes to, it does; what it does not do, it refuses: conditions, sums, queries and headers
as the S3 clients at hand send them. On a plain and on an encrypted store."""
import base64
import datetime
import hashlib
import os
import pathlib
import re
import socket
import subprocess
import sys
import uuid
import zlib
from urllib.parse import quote
from xml.etree import ElementTree

import boto3
import pytest
import requests
from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from conftest import OBJECTS, Server
from s3_key import Key, checksum, code_of, put_chunked, refused, sign

NO = ("NotImplemented", 501)
FAILED = ("PreconditionFailed", 412)


@pytest.fixture(scope="module", params=["plain", "encrypted"] if OBJECTS == "file" else ["remote"])
def key(request):
    encrypt = {"TUTTI_BLOB_ENCRYPT": "yes" if request.param == "encrypted" else "no"} if OBJECTS == "file" else {}
    running = Server(environment=encrypt).start()
    yield Key(running, f"promises-{uuid.uuid4().hex[:8]}")
    running.done()


# Conditions.

@pytest.mark.skipif(OBJECTS != "file", reason="a remote store's deletions and copies have no conditions")
def test_a_deletion_wants_what_it_read(s3, bucket):
    at = {"Bucket": bucket, "Key": "deep/k"}
    old = s3.put_object(**at, Body=b"1")["ETag"]
    new = s3.put_object(**at, Body=b"2")["ETag"]
    for wrong in ('"deadbeef"', old, old.strip('"')):
        assert refused(s3.delete_object, **at, IfMatch=wrong) == FAILED
    assert s3.get_object(**at)["Body"].read() == b"2"
    s3.delete_object(**at, IfMatch=new)
    assert refused(s3.delete_object, **at, IfMatch=new) == ("NoSuchKey", 404)
    assert refused(s3.delete_object, **at, IfMatch="*") == ("NoSuchKey", 404)
    assert refused(s3.delete_object, Bucket="no-such-bucket", Key="k", IfMatch="*") == ("NoSuchBucket", 404)
    s3.put_object(**at, Body=b"3")
    s3.delete_object(**at, IfMatch="*")
    assert refused(s3.head_object, **at)[1] == 404


@pytest.mark.skipif(OBJECTS != "file", reason="a remote store's deletions and copies have no conditions")
def test_many_deletions_want_what_they_read(s3, bucket):
    etags = {name: s3.put_object(Bucket=bucket, Key=name, Body=name.encode())["ETag"] for name in "abcd"}
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [
        {"Key": "a", "ETag": etags["a"]}, {"Key": "b", "ETag": etags["a"]}, {"Key": "c", "ETag": etags["c"].strip('"')},
        {"Key": "d", "Size": 1}, {"Key": "none", "ETag": "*"}, {"Key": "never"}]})
    assert sorted(entry["Key"] for entry in answer["Deleted"]) == ["a", "c", "never"]
    assert {entry["Key"]: entry["Code"] for entry in answer["Errors"]} == \
        {"b": "PreconditionFailed", "d": "NotImplemented", "none": "NoSuchKey"}
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["b", "d"]


@pytest.mark.skipif(OBJECTS != "file", reason="a remote store's deletions and copies have no conditions")
def test_a_copy_wants_what_it_read(s3, bucket):
    source = s3.put_object(Bucket=bucket, Key="source", Body=b"new", ContentType="audio/flac")["ETag"]
    there = s3.put_object(Bucket=bucket, Key="there", Body=b"old")["ETag"]
    copy = {"Bucket": bucket, "CopySource": f"{bucket}/source"}
    for more in ({}, {"MetadataDirective": "REPLACE", "Metadata": {"a": "b"}}):
        assert refused(s3.copy_object, **copy, **more, Key="there", IfNoneMatch="*") == FAILED
        assert refused(s3.copy_object, **copy, **more, Key="there", IfMatch=source) == FAILED
        assert refused(s3.copy_object, **copy, **more, Key="none", IfMatch="*") == ("NoSuchKey", 404)
        assert s3.get_object(Bucket=bucket, Key="there")["Body"].read() == b"old"
        s3.copy_object(**copy, **more, Key=f"fresh{len(more)}", IfNoneMatch="*")
        assert s3.get_object(Bucket=bucket, Key=f"fresh{len(more)}")["Body"].read() == b"new"
    s3.copy_object(**copy, Key="there", IfMatch=there)
    assert s3.get_object(Bucket=bucket, Key="there")["Body"].read() == b"new"
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == \
        ["fresh0", "fresh2", "source", "there"]


@pytest.mark.skipif(OBJECTS == "file", reason="there they hold")
def test_conditions_that_do_not_hold_are_refused(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["ETag"]
    assert refused(s3.delete_object, Bucket=bucket, Key="k", IfMatch=etag) == NO
    assert refused(s3.copy_object, Bucket=bucket, Key="c", CopySource=f"{bucket}/k", IfNoneMatch="*") == NO
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k", "ETag": etag}]})
    assert [entry["Code"] for entry in answer["Errors"]] == ["NotImplemented"]
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"


# What is kept with an object.

@pytest.mark.parametrize("more", [
    {"Metadata": {"note": "", "other": "x"}}, {"Metadata": {"note": "   "}}, {"ContentDisposition": ""},
    {"ContentLanguage": "", "Metadata": {"other": "x"}}, {"ContentType": "", "CacheControl": ""}])
def test_values_may_be_empty(s3, bucket, more):
    at, told = {"Bucket": bucket, "Key": "k"}, {name: value.strip() for name, value in more.get("Metadata", {}).items()}
    s3.put_object(**at, Body=b"body", **more)
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", **more)["UploadId"]
    part = {"Bucket": bucket, "Key": "parts", "UploadId": upload}
    etag = s3.upload_part(**part, PartNumber=1, Body=b"body")["ETag"]
    s3.complete_multipart_upload(**part, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    for name in ("k", "copy", "parts"):
        got = s3.get_object(Bucket=bucket, Key=name)
        assert (got["Body"].read(), got["Metadata"]) == (b"body", told)
        assert s3.head_object(Bucket=bucket, Key=name)["Metadata"] == told


def test_the_command_line_may_say_nothing_of_a_note(key, s3, bucket, tmp_path):
    (tmp_path / "file").write_bytes(b"body")
    environment = {**{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
                   "AWS_ACCESS_KEY_ID": key.id, "AWS_SECRET_ACCESS_KEY": key.secret, "HOME": str(tmp_path),
                   "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": key.url}
    subprocess.run([pathlib.Path(sys.executable).parent / "aws", "s3api", "put-object", "--bucket", bucket, "--key", "k",
                    "--body", tmp_path / "file", "--metadata", "note="], env=environment, check=True, timeout=60,
                   capture_output=True)
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"note": ""}


# What is not known here.

def ask(key, method, path, query=None, headers=None, body=b""):
    """A request signed by hand. The status and S3's word."""
    signed, *_ = sign(key, method, f"/s3/{path}", headers or {}, hashlib.sha256(body).hexdigest(), query=query)
    pairs = "&".join(f"{quote(name)}={quote(value, safe='')}" for name, value in (query or {}).items())
    answer = requests.request(method, f"{key.url}/{path}{'?' if pairs else ''}{pairs}", headers=signed, data=body, timeout=10)
    return answer.status_code, code_of(answer) if answer.status_code >= 400 and answer.text else None


UNKNOWN = (501, "NotImplemented")


def test_queries_that_are_not_known_change_nothing(key, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"kept")
    for name in ("renameObject", "append", "annotation", "partNumber", "acl", "tagging", "legal-hold", "versionId", "uploads",
                 "x-amz-copy-source", "x-amz-acl", "X-Amz-Meta-Note", "delete"):
        assert ask(key, "PUT", f"{bucket}/k", {name: "1"}) == UNKNOWN, name
    for name in ("restore", "select", "append", "delete", "torrent"):
        assert ask(key, "POST", f"{bucket}/k", {name: ""}) == UNKNOWN, name
    for name in ("tagging", "versionId", "annotation", "uploads"):
        assert ask(key, "DELETE", f"{bucket}/k", {name: "1"}) == UNKNOWN, name
    for name in ("acl", "attributes", "torrent", "session", "prefix"):
        assert ask(key, "GET", f"{bucket}/k", {name: ""}) == UNKNOWN, name
    assert ask(key, "PUT", f"{bucket}/k", {"x-id": "PutObject", "x-amz-sdk-checksum-algorithm": "CRC32"}, body=b"kept") == (200, None)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept"
    s3.delete_object(Bucket=bucket, Key="k")
    for name in ("intelligent-tiering", "metadataTable", "metadataConfiguration", "abac", "policy", "uploadId", "versions"):
        assert ask(key, "DELETE", bucket, {name: "x"}) == UNKNOWN, name
    for name in ("policyStatus", "session", "versions", "object-lock", "acl", "uploadId", "notification"):
        assert ask(key, "GET", bucket, {name: ""}) == UNKNOWN, name
    for name in ("versioning", "abac", "policy", "metadataTable"):
        assert ask(key, "PUT", f"{bucket}-new", {name: ""}) == UNKNOWN, name
    assert ask(key, "GET", "", {"analytics": ""}) == UNKNOWN
    assert ask(key, "GET", bucket, {"list-type": "2", "x-id": "ListObjectsV2"}) == (200, None)
    assert bucket in [entry["Name"] for entry in s3.list_buckets()["Buckets"]]
    assert refused(s3.head_bucket, Bucket=f"{bucket}-new")[1] == 404


def test_headers_that_are_not_known_change_nothing(key, s3, bucket):
    at = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**at, Body=b"kept")
    for more in ({"ObjectLockLegalHoldStatus": "ON"}, {"ObjectLockRetainUntilDate": 4e9}, {"GrantReadACP": "id=x"},
                 {"GrantWriteACP": "id=x"}, {"StorageClass": "GLACIER"}, {"ACL": "aws-exec-read"}, {"WriteOffsetBytes": 1},
                 {"SSEKMSKeyId": "x", "ServerSideEncryption": "aws:kms"}, {"BucketKeyEnabled": True}):
        assert refused(s3.put_object, **at, Body=b"lost", **more) == NO, more
    for name in ("x-amz-server-side-encryption-customer-key", "x-amz-server-side-encryption-customer-key-md5", "x-amz-mfa",
                 "x-amz-write-offset-bytes", "x-amz-if-match-size", "x-amz-website-redirect-location", "x-amz-rename-source"):
        assert ask(key, "PUT", f"{bucket}/k", headers={name: "1"}, body=b"lost") == UNKNOWN, name
        assert ask(key, "DELETE", f"{bucket}/k", headers={name: "1"}) == UNKNOWN, name
    assert refused(s3.delete_object, **at, MFA="1 2") == NO
    assert refused(s3.create_bucket, Bucket=f"{bucket}-new", ObjectLockEnabledForBucket=True) == NO
    assert refused(s3.head_bucket, Bucket=f"{bucket}-new")[1] == 404
    assert s3.get_object(**at)["Body"].read() == b"kept"
    for more in ({"StorageClass": "STANDARD"}, {"ACL": "bucket-owner-full-control"}, {"RequestPayer": "requester"},
                 {"ExpectedBucketOwner": "123456789012"}):
        s3.put_object(**at, Body=b"new", **more)
    s3.create_bucket(Bucket=f"{bucket}-new", ObjectLockEnabledForBucket=False, ObjectOwnership="BucketOwnerEnforced")
    s3.delete_bucket(Bucket=f"{bucket}-new")


def test_conditions_where_none_are_known(key, s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    for condition in ("If-Match", "If-None-Match", "If-Unmodified-Since"):
        headers = {condition.lower(): "*"}
        part = {"partNumber": "1", "uploadId": upload}
        assert ask(key, "PUT", f"{bucket}/k", part, headers, b"x") == UNKNOWN
        assert ask(key, "DELETE", f"{bucket}/k", {"uploadId": upload}, headers) == UNKNOWN
        assert ask(key, "DELETE", bucket, headers=headers) == UNKNOWN
    assert ask(key, "POST", f"{bucket}/k", {"uploads": ""}, {"if-unmodified-since": "*"}) == UNKNOWN
    assert ask(key, "PUT", f"{bucket}/k", headers={"if-unmodified-since": "Thu, 01 Jan 2026 00:00:00 GMT"}) == UNKNOWN
    assert ask(key, "DELETE", f"{bucket}/k", headers={"if-none-match": "*"}) == UNKNOWN
    assert "Parts" not in s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)


def test_an_upload_in_parts_that_cannot_win_is_not_begun(key, s3, bucket):
    """minio-go says the condition twice: where an upload is created, and where it is completed."""
    create, there = {"uploads": ""}, s3.put_object(Bucket=bucket, Key="there", Body=b"1")["ETag"]
    for condition, at_there, at_none in (
            ({"if-none-match": "*"}, (412, "PreconditionFailed"), (200, None)),
            ({"if-match": "*"}, (200, None), (404, "NoSuchKey")),
            ({"if-match": there}, (200, None), (404, "NoSuchKey")),
            ({"if-match": '"deadbeef"'}, (412, "PreconditionFailed"), (404, "NoSuchKey"))):
        assert ask(key, "POST", f"{bucket}/there", create, condition) == at_there, condition
        assert ask(key, "POST", f"{bucket}/none", create, condition) == at_none, condition
    assert ask(key, "POST", f"{bucket}-none/k", create, {"if-match": "*"}) == (404, "NoSuchBucket")
    begun = [entry["Key"] for entry in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]]
    assert begun == ["none", "there", "there"], "none of those that were refused"


def test_what_sdks_say_of_themselves_is_passed_over(key, s3, bucket):
    """The AWS SDKs for C++ and Java, and clients of MinIO."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"kept")
    version, trailer = {"x-amz-api-version": "2006-03-01"}, {"x-amz-te": "append-md5"}
    for method, path, body in (("GET", f"{bucket}/k", b""), ("HEAD", f"{bucket}/k", b""), ("GET", bucket, b""), ("GET", "", b""),
                               ("PUT", f"{bucket}/c", b"x"), ("PUT", f"{bucket}-c", b"")):
        assert ask(key, method, path, headers=version, body=body) == (200, None), (method, path)
    assert ask(key, "DELETE", f"{bucket}/c", headers=version) == (204, None)
    assert ask(key, "PUT", f"{bucket}/c", headers={"x-amz-api-version": "2036-03-01"}) == UNKNOWN
    for unknown in (trailer, {"x-amz-of-tomorrow": "1"}):
        for method in ("GET", "HEAD"):
            assert ask(key, method, f"{bucket}/k", headers=unknown) == (200, None)
        assert ask(key, "PUT", f"{bucket}/k", headers=unknown, body=b"lost") == UNKNOWN
        assert ask(key, "DELETE", f"{bucket}/k", headers=unknown) == UNKNOWN
    for name in ("x-amz-server-side-encryption-customer-key", "x-amz-server-side-encryption-customer-algorithm", "x-amz-if-match-size"):
        assert ask(key, "GET", f"{bucket}/k", headers={name: "1"}) == UNKNOWN, name
        assert ask(key, "GET", f"{bucket}/k", {name: "1"}) == UNKNOWN, name
    assert ask(key, "GET", bucket, {"list-type": "2", "metadata": "true", "unsorted": "true"}) == (200, None)
    assert ask(key, "GET", bucket, {"uploads": "", "delimiter": ""}) == (200, None)
    assert ask(key, "GET", bucket, {"uploads": "", "delimiter": "/"}) == UNKNOWN
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept"


def test_headers_may_stand_in_the_query_where_they_change_nothing(key, s3, bucket):
    """As the SDK for JavaScript signs addresses."""
    for name, value in (("x-amz-acl", "private"), ("x-amz-storage-class", "STANDARD"), ("x-amz-expected-bucket-owner", "123456789012"),
                        ("x-amz-request-payer", "requester"), ("X-Amz-Acl", "bucket-owner-full-control"), ("x-id", "PutObject")):
        assert ask(key, "PUT", f"{bucket}/{name}", {name: value}, body=b"new") == (200, None), name
        assert s3.get_object(Bucket=bucket, Key=name)["Body"].read() == b"new"
    s3.put_object(Bucket=bucket, Key="k", Body=b"kept")
    for name, value in (("x-amz-acl", "public-read"), ("x-amz-storage-class", "GLACIER"), ("x-amz-copy-source", f"{bucket}/k"),
                        ("x-amz-copy-source-range", "bytes=0-1"), ("x-amz-copy-source-if-match", "*"),
                        ("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-note", "lost"), ("x-amz-trailer", "x-amz-checksum-crc32"),
                        ("x-amz-decoded-content-length", "1"), ("x-amz-mp-object-size", "1"), ("x-amz-tagging", "a=b"),
                        ("x-amz-server-side-encryption", "AES256"), ("x-amz-of-tomorrow", "1")):
        assert ask(key, "PUT", f"{bucket}/k", {name: value}, body=b"lost") == UNKNOWN, name
    for name in ("x-amz-copy-source", "x-amz-meta-note"):
        assert ask(key, "GET", f"{bucket}/k", {name: "1"}) == UNKNOWN, name
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept"


def test_a_bucket_is_made_with_or_without_a_slash(key, s3, bucket):
    body = b'<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>eu-west-1' \
           b"</LocationConstraint></CreateBucketConfiguration>"
    for name, path in ((f"{bucket}-a", f"{bucket}-a"), (f"{bucket}-b", f"{bucket}-b/"), (f"{bucket}-c", f"{bucket}-c/")):
        assert ask(key, "PUT", path, body=b"" if path.endswith("c/") else body) == (200, None)
        s3.head_bucket(Bucket=name)
        assert ask(key, "DELETE", path) == (204, None)
    assert ask(key, "PUT", f"{bucket}-d/", {"acl": ""}) == UNKNOWN


def test_refusals_say_what_is_wrong(key, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    copy = {"Bucket": f"{bucket}-none", "Key": "k"}
    assert refused(s3.copy_object, **copy, CopySource=f"{bucket}/k") == ("NoSuchBucket", 404)
    assert refused(s3.copy_object, **copy, CopySource=f"{bucket}/none") == ("NoSuchBucket", 404)
    assert refused(s3.copy_object, Bucket=bucket, Key="c", CopySource=f"{bucket}/none") == ("NoSuchKey", 404)
    assert refused(s3.copy_object, Bucket=bucket, Key="c", CopySource=f"{bucket}-none/k") == ("NoSuchBucket", 404)
    assert ask(key, "PUT", f"{bucket}/k", headers={"x-amz-meta-note": "a\x01b"}, body=b"x") == (400, "InvalidArgument")


def test_buckets_are_listed_in_pages(key, s3, bucket):
    names = sorted(f"{bucket}-{number}" for number in range(5))
    for name in names:
        s3.create_bucket(Bucket=name)
    listed = s3.list_buckets(Prefix=f"{bucket}-")
    assert [entry["Name"] for entry in listed["Buckets"]] == names and listed["Prefix"] == f"{bucket}-"
    assert not s3.list_buckets(Prefix="zzz").get("Buckets")
    for size in (1, 2, 5, 1000):
        pages = s3.get_paginator("list_buckets").paginate(Prefix=f"{bucket}-", PaginationConfig={"PageSize": size})
        assert [entry["Name"] for page in pages for entry in page["Buckets"]] == names
    assert ask(key, "GET", "", {"max-buckets": "0"}) == (400, "InvalidArgument")


def test_the_owner_is_told_when_asked_for(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert "Owner" not in s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    assert s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"][0]["Owner"]["ID"] == "tutti"


def test_other_conditions_are_refused(s3, bucket):
    at = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**at, Body=b"1")
    for more in ({"IfMatchSize": 7}, {"IfMatchLastModifiedTime": 1700000000}):
        assert refused(s3.delete_object, **at, **more) == NO
    assert s3.get_object(**at)["Body"].read() == b"1"


# Sums.

def test_sums_that_cannot_be_compared_are_refused(key, s3, bucket):
    at = {"Bucket": bucket, "Key": "k"}
    for name in ("xxhash64", "xxhash3", "xxhash128", "crc99"):
        assert ask(key, "PUT", f"{bucket}/k", headers={f"x-amz-checksum-{name}": "AAAAAA=="}, body=b"x") == UNKNOWN
        assert ask(key, "POST", bucket, {"delete": ""}, {f"x-amz-checksum-{name}": "AAAAAA=="}, b"<Delete/>") == UNKNOWN
    wrong = {"ChecksumSHA512": base64.b64encode(hashlib.sha512(b"y").digest()).decode(),
             "ChecksumMD5": base64.b64encode(hashlib.md5(b"y").digest()).decode()}
    for name, value in wrong.items():
        assert ask(key, "PUT", f"{bucket}/k", headers={f"x-amz-checksum-{name[8:].lower()}": value}, body=b"x") == \
            (400, "BadDigest")
    assert ask(key, "PUT", f"{bucket}/k", body=b"x", headers={
        "x-amz-checksum-crc32": "jNxGqA==", "x-amz-checksum-sha1": "AAAA"}) == (400, "InvalidRequest")
    assert refused(s3.head_object, **at)[1] == 404


BODY = bytes(range(256)) * 4096 * 6 + b"the end"  # 6 MiB and a rest
CUTS = [BODY[:5 * 1024 * 1024], BODY[5 * 1024 * 1024:]]


def crc32(payload):
    return base64.b64encode(zlib.crc32(payload).to_bytes(4, "big")).decode()


def begin_parts(s3, bucket, algorithm="CRC32", **more):
    """Two parts that came. Where they go, and how they are named."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    at = {"Bucket": bucket, "Key": "k", "UploadId": upload}
    named = []
    for number, payload in enumerate(CUTS, 1):
        sent = s3.upload_part(**at, PartNumber=number, Body=payload, ChecksumAlgorithm=algorithm, **more)
        named.append({"PartNumber": number, "ETag": sent["ETag"],
                      **{name: value for name, value in sent.items() if name.startswith("Checksum")}})
    return at, named


def test_a_client_names_the_sum_of_the_whole(s3, bucket, tmp_path):
    (tmp_path / "file").write_bytes(BODY * 2)
    parts = TransferConfig(multipart_threshold=5 * 1024 * 1024, multipart_chunksize=5 * 1024 * 1024)

    def upload(payload, **more):
        s3.upload_file(str(tmp_path / "file"), bucket, "k", Config=parts,
                       ExtraArgs={"ChecksumCRC32": crc32(payload), **more})

    if OBJECTS != "file":
        with pytest.raises(S3UploadFailedError, match="NotImplemented"):
            upload(BODY * 2)
        return
    upload(BODY * 2, MpuObjectSize=2 * len(BODY))
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == BODY * 2
    with pytest.raises(S3UploadFailedError, match="BadDigest"):
        upload(BODY)
    with pytest.raises(S3UploadFailedError, match="InvalidRequest"):
        upload(BODY * 2, MpuObjectSize=len(BODY))
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == BODY * 2


@pytest.mark.skipif(OBJECTS != "file", reason="a remote store keeps no sums of parts")
@pytest.mark.parametrize("algorithm, name", [("CRC32", "crc32"), ("CRC32C", "crc32c"), ("CRC64NVME", "crc64nvme"),
                                             ("SHA1", "sha1"), ("SHA256", "sha256")])
def test_the_sums_of_parts_and_of_the_whole(s3, bucket, algorithm, name):
    field = f"Checksum{algorithm}"
    at, named = begin_parts(s3, bucket, algorithm)
    sums = [checksum(name, payload) for payload in CUTS]
    assert [part[field] for part in named] == sums
    whole = checksum(name, BODY)
    of_parts = checksum(name, b"".join(base64.b64decode(value) for value in sums))

    def complete(parts=named, **more):
        return s3.complete_multipart_upload(**at, MultipartUpload={"Parts": parts}, **more)

    crossed = [{**named[0], field: sums[1]}, named[1]]
    assert refused(complete, parts=crossed) == ("InvalidPart", 400)
    assert refused(complete, **{field: sums[0]}) == ("BadDigest", 400)
    assert refused(complete, **{field: whole, "ChecksumType": "COMPOSITE"}) == ("BadDigest", 400)
    assert refused(complete, **{field: f"{of_parts}-3", "ChecksumType": "COMPOSITE"}) == ("BadDigest", 400)
    assert refused(complete, MpuObjectSize=len(BODY) + 1) == ("InvalidRequest", 400)
    assert refused(complete, parts=[{**named[0], field: "", "ChecksumXXHASH64": "AAAA"}, named[1]])[0] in (
        "NotImplemented", "MalformedXML")
    full = {field: whole, "ChecksumType": "FULL_OBJECT"}
    if algorithm.startswith("SHA"):
        assert refused(complete, **full) == ("InvalidRequest", 400)
        complete(**{field: f"{of_parts}-2"}, MpuObjectSize=len(BODY))
    else:
        assert refused(complete, **{**full, field: of_parts}) == ("BadDigest", 400)
        complete(**full, MpuObjectSize=len(BODY))
    complete(**{field: of_parts})  # again, as the answer may have been lost
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == BODY
    at, named = begin_parts(s3, bucket, algorithm)
    complete(named, **{field: f"{of_parts}-2", "ChecksumType": "COMPOSITE"})


@pytest.mark.skipif(OBJECTS != "file", reason="a remote store keeps no sums of parts")
def test_sums_that_parts_came_without_are_refused(s3, bucket):
    at, named = begin_parts(s3, bucket, "CRC32C")
    bare = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in named]

    def complete(parts, **more):
        return s3.complete_multipart_upload(**at, MultipartUpload={"Parts": parts}, **more)

    assert refused(complete, parts=[{**bare[0], "ChecksumCRC32": crc32(CUTS[0])}, bare[1]]) == NO
    assert refused(complete, parts=bare, ChecksumCRC32=crc32(BODY)) == NO
    assert refused(complete, parts=[bare[0], {**bare[1], "PartNumber": 3}], MpuObjectSize=len(BODY)) == ("InvalidPart", 400)
    complete(bare, MpuObjectSize=len(BODY))
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == BODY


# Bodies as TLS has them, and keys.

@pytest.mark.parametrize("said, kept", [("gzip,aws-chunked", "gzip"), ("aws-chunked,gzip", "gzip"), ("AWS-Chunked", None),
                                        ("gzip, aws-chunked , br", "gzip,br"), ("gzip", "gzip"),
                                        ("aws-chunked-not", "aws-chunked-not")])
def test_the_way_a_body_travels_is_not_its_encoding(key, s3, bucket, said, kept):
    payload = os.urandom(1000)
    headers, *_ = sign(key, "PUT", f"/s3/{bucket}/k",
                       {"x-amz-decoded-content-length": str(len(payload)), "content-encoding": said,
                        "x-amz-trailer": "x-amz-checksum-crc32"}, "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
    body = f"{len(payload):x}\r\n".encode() + payload + f"\r\n0\r\nx-amz-checksum-crc32:{crc32(payload)}\r\n\r\n".encode()
    assert requests.put(f"{key.url}/{bucket}/k", data=body, headers=headers, timeout=20).status_code == 200
    got = s3.get_object(Bucket=bucket, Key="k")
    assert (got["Body"].read(), got.get("ContentEncoding")) == (payload, kept)


def test_none_asked_for_is_no_page(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a/b", Body=b"x")
    at = {"Bucket": bucket, "Key": "a/b", "UploadId": s3.create_multipart_upload(Bucket=bucket, Key="a/b")["UploadId"]}
    s3.upload_part(**at, PartNumber=1, Body=b"x")
    for answer in (s3.list_objects_v2(Bucket=bucket, MaxKeys=0), s3.list_objects(Bucket=bucket, MaxKeys=0),
                   s3.list_objects(Bucket=bucket, MaxKeys=0, Delimiter="/"), s3.list_parts(**at, MaxParts=0),
                   s3.list_multipart_uploads(Bucket=bucket, MaxUploads=0)):
        assert answer["IsTruncated"] is False
        assert {"Contents", "Parts", "Uploads", "NextContinuationToken", "NextMarker", "NextKeyMarker"}.isdisjoint(answer)


def answer_to(key, method, path):
    """A request as it is written here: no client's library mends the path."""
    host = key.url.split("/")[2]
    with socket.create_connection((host.split(":")[0], int(host.split(":")[1])), timeout=10) as line:
        line.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        text = b"".join(iter(lambda: line.recv(65536), b"")).decode()
    head, _, body = text.partition("\r\n\r\n")
    return int(head.split()[1]), head.lower(), body


def test_keys_have_as_many_parts_as_promised(key, s3, bucket):
    deep = "a/" * 63 + "ü"
    s3.put_object(Bucket=bucket, Key=deep, Body=b"deep")
    assert s3.get_object(Bucket=bucket, Key=deep)["Body"].read() == b"deep"
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [deep]
    assert refused(s3.put_object, Bucket=bucket, Key="a/" + deep, Body=b"x") == ("InvalidArgument", 400)
    assert refused(s3.put_object, Bucket=bucket, Key="a/" * 500 + "a", Body=b"x") == ("KeyTooLongError", 414)


@pytest.mark.parametrize("method, path, status, word", [
    ("GET", "/s3/label/a/./b", 400, "InvalidRequest"), ("PUT", "/s3/label/a/../b", 400, "InvalidRequest"),
    ("GET", "/s3/label/.", 400, "InvalidRequest"), ("GET", "/s3/%2e%2e/x", 400, "InvalidRequest"),
    ("GET", "/s3/label/%ff", 400, "InvalidRequest"), ("GET", "/s3/label/a%zz", 400, "InvalidRequest"),
    ("PATCH", "/s3/label/k", 405, "MethodNotAllowed"), ("POST", "/s3/", 405, "MethodNotAllowed"),
    ("PATCH", "/s3", 405, "MethodNotAllowed")])
def test_refusals_before_the_store_are_s3s_too(key, method, path, status, word):
    got, head, body = answer_to(key, method, path)
    assert got == status and f"<Code>{word}</Code>" in body, body
    assert "content-type: application/xml" in head and "x-amz-request-id: " in head
    assert "access-control-allow-origin: *" in head


def test_refusals_elsewhere_are_not_s3s(key):
    for path in ("/api/v1/./tracks", "/./s3", "/s3x/./y"):
        got, head, body = answer_to(key, "GET", path)
        assert got == 400 and "application/problem+json" in head, body


# Reading and copying.

def test_a_head_may_ask_for_a_range(s3, bucket):
    at = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**at, Body=b"0123456789")
    head = s3.head_object(**at, Range="bytes=2-5")
    assert (head["ContentLength"], head["ContentRange"], head["ResponseMetadata"]["HTTPStatusCode"]) == (4, "bytes 2-5/10", 206)
    assert refused(s3.head_object, **at, Range="bytes=10-")[1] == 416
    assert s3.head_object(**at)["ContentLength"] == 10


def test_an_etag_needs_no_quotes(s3, bucket):
    at = {"Bucket": bucket, "Key": "k"}
    etag = s3.put_object(**at, Body=b"body")["ETag"]
    for told in (etag, etag.strip('"')):
        assert s3.get_object(**at, IfMatch=told)["Body"].read() == b"body"
        assert refused(s3.get_object, **at, IfNoneMatch=told)[1] == 304
        assert refused(s3.get_object, **at, IfMatch=told[:-2] + told[-1])[1] == 412
        assert s3.head_object(**at, IfNoneMatch=told[:-2] + told[-1])["ContentLength"] == 4


def test_conditions_on_the_source_of_a_copy(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="source", Body=b"body")["ETag"]
    now = datetime.datetime.now(datetime.timezone.utc)
    before, after = now - datetime.timedelta(hours=1), now + datetime.timedelta(hours=1)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = {"Bucket": bucket, "Key": "parts", "UploadId": upload, "PartNumber": 1}
    for more, holds in (({"IfNoneMatch": etag}, False), ({"IfNoneMatch": '"other"'}, True), ({"IfModifiedSince": before}, True),
                        ({"IfModifiedSince": after}, False), ({"IfUnmodifiedSince": before}, False),
                        ({"IfUnmodifiedSince": after}, True), ({"IfMatch": etag, "IfUnmodifiedSince": before}, True),
                        ({"IfNoneMatch": etag, "IfModifiedSince": before}, False), ({"IfNoneMatch": "*"}, False),
                        ({"IfMatch": '"other"', "IfUnmodifiedSince": after}, False)):
        said = {f"CopySource{name}": value for name, value in more.items()}
        for call, where in ((s3.copy_object, {"Bucket": bucket, "Key": "copy"}), (s3.upload_part_copy, part)):
            if holds:
                call(**where, CopySource=f"{bucket}/source", **said)
            else:
                assert refused(call, **where, CopySource=f"{bucket}/source", **said) == FAILED, more


def test_a_description_may_be_long(s3, bucket):
    long = {"ContentType": "multipart/mixed; boundary=" + "b" * 300, "CacheControl": "max-age=7, " + "x" * 500}
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", **long, Metadata={"a": "b"})
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    s3.copy_object(Bucket=bucket, Key="short", CopySource=f"{bucket}/k", MetadataDirective="REPLACE", ContentType="a/b")
    for name, kept in (("k", long), ("copy", long), ("short", {"ContentType": "a/b"})):
        for got in (s3.get_object(Bucket=bucket, Key=name), s3.head_object(Bucket=bucket, Key=name)):
            assert {field: got[field] for field in ("ContentType", "CacheControl") if field in got} == kept
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"x", ContentType="t/" + "x" * 4096) == ("MetadataTooLarge", 400)


# What an address, a trailer or a copying client says.

def test_nothing_stands_behind_a_body_that_nobody_looks_at(key, s3, bucket):
    payload = os.urandom(5000)
    right, wrong = crc32(payload), crc32(b"other")

    def put(name, announced, *trailers):
        headers, *_ = sign(key, "PUT", f"/s3/{bucket}/{name}", {
            "x-amz-decoded-content-length": "5000", "content-encoding": "aws-chunked",
            **({"x-amz-trailer": announced} if announced else {})}, "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        lines = "".join(f"x-amz-checksum-{one}\r\n" for one in trailers)
        answer = requests.put(f"{key.url}/{bucket}/{name}", data=b"1388\r\n" + payload + f"\r\n0\r\n{lines}\r\n".encode(),
                              headers=headers, timeout=20)
        return answer.status_code, code_of(answer) if answer.status_code >= 400 else None

    announced = "x-amz-checksum-crc32"
    assert put("k", None, f"crc32:{wrong}") == (400, "MalformedTrailerError")
    assert put("k", announced, f"crc32:{right}", f"crc32:{wrong}") == (400, "MalformedTrailerError")
    assert put("k", announced, f"crc32:{right}", f"crc32c:{wrong}") == (400, "MalformedTrailerError")
    assert put("k", announced, f"crc32:{wrong}") == (400, "BadDigest")
    assert put("k", announced) == (400, "BadDigest")
    signed = put_chunked(key, f"/s3/{bucket}/k", [payload], trailer=("x-amz-note", "x"))
    assert signed.status_code == 501
    assert refused(s3.head_object, Bucket=bucket, Key="k")[1] == 404
    assert put("none", None) == put("right", announced, f"crc32:{right}") == (200, None)
    assert s3.get_object(Bucket=bucket, Key="right")["Body"].read() == payload


def test_a_body_is_what_is_said_of_it_beside_an_address(key, s3, bucket):
    """The signature of an address covers no body: neither are the frames of its chunks kept, nor another body taken."""
    payload, at = os.urandom(5000), {"Bucket": bucket, "Key": "k"}
    url = s3.generate_presigned_url("put_object", Params=at)
    chunks, right = b"1388\r\n" + payload + b"\r\n0\r\n\r\n", hashlib.sha256(payload).hexdigest()
    older = boto3.client("s3", endpoint_url=key.url, region_name="us-east-1", aws_access_key_id=key.id,
                         aws_secret_access_key=key.secret, config=Config(signature_version="s3"))
    for where in (url, older.generate_presigned_url("put_object", Params=at)):
        for form, body, word in (
                ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", chunks, (411, "MissingContentLength")),
                ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", chunks, (501, "NotImplemented")),
                ("of-tomorrow", payload, (501, "NotImplemented")),
                (hashlib.sha256(b"other").hexdigest(), payload, (400, "XAmzContentSHA256Mismatch"))):
            answer = requests.put(where, data=body, headers={"x-amz-content-sha256": form, "Content-Encoding": "aws-chunked"},
                                  timeout=10)
            assert (answer.status_code, code_of(answer)) == word, form
        assert refused(s3.head_object, **at)[1] == 404
        for form in (right, "UNSIGNED-PAYLOAD"):
            assert requests.put(where, data=payload, headers={"x-amz-content-sha256": form}, timeout=10).status_code == 200
        s3.delete_object(**at)
    length, signer = {"x-amz-decoded-content-length": "5000"}, key.client()
    signer.meta.events.register("before-sign.s3.PutObject", lambda request, **_: request.headers.add_header(*length.popitem()))
    signed = signer.generate_presigned_url("put_object", Params=at)
    assert requests.put(signed, data=chunks, timeout=10, headers={
        "x-amz-decoded-content-length": "5000", "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}).status_code == 200
    assert s3.get_object(**at)["Body"].read() == payload


@pytest.mark.parametrize("query, status, word", [
    ("X-Amz-Expires=604801", 400, "AuthorizationQueryParametersError"),
    ("X-Amz-Expires=0", 400, "AuthorizationQueryParametersError"),
    ("X-Amz-Credential=x", 400, "AuthorizationQueryParametersError"),
    ("X-Amz-Algorithm=AWS4-HMAC-SHA1", 400, "AuthorizationQueryParametersError"),
    ("X-Amz-Credential=NOBODY/20200101/us-east-1/s3/aws4_request", 400, "AuthorizationQueryParametersError")])
def test_what_is_wrong_with_an_address_is_said_of_the_address(s3, bucket, query, status, word):
    name = query.split("=")[0]
    url = re.sub(name + "=[^&]*", query, s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}))
    answer = requests.get(url, timeout=10)
    assert (answer.status_code, code_of(answer)) == (status, word)


def test_a_signature_needs_the_sum_of_the_body(key, bucket):
    headers, *_ = sign(key, "GET", f"/s3/{bucket}/k", {}, hashlib.sha256(b"").hexdigest())
    del headers["x-amz-content-sha256"]
    answer = requests.get(f"{key.url}/{bucket}/k", headers=headers, timeout=10)
    assert (answer.status_code, code_of(answer)) == (400, "InvalidRequest") and "x-amz-content-sha256" in answer.text


def test_no_object_has_tags(s3, bucket):
    """The AWS command line of version 2 asks for them before it copies in parts, and gives up where it gets no answer."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    assert refused(s3.get_object_tagging, Bucket=bucket, Key="none") == ("NoSuchKey", 404)
    assert refused(s3.get_object_tagging, Bucket=bucket, Key="k", VersionId="1") == NO
    assert refused(s3.get_bucket_tagging, Bucket=bucket) == NO
    assert refused(s3.put_object_tagging, Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}) == NO


def test_a_range_behind_the_end_is_told_the_size(s3, bucket):
    """The AWS common runtime asks for a first range at once, and tells by the refusal that an object is empty."""
    for body in (b"", b"0123456789"):
        s3.put_object(Bucket=bucket, Key="k", Body=body)
        url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
        answer = requests.get(url, headers={"Range": "bytes=10-8388607"}, timeout=10)
        assert (answer.status_code, code_of(answer)) == (416, "InvalidRange")
        assert f"<ActualObjectSize>{len(body)}</ActualObjectSize>" in answer.text
        assert answer.headers["Content-Range"] == f"bytes */{len(body)}"
    assert "ActualObjectSize" not in requests.get(url.replace("/k?", "/none?"), timeout=10).text


@pytest.mark.parametrize("name", ["\ufffe", "a/\uffff/b"])
def test_no_key_makes_a_listing_unreadable(key, s3, bucket, name):
    s3.put_object(Bucket=bucket, Key="other", Body=b"x")
    assert refused(s3.put_object, Bucket=bucket, Key=name, Body=b"x") == ("InvalidArgument", 400)
    assert refused(s3.create_multipart_upload, Bucket=bucket, Key=name) == ("InvalidArgument", 400)
    assert refused(s3.copy_object, Bucket=bucket, Key=name, CopySource=f"{bucket}/other") == ("InvalidArgument", 400)
    assert refused(s3.get_object, Bucket=bucket, Key=name) == ("NoSuchKey", 404)
    s3.delete_object(Bucket=bucket, Key=name)
    for prefix in (name, "\x01"):
        headers, *_ = sign(key, "GET", f"/s3/{bucket}", {}, hashlib.sha256(b"").hexdigest(), query={"prefix": prefix})
        answer = requests.get(f"{key.url}/{bucket}", params={"prefix": prefix}, headers=headers, timeout=10)
        assert answer.status_code == 200
        told = ElementTree.fromstring(answer.content).find("{http://s3.amazonaws.com/doc/2006-03-01/}Prefix").text
        assert told == re.sub("[\ufffe\uffff\x01]", "\ufffd", prefix)


def test_uploads_go_with_their_bucket(s3, bucket):
    """What was begun in it is no part of another bucket that is given its name later."""
    name = f"{bucket}-gone"
    s3.create_bucket(Bucket=name)
    at = {"Key": "k", "UploadId": s3.create_multipart_upload(Bucket=name, Key="k")["UploadId"]}
    etag = s3.upload_part(Bucket=name, **at, PartNumber=1, Body=b"of another")["ETag"]
    stays = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    s3.delete_bucket(Bucket=name)
    s3.create_bucket(Bucket=name)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=name)
    assert refused(s3.complete_multipart_upload, Bucket=name, **at,
                   MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}) == ("NoSuchUpload", 404)
    assert [entry["UploadId"] for entry in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [stays]
    s3.delete_bucket(Bucket=name)


@pytest.mark.skipif(OBJECTS != "file", reason="a remote store does not tell how long the parts were")
def test_a_part_is_read_by_its_number(s3, bucket):
    """The AWS common runtime begins with part 1 of objects that it knows nothing of."""
    at = {"Bucket": bucket, "Key": "k"}
    for body in (b"", b"0123456789"):
        s3.put_object(**at, Body=body)
        for got in (s3.get_object(**at, PartNumber=1), s3.head_object(**at, PartNumber=1)):
            assert (got["ContentLength"], "PartsCount" in got) == (len(body), False)
            assert got.get("ContentRange") == ("bytes 0-9/10" if body else None)
        assert refused(s3.get_object, **at, PartNumber=2) == ("InvalidPartNumber", 416)
    assert refused(s3.get_object, **at, PartNumber=10001) == ("InvalidArgument", 400)
    assert refused(s3.get_object, **at, PartNumber=1, Range="bytes=0-1") == ("InvalidRequest", 400)
    assert refused(s3.get_object, **at, PartNumber=1, IfNoneMatch=s3.head_object(**at)["ETag"])[1] == 304

    def join(*parts):
        where = {**at, "UploadId": s3.create_multipart_upload(**at)["UploadId"]}
        s3.complete_multipart_upload(**where, MultipartUpload={"Parts": [
            {"PartNumber": number, "ETag": s3.upload_part(**where, PartNumber=number, Body=part)["ETag"]}
            for number, part in enumerate(parts, 1)]})

    alike, other = CUTS[0], CUTS[0] + b"more"
    for parts in ((b"",), (b"one",), (alike, b"end"), (alike, alike)):
        join(*parts)
        for number, part in enumerate(parts, 1):
            got = s3.get_object(**at, PartNumber=number)
            whole = s3.head_object(**at, PartNumber=number)
            assert (got["Body"].read(), got["PartsCount"]) == (part, len(parts))
            assert (whole["ContentLength"], whole["PartsCount"]) == (len(part), len(parts))
        assert refused(s3.get_object, **at, PartNumber=len(parts) + 1)[0] == "InvalidPartNumber"
    join(other, alike, b"end")
    assert refused(s3.get_object, **at, PartNumber=1) == NO
    assert s3.get_object(**at)["Body"].read() == other + alike + b"end"


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_what_is_signed_comes_once(key, s3, bucket, version):
    """Else the signature is of the first Content-Type, and the second is kept."""
    signer = boto3.client("s3", endpoint_url=key.url, region_name="us-east-1", aws_access_key_id=key.id,
                          aws_secret_access_key=key.secret, config=Config(signature_version=version))
    at = {"Bucket": bucket, "Key": "k"}
    url = signer.generate_presigned_url("put_object", Params={**at, "ContentType": "audio/flac"})
    host, path = re.fullmatch("http://([^/]+)(/.*)", url).groups()

    def put(*headers):
        with socket.create_connection((host.split(":")[0], int(host.split(":")[1])), timeout=10) as line:
            lines = "".join(f"{header}\r\n" for header in headers)
            line.sendall(f"PUT {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 1\r\n{lines}\r\nx".encode())
            text = b"".join(iter(lambda: line.recv(65536), b"")).decode()
        return int(text.split()[1]), (re.findall("<Code>(.*)</Code>", text) or [None])[0]

    wrong = (403, "SignatureDoesNotMatch")
    assert put("Content-Type: audio/flac", "Content-Type: text/html") == wrong
    assert put("Content-Type: text/html", "Content-Type: audio/flac") == wrong
    assert put("Content-Type: audio/flac", "content-type: audio/flac") == wrong
    assert put("Content-Type: audio/flac", "x-amz-content-sha256: UNSIGNED-PAYLOAD", f"x-amz-content-sha256: {'0' * 64}") == wrong
    assert refused(s3.head_object, **at)[1] == 404
    assert put("Content-Type: audio/flac", "Cache-Control: no-cache", "Accept: a/b", "Accept: c/d") == (200, None)
    assert s3.head_object(**at)["ContentType"] == "audio/flac"
    if version == "s3v4":
        url = signer.generate_presigned_url("put_object", Params={**at, "Metadata": {"a": "x"}})
        host, path = re.fullmatch("http://([^/]+)(/.*)", url).groups()
        assert put("x-amz-meta-a: x", "x-amz-meta-a: y") == put("x-amz-meta-a: x", "X-Amz-Meta-A: y") == wrong
        assert put("x-amz-meta-a: x") == (200, None)
