"""What the way in makes of a process that is away. One that is cut off says nothing, and no connection to it ends by itself:
who asks must not be kept waiting for it. And what all processes miss must not close the way to them."""
import threading
import time

import pytest
import requests

from fault import signed_in

PATIENCE_S = 14  # the way in waits for two minutes where it believes that there is somebody
ASKERS = 12


def ask_all_the_time(ask, ending, failures, counts):
    while not ending.is_set():
        try:
            answer = ask()
            assert answer.status_code == 200, f"{answer.status_code} {answer.text[:200]}"
            counts.append(1)
        except (requests.RequestException, AssertionError) as error:
            failures.append(f"{type(error).__name__}: {error}")


@pytest.mark.parametrize("name, path", (("api-1", "/api/v1/tracks/{}"), ("stream-1", "/api/v1/tracks/{}/stream")))
def test_who_asked_a_process_that_is_cut_off_is_answered_by_another(place, known, world, name, path):
    ending, failures, counts = threading.Event(), [], []
    url = world.url + path.format(known.track)
    people = [signed_in(world, "listener") for _ in range(ASKERS)]
    askers = [threading.Thread(target=ask_all_the_time, daemon=True, args=(
        lambda http=http: http.get(url, timeout=PATIENCE_S), ending, failures, counts)) for http in people]
    for asker in askers:
        asker.start()
    while len(counts) < 10 * ASKERS:
        time.sleep(0.05)
    place.command("cut", name)
    try:
        time.sleep(2)
        ending.set()
        for asker in askers:
            asker.join(2 * PATIENCE_S)
    finally:
        place.command("mend", name)
        place.wait_up(name)
    assert not failures, failures[:5]


def test_what_all_miss_does_not_close_the_way_to_them(place, known, world):
    """Without a way to the primary none is ready; reads are answered, and writes are told when to come again."""
    http = signed_in(world, "maker")
    apis = [row for row in place.processes().values() if row["kind"] == "tutti-api"]

    def readiness():
        return {requests.get(f"http://{row['address']}:{row['port']}/readyz", timeout=20).status_code for row in apis}

    def wait(status):
        deadline = time.monotonic() + 60
        while readiness() != {status}:
            assert time.monotonic() < deadline, f"not {status}: {readiness()}"
            time.sleep(0.2)

    place.command("kill", "pg-proxy")
    try:
        wait(503)
        time.sleep(3)  # the way in has asked them, too
        for path in (f"tracks/{known.track}", f"tracks/{known.track}/stream", f"artists/{known.artists['maker']}/albums"):
            answers = [http.get(f"{world.url}/api/v1/{path}", timeout=20) for _ in range(10)]
            assert {answer.status_code for answer in answers} == {200}, answers[-1].text
        answer = http.post(f"{world.url}/api/v1/albums", json={"artistId": known.artists["maker"], "title": "Later"}, timeout=20)
        assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0, answer.text
        assert answer.json()["type"].startswith("urn:tutti:error:"), "ours, and not the way in's"
    finally:
        place.command("start", "pg-proxy")
        wait(200)
