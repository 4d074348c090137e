"""Favourites, ratings, follows and the queue: a person's on every device, merged when some were offline."""
import itertools
import random
import time

import pytest

from conftest import PATIENCE_S, Person


def now_ms():
    return int(time.time() * 1000)


def ok(answer, status=200):
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer.json() if answer.content else None


def all_of(person, path, **query):
    items, cursor = [], None
    while True:
        page = ok(person.get(path, params={**query, **({"cursor": cursor} if cursor else {})}))
        items += page["items"]
        cursor = page["next"]
        if not cursor:
            return items


@pytest.fixture(scope="module")
def records(people, album):
    return [album(title=f"Record {number}") for number in range(5)]


def test_favourites_are_listed_the_latest_first(people, records):
    person = people.new()
    for record in records:
        mark = ok(person.put(f"/api/v1/me/favourites/album/{record['id']}"))
        assert mark["value"] == 1 and mark["what"] == "favourite"
    items = all_of(person, "/api/v1/me/favourites/album", limit=2)
    assert [item["album"]["title"] for item in items] == [record["title"] for record in reversed(records)]
    ok(person.delete(f"/api/v1/me/favourites/album/{records[2]['id']}"), 204)
    assert records[2]["id"] not in [item["id"] for item in all_of(person, "/api/v1/me/favourites/album")]
    assert all_of(person, "/api/v1/me/favourites/track") == []
    assert all_of(people.new(), "/api/v1/me/favourites/album") == []
    ok(person.put(f"/api/v1/me/favourites/artist/{records[0]['artistId']}"))
    assert [item["artist"]["name"] for item in all_of(person, "/api/v1/me/favourites/artist")] == [records[0]["artistName"]]


def test_ratings(people, records):
    person, path = people.new(), f"/api/v1/me/ratings/album/{records[0]['id']}"
    assert ok(person.put(path, json={"rating": 4}))["value"] == 4
    assert [(item["id"], item["rating"]) for item in all_of(person, "/api/v1/me/ratings/album")] == [(records[0]["id"], 4)]
    for wrong in ({"rating": 6}, {"rating": -1}, {"rating": "5"}, {}):
        assert person.put(path, json=wrong).status_code == 422
    time.sleep(0.002)
    ok(person.put(path, json={"rating": 0}))
    assert all_of(person, "/api/v1/me/ratings/album") == []


def test_follows(people, records):
    person, path = people.new(), f"/api/v1/me/follows/{records[1]['artistId']}"
    assert person.delete(path).status_code == 404
    ok(person.put(path))
    assert [item["artist"]["id"] for item in all_of(person, "/api/v1/me/follows")] == [records[1]["artistId"]]
    time.sleep(0.002)
    ok(person.delete(path), 204)
    assert all_of(person, "/api/v1/me/follows") == []
    assert person.put(f"/api/v1/me/follows/{records[1]['id']}").status_code == 404


def changes_of_two_devices(records, seed):
    """What two devices did with the same things, with times that meet, pass and equal each other."""
    dice, base = random.Random(seed), now_ms() - 100000000 + seed * 1000
    return [{"what": what, "kind": "album", "id": records[dice.randrange(3)]["id"], "device": device, "at": base + dice.randrange(12),
             "value": dice.randrange(6) if what == "rating" else dice.randrange(2)}
            for device in ("phone", "laptop") for what in ("favourite", "rating") for _ in range(30)]


def test_two_devices_that_were_offline_end_alike_in_any_order(people, records):
    person, wanted = people.new(), {}
    for seed in range(8):  # each later than the one before
        changes, dice = changes_of_two_devices(records, seed), random.Random(seed)
        for change in changes:
            thing, stamp = (change["what"], change["id"]), (change["at"], change["device"], change["value"])
            wanted[thing] = max(wanted.get(thing, stamp), stamp)
        sent = changes * 2  # an answer was lost
        dice.shuffle(sent)
        while sent:
            batch = [sent.pop() for _ in range(min(len(sent), dice.randrange(1, 30)))]
            done = ok(person.post("/api/v1/me/changes", json={"changes": batch}))
            assert done["applied"] + done["older"] == len(batch) and not done["refused"]
        held = {(one["what"], one["id"]): (one["at"], one["device"], one["value"]) for one in ok(person.get("/api/v1/me/changes"))["items"]}
        assert held == wanted


def test_a_device_hears_what_changed_since(people, records):
    person = people.new()
    ok(person.put(f"/api/v1/me/favourites/album/{records[0]['id']}", json={"device": "phone"}))
    first = ok(person.get("/api/v1/me/changes"))
    assert [(one["id"], one["device"], one["value"]) for one in first["items"]] == [(records[0]["id"], "phone", 1)] and not first["more"]
    ok(person.put(f"/api/v1/me/ratings/album/{records[1]['id']}", json={"rating": 2}))
    time.sleep(0.002)
    ok(person.delete(f"/api/v1/me/favourites/album/{records[0]['id']}", params={"device": "laptop"}), 204)
    page = ok(person.get("/api/v1/me/changes", params={"after": first["revision"], "limit": 1}))
    assert page["more"] and page["items"][0]["what"] == "rating"
    rest = ok(person.get("/api/v1/me/changes", params={"after": page["revision"]}))
    assert [(one["id"], one["value"], one["device"]) for one in rest["items"]] == [(records[0]["id"], 0, "laptop")]
    assert ok(person.get("/api/v1/me/changes", params={"after": rest["revision"]}))["items"] == []


def test_an_older_change_comes_too_late(people, records):
    person, path = people.new(), f"/api/v1/me/favourites/album/{records[0]['id']}"
    ok(person.put(path, json={"device": "phone"}))
    ok(person.delete(path, params={"at": now_ms() - 60000, "device": "laptop"}), 204)
    assert [item["device"] for item in all_of(person, "/api/v1/me/favourites/album")] == ["phone"]
    future = ok(person.put(path, json={"at": now_ms() + 10**9, "device": "phone"}))
    assert future["at"] <= now_ms()
    time.sleep(0.002)
    ok(person.delete(path), 204)
    assert all_of(person, "/api/v1/me/favourites/album") == []


def test_each_wrong_change_is_answered_and_the_others_hold(people, records):
    person, id = people.new(), records[0]["id"]
    good = {"what": "rating", "kind": "album", "id": id, "value": 5}
    batch = [{**good, "kind": "genre"}, {**good, "id": "77"}, good, {**good, "what": "favourite", "value": 2},
             {**good, "what": "follow", "value": 1}, 7, {**good, "device": "x" * 65}]
    done = ok(person.post("/api/v1/me/changes", json={"changes": batch}))
    assert done["applied"] == 1 and [(one["index"], one["errors"][0]["field"]) for one in done["refused"]] == [
        (0, "kind"), (1, "id"), (3, "value"), (4, "kind"), (5, "changes"), (6, "device")]
    for wrong in ([], [good] * 501, None):
        assert person.post("/api/v1/me/changes", json={"changes": wrong}).status_code == 422


def test_a_draft_can_not_be_marked_and_is_shown_no_more(people, album):
    artist, person = people.new("artist"), people.new()
    made = album(artist)
    path = f"/api/v1/me/favourites/album/{made['id']}"
    ok(person.put(path))
    ok(artist.patch(f"/api/v1/albums/{made['id']}", json={"status": "draft"}))
    assert [(item["id"], item["album"]) for item in all_of(person, "/api/v1/me/favourites/album")] == [(made["id"], None)]
    assert people.new().put(path).status_code == 404
    ok(person.delete(path), 204)


# -- queue


def test_the_queue_is_the_same_on_every_device(people, upload):
    person = people.new()
    empty = person.get("/api/v1/me/queue")
    assert ok(empty)["trackIds"] == [] and empty.json()["index"] == 0
    track = upload(wait=False)
    ids = [track["id"], *(str(number) for number in range(1, 300))]
    put = ok(person.put("/api/v1/me/queue", json={"trackIds": ids, "index": 0, "device": "phone"}))
    got = ok(person.get("/api/v1/me/queue"))
    assert got["placeAt"] == put["placeAt"] and got["trackIds"] == ids and got["tracks"][0]["title"] == track["title"] and got["tracks"][1:] == [None] * 99
    time.sleep(0.002)
    moved = ok(person.put("/api/v1/me/queue", json={"index": 150, "positionMs": 5000, "itemsAt": got["itemsAt"], "device": "laptop"}))
    assert (moved["index"], moved["positionMs"], moved["placeDevice"], moved["itemsDevice"]) == (150, 5000, "laptop", "phone")
    assert moved["tracksFrom"] == 130 and len(moved["tracks"]) == 100
    others = [ok(person.get("/api/v1/me/queue", params={"from": begin})) for begin in (0, 250, 2000)]
    assert [(one["tracksFrom"], len(one["tracks"]), one["index"]) for one in others] == [(0, 100, 150), (250, 50, 150), (300, 0, 150)]
    assert others[0]["tracks"][0]["title"] == track["title"]
    assert [person.get("/api/v1/me/queue", params={"from": wrong}).status_code for wrong in (-1, "x", 2001)] == [400] * 3
    etag = person.get("/api/v1/me/queue").headers["ETag"]
    assert person.put("/api/v1/me/queue", json={"trackIds": []}, headers={"If-Match": '"1"'}).status_code == 412
    ok(person.put("/api/v1/me/queue", json={"trackIds": []}, headers={"If-Match": etag}))


def orders():
    """Every order in which 0 … 4 can arrive, where a place is told after the list that it is in."""
    for order in itertools.permutations(range(5)):
        if order.index(0) < order.index(1) and order.index(2) < min(order.index(3), order.index(4)):
            yield order


def test_queues_of_two_devices_end_alike_in_any_order(people):
    person, begin = people.new(), now_ms() - 1000000
    for number, order in enumerate(orders()):
        base = begin + number * 100  # each later than the one before
        changes = [{"trackIds": ["11", "12"], "index": 1, "at": base, "device": "phone"},
                   {"index": 0, "positionMs": 7, "itemsAt": base, "at": base + 9, "device": "phone"},  # of a list that loses
                   {"trackIds": ["21", "22", "23"], "index": 0, "at": base + 5, "device": "laptop"},
                   {"index": 2, "positionMs": 1, "itemsAt": base + 5, "at": base + 6, "device": "laptop"},
                   {"index": 1, "positionMs": 2, "itemsAt": base + 5, "at": base + 8, "device": "phone"}]
        for one in order:
            ok(person.put("/api/v1/me/queue", json=changes[one]))
        held = ok(person.get("/api/v1/me/queue"))
        assert held["trackIds"] == ["21", "22", "23"] and (held["index"], held["positionMs"]) == (1, 2), order


def test_wrong_queues(people):
    person = people.new()
    for wrong in ({}, {"trackIds": ["x"]}, {"trackIds": "1"}, {"trackIds": ["1"] * 2001}, {"trackIds": ["1"], "index": 1}, {"index": 2},
                  {"trackIds": [], "positionMs": -1}):
        assert person.put("/api/v1/me/queue", json=wrong).status_code == 422, wrong
    held = ok(person.put("/api/v1/me/queue", json={"trackIds": ["1", "2"], "index": 1, "at": 5}))
    beyond = person.put("/api/v1/me/queue", json={"index": 2, "itemsAt": held["itemsAt"], "at": 9})
    assert beyond.status_code == 422 and beyond.json()["errors"][0]["field"] == "index"
    assert ok(person.get("/api/v1/me/queue"))["index"] == 1
    ok(person.put("/api/v1/me/queue", json={"index": 2, "itemsAt": 4, "at": 9}))  # of a list that is no more: nothing


def test_it_goes_with_its_person(server, people, records):
    person = people.new()
    ok(person.put(f"/api/v1/me/favourites/album/{records[0]['id']}"))
    ok(person.put("/api/v1/me/queue", json={"trackIds": ["1"]}))
    user = int(ok(person.get("/api/v1/me"))["id"])
    ok(person.delete("/api/v1/me"), 204)
    deadline = time.monotonic() + PATIENCE_S
    while any(server.rows(f"SELECT COUNT(*) FROM {table} WHERE user_id = ?", user, database="users") != [(0,)]
              for table in ("library_mark", "library_person", "library_queue")):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_token_that_outlives_its_person_writes_nothing(own_server):
    """A process that was not there when the account was deleted takes its token until it runs out."""
    server = own_server()
    server.add_user("leaver", "listener")
    person = Person(server.url, "leaver", "listener")
    ok(person.put("/api/v1/me/queue", json={"trackIds": [], "at": 1}))
    ok(person.delete("/api/v1/me"), 204)
    deadline = time.monotonic() + PATIENCE_S
    while server.rows("SELECT user_id FROM library_queue", database="users"):
        assert time.monotonic() < deadline, "the library was not erased"
        time.sleep(0.05)
    server.stop()
    server.start()
    writes = [("PUT", "/api/v1/me/queue", {"trackIds": []}), ("POST", "/api/v1/playlists", {"title": "x"}),
              ("PUT", "/api/v1/me/ratings/artist/7", {"rating": 0}), ("DELETE", "/api/v1/me/favourites/artist/7", None),
              ("POST", "/api/v1/me/changes", {"changes": [{"what": "favourite", "kind": "track", "id": "7", "value": 0}]})]
    for method, path, body in writes:
        answer = person.request(method, path, json=body)
        assert answer.status_code == 401, (method, path, answer.status_code, answer.text)
    for table in ("library_queue", "library_mark", "library_person", "playlist", "playlist_member"):
        assert server.rows(f"SELECT COUNT(*) FROM {table}", database="users") == [(0,)], table
