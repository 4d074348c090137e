"""Alerts and dashboard: each expression is valid and asks for metrics that there are, each alert has its unit
test, and what they warn of, made to happen on real servers, reaches a person through Prometheus and
Alertmanager, and so does its end."""
import json
import os
import pathlib
import re
import sqlite3
import subprocess
import threading
import time

import pytest
import requests
import yaml

from edge import Edge
from journey import BINARY, PASSWORD, Person, Server, free_port, run_tutti, wait_for
from programs import in_own_mounts
from receiver import Receiver

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy" / "prometheus"
RULES = DEPLOY / "tutti.rules.yml"
UNIT_TESTS = ROOT / "tests" / "operations" / "tutti.rules.test.yml"
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "tutti.json").read_text())
METRIC = re.compile(r"\b(?:tutti|process|probe)_\w+|\bup\b")
# Panels that show nothing while nothing of the kind happens.
MAY_BE_EMPTY = {"Slowest routes, p99"}


def alerts():
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels():
    return [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]


def filled_in(expression):
    """As Grafana sends it."""
    return (expression.replace("$__rate_interval", "10s").replace('"$job"', '".+"')
            .replace('"$instance"', '".+"'))


def test_rules_and_configurations_are_valid(programs):
    programs.run("promtool", "check", "rules", str(RULES))
    programs.run("promtool", "check", "config", str(DEPLOY / "prometheus.yml"))
    programs.run("amtool", "check-config", str(DEPLOY / "alertmanager.yml"))
    programs.run("prometheus-blackbox-exporter", f"--config.file={DEPLOY / 'blackbox.yml'}", "--config.check")


def test_every_alert_passes_its_unit_test(programs):
    programs.run("promtool", "test", "rules", str(UNIT_TESTS))
    tried = [case for test in yaml.safe_load(UNIT_TESTS.read_text())["tests"] for case in test["alert_rule_test"]]
    for alert in alerts():
        assert any(case["alertname"] == alert["alert"] and case["exp_alerts"] for case in tried), alert["alert"]


def test_every_alert_is_explained():
    text = (ROOT / "docs" / "monitoring.md").read_text()
    for alert in alerts():
        assert f"### {alert['alert']}\n" in text, alert["alert"]
    assert set(re.findall(r"^### (Tutti\w+)$", text, re.M)) == {alert["alert"] for alert in alerts()}


def test_the_dashboard_is_valid(programs):
    identifiers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(identifiers)) == len(identifiers)
    rules = [{"record": f"panel:{i}", "expr": filled_in(expression)} for i, (_, expression) in enumerate(panels())]
    path = programs.folder / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    programs.run("promtool", "check", "rules", str(path))


class SmallDisk(Server):
    """A server whose data is on a tmpfs of 64 MB that nobody else sees."""

    MEGABYTES = 64

    def start(self):
        self.wrapper = in_own_mounts(f'mount -t tmpfs -o size={self.MEGABYTES}m tutti "$1"', str(self.data))
        return super().start()

    def inside(self, *command, stdin=""):
        user = [] if os.geteuid() == 0 else ["-U", "--preserve-credentials"]
        subprocess.run(["nsenter", "-t", str(self.process.pid), "-m", *user, *command], input=stdin, text=True,
                       check=True, capture_output=True, timeout=60)

    def add_user(self, username, role):
        self.inside(BINARY, "user", "add", username, "--role", role, "--password-stdin", "--data", str(self.data),
                    stdin=PASSWORD + "\n")

    def fill(self):
        """Until nothing more fits, and dd fails."""
        with pytest.raises(subprocess.CalledProcessError):
            self.inside("dd", "if=/dev/zero", f"of={self.data}/filler", "bs=64k")

    def empty(self):
        self.inside("rm", f"{self.data}/filler")


class Traffic:
    """Calls a function again and again on threads of its own, until it ends."""

    def __init__(self, call, threads=1, pause_s=0.05):
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(call, pause_s)) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self, call, pause_s):
        while not self.ending.wait(pause_s):
            try:
                call()
            except requests.RequestException:
                pass

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join()


class Watch:
    """Prometheus, Alertmanager and blackbox_exporter with the files of deploy/, hurried: they look each second, and
    what the rules wait for in minutes is seconds."""

    def __init__(self, programs, receiver, targets, edge):
        self.folder = programs.folder
        ports = {name: free_port() for name in ("prometheus", "alertmanager", "blackbox")}
        self.url = f"http://127.0.0.1:{ports['prometheus']}"
        self.blackbox = f"http://127.0.0.1:{ports['blackbox']}"
        self.write_rules()
        self.write_scrapes(targets, edge, ports)
        self.write_receiver(receiver)
        modules = yaml.safe_load((DEPLOY / "blackbox.yml").read_text())
        modules["modules"]["tutti_edge"]["http"]["tls_config"] = {"ca_file": str(edge.authority)}
        (self.folder / "blackbox.yml").write_text(yaml.safe_dump(modules))
        programs.start("prometheus-blackbox-exporter", f"--config.file={self.folder}/blackbox.yml",
                       f"--web.listen-address=127.0.0.1:{ports['blackbox']}")
        programs.start("prometheus-alertmanager", f"--config.file={self.folder}/alertmanager.yml",
                       f"--storage.path={self.folder}/alertmanager", "--cluster.listen-address=",
                       f"--web.listen-address=127.0.0.1:{ports['alertmanager']}", own_share="prometheus/alertmanager")
        programs.start("prometheus", f"--config.file={self.folder}/prometheus.yml",
                       f"--storage.tsdb.path={self.folder}/prometheus",
                       f"--web.listen-address=127.0.0.1:{ports['prometheus']}")

    def write_rules(self):
        text = re.sub(r"for: \d+[mh]", "for: 1s", RULES.read_text())
        text = re.sub(r"\[\d+[mh]\]", "[6s]", text)
        assert "> 900" in text
        (self.folder / "tutti.rules.yml").write_text(text.replace("> 900", "> 3"))

    def write_scrapes(self, targets, edge, ports):
        configuration = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
        configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        configuration["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [
            f"127.0.0.1:{ports['alertmanager']}"]
        first, probe = configuration["scrape_configs"]
        first["static_configs"] = [{"targets": targets["tutti"]}]
        probe["static_configs"] = [{"targets": [edge.url + "/healthz"]}]
        probe["relabel_configs"][-1]["replacement"] = f"127.0.0.1:{ports['blackbox']}"
        configuration["scrape_configs"].append({"job_name": "tutti-two", "static_configs": [
            {"targets": targets["tutti-two"]}]})
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))

    def write_receiver(self, receiver):
        configuration = yaml.safe_load((DEPLOY / "alertmanager.yml").read_text())
        configuration["route"].update(group_wait="0s", group_interval="1s")
        configuration["receivers"][0]["webhook_configs"][0]["url"] = receiver.url
        (self.folder / "alertmanager.yml").write_text(yaml.safe_dump(configuration))

    def query(self, expression):
        answer = requests.get(self.url + "/api/v1/query", params={"query": expression}, timeout=10)
        assert answer.status_code == 200, f"{expression}: {answer.text}"
        return answer.json()["data"]["result"]


def target(server):
    return f"127.0.0.1:{server.port}"


def put_track(artist, path):
    page = artist.post("/api/v1/artists", json={"name": "Band"}).json()
    album = artist.post("/api/v1/albums", json={"artistId": page["id"], "title": "Album"}).json()
    query = {"filename": path.name, "size": path.stat().st_size}
    place = artist.get("/api/v1/tracks/upload-url", params=query).json()
    assert requests.put(place["uploadUrl"], data=path.read_bytes(), timeout=60).status_code == 200
    answer = artist.post("/api/v1/tracks", json={"albumId": album["id"], "title": "A Track",
                                                 "trackUrl": place["trackUrl"]})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def emit_nonsense(server):
    """An event that no version's consumer can take, as a bug of ours would leave one."""
    with sqlite3.connect(server.data / "catalog.db", timeout=10) as database:
        database.execute("INSERT INTO bus_outbox SELECT MAX(sequence) + 1, 77, 'track.uploaded', 'track:77', '{}', ?"
                         " FROM bus_outbox", (int(time.time() * 1000),))


@pytest.fixture(scope="module")
def watched(programs, tmp_path_factory):
    """Servers with something wrong each, and who watches them."""
    media = tmp_path_factory.mktemp("media") / "tutti-media"
    media.write_text("#!/bin/sh\nexec sleep 1000\n")
    media.chmod(0o755)
    stuck = Server(environment={"TUTTI_TRANSCODE_MEDIA_PROGRAM": str(media),
                                "TUTTI_BUS_STORE": "local:?retry_ms=10&retry_max_ms=20",
                                "TUTTI_MAIL_URL": "smtp://127.0.0.1:1"})  # a breaker, to be told of
    small = SmallDisk()
    narrow = Server(environment={"TUTTI_LIMITS_POOL_THREADS": "1", "TUTTI_LIMITS_POOL_QUEUE": "1"})
    lone = Server(roles="gateway,identity,catalog,ingest,streaming,library,objectstore")
    servers = [stuck, small, narrow, lone]
    receiver = Receiver()
    try:
        for server in servers:
            server.start()
        edge = Edge(programs, free_port(), lone.url, days=10)
        watch = Watch(programs, receiver, {"tutti": [target(stuck), target(small), target(narrow)],
                                           "tutti-two": [target(lone)]}, edge)
        yield stuck, small, narrow, lone, edge, watch, receiver
    finally:
        receiver.done()
        for server in servers:
            server.done()


def test_what_goes_wrong_reaches_a_person_and_so_does_its_end(watched, sounds):
    stuck, small, narrow, lone, edge, watch, receiver = watched
    stuck.add_user("artist", "artist")
    artist = Person(stuck.url, "artist", "artist")
    track = put_track(artist, sounds())
    emit_nonsense(stuck)
    small.add_user("artist", "artist")
    writer = Person(small.url, "artist", "artist")
    body = {"name": "B" * 100}
    assert writer.post("/api/v1/artists", json=body).status_code == 201
    small.fill()
    writing = Traffic(lambda: requests.post(small.url + "/api/v1/artists", json=body, timeout=5,
                                            headers={"Authorization": writer.headers["Authorization"]}))
    crowd = Traffic(lambda: [requests.get(narrow.url + "/readyz", timeout=5) for _ in range(10)], threads=8,
                    pause_s=0.5)
    try:
        receiver.wait(["TuttiQueueStuck", "TuttiEventsParked", "TuttiDiskNearlyFull", "TuttiDiskFull", "TuttiErrors",
                       "TuttiRefusing", "TuttiNoTranscoder", "TuttiEdgeCertificate"], "firing")
        assert {dict(labels)["instance"] for labels in receiver.last("TuttiDiskFull")} == {target(small)}
        assert {dict(labels)["instance"] for labels in receiver.last("TuttiErrors")} == {target(small)}
        assert {dict(labels)["job"] for labels in receiver.last("TuttiNoTranscoder")} == {"tutti-two"}
        small.empty()
        crowd.end()
        stuck.stop()
        del stuck.environment["TUTTI_TRANSCODE_MEDIA_PROGRAM"]
        stuck.start()
        run_tutti("events", "drop", "77", data=stuck.data)
        lone.stop()
        lone.options = []
        lone.start()
        edge.renew(90)
        receiver.wait(["TuttiQueueStuck", "TuttiEventsParked", "TuttiDiskNearlyFull", "TuttiDiskFull", "TuttiErrors",
                       "TuttiRefusing", "TuttiNoTranscoder", "TuttiEdgeCertificate"], "resolved")
    finally:
        crowd.end()
        writing.end()
    assert wait_for(artist, track, whole=True)["status"] == "ready"


def test_a_killed_server_is_missed(watched):
    _, _, _, lone, _, _, receiver = watched
    lone.kill()
    receiver.wait(["TuttiDown", "TuttiEdgeDown"], "firing")
    lone.start()
    receiver.wait(["TuttiDown", "TuttiEdgeDown"], "resolved")


def test_every_panel_shows_something(watched):
    """After the two tests above something of everything has happened."""
    _, _, _, _, _, watch, _ = watched
    empty = [title for title, expression in panels() if not watch.query(filled_in(expression))]
    assert set(empty) <= MAY_BE_EMPTY, empty


def test_every_metric_that_is_asked_for_is_told(watched):
    stuck, _, _, _, edge, watch, _ = watched
    told = requests.get(stuck.url + "/metrics", timeout=10).text
    told += requests.get(watch.blackbox + "/probe", timeout=10, params={
        "module": "tutti_edge", "target": edge.url + "/healthz"}).text
    names = set(re.findall(r"^(\w+)[{ ]", told, re.M)) | {"up"}
    asked = {name for _, expression in panels() for name in METRIC.findall(re.sub(r"\{[^}]*\}", "", expression))}
    asked |= {name for alert in alerts() for name in METRIC.findall(re.sub(r"\{[^}]*\}", "", alert["expr"]))}
    assert len(asked) > 40 and asked <= names, asked - names
