"""A person's way through it all, on whatever the platform stands on: a folder of music is brought in, a song of it found by its name
misspelt and in another script, played, kept, put into a list with a friend, and all of that is there on a second device."""
import random
import time

import pytest
import requests

from conftest import PATIENCE_S, Person, run_tutti

CYRILLIC = dict(zip("bvgdzklmnprstfaiou", "бвгдзклмнпрстфаиоу"))


def ok(answer, status=200):
    assert answer.status_code == status, (answer.status_code, answer.text[:500])
    return answer.json() if answer.content else None


def until(ask, good):
    """What is asked for, once it is good: other processes hear of it by events."""
    deadline = time.monotonic() + 3 * PATIENCE_S
    while not good(found := ask()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def a_word():
    """In Latin letters: nothing else here is called so."""
    return "".join(random.choice("bvgdzklmnprstf") + random.choice("aiou") for _ in range(5))


def in_cyrillic(word):
    return "".join(CYRILLIC[letter] for letter in word).capitalize()


class Songs:
    """Two songs of a folder, called in Cyrillic."""

    def __init__(self, server, sounds, folder):
        self.words = [a_word(), a_word()]
        self.titles = [in_cyrillic(word) for word in self.words]
        artist, album = in_cyrillic(a_word()), in_cyrillic(a_word())
        self.files = []
        for number, title in enumerate(self.titles, 1):
            path = folder / artist / album / f"{number:02} {title}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            tags = {"title": title, "artist": artist, "album": album, "track": number}
            made = sounds(seconds=2 + number / 10, extra=[part for name, value in tags.items() for part in ("-metadata", f"{name}={value}")])
            path.write_bytes(made.read_bytes())
            self.files.append(path)
        run_tutti("import", str(folder), data=server.data, environment=server.environment, timeout=300)


@pytest.fixture
def songs(server, people, sounds, tmp_path):
    assert people.admin.user  # whose the music is
    return Songs(server, sounds, tmp_path / "music")


def find(person, title, word):
    """By its name in Latin letters, of which one is missing."""
    misspelt = word[:4] + word[5:]
    query = {"q": misspelt, "types": "tracks"}

    def tracks():
        answer = person.get("/api/v1/search", params=query)
        return answer.json()["tracks"] if answer.status_code == 200 else []  # 503: the index is being built

    return until(tracks, lambda found: [one["title"] for one in found] == [title])[0]


def hear(person, track, path):
    """The original at once; by that the renditions that all players play are made."""
    stream = ok(person.get(f"/api/v1/tracks/{track['id']}/stream"))
    assert requests.get(stream["trackUrl"], timeout=30).content == path.read_bytes()
    stream = until(lambda: ok(person.get(f"/api/v1/tracks/{track['id']}/stream")), lambda answer: answer["hls"])
    assert requests.get(stream["hls"], timeout=30).text.startswith("#EXTM3U")
    play = {"id": f"play-{track['id']}", "trackId": track["id"], "startedAt": int(time.time() * 1000) - 2000, "playedMs": 2000, "source": "search"}
    ok(person.post("/api/v1/plays", json={"events": [play]}), 202)


def together(owner, friend, first, second):
    """A list of both songs, which the friend puts into another order."""
    made = ok(owner.post("/api/v1/playlists", json={"title": "Вместе"}), 201)
    path = f"/api/v1/playlists/{made['id']}"
    ok(owner.post(f"{path}/items", json={"trackIds": [first["id"]]}))
    invitation = ok(owner.post(f"{path}/invite", json={"access": "edit"}), 201)
    assert ok(friend.post("/api/v1/me/invites", json={"token": invitation["token"]}))["id"] == made["id"]
    ok(friend.post(f"{path}/items", json={"trackIds": [second["id"]], "after": None}))
    return path


def test_what_a_listener_does_follows_them(server, people, songs):
    anna, bo = people.new(), people.new()
    first, second = (find(anna, title, word) for title, word in zip(songs.titles, songs.words))
    hear(anna, first, songs.files[0])
    ok(anna.put(f"/api/v1/me/favourites/track/{first['id']}"))
    path = together(anna, bo, first, second)
    order = [second["title"], first["title"]]
    queue = ok(anna.put("/api/v1/me/queue", json={"trackIds": [second["id"], first["id"]], "index": 1, "positionMs": 1500, "device": "laptop"}))
    assert queue["index"] == 1

    phone = Person(server.url, anna.username, "listener")
    assert phone.user["id"] == anna.user["id"] and phone.bearer != anna.bearer
    kept = until(lambda: ok(phone.get("/api/v1/me/favourites/track"))["items"], lambda items: items)
    assert [item["track"]["title"] for item in kept] == [first["title"]]
    assert [one["title"] for one in ok(phone.get("/api/v1/playlists"))["items"]] == ["Вместе"]
    for person in (phone, bo):
        until(lambda one=person: [item["track"]["title"] for item in ok(one.get(f"{path}/items"))["items"]], lambda found: found == order)
    held = ok(phone.get("/api/v1/me/queue"))
    assert ([one["title"] for one in held["tracks"]], held["index"], held["positionMs"]) == (order, 1, 1500)
    heard = until(lambda: ok(phone.get("/api/v1/me/history"))["items"], lambda items: items)
    assert [(item["track"]["title"], item["playedMs"]) for item in heard] == [(first["title"], 2000)]
