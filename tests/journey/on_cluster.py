"""The journeys against the cluster that TUTTI_TEST_CLUSTER names (./dev cluster up), from the same files: in place of the run's one
server stands the platform behind its way in. What is about one process, its files or its settings is skipped, with the reason."""
import os
import pathlib
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cluster"))
from place import Place  # noqa: E402

ELSEWHERE = {  # what of a module is not the platform's
    "test_s3": "the objects are in Ceph, not in the built-in store",
    "test_s3_clients": "the objects are in Ceph, not in the built-in store",
    "test_encryption": "the objects are in Ceph, which encrypts for itself",
    "test_soak": "about one process",
}
NOT_HERE = {  # parts of names of tests
    "[GET-/metrics]": "the way in keeps metrics to itself",
    "[GET /metrics]": "the way in keeps metrics to itself",
    "test_metrics": "each process counts its own",
    "-/s3/{bucket}": "the objects are in Ceph, not in the built-in store",
    "test_a_token_is_for_what_it_says": "edges word it in their own way (tests/edge)",
}


class ClusterServer:
    """What journeys ask of their server."""
    clients = ()
    environment = {}

    def __init__(self, place):
        status = place.status()
        self.place, self.url = place, status["url"]
        self.folder = pathlib.Path(status["folder"])
        self.data = self.folder / "shared"  # with the keys; commands take it for their data directory
        self.configuration = status["configuration"]
        self.positions = {}
        self.clients = (re.sub(r"\d+$", "1", status["processes"][0]["address"]),)

    def saw(self, answer):
        """What one person wrote, all of them shall see from now on, as on one server: who sends Tutti-Seen sees no less than it
        says. Positions are the databases' own, so the highest of each counts for everybody."""
        for part in filter(None, answer.headers.get("Tutti-Seen", "").split(".")):
            self.positions[part[0]] = max(self.positions.get(part[0], 0), int(part[1:], 16))

    @property
    def seen(self):
        value = ".".join(f"{letter}{position:x}" for letter, position in sorted(self.positions.items()))
        return {"Tutti-Seen": value} if value else {}

    def bring_keys(self):
        """To the edges, as their operator does after a rotation."""
        for name, row in self.place.processes().items():
            if row["kind"] in ("varnish", "nginx"):
                self.place.command("kill", name)
                self.place.command("start", name)
        self.place.wait_up()

    @property
    def process(self):
        pytest.skip("looks into the one process of a server")

    def start(self):
        pytest.skip("starts and ends its server")

    stop = kill = start

    def log_text(self):
        return "".join(path.read_text(errors="replace") for path in (self.folder / "log").glob("*-[12].log")
                       if re.match("api|stream|transcode", path.name))

    def rows(self, query, *values, database="catalog"):
        for value in values:
            query = query.replace("?", str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'", 1)
        return [tuple(int(field) if re.fullmatch(r"-?\d+", field) else field or None for field in row)
                for row in self.place.rows(query, database)]

    def change(self, _statement, database="catalog"):
        pytest.skip(f"changes the database {database} behind everybody's back")


CLUSTER = ClusterServer(Place(os.environ["TUTTI_TEST_CLUSTER"])) if os.environ.get("TUTTI_TEST_CLUSTER") else None


def of_one_process():
    """Called where a journey starts a server of its own."""
    if CLUSTER:
        pytest.skip("starts a server of its own, with settings of its own")


def skip_what_is_elsewhere(items):
    if CLUSTER:  # with all it changes as an admin, this comes last
        items.sort(key=lambda item: item.module.__name__ == "test_schemathesis")
    for item in items if CLUSTER else ():
        reason = ELSEWHERE.get(item.module.__name__)
        reason = reason or next((why for part, why in NOT_HERE.items() if part in item.name), None)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))
