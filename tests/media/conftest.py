"""The media process in its real sandbox, over its own protocol, with files that are made to break decoders.

    --seeds N        so many seeds for each good file (200)
    --seed N         the first of them (0)
"""
import pytest

import mutate


def pytest_addoption(parser):
    parser.addoption("--seeds", type=int, default=200)
    parser.addoption("--seed", type=int, default=0)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("good")


@pytest.fixture(scope="session")
def good(folder):
    """(sounds, pictures): {name: bytes} of each."""
    return mutate.make_good(folder)
