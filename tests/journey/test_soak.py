"""Many at once on one server: readers, artists who write and upload, people who log in and out, an admin, bad
input, a reload and a rotation of keys in between, and a stop while all of it runs. Nothing may go wrong inside,
which says most under the sanitizers (./dev test sanitized)."""
import concurrent.futures
import random
import signal
import threading

import pytest
import requests

from conftest import PASSWORD, People, Person, run_tutti, wait_for

ROUNDS = 12
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc00000030101"
    "00c9fe92ef0000000049454e44ae426082")


def fine(answer, *allowed):
    """No error of ours; a busy server may say so."""
    assert answer.status_code in (*allowed, 429, 503), f"{answer.request.method} {answer.url}: {answer.text[:300]}"
    return answer


def read(person, chance):
    albums = fine(person.get("/api/v1/albums", params={"limit": chance.choice((1, 5, 50))}), 200)
    for album in albums.json().get("items", [])[:2]:
        fine(person.get(f"/api/v1/albums/{album['id']}"), 200, 404)
        fine(person.get(f"/api/v1/albums/{album['id']}/tracks"), 200, 404)
    fine(person.get("/api/v1/genres"), 200)
    fine(requests.get(person.base + "/metrics", timeout=30), 200)


def play(person, track_id):
    answer = fine(person.get(f"/api/v1/tracks/{track_id}/stream"), 200)
    if answer.status_code == 200:
        for url in (answer.json()["hls"], answer.json()["dash"]):
            fine(requests.get(url, timeout=30), 200)
            fine(requests.get(url, headers={"Range": "bytes=0-9,20-29"}, timeout=30), 206)


def write(artist, chance):
    name = f"Band-{chance.random()}"
    page = fine(artist.post("/api/v1/artists", json={"name": name}, headers={"Idempotency-Key": name}), 201)
    fine(artist.post("/api/v1/artists", json={"name": name}, headers={"Idempotency-Key": name}), 201)
    if page.status_code != 201:
        return
    one = page.json()["id"]
    album = fine(artist.post("/api/v1/albums", json={"artistId": one, "title": "One", "genres": ["Jazz"]}), 201)
    fine(artist.patch(f"/api/v1/artists/{one}", json={"name": name + "!"}), 200, 412)
    if album.status_code == 201:
        path = f"/api/v1/albums/{album.json()['id']}"
        fine(artist.put(path + "/cover", data=PICTURE, headers={"Content-Type": "image/png"}), 200, 201, 202)
        fine(artist.patch(path, json={"status": "published"}), 200, 412, 422)
        fine(artist.delete(path), 204)
    fine(artist.delete(f"/api/v1/artists/{one}"), 204, 409)


def same_person(person):
    """Another client with the same token: a session of requests is for one thread."""
    again = Person(person.base)
    again.username, again.headers = person.username, dict(person.headers)
    return again


def sign_in_and_out(person):
    again = Person(person.base)
    right = {"username": person.username, "password": PASSWORD}
    answer = fine(again.post("/api/v1/auth/login", json=right), 200)
    if answer.status_code != 200:
        return
    again.take(answer.json())
    answer = fine(again.post("/api/v1/auth/refresh", json={"refreshToken": again.refresh_token}), 200)
    if answer.status_code == 200:
        again.take(answer.json())
    fine(again.get("/api/v1/me/sessions"), 200)
    fine(again.post("/api/v1/auth/logout", json={"refreshToken": again.refresh_token}), 204)
    wrong = {"username": person.username, "password": PASSWORD + "!"}
    fine(again.post("/api/v1/auth/login", json=wrong), 401)


def disturb(person, chance):
    base = person.base
    fine(requests.get(f"{base}/m/{chance.random()}/1/1/aac-160.mp4", timeout=30), 403, 404)
    fine(requests.get(f"{base}/api/v1/albums/{chance.randrange(1 << 62)}", timeout=30), 401, 404)
    fine(requests.get(f"{base}/api/v1/me", headers={"Authorization": "Bearer a.b.c"}, timeout=30), 401)
    fine(requests.put(f"{base}/s3/uploads/x?X-Amz-Signature=00", data=b"x" * 5000, timeout=30), 400, 403)
    fine(requests.post(f"{base}/api/v1/auth/login", data="{", headers={"Content-Type": "application/json"},
                       timeout=30), 400)


@pytest.fixture
def crowd(own_server, sounds):
    """A server with a track that plays, and a function that does one thing of each kind."""
    server = own_server()
    people = People(server)
    artist, listener, admin = people.artist, people.listener, people.admin
    tracks = []

    def upload():
        size = sounds().stat().st_size
        place = fine(artist.get("/api/v1/tracks/upload-url", params={"filename": "a.flac", "size": size}), 200)
        fine(requests.put(place.json()["uploadUrl"], data=sounds().read_bytes(), timeout=60), 200)
        page = artist.post("/api/v1/artists", json={"name": "Soak"}).json()
        album = artist.post("/api/v1/albums", json={"artistId": page["id"], "title": "Soak"}).json()
        body = {"albumId": album["id"], "title": "A", "trackUrl": place.json()["trackUrl"]}
        tracks.append(fine(artist.post("/api/v1/tracks", json=body), 201).json()["id"])

    def one_round(seed):
        chance = random.Random(seed)
        mine = {role: same_person(person)
                for role, person in (("artist", artist), ("listener", listener), ("admin", admin))}
        for _ in range(ROUNDS):
            chance.choice((
                lambda: read(mine["listener"], chance),
                lambda: write(mine["artist"], chance),
                lambda: sign_in_and_out(mine["listener"]),
                lambda: disturb(mine["listener"], chance),
                lambda: fine(mine["admin"].get("/api/v1/admin/users"), 200),
                lambda: play(mine["artist"], tracks[0]),
            ))()

    upload()
    wait_for(artist, tracks[0], states=("ready",), timeout=180)
    return server, one_round, upload


def test_many_at_once(crowd):
    server, one_round, upload = crowd
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        running = [pool.submit(one_round, seed) for seed in range(6)] + [pool.submit(upload)]
        run_tutti("keys", "rotate", data=server.data)
        server.process.send_signal(signal.SIGHUP)
        for one in running:
            one.result(timeout=300)
    assert server.stop(60) == 0, server.log_text()[-4000:]


def test_a_stop_in_the_middle(crowd):
    server, one_round, _ = crowd
    begun = threading.Barrier(5)

    def until_it_ends(seed):
        begun.wait(60)
        try:
            for turn in range(1000):
                one_round(1000 * seed + turn)
        except (requests.RequestException, OSError):
            return  # it is gone
        except AssertionError:  # or says that it goes
            assert server.process.poll() is not None or not ready(server)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        running = [pool.submit(until_it_ends, seed) for seed in range(4)]
        begun.wait(60)
        fine(requests.get(server.url + "/healthz", timeout=30), 200)
        assert server.stop(60) == 0, server.log_text()[-4000:]
        for one in running:
            one.result(timeout=120)


def ready(server):
    try:
        return requests.get(server.url + "/readyz", timeout=10).status_code == 200
    except requests.RequestException:
        return False
