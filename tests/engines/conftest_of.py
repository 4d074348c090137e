"""Another suite's fixtures and helpers: conftest_of("journey") is tests/journey/conftest.py as the module `journey`, from which
tests import what it defines (from journey import Server). A conftest takes over the fixtures it wants by their names."""
import importlib.util
import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]


def conftest_of(suite):
    spec = importlib.util.spec_from_file_location(suite, TESTS / suite / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[suite] = module
    spec.loader.exec_module(module)
    return module
