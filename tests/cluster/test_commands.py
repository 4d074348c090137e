"""The commands of ./dev cluster, as INTERFACE.md promises them: what they answer, and that they do it."""
import os
import pathlib
import re
import subprocess

import pytest
import requests

FIELDS = {"name", "kind", "pid", "port", "rssKb", "up"}
MEMORY_MB_MAX = 2560


def test_everything_is_there_and_up(place):
    status = place.status()
    assert requests.get(status["url"] + "/readyz", timeout=5).status_code == 200
    for row in status["processes"]:
        assert FIELDS <= row.keys() and row["up"] and row["pid"] and row["rssKb"] > 0, row
    kinds = [row["kind"] for row in status["processes"]]
    for kind, count in {"tutti-api": 2, "tutti-streaming": 2, "tutti-transcode": 2, "postgresql": 3, "etcd": 3, "pgbouncer": 1,
                        "redis": 1, "ceph-osd": 3, "ceph-rgw": 1, "kafka": 3, "varnish": 2, "nginx": 1, "haproxy": 2}.items():
        assert kinds.count(kind) == count, kind
    body = {"username": "admin", "password": status["adminPassword"]}
    assert requests.post(status["url"] + "/api/v1/auth/login", json=body, timeout=10).status_code == 200


def test_it_is_small(place):
    total = sum(row["rssKb"] for row in place.status()["processes"]) / 1024
    assert total < MEMORY_MB_MAX, f"{total:.0f} MB"


def test_each_has_a_network_of_its_own(place):
    """No two share a namespace, nor any with us: nothing can pass between them but over their cables."""
    homes = [os.stat(f"/proc/{row['pid']}/ns/net").st_ino for row in place.status()["processes"]]
    assert len(set(homes)) == len(homes) and os.stat("/proc/self/ns/net").st_ino not in homes


def test_edges_read_media_and_nothing_else(place):
    """By the bucket's policy: without a signature, from their addresses, what lies under m/."""
    def status(name, path):
        url = f"http://{place.bucket.hostname}:{place.bucket.port}{place.bucket.path}{path}"
        inside = ["nsenter", f"--net=/proc/{place.processes()[name]['pid']}/ns/net"]
        return subprocess.run([*inside, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "30", url],
                              text=True, capture_output=True, check=True, timeout=60).stdout

    paths = ["/m/policy", "/uploads/policy"]
    for path in paths:
        place.signed("PUT", path, body="bytes")
    try:
        assert [status(edge, path) for edge in ("edge-1", "edge-2") for path in paths] == ["200", "403"] * 2
        assert [status("api-1", path) for path in paths] == ["403", "403"]
    finally:
        for path in paths:
            place.signed("DELETE", path)


def test_kill_and_start(place):
    before = place.processes()["stream-1"]["pid"]
    place.command("kill", "stream-1")
    row = place.processes()["stream-1"]
    assert not row["up"] and row["pid"] is None and not os.path.exists(f"/proc/{before}/exe")
    place.command("start", "stream-1")
    row = place.processes()["stream-1"]
    assert row["up"] and row["pid"] != before


def test_cut_and_mend(place):
    address = place.processes()["stream-2"]["address"]
    place.command("cut", "stream-2")
    try:
        row = place.processes()["stream-2"]
        assert row["cut"] and not row["up"] and pathlib.Path(f"/proc/{row['pid']}").exists(), "it lives, and nobody hears it"
        with pytest.raises(requests.RequestException):
            requests.get(f"http://{address}:4040/healthz", timeout=1)
    finally:
        place.command("mend", "stream-2")
    place.wait_up()
    assert requests.get(f"http://{address}:4040/healthz", timeout=5).status_code == 200


@pytest.mark.parametrize("words", (["kill", "nobody"], ["start", "api-1"], ["up"], ["fly"]))
def test_what_can_not_be_done_is_said(place, words):
    done = place.command(*words, check=False)
    assert done.returncode != 0 and done.stderr.strip() and "Traceback" not in done.stderr, done.stderr


def test_without_root_it_says_so():
    """As a user without rights; nothing is started."""
    root = pathlib.Path(__file__).resolve().parents[2]
    done = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "/usr/bin/python3", root / "tools" / "cluster", "up"],
                          text=True, capture_output=True, timeout=30)
    if "Permission denied" in done.stderr and "can't open" in done.stderr:
        pytest.skip("this checkout is closed to other users")
    assert done.returncode == 1 and re.search(r"root|sudo", done.stderr) and "Traceback" not in done.stderr, done.stderr
