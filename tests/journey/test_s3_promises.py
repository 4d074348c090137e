"""What the built-in store says yes to, it does; what it does not do, it refuses: conditions, sums, queries and headers
as the S3 clients at hand send them. On a plain and on an encrypted store."""
import os
import pathlib
import subprocess
import sys
import uuid

import pytest

from conftest import OBJECTS, Server
from s3_key import Key, refused

NO = ("NotImplemented", 501)
FAILED = ("PreconditionFailed", 412)


@pytest.fixture(scope="module", params=["plain", "encrypted"] if OBJECTS == "file" else ["remote"])
def key(request):
    encrypt = {"TUTTI_BLOB_ENCRYPT": "yes" if request.param == "encrypted" else "no"} if OBJECTS == "file" else {}
    running = Server(environment=encrypt).start()
    yield Key(running, f"promises-{uuid.uuid4().hex[:8]}")
    running.done()


@pytest.fixture(scope="module")
def s3(key):
    return key.client()


@pytest.fixture
def bucket(s3):
    name = f"label-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    return name


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
