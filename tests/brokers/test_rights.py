"""A broker that lets its user do only what it was told: what is missing is named by tutti doctor and by /readyz, and once it is
given, events flow."""
import random
import subprocess

import pytest

import kafka as engine
from test_changes import PROGRAM
from test_server import doctor, emit, jobs, lines, on, readiness, until

ALL = {("topic", "create"), ("topic", "describe"), ("topic", "read"), ("topic", "write"), ("group", "read")}
AUTHORIZER = """authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""


@pytest.fixture
def strict(tmp_path, certificate):
    """Those who come without TLS and a password may all."""
    engine.fetch()
    kafka = engine.Kafka(tmp_path, brokers=1, secure={"password": "sesame", "pem": certificate / "both.pem"}, settings=AUTHORIZER)
    kafka.start()
    yield kafka
    kafka.stop()


def address(strict, certificate, prefix):
    return (f"kafka://tutti:sesame@{strict.secure_addresses}?prefix={prefix}&replicas=1&tls=yes&ca={certificate}/cert.pem&sasl=plain"
            "&lease_ms=1000")


def allow(strict, prefix, rights):
    for resource, operation in sorted(rights):
        subprocess.run([PROGRAM, "allow", strict.addresses, "tutti", resource, prefix, operation], check=True, timeout=60)


def test_what_is_missing_is_named(strict, certificate, data, own_server):
    def says(prefix):
        found = doctor(data, address(strict, certificate, prefix))
        assert found["state"] == "failed" and "sesame" not in found["detail"], found
        assert found["detail"].startswith(f"Kafka at {strict.secure_addresses}: "), found
        return found["detail"]

    allow(strict, "none", {("topic", "create"), ("topic", "read"), ("group", "read")})
    assert says("none").endswith("our user may not publish events; it needs Write on topics that begin with none")
    allow(strict, "uncreated", ALL - {("topic", "create")})
    assert "uncreated.catalog is missing and can't be made" in says("uncreated") and "Create" in says("uncreated")
    allow(strict, "ungrouped", ALL - {("group", "read")})
    assert says("ungrouped").endswith("it needs Read on groups that begin with ungrouped")
    prefix = f"unread{random.getrandbits(30)}"
    allow(strict, prefix, ALL - {("topic", "read")})
    server = own_server(environment=on(address(strict, certificate, prefix)))
    until(lambda: readiness(server)["status"] == "degraded")
    assert "reading events: our user may not do that; it needs Create, Describe, Read" in readiness(server)["reason"]
    emit(server, 1)
    server.change("UPDATE db_position SET position = position + 1 WHERE id = 1")  # as a commit of ours does, which is noticed by it
    assert says(prefix).endswith(f"may not read the topic {prefix}.activity; it needs Read on topics that begin with {prefix}")
    troubled = len(lines(server, "bus.kafka.trouble"))
    assert readiness(server)["status"] == "degraded" and jobs(server) == 0  # though the broker answers
    allow(strict, prefix, ALL)
    until(lambda: jobs(server) == 1)
    until(lambda: readiness(server)["status"] == "ready")
    assert len(lines(server, "bus.kafka.trouble")) == troubled == 1 and len(lines(server, "bus.kafka.well")) == 1
    assert doctor(data, address(strict, certificate, prefix))["state"] == "ok"
