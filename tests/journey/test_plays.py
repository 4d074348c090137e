"""Plays are told in batches, late and more than once; history and counters are made of them."""
import time
import uuid

import pytest

from conftest import PATIENCE_S, until


def now_ms():
    return int(time.time() * 1000)


def play(track, played_ms=30000, started_at=None, **more):
    return {"id": str(uuid.uuid4()), "trackId": track["id"], "startedAt": started_at or now_ms() - 60000, "playedMs": played_ms, **more}


def tell(person, *events):
    answer = person.post("/api/v1/plays", json={"events": list(events)})
    assert answer.status_code == 202, answer.text
    return answer.json()


def history(person, at_least=0, **query):
    """Waits until that many plays are there: the consumer makes them."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        items, cursor = [], None
        while True:
            page = person.get("/api/v1/me/history", params={**query, **({"cursor": cursor} if cursor else {})})
            assert page.status_code == 200, page.text
            items += page.json()["items"]
            cursor = page.json()["next"]
            if not cursor:
                break
        if len(items) >= at_least:
            return items
        assert time.monotonic() < deadline, items
        time.sleep(0.05)


def total(person, kind, id):
    answer = person.get(f"/api/v1/plays/{kind}/{id}")
    assert answer.status_code == 200, answer.text
    return answer.json()["plays"], answer.json()["listeners"]


@pytest.fixture(scope="module")
def tracks(upload, album, people):
    """Two of 3 s on an album, one on another."""
    first, second = album(), album()
    return [upload(album_id=first["id"], title="One"), upload(album_id=first["id"], title="Two"),
            upload(album_id=second["id"], title="Three")]


def test_a_play_is_counted_once_however_often_it_is_told(people, tracks):
    person, other = people.new(), people.new()
    track = tracks[0]
    before = total(person, "track", track["id"])
    late = play(track, started_at=now_ms() - 7 * 24 * 3600 * 1000, source="album", sourceId=track["albumId"])
    assert tell(person, late) == {"accepted": 1, "known": 0, "refused": []}
    for _ in range(9):
        assert tell(person, late) == {"accepted": 0, "known": 1, "refused": []}
    assert tell(person, late, late, play(track))["known"] == 2
    assert tell(other, late)["accepted"] == 1  # an id is a person's own
    [new, old] = history(person, 2)
    assert old["id"] == late["id"] and old["startedAt"] == late["startedAt"] and old["counted"]
    assert (old["source"], old["sourceId"]) == ("album", track["albumId"]) and old["track"]["title"] == "One"
    assert new["source"] is None and new["startedAt"] > old["startedAt"]
    history(other, 1)
    for kind, id in (("track", track["id"]), ("album", track["albumId"]), ("artist", track["artistId"])):
        assert total(person, kind, id)[0] >= before[0] + 3
    assert total(person, "track", track["id"]) == (before[0] + 3, before[1] + 2)


def test_a_play_counts_after_half_of_it(people, tracks):
    person = people.new()
    track = tracks[2]
    plays, listeners = total(person, "track", track["id"])
    half = track["durationMs"] // 2
    tell(person, play(track, half - 200), play(track, half + 200), play(track, 0))
    assert sorted(one["counted"] for one in history(person, 3)) == [False, False, True]
    assert total(person, "track", track["id"]) == (plays + 1, listeners + 1)


def test_each_wrong_event_is_answered_and_the_others_count(people, tracks):
    person = people.new()
    good = play(tracks[0])
    wrong = [{**play(tracks[0]), "id": "no spaces"}, {**play(tracks[0]), "trackId": "12"}, {**play(tracks[0]), "playedMs": -1},
             {**play(tracks[0]), "startedAt": now_ms() - 200 * 24 * 3600 * 1000}, "no object", {}, {**play(tracks[0]), "source": "tv"}]
    told = tell(person, *wrong[:3], good, *wrong[3:])
    assert told["accepted"] == 1 and [one["index"] for one in told["refused"]] == [0, 1, 2, 4, 5, 6, 7]
    fields = [[error["field"] for error in one["errors"]] for one in told["refused"]]
    assert fields[0] == ["id"] and fields[1] == ["trackId"] and fields[2] == ["playedMs"] and fields[3] == ["startedAt"]
    assert set(fields[5]) == {"id", "trackId", "startedAt", "playedMs"}
    assert [one["id"] for one in history(person, 1)] == [good["id"]]


def test_a_batch_has_a_limit(people, tracks):
    person = people.new()
    for events in ([], [play(tracks[0])] * 201, "none", None):
        answer = person.post("/api/v1/plays", json={"events": events})
        assert answer.status_code == 422 and "1 to 200" in answer.text
    assert tell(person, *[play(tracks[0]) for _ in range(200)])["accepted"] == 200
    assert len(history(person, 200, limit=37)) == 200


def test_a_start_in_the_future_is_now(people, tracks):
    person = people.new()
    tell(person, play(tracks[0], started_at=now_ms() + 3600 * 1000))
    assert history(person, 1)[0]["startedAt"] <= now_ms()


def test_what_a_person_played_most_and_last(people, tracks):
    person = people.new()
    one, two, three = tracks
    tell(person, play(one, started_at=now_ms() - 50000), play(one, started_at=now_ms() - 40000), play(two, started_at=now_ms() - 30000),
         play(three, started_at=now_ms() - 20000), play(three, started_at=now_ms() - 10000), play(three, started_at=now_ms() - 60000))
    history(person, 6)

    def played(kind, sort):
        items, cursor = [], None
        while True:
            page = person.get(f"/api/v1/me/played/{kind}", params={"sort": sort, "limit": 1, **({"cursor": cursor} if cursor else {})}).json()
            items += page["items"]
            cursor = page["next"]
            if not cursor:
                return items

    assert [item["track"]["title"] for item in played("track", "frequent")] == ["Three", "One", "Two"]
    assert [item["track"]["title"] for item in played("track", "recent")] == ["Three", "Two", "One"]
    assert [(item["album"]["id"], item["plays"]) for item in played("album", "frequent")] in (
        [(one["albumId"], 3), (three["albumId"], 3)], [(three["albumId"], 3), (one["albumId"], 3)])
    assert [item["id"] for item in played("album", "recent")] == [three["albumId"], one["albumId"]]
    assert sum(item["plays"] for item in played("artist", "recent")) == 6
    assert person.get("/api/v1/me/played/genre").status_code == 404
    assert person.get("/api/v1/me/played/track", params={"sort": "best"}).status_code == 400


def test_what_is_playing_is_the_same_on_every_device(people, tracks):
    person = people.new()
    assert person.get("/api/v1/me/playing").json() == {"playing": None}
    put = person.put("/api/v1/me/playing", json={"trackId": tracks[0]["id"], "positionMs": 1200})
    assert put.status_code == 200
    playing = person.get("/api/v1/me/playing").json()["playing"]
    assert playing == put.json()["playing"] and playing["track"]["title"] == "One" and playing["positionMs"] == 1200
    assert person.put("/api/v1/me/playing", json={"trackId": "5"}).status_code == 422
    assert person.put("/api/v1/me/playing", json={}).status_code == 422
    assert person.delete("/api/v1/me/playing").status_code == 204
    assert person.get("/api/v1/me/playing").json() == {"playing": None}


def test_a_draft_is_not_told_of(people, album, upload):
    """Neither by a play nor by its sums, nor in the history of who heard it before it was hidden."""
    artist = people.new("artist")
    made = album(artist, status="draft")
    track = upload(artist=artist, album_id=made["id"], title="Hidden")
    stranger = people.new()
    [refused] = tell(stranger, play(track))["refused"]
    assert refused["errors"] == [{"field": "trackId", "message": "names no track"}]
    assert stranger.get(f"/api/v1/plays/track/{track['id']}").status_code == 404
    assert artist.patch(f"/api/v1/albums/{made['id']}", json={"status": "published"}).status_code == 200
    until(lambda: not tell(stranger, play(track))["refused"])
    history(stranger, 1)
    assert artist.patch(f"/api/v1/albums/{made['id']}", json={"status": "draft"}).status_code == 200
    [heard] = history(stranger, 1)
    assert heard["trackId"] == track["id"] and heard["track"] is None


def test_history_goes_with_its_person(server, people, tracks):
    person = people.new()
    tell(person, play(tracks[0]))
    history(person, 1)
    user = person.get("/api/v1/me").json()["id"]
    assert person.delete("/api/v1/me").status_code == 204
    until(lambda: all(server.rows(f"SELECT COUNT(*) FROM {table} WHERE user_id = ?", int(user), database="activity") == [(0,)]
                      for table in ("play_seen", "play_history", "play_tally")))
