"""The cluster as tests see it: what `./dev cluster` answers and does, each command a process of its own."""
import configparser
import csv
import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(1, str(ROOT / "tests" / "engines"))

import rgw  # noqa: E402

BINARY = os.environ.get("TUTTI_BINARY", str(ROOT / "build" / "tutti"))


class Place:
    """NAME is TUTTI_CLUSTER's value for the commands."""

    def __init__(self, name):
        self.name = name

    def command(self, *words, check=True, timeout=180):
        done = subprocess.run(["/usr/bin/python3", str(ROOT / "tools" / "cluster"), *words], text=True, timeout=timeout,
                              capture_output=True, env={**os.environ, "TUTTI_CLUSTER": self.name})
        assert not check or done.returncode == 0, f"cluster {' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-3000:]}"
        return done

    def status(self):
        return json.loads(self.command("status", "--json").stdout)

    def processes(self):
        return {row["name"]: row for row in self.status()["processes"]}

    def wait_up(self, *names, timeout=90):
        """Until those answer, or everything; the names of what does not stand in the failure."""
        deadline = time.monotonic() + timeout
        while True:
            down = [name for name, row in self.processes().items() if not row["up"] and name in (names or [name])]
            if not down:
                return
            assert time.monotonic() < deadline, f"not up again: {', '.join(down)}"
            time.sleep(0.3)

    def patroni(self):
        """The members of PostgreSQL's cluster, as the one says that never leads; none while it is away."""
        try:
            with urllib.request.urlopen(f"http://{self.addresses['pg-3']}:8008/cluster", timeout=5) as answer:
                return json.load(answer)["members"]
        except (OSError, ValueError):
            return []

    def edge_at_work(self):
        """The one that the way in passed the last part of a song on to."""
        for line in reversed((self.folder / "log" / "way-in.log").read_text().splitlines()):
            found = re.search(r'"path":"\\?/m\\?/.*"server":"edges/(edge)(\d+)"', line)
            if found:
                return "-".join(found.groups())

    @functools.cached_property
    def addresses(self):
        return {name: row["address"] for name, row in self.processes().items()}

    @functools.cached_property
    def bucket(self):
        """Its URL in the store, with the key of the processes."""
        return urllib.parse.urlsplit(self.settings["blob"]["store"])

    def signed(self, method, path="", query="", body=None):
        """A request of the processes' key for what is in the bucket; its answer's text."""
        return rgw.signed(f"http://{self.bucket.hostname}:{self.bucket.port}", self.bucket.username, self.bucket.password,
                          method, self.bucket.path + path, query, body)

    def objects(self):
        """{key: bytes} of all that the store has."""
        found, after = {}, ""
        while True:
            text = self.signed("GET", query=f"list-type=2&start-after={urllib.parse.quote(after, safe='')}")
            page = {item.findtext("{*}Key"): int(item.findtext("{*}Size"))
                    for item in xml.etree.ElementTree.fromstring(text).iterfind("{*}Contents")}
            if not page:
                return found
            found.update(page)
            after = max(page)

    def tutti(self, *words, stdin="", good=""):
        """A command of the binary on the cluster's databases; its standard output. good: a refusal that is none here."""
        done = subprocess.run([BINARY, *words, "--config", self.folder / "tutti.conf", "--data", self.folder / "shared"],
                              input=stdin, text=True, capture_output=True, timeout=60)
        assert done.returncode == 0 or good and good in done.stderr, f"tutti {' '.join(words)}: {done.stderr}"
        return done.stdout

    @functools.cached_property
    def folder(self):
        return pathlib.Path(self.status()["folder"])

    @functools.cached_property
    def settings(self):
        """tutti.conf of all its processes."""
        configuration = configparser.RawConfigParser()
        configuration.read(self.folder / "tutti.conf")
        return configuration

    def rows(self, query, database="catalog"):
        """The rows of a query, as text, from whoever is the primary."""
        done = subprocess.run(["psql", "--no-psqlrc", "--csv", "--tuples-only", "--command", query,
                               self.settings["database"][f"{database}_direct"]], text=True, capture_output=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return [tuple(row) for row in csv.reader(done.stdout.splitlines())]
