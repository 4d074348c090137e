"""What the journeys of the built-in store share: outside keys with boto3 clients, how they are refused, and Signature
V4 made by hand."""
import base64
import datetime
import hashlib
import hmac
import re
import zlib
from urllib.parse import quote

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import run_tutti


class Key:
    """An outside key, and clients that use it."""

    def __init__(self, server, name):
        text = run_tutti("s3", "key", "add", name, data=server.data).stdout
        self.id = re.search(r"access key\s+(\S+)", text).group(1)
        self.secret = re.search(r"secret\s+(\S+)", text).group(1)
        self.url = server.url + "/s3"

    def client(self, key_id=None, secret=None):
        return boto3.client("s3", endpoint_url=self.url, region_name="us-east-1",
                            aws_access_key_id=key_id or self.id, aws_secret_access_key=secret or self.secret,
                            config=Config(signature_version="s3v4", s3={"addressing_style": "path"},
                                          retries={"max_attempts": 1}))


def refused(call, **arguments):
    """The code and status with which a call fails."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    assert re.fullmatch("[0-9a-f]{32}", response["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"])
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def code_of(answer):
    return re.search(r"<Code>(\w+)</Code>", answer.text).group(1)


def sign(key, method, path, headers, payload, when=None, query=None):
    """Signature V4 in the header; returns headers, the signing key and the seed signature."""
    now = when or datetime.datetime.now(datetime.timezone.utc)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    headers = {**headers, "host": key.url.split("/")[2], "x-amz-date": stamp, "x-amz-content-sha256": payload}
    names = sorted(headers)
    pairs = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in sorted((query or {}).items()))
    canonical = "\n".join([method, path, pairs, *(f"{name}:{headers[name]}" for name in names), "", ";".join(names), payload])
    scope = f"{day}/us-east-1/s3/aws4_request"
    secret = ("AWS4" + key.secret).encode()
    for part in scope.split("/"):
        secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={key.id}/{scope}, SignedHeaders={';'.join(names)}, "
                                f"Signature={signature}")
    return headers, secret, signature, stamp, scope


def put_chunked(key, path, chunks, spoil=False, trailer=None):
    """STREAMING-AWS4-HMAC-SHA256-PAYLOAD, with a trailer (name, value) its -TRAILER form."""
    length = sum(map(len, chunks))
    headers, secret, signature, stamp, scope = sign(
        key, "PUT", path, {"x-amz-decoded-content-length": str(length), "content-encoding": "aws-chunked",
                           **({"x-amz-trailer": trailer[0]} if trailer else {})},
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if trailer else ""))

    def chain(kind, *hashes):
        text = "\n".join([kind, stamp, scope, signature, *hashes])
        return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()

    body = b""
    for chunk in [*chunks, b""]:
        signature = chain("AWS4-HMAC-SHA256-PAYLOAD", hashlib.sha256(b"").hexdigest(), hashlib.sha256(chunk).hexdigest())
        body += f"{len(chunk):x};chunk-signature={signature}\r\n".encode() + chunk + (b"\r\n" if chunk else b"")
    if trailer:
        name, value = trailer
        signature = chain("AWS4-HMAC-SHA256-TRAILER", hashlib.sha256(f"{name}:{value}\n".encode()).hexdigest())
        body += f"{name}:{value}\r\nx-amz-trailer-signature:{signature}\r\n".encode()
    body += b"\r\n"
    if spoil:
        body = body.replace(b"zz", b"zy", 1)
    return requests.put(key.url.rsplit("/s3", 1)[0] + path, data=body, headers=headers, timeout=20)


def checksum(kind, payload):
    """In base64; the CRCs bit by bit over tables made here, so that they are nobody else's."""
    if kind in ("sha1", "sha256", "sha512", "md5"):
        return base64.b64encode(hashlib.new(kind, payload).digest()).decode()
    if kind == "crc32":
        return base64.b64encode(zlib.crc32(payload).to_bytes(4, "big")).decode()
    polynomial, width = {"crc32c": (0x82F63B78, 4), "crc64nvme": (0x9A6C9329AC4BC9B5, 8)}[kind]
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)
        table.append(value)
    ones = (1 << 8 * width) - 1
    crc = ones
    for byte in payload:
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    return base64.b64encode((crc ^ ones).to_bytes(width, "big")).decode()
