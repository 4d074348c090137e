"""Smart playlists: rules in place of items, found anew each time they are read; whose they are, what they refuse, and that they end."""
import time
import uuid

import pytest

from conftest import until
from test_playlists import join, make, ok


@pytest.fixture(scope="module")
def shelf(people, album, upload):
    """Two albums of a genre nobody else has: 1968 with One, Two, Three, and 1999 with Four; all play."""
    genre = f"Genre {uuid.uuid4().hex[:8]}"
    old, new = album(genres=[genre, "Jazz"], releaseDate="1968-05-01"), album(genres=[genre], releaseDate="1999-01-01")
    songs = [upload(album_id=one["id"], title=f"{title} {genre}") for one, title in ((old, "One"), (old, "Two"), (old, "Three"), (new, "Four"))]
    return {"genre": genre, "songs": songs, "old": old, "new": new}


def smart(person, *rules, match="all", **more):
    return ok(person.post("/api/v1/playlists", json={"title": "Smart", "smart": {"match": match, "rules": list(rules), **more}}), 201)


def rule(field, op, value):
    return {"field": field, "op": op, "value": value}


def found(person, playlist):
    return [item["track"]["title"].split()[0] for item in ok(person.get(f"/api/v1/playlists/{playlist['id']}/items"))["items"]]


def test_rules_find_what_fits(people, shelf):
    person, genre = people.new(), rule("genre", "is", shelf["genre"].upper())
    cases = [([genre], ["Four", "Three", "Two", "One"]),
             ([genre, rule("year", "below", 1990)], ["Three", "Two", "One"]),
             ([genre, rule("year", "between", [1990, 2000])], ["Four"]),
             ([genre, rule("title", "startsWith", "t")], ["Three", "Two"]),
             ([genre, rule("title", "contains", "EE ")], ["Three"]),
             ([genre, rule("artist", "isNot", shelf["songs"][0]["artistName"])], ["Four"]),
             ([genre, rule("album", "is", shelf["new"]["title"])], ["Four"]),
             ([genre, rule("duration", "above", 60)], []),
             ([genre, rule("added", "withinDays", 1), rule("lastPlayed", "notWithinDays", 1)], ["Four", "Three", "Two", "One"]),
             ([genre, {"match": "any", "rules": [rule("year", "is", 1999), rule("title", "startsWith", "one")]}], ["Four", "One"])]
    for rules, expected in cases:
        assert found(person, smart(person, *rules)) == expected, rules
    assert found(person, smart(person, genre, order="title", descending=False)) == ["Four", "One", "Three", "Two"]
    assert found(person, smart(person, genre, order="added", limit=2)) == ["Four", "Three"]
    assert found(person, smart(person, rule("title", "contains", shelf["genre"]), rule("title", "startsWith", "two"), limit=1)) == ["Two"]
    any_of = smart(person, rule("title", "is", f"One {shelf['genre']}"), rule("title", "is", f"Two {shelf['genre']}"), match="any")
    assert found(person, any_of) == ["Two", "One"]


def test_marks_and_plays_are_the_owners(people, shelf):
    owner, friend, songs = people.new(), people.new(), shelf["songs"]
    ok(owner.put(f"/api/v1/me/ratings/track/{songs[0]['id']}", json={"rating": 5}))
    ok(owner.put(f"/api/v1/me/ratings/track/{songs[1]['id']}", json={"rating": 3}))
    ok(owner.put(f"/api/v1/me/favourites/track/{songs[3]['id']}"))
    ok(friend.put(f"/api/v1/me/favourites/track/{songs[2]['id']}"))
    now = int(time.time() * 1000)
    plays = [{"id": uuid.uuid4().hex, "trackId": songs[n]["id"], "startedAt": now - n * 1000, "playedMs": 3000} for n in (1, 1, 2)]
    assert owner.post("/api/v1/plays", json={"events": plays}).status_code == 202
    rated = smart(owner, rule("rating", "above", 0), order="rating")
    assert found(owner, rated) == ["One", "Two"]
    assert found(owner, smart(owner, rule("favourite", "is", True))) == ["Four"]
    assert found(owner, smart(owner, rule("genre", "is", shelf["genre"]), rule("favourite", "is", False))) == ["Three", "Two", "One"]
    both = smart(owner, rule("favourite", "is", True), rule("rating", "is", 5), match="any", order="title", descending=False)
    assert found(owner, both) == ["Four", "One"]
    join(owner, rated, friend, "view")
    assert found(friend, rated) == ["One", "Two"]
    heard = smart(owner, rule("lastPlayed", "withinDays", 1), order="plays")
    until(lambda: found(owner, heard) == ["Two", "Three"], "the plays were not counted")
    never = smart(owner, rule("genre", "is", shelf["genre"]), rule("plays", "is", 0))
    assert found(owner, never) == ["Four", "One"]


def test_it_is_a_playlist_like_others(people, shelf):
    owner = people.new()
    playlist = smart(owner, rule("genre", "is", shelf["genre"]), order="title", descending=False)
    path = f"/api/v1/playlists/{playlist['id']}"
    assert playlist["itemCount"] is None and playlist["smart"]["order"] == "title" and make(owner)["smart"] is None
    first = ok(owner.get(path + "/items", params={"limit": 3}))
    rest = ok(owner.get(path + "/items", params={"limit": 3, "cursor": first["next"]}))
    assert [len(first["items"]), len(rest["items"]), rest["next"]] == [3, 1, None] and first["revision"] == 1
    assert {item["addedBy"] for item in first["items"]} == {playlist["ownerId"]}
    assert owner.post(path + "/items", json={"trackIds": [shelf["songs"][0]["id"]]}).status_code == 409
    assert owner.patch(path + "/items", json={"ops": [{"op": "remove", "item": first["items"][0]["id"]}]}).status_code == 409
    changed = ok(owner.patch(path, json={"smart": {"match": "all", "rules": [rule("title", "is", f"Two {shelf['genre']}")]}}))
    assert changed["revision"] == 2 and changed["title"] == "Smart" and found(owner, playlist) == ["Two"]
    assert ok(owner.patch(path, json={"title": "Other"}))["smart"] == changed["smart"]
    assert owner.patch(f"/api/v1/playlists/{make(owner)['id']}", json={"smart": changed["smart"]}).status_code == 422
    file = owner.get(path + "/export", params={"format": "jspf"}).json()
    assert [track["title"].split()[0] for track in file["playlist"]["track"]] == ["Two"]
    link = ok(owner.post(path + "/share"), 201)
    shared = ok(people.nobody().get(f"/api/v1/shared/{link['token']}"))
    assert shared["smart"] and shared["itemCount"] is None and shared["tracks"]["items"][0]["track"]["title"].startswith("Two")
    dice = smart(owner, rule("genre", "is", shelf["genre"]), order="random")
    assert sorted(found(owner, dice)) == ["Four", "One", "Three", "Two"] and found(owner, dice) == found(owner, dice)


def deep(levels):
    return {"match": "all", "rules": [deep(levels - 1) if levels > 1 else rule("year", "is", 1)]}


@pytest.mark.parametrize("rules, field, words", [
    ([], "smart", "must be an object"),
    ({"match": "some", "rules": [rule("year", "is", 1)]}, "smart.match", "all or any"),
    ({"match": "all", "rules": []}, "smart.rules", "at least one"),
    ({"match": "all", "rules": [rule("year", "is", 1), rule("mood", "is", "x")]}, "smart.rules[1].field", "title, artist"),
    ({"match": "all", "rules": [{"match": "any", "rules": [rule("year", "contains", 1)]}]}, "smart.rules[0].rules[0].op", "must be is, isNot, above"),
    ({"match": "all", "rules": [rule("artist", "is", "")]}, "smart.rules[0].value", "1 to 300"),
    ({"match": "all", "rules": [rule("artist", "is", "x" * 301)]}, "smart.rules[0].value", "1 to 300"),
    ({"match": "all", "rules": [rule("rating", "is", 6)]}, "smart.rules[0].value", "0 to 5"),
    ({"match": "all", "rules": [rule("year", "between", [2000, 1990])]}, "smart.rules[0].value", "in order"),
    ({"match": "all", "rules": [rule("favourite", "is", 1)]}, "smart.rules[0].value", "true or false"),
    ({"match": "all", "rules": ["x"]}, "smart.rules[0]", "object"),
    ({"match": "all", "rules": [rule("year", "is", 1)] * 65}, "smart.rules[64]", "at most 64"),
    (deep(5), "smart.rules[0].rules[0].rules[0].rules[0]", "at most 4"),
    ({"match": "all", "rules": [rule("year", "is", 1)], "order": "genre"}, "smart.order", "random"),
    ({"match": "all", "rules": [rule("year", "is", 1)], "limit": 10001}, "smart.limit", "10000"),
    ({"match": "all", "rules": [rule("year", "is", 1)], "descending": 1}, "smart.descending", "true or false"),
])
def test_what_is_no_rule_is_told_by_its_path(people, rules, field, words):
    answer = people.listener.post("/api/v1/playlists", json={"title": "x", "smart": rules})
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["field"] == field and words in error["message"]
