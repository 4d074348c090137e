"""Where bus_process is (bus_process.c)."""
import os
import pathlib

PROGRAM = os.environ.get("BUS_PROCESS") or pathlib.Path(__file__).resolve().parents[2] / "build-dev/tests/brokers/bus_process"
