"""Playlists: made, edited by several people at once, shared with strangers."""
import random
import threading
import uuid

import pytest
import requests

from conftest import People


def ok(answer, status=200):
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer.json() if answer.content else None


def make(person, title="A list"):
    return ok(person.post("/api/v1/playlists", json={"title": title}), 201)


def items_of(person, playlist, limit=500):
    items, cursor = [], None
    while True:
        page = ok(person.get(f"/api/v1/playlists/{playlist['id']}/items", params={"limit": limit, **({"cursor": cursor} if cursor else {})}))
        items += page["items"]
        cursor = page["next"]
        if not cursor:
            return items


def ids_of(person, playlist):
    return [item["id"] for item in items_of(person, playlist)]


def add(person, playlist, *tracks, **where):
    return ok(person.post(f"/api/v1/playlists/{playlist['id']}/items", json={"trackIds": [track["id"] for track in tracks], **where}))


def edit(person, playlist, *ops, status=200, **more):
    return ok(person.patch(f"/api/v1/playlists/{playlist['id']}/items", json={"ops": list(ops), **more}), status)


def take_invitation(owner, playlist, person, access="edit"):
    link = ok(owner.post(f"/api/v1/playlists/{playlist['id']}/invite", json={"access": access}), 201)
    return person.post("/api/v1/me/invites", json={"token": link["token"]})


def join(owner, playlist, person, access="edit"):
    return ok(take_invitation(owner, playlist, person, access))


@pytest.fixture(scope="module")
def tracks(upload, album):
    one = album()
    return [upload(album_id=one["id"], title=f"Song {number}", wait=False) for number in range(4)]


def test_a_playlist_is_made_and_renamed_and_deleted(people):
    person = people.new()
    key = {"Idempotency-Key": uuid.uuid4().hex}
    first = person.post("/api/v1/playlists", json={"title": " Morning ", "description": "slow"}, headers=key)
    assert ok(first, 201)["title"] == "Morning" and first.json()["access"] == "owner" and first.json()["itemCount"] == 0
    assert person.post("/api/v1/playlists", json={"title": " Morning ", "description": "slow"}, headers=key).json() == first.json()
    path = f"/api/v1/playlists/{first.json()['id']}"
    again = person.get(path)
    assert again.json() == first.json() and again.headers["ETag"] == first.headers["ETag"]
    assert person.get(path, headers={"If-None-Match": again.headers["ETag"]}).status_code == 304
    assert person.patch(path, json={"title": "x"}, headers={"If-Match": '"9"'}).status_code == 412
    changed = person.patch(path, json={"title": "Evening"}, headers={"If-Match": again.headers["ETag"]})
    assert ok(changed)["title"] == "Evening" and changed.json()["description"] == "slow"
    second = make(person, "Second")
    assert [one["title"] for one in ok(person.get("/api/v1/playlists"))["items"]] == ["Second", "Evening"]
    page = ok(person.get("/api/v1/playlists", params={"limit": 1}))
    assert [one["title"] for one in ok(person.get("/api/v1/playlists", params={"limit": 1, "cursor": page["next"]}))["items"]] == ["Evening"]
    ok(person.delete(f"/api/v1/playlists/{second['id']}"), 204)
    assert person.get(f"/api/v1/playlists/{second['id']}").status_code == 404
    for wrong in ({}, {"title": ""}, {"title": "x" * 301}, {"title": 3}):
        assert person.post("/api/v1/playlists", json=wrong).status_code == 422


def test_items_stand_where_they_are_put(people, tracks):
    person = people.new()
    playlist = make(person)
    one, two, three, four = tracks
    a, b = add(person, playlist, one, two)["added"]
    c, d = add(person, playlist, three, four, after=a)["added"]
    [e] = add(person, playlist, one, after=None)["added"]
    assert ids_of(person, playlist) == [e, a, c, d, b]
    assert [item["track"]["title"] for item in items_of(person, playlist, limit=2)] == ["Song 0", "Song 0", "Song 2", "Song 3", "Song 1"]
    edit(person, playlist, {"op": "move", "item": b, "after": None}, {"op": "move", "item": e}, {"op": "remove", "item": c})
    assert ids_of(person, playlist) == [b, a, d, e]
    done = edit(person, playlist, {"op": "move", "item": a, "after": c}, {"op": "remove", "item": c}, {"op": "move", "item": a, "after": a},
                {"op": "move", "item": a, "after": "5"}, {"op": "add", "trackId": one["id"], "after": "5"})
    assert [one["index"] for one in done["skipped"]] == [1, 2, 3] and len(done["added"]) == 1
    assert ids_of(person, playlist) == [b, a, d, e, *done["added"]]
    assert done["itemCount"] == 5 == ok(person.get(f"/api/v1/playlists/{playlist['id']}"))["itemCount"]


def test_an_edit_is_done_whole_or_not_at_all(people, tracks):
    person = people.new()
    playlist = make(person)
    [a] = add(person, playlist, tracks[0])["added"]
    before = ok(person.get(f"/api/v1/playlists/{playlist['id']}"))
    for wrong in ([], [{"op": "remove", "item": a}] * 501, [{"op": "remove", "item": a}, {"op": "twist", "item": a}],
                  [{"op": "remove", "item": a}, {"op": "add", "trackId": "7"}], [{"op": "remove"}], [{"op": "add"}], ["x"],
                  [{"op": "move", "item": a, "after": "x"}]):
        edit(person, playlist, *wrong, status=422)
    for wrong in ({"trackIds": []}, {"trackIds": ["x"]}, {"trackIds": ["7"]}, {"trackIds": [tracks[0]["id"]] * 501},
                  {"trackIds": [tracks[0]["id"]], "after": "x"}):
        assert person.post(f"/api/v1/playlists/{playlist['id']}/items", json=wrong).status_code == 422
    assert ok(person.get(f"/api/v1/playlists/{playlist['id']}")) == before and ids_of(person, playlist) == [a]


def test_an_edit_sent_again_is_not_done_again(people, tracks):
    person = people.new()
    playlist = make(person)
    key = {"Idempotency-Key": uuid.uuid4().hex}
    body = {"ops": [{"op": "add", "trackId": tracks[0]["id"]}]}
    first = person.patch(f"/api/v1/playlists/{playlist['id']}/items", json=body, headers=key)
    again = person.patch(f"/api/v1/playlists/{playlist['id']}/items", json=body, headers=key)
    assert ok(first) == ok(again) and again.headers["Idempotency-Replayed"] == "true" and len(ids_of(person, playlist)) == 1


def test_one_editor_gets_what_a_list_would_give(people, tracks):
    person, dice = people.new(), random.Random(3)
    playlist, model = make(person), []
    for _ in range(40):
        ops, expected = [], []
        for _ in range(dice.randrange(1, 6)):
            after = dice.choice([None, *model]) if model else None
            if len(model) < 3 or dice.random() < 0.4:
                ops.append({"op": "add", "trackId": dice.choice(tracks)["id"], "after": after})
                expected.append(("add", after))
                break  # the new item's id is told with the answer
            item = dice.choice(model)
            if dice.random() < 0.7:
                if item == after:
                    continue
                ops.append({"op": "move", "item": item, "after": after})
                model.remove(item)
                model.insert(model.index(after) + 1 if after else 0, item)
            else:
                ops.append({"op": "remove", "item": item})
                model.remove(item)
        if not ops:
            continue
        done = edit(person, playlist, *ops)
        assert not done["skipped"] and not done["merged"]
        for (_, after), item in zip(expected, done["added"]):
            model.insert(model.index(after) + 1 if after else 0, item)
    assert ids_of(person, playlist) == model


def test_a_list_is_numbered_anew_and_keeps_its_order(people, tracks):
    """Every item behind the first one: places get longer until there is no room."""
    person = people.new()
    playlist = make(person)
    first, last = add(person, playlist, tracks[0], tracks[1])["added"]
    middle = []
    for _ in range(4):
        ops = [{"op": "add", "trackId": tracks[2]["id"], "after": first} for _ in range(200)]
        middle = [*reversed(edit(person, playlist, *ops)["added"]), *middle]
    assert ids_of(person, playlist) == [first, *middle, last]


def test_pages_go_on_where_they_were_in_a_list_that_is_numbered_anew(people, tracks):
    person = people.new()
    playlist = make(person)
    path = f"/api/v1/playlists/{playlist['id']}/items"
    before = add(person, playlist, *[tracks[n % 3] for n in range(6)])["added"]
    page = ok(person.get(path, params={"limit": 3}))
    for _ in range(4):
        edit(person, playlist, *[{"op": "add", "trackId": tracks[2]["id"], "after": before[0]} for _ in range(200)])
    rest = ok(person.get(path, params={"cursor": page["next"]}))
    assert [item["id"] for item in [*page["items"], *rest["items"]]] == before
    # and where the item it stood behind is gone
    edit(person, playlist, {"op": "remove", "item": before[2]})
    rest = ok(person.get(path, params={"cursor": page["next"]}))
    assert [item["id"] for item in rest["items"]] == before[3:]


class Editor:
    """One of three people, who sees the list now and then, and edits what it saw."""

    def __init__(self, person, playlist, tracks, seed):
        self.person, self.playlist, self.tracks, self.dice = person, playlist, tracks, random.Random(seed)
        self.seen, self.revision, self.added, self.removed, self.failure = [], 1, set(), set(), None

    def look(self):
        page = ok(self.person.get(f"/api/v1/playlists/{self.playlist['id']}/items", params={"limit": 500}))
        self.seen, self.revision = [item["id"] for item in page["items"]], page["revision"]

    def step(self):
        dice = self.dice
        if dice.random() < 0.4 or not self.seen:
            self.look()
        ops = []
        for _ in range(dice.randrange(1, 4)):
            after = {"after": dice.choice([None, *self.seen])} if dice.random() < 0.9 else {}
            kind = dice.random()
            if kind < 0.25 or len(self.seen) < 4:
                ops.append({"op": "add", "trackId": dice.choice(self.tracks)["id"], **after})
            elif kind < 0.85:
                ops.append({"op": "move", "item": dice.choice(self.seen), **after})
            else:
                ops.append({"op": "remove", "item": dice.choice(self.seen)})
        done = edit(self.person, self.playlist, *ops, revision=self.revision)
        skipped = {one["index"] for one in done["skipped"]}
        self.added |= set(done["added"])
        self.removed |= {op["item"] for index, op in enumerate(ops) if op["op"] == "remove" and index not in skipped}

    def run(self, steps):
        try:
            for _ in range(steps):
                self.step()
        except BaseException as error:  # told by the test's own thread
            self.failure = error


@pytest.mark.parametrize("seed", (1, 2, 3))
def test_three_editors_lose_and_double_nothing(people, tracks, seed):
    owner = people.new()
    playlist = make(owner)
    begun = add(owner, playlist, *tracks, *tracks)["added"]
    friends = [owner, people.new(), people.new()]
    for friend in friends[1:]:
        assert join(owner, playlist, friend)["access"] == "edit"
    editors = [Editor(friend, playlist, tracks, seed * 10 + number) for number, friend in enumerate(friends)]
    threads = [threading.Thread(target=editor.run, args=(25,)) for editor in editors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for editor in editors:
        if editor.failure:
            raise editor.failure
    added, removed = set(begun).union(*(editor.added for editor in editors)), set().union(*(editor.removed for editor in editors))
    lists = [ids_of(friend, playlist) for friend in friends]
    assert lists[0] == lists[1] == lists[2]
    assert len(lists[0]) == len(set(lists[0])) and set(lists[0]) == added - removed
    assert ok(owner.get(f"/api/v1/playlists/{playlist['id']}"))["itemCount"] == len(lists[0])
    assert sum(len(editor.removed) for editor in editors) == len(removed), "an item was removed by two"


def test_a_stale_edit_is_merged(people, tracks):
    owner, friend = people.new(), people.new()
    playlist = make(owner)
    a, b, c = add(owner, playlist, *tracks[:3])["added"]
    join(owner, playlist, friend)
    seen = ok(friend.get(f"/api/v1/playlists/{playlist['id']}/items"))["revision"]
    edit(owner, playlist, {"op": "remove", "item": b}, {"op": "move", "item": c, "after": None}, revision=seen)
    done = edit(friend, playlist, {"op": "add", "trackId": tracks[3]["id"], "after": b}, {"op": "move", "item": b}, revision=seen)
    assert done["merged"] and [one["reason"] for one in done["skipped"]] == ["the item is gone"]
    assert ids_of(owner, playlist) == [c, a, *done["added"]]


def test_members_may_do_what_they_were_invited_for(people, tracks):
    owner, reader, editor, stranger = people.new(), people.new(), people.new(), people.new()
    playlist = make(owner)
    path = f"/api/v1/playlists/{playlist['id']}"
    add(owner, playlist, tracks[0])
    assert join(owner, playlist, reader, "view")["access"] == "view"
    assert join(owner, playlist, editor)["access"] == "edit" and join(owner, playlist, editor, "view")["access"] == "edit"
    assert join(owner, playlist, owner)["access"] == "owner"
    assert [one["id"] for one in ok(reader.get("/api/v1/playlists"))["items"]] == [playlist["id"]]
    assert len(items_of(reader, playlist)) == 1
    edit(reader, playlist, {"op": "add", "trackId": tracks[0]["id"]}, status=403)
    assert reader.patch(path, json={"title": "mine"}).status_code == 403
    add(editor, playlist, tracks[1])
    for person in (reader, editor):
        assert person.delete(path).status_code == 403 and person.post(path + "/share").status_code == 403
        assert person.post(path + "/invite", json={}).status_code == 403
    for answer in (stranger.get(path), stranger.get(path + "/items"), stranger.patch(path, json={"title": "x"}), stranger.delete(path),
                   stranger.get(path + "/members"), stranger.patch(path + "/items", json={"ops": [{"op": "remove", "item": "1"}]}),
                   stranger.post(path + "/items", json={"trackIds": [tracks[0]["id"]]}), stranger.post(path + "/share"),
                   stranger.delete(path + "/share"), stranger.delete(path + "/invite"), stranger.post(path + "/invite", json={}),
                   *(stranger.delete(f"{path}/members/{one.user['id']}") for one in (owner, reader, editor, stranger))):
        assert answer.status_code == 404
    me = {person: ok(person.get("/api/v1/me"))["id"] for person in (owner, reader, editor)}
    assert {one["userId"]: one["access"] for one in ok(reader.get(path + "/members"))["items"]} == {
        me[owner]: "owner", me[reader]: "view", me[editor]: "edit"}
    assert reader.delete(f"{path}/members/{me[editor]}").status_code == 403
    assert owner.delete(f"{path}/members/{me[owner]}").status_code == 409
    ok(reader.delete(f"{path}/members/{me[reader]}"), 204)
    ok(owner.delete(f"{path}/members/{me[editor]}"), 204)
    assert reader.get(path).status_code == editor.get(path).status_code == 404


def test_a_right_that_changes_is_seen_although_a_copy_was_kept(people):
    """What a person may do is in the answer, so the ETag moves with it."""
    owner, person = people.new(), people.new()
    playlist = make(owner)
    path = f"/api/v1/playlists/{playlist['id']}"
    join(owner, playlist, person, "view")
    for access in ("edit", "view"):
        kept = {"If-None-Match": person.get(path).headers["ETag"]}
        assert person.get(path, headers=kept).status_code == 304
        if access == "view":  # by leaving: an invitation takes no right away
            ok(person.delete(f"{path}/members/{person.user['id']}"), 204)
        join(owner, playlist, person, access)
        assert ok(person.get(path, headers=kept))["access"] == access
    kept = {"If-None-Match": person.get(path).headers["ETag"]}
    join(owner, playlist, person, "view")
    assert person.get(path, headers=kept).status_code == 304, "the same right again is no change"


def test_a_person_has_so_many_playlists_and_no_more(own_server):
    """One's own and those joined count together, since lists and search go through both."""
    server = own_server()
    people = People(server)
    owner, person = people.new(), people.new()
    mine, shared, other = make(person), make(owner), make(owner)
    join(owner, shared, person, "view")
    server.change("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4998) INSERT INTO playlist_member "
                  f"(user_id, playlist_id, access, joined_at) SELECT {person.user['id']}, -i, 'view', 0 FROM n", database="users")
    for full in (person.post("/api/v1/playlists", json={"title": "One more"}),
                 take_invitation(owner, other, person)):
        assert full.status_code == 403 and "5000" in full.json()["detail"] and "joined" in full.json()["detail"], full.text
    join(owner, shared, person, "edit")  # a right more is no playlist more
    ok(person.delete(f"/api/v1/playlists/{mine['id']}"), 204)
    join(owner, other, person, "view")
    assert person.post("/api/v1/playlists", json={"title": "One more"}).status_code == 403


def test_invitations_are_revoked(people):
    owner, person = people.new(), people.new()
    playlist = make(owner)
    link = ok(owner.post(f"/api/v1/playlists/{playlist['id']}/invite", json={}), 201)
    shared = ok(owner.post(f"/api/v1/playlists/{playlist['id']}/share"), 201)
    assert person.post("/api/v1/me/invites", json={"token": shared["token"]}).status_code == 404
    assert people.nobody().get(f"/api/v1/shared/{link['token']}").status_code == 404
    ok(owner.delete(f"/api/v1/playlists/{playlist['id']}/invite"), 204)
    assert person.post("/api/v1/me/invites", json={"token": link["token"]}).status_code == 404
    assert person.post("/api/v1/me/invites", json={}).status_code == 422


def test_a_stranger_opens_a_shared_link_until_it_is_revoked(server, people, album, upload, tracks):
    owner = people.new("artist")
    hidden = upload(artist=owner, album_id=album(owner, status="draft")["id"], title="Not yet", wait=False)
    playlist = make(owner, "For all")
    add(owner, playlist, tracks[0], hidden, tracks[1])
    assert items_of(owner, playlist)[1]["track"]["title"] == "Not yet"
    link = ok(owner.post(f"/api/v1/playlists/{playlist['id']}/share"), 201)
    assert ok(owner.get(f"/api/v1/playlists/{playlist['id']}"))["shared"] and link["path"] == f"/shared/{link['token']}"
    for person in (people.nobody(), people.new(), owner):
        answer = person.get(f"/api/v1/shared/{link['token']}")
        assert ok(answer)["title"] == "For all" and answer.json()["itemCount"] == 3
        assert [item["track"] and item["track"]["title"] for item in answer.json()["tracks"]["items"]] == ["Song 0", None, "Song 1"]
        assert ok(owner.get("/api/v1/me"))["username"] not in answer.text and "Not yet" not in answer.text
    page = ok(people.nobody().get(f"/api/v1/shared/{link['token']}", params={"limit": 2}))["tracks"]
    assert len(ok(people.nobody().get(f"/api/v1/shared/{link['token']}", params={"cursor": page["next"]}))["tracks"]["items"]) == 1
    assert server.rows("SELECT COUNT(*) FROM playlist_link WHERE playlist_id = ?", int(playlist["id"]), database="users") == [(1,)]
    ok(owner.delete(f"/api/v1/playlists/{playlist['id']}/share"), 204)
    assert people.nobody().get(f"/api/v1/shared/{link['token']}").status_code == 404
    assert not ok(owner.get(f"/api/v1/playlists/{playlist['id']}"))["shared"]
    for token in ("x", "A" * 22, "%00"):
        assert people.nobody().get(f"/api/v1/shared/{token}").status_code in (400, 404)


def test_a_playlist_holds_ten_thousand_items(server, people, tracks):
    person = people.new()
    playlist = make(person)
    body, path = {"trackIds": [tracks[0]["id"]] * 500}, f"/api/v1/playlists/{playlist['id']}/items"
    for _ in range(20):
        done = ok(person.post(path, json=body))
    assert done["itemCount"] == 10000
    full = person.post(f"/api/v1/playlists/{playlist['id']}/items", json={"trackIds": [tracks[0]["id"]]})
    assert full.status_code == 422 and "10000" in full.text

    def read():
        """Past the check of every answer, which takes minutes for so many."""
        ids, page = [], {"next": None}
        while not ids or page["next"]:
            query = {"limit": 500, **({"cursor": page["next"]} if page["next"] else {})}
            page = ok(requests.get(server.url + path, params=query, headers=dict(person.headers), timeout=30))
            ids += [item["id"] for item in page["items"]]
        return ids

    ids = read()
    edit(person, playlist, {"op": "move", "item": ids[9999], "after": ids[0]}, {"op": "move", "item": ids[5], "after": None})
    expected = [ids[5], ids[0], ids[9999], *ids[1:5], *ids[6:9999]]
    assert read() == expected
