"""Three real brokers for all tests of this folder; a killed one is started again by who killed it."""
import os
import pathlib
import random
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[1:1] = [str(ROOT / "tests" / "engines"), str(ROOT / "tests" / "journey")]

import kafka as engine  # noqa: E402
from conftest_of import conftest_of  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--rounds", type=int, default=0, help="0: a short run; else the long one")
    parser.addoption("--seed", default=os.environ.get("FAULT_SEED") or str(random.SystemRandom().getrandbits(32)))


def pytest_report_header(config):
    return f"seed: {config.getoption('--seed')}"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A key and certificate for 127.0.0.1 in one PEM, and the certificate alone."""
    folder = tmp_path_factory.mktemp("certificate")
    engine.make_certificate(folder)
    return folder


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data")
    journey.run_tutti("migrate", data=path)
    return path


@pytest.fixture(scope="session")
def brokers(tmp_path_factory, certificate):
    engine.fetch()
    secure = {"password": "sesame", "pem": certificate / "both.pem"}
    kafka = engine.Kafka(tmp_path_factory.mktemp("brokers"), secure=secure)
    kafka.start()
    yield kafka
    kafka.stop()

journey = conftest_of("journey")
own_server = journey.own_server
