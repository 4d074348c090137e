"""Every process of the platform is restarted, one after the other, as an upgrade does it, while clients ask without pause
and never ask twice: no request may be dropped."""
import threading
import time

import requests

from fault import signed_in


class Asker(threading.Thread):
    """Asks for one thing after another on connections that it keeps; what did not succeed is in failures."""

    def __init__(self, calls, ending):
        super().__init__(daemon=True)
        self.calls, self.ending = calls, ending
        self.done, self.failures = 0, []

    def run(self):
        while not self.ending.is_set():
            for name, call in self.calls:
                try:
                    answer = call()
                    if answer.status_code not in (200, 201, 206):
                        self.failures.append(f"{name}: {answer.status_code} {answer.text[:200]}")
                except requests.RequestException as error:
                    self.failures.append(f"{name}: {type(error).__name__}: {error}")
                self.done += 1
                time.sleep(0.01)


def asker_of(world, known, name, ending):
    http = signed_in(world, name)
    page = known.artists[name]
    file = http.get(f"{world.url}/api/v1/tracks/{known.track}/stream", timeout=10).json()["files"][0]["url"]
    return Asker([
        ("read", lambda: http.get(f"{world.url}/api/v1/tracks/{known.track}", timeout=10)),
        ("write", lambda: http.post(f"{world.url}/api/v1/albums", json={"artistId": page, "title": "Rolling"}, timeout=10)),
        ("stream", lambda: http.get(f"{world.url}/api/v1/tracks/{known.track}/stream", timeout=10)),
        ("media", lambda: http.get(file, headers={"Range": "bytes=0-1023"}, timeout=10)),
    ], ending)


def test_a_rolling_restart_drops_no_request(place, known, world, table):
    ending = threading.Event()
    askers = [asker_of(world, known, name, ending) for name in ("maker", "second") for _ in range(2)]
    for asker in askers:
        asker.start()
    restarted = 0
    for name, row in place.processes().items():
        if row["kind"].startswith("tutti-"):
            before = sum(asker.done for asker in askers)
            place.command("stop", name)
            place.command("start", name)
            place.wait_up()
            restarted += 1
            while sum(asker.done for asker in askers) < before + 40:
                time.sleep(0.05)
    ending.set()
    for asker in askers:
        asker.join(30)
    failures = [failure for asker in askers for failure in asker.failures]
    table.add("rolling restart", calls=sum(asker.done for asker in askers), errors=len(failures))
    assert restarted >= 6 and not failures, failures[:10]
