"""What must hold after a round, whatever was done to the platform. settle() waits until all work is done; api() asks as
a client would; database() and store() look at what is on the disk once the processes have ended; collected() after
`tutti sweep` nine days later. Each adds to the findings; none stops at the first."""
import hashlib
import json
import os
import pathlib
import re
import struct
import time

import requests

from world import PASSWORD, Clock

NINE_DAYS_MS = 9 * 24 * 3600 * 1000
TRAILER = struct.Struct("<8sIIQ72s")
TRAILER_BYTES = 512
SETTLE_TIMEOUT_S = 120
MADE_FILES = re.compile(r"^(hls-[a-z0-9]+\.m3u8|dash-[a-z0-9]+\.mpd|[a-z]+-?[0-9]*\.m3u8|waveform.*|original\.[a-z0-9]+)$")

# What came out of a folder has neither event nor job of an upload, and its ladder is made when somebody plays it.
UPLOADED = " AND NOT EXISTS (SELECT 1 FROM import_file i WHERE i.track_id = track.id)"

# Positions move with events that a consumer wants, not with others.
BEHIND = """SELECT name, position FROM bus_consumer WHERE EXISTS (SELECT 1 FROM bus_outbox WHERE sequence > position AND
    CASE name WHEN 'catalog.media' THEN type <> 'media.art' AND (type LIKE 'media.%' OR type IN ('art.ready', 'art.failed'))
              WHEN 'catalog.art' THEN type = 'media.art'
              WHEN 'transcode.jobs' THEN type IN ('track.uploaded', 'track.deleted', 'art.uploaded') ELSE TRUE END)"""


# Plays that were taken and are not in the history yet.
UNCOUNTED = """SELECT s.user_id, s.play_id FROM play_seen s WHERE NOT EXISTS (SELECT 1 FROM play_history h
    WHERE h.user_id = s.user_id AND h.play_id = s.play_id)"""


class Findings:
    def __init__(self):
        self.lost, self.doubled, self.orphans, self.other = [], [], [], []

    def words(self):
        for kind in ("lost", "doubled", "orphans", "other"):
            for line in getattr(self, kind):
                yield f"{kind}: {line}"


def settle(round_):
    """Waits until events are handled and jobs have ended: by rows, and as long as those change."""
    world, state = round_.world, None
    begun = changed = time.monotonic()
    while time.monotonic() < min(changed + SETTLE_TIMEOUT_S, begun + 10 * SETTLE_TIMEOUT_S):
        before, state = state, {
            "jobs": world.rows("SELECT id, kind, state, tries, code FROM transcode_job"
                               " WHERE state IN ('waiting', 'running')"),
            "waiting": sum((world.rows("SELECT consumer, sequence, tries, error FROM bus_waiting", database=name)
                            for name in ("catalog", "users", "activity")), []),
            "behind": world.rows(BEHIND),
            "plays": world.rows(UNCOUNTED, database="activity"),
            "working": world.rows("SELECT id, status FROM track WHERE working = 1 AND deleted_at IS NULL"),
        }
        if not any(state.values()):
            return
        if state != before:
            changed = time.monotonic()
        time.sleep(0.1)
    round_.findings.lost.append(f"work that does not end: {json.dumps(state)[:1500]}")


def check_plays(round_):
    """Each that was acknowledged is in the history once, and none twice."""
    counts = dict(round_.world.rows("SELECT play_id, COUNT(*) FROM play_history GROUP BY play_id", database="activity"))
    for thing in round_.journal.of("play"):
        count = counts.get(thing.name, 0)
        if thing.id and count == 0:
            round_.findings.lost.append(f"the play {thing.name} is not in the history")
        if count > 1:
            round_.findings.doubled.append(f"the play {thing.name} is in the history {count} times")


def api(round_):
    """As the clients saw it."""
    maker = signed_in(round_.world, "maker")
    check_albums(round_, maker)
    check_tracks(round_, maker)
    check_people(round_)
    check_sessions(round_)
    check_plays(round_)


def signed_in(world, username):
    http = requests.Session()
    answer = http.post(world.url + "/api/v1/auth/login", timeout=20,
                       json={"username": username, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    http.headers["Authorization"] = f"Bearer {answer.json()['accessToken']}"
    return http


def described(round_, path, answer):
    """What is half there has not all that the description promises."""
    try:
        round_.specification.check("GET", path, answer)
    except AssertionError as error:
        round_.findings.other.append(f"{path}: {error}")


def listed(round_, http, path):
    items, cursor = [], None
    while True:
        query = {"limit": 100, **({"cursor": cursor} if cursor else {})}
        answer = http.get(round_.world.url + path, params=query, timeout=20)
        described(round_, path, answer)
        if answer.status_code != 200:
            round_.findings.lost.append(f"{path}: {answer.status_code} {answer.text[:200]}")
            return items
        page = answer.json()
        items += page["items"]
        cursor = page["next"]
        if not cursor:
            return items


def count_names(round_, kind, things, items):
    """Each acknowledged one is in the list, none twice; one that was given up is there at most once, and whole."""
    findings = round_.findings
    by_id = {item["id"]: item for item in items}
    for thing in things:
        values = {thing.value} | thing.maybe | {thing.name}
        found = [item for item in items if item["title"] in values]
        if len(found) > 1:
            findings.doubled.append(f"{kind} {thing.name}: {len(found)} times")
        if thing.id is None:
            continue
        item = by_id.get(thing.id)
        if item is None and thing.removed is False:
            findings.lost.append(f"{kind} {thing.id} {thing.name} is not there")
        elif item is not None and thing.removed is True:
            findings.lost.append(f"{kind} {thing.id} was deleted and is there")
        elif item is not None and item["title"] not in {thing.value} | thing.maybe:
            findings.lost.append(f"{kind} {thing.id} is called {item['title']}, not {thing.value}")


def check_albums(round_, http):
    items = sum((listed(round_, http, f"/api/v1/artists/{artist}/albums") for artist in round_.known.artists.values()), [])
    things = round_.journal.of("album")
    count_names(round_, "album", things, items)
    for thing in things:
        if thing.id is None or thing.removed is not False:
            continue
        answer = http.get(f"{round_.world.url}/api/v1/albums/{thing.id}", timeout=20)
        if answer.status_code != 200:
            round_.findings.lost.append(f"album {thing.id}: {answer.status_code}")
            continue
        check_revision(round_, f"album {thing.id}", thing, int(answer.headers["ETag"].strip('"')), 1)


def check_revision(round_, what, thing, revision, at_first):
    """Every write moves it by one: more than were asked for is a write done twice."""
    least = at_first + thing.edits
    if revision < least:
        round_.findings.lost.append(f"{what}: {thing.edits} edits, revision {revision}")
    if revision > least + thing.edits_maybe:
        round_.findings.doubled.append(f"{what}: {thing.edits} + {thing.edits_maybe} edits, revision {revision}")


def check_tracks(round_, http):
    things = round_.journal.of("track")
    for album in {thing.fields["album"] for thing in things}:
        items = listed(round_, http, f"/api/v1/albums/{album}/tracks")
        count_names(round_, "track", [thing for thing in things if thing.fields["album"] == album], items)
        for item in items:
            thing = next((one for one in things if one.id == item["id"]), None)
            check_track(round_, http, item, thing)


def check_track(round_, http, item, thing):
    path = f"/api/v1/tracks/{item['id']}"
    answer = http.get(round_.world.url + path, timeout=20)
    described(round_, path, answer)
    track = answer.json()
    if thing and answer.status_code == 200:
        check_revision(round_, f"track {thing.id}", thing, int(answer.headers["ETag"].strip('"')), 1)
    ends = thing.fields["ends"] if thing else None
    status = track.get("status")
    if status not in ("ready", "failed") or ends and status != ends:
        round_.findings.lost.append(f"track {item['id']} is {status}, not {ends}: {json.dumps(track)[:400]}")
    if status == "failed" and not track.get("failure", {}).get("reason"):
        round_.findings.other.append(f"track {item['id']} failed without a reason")
    if status != "ready":
        return
    stream = http.get(f"{round_.world.url}/api/v1/tracks/{item['id']}/stream", timeout=20)
    if stream.status_code != 200:
        round_.findings.lost.append(f"track {item['id']} is ready and does not play: {stream.text[:200]}")
        return
    for file in stream.json()["files"]:
        body = requests.get(file["url"], timeout=20)
        if body.status_code != 200 or len(body.content) != file["bytes"]:
            round_.findings.lost.append(f"{file['url']}: {body.status_code}, {len(body.content)} bytes")


def check_people(round_):
    for thing in round_.journal.of("person"):
        answer = signed_in(round_.world, thing.name).get(round_.world.url + "/api/v1/me", timeout=20)
        name = answer.json().get("displayName")
        if name not in {thing.value} | thing.maybe:
            round_.findings.lost.append(f"{thing.name} is called {name}, not {thing.value}")
        check_revision(round_, thing.name, thing, int(answer.headers["ETag"].strip('"')), thing.fields["revision"])


def check_sessions(round_):
    for thing in round_.journal.of("session"):
        answer = requests.post(round_.world.url + "/api/v1/auth/refresh", timeout=20,
                               json={"refreshToken": thing.value})
        if thing.removed is False and answer.status_code != 200:
            round_.findings.lost.append(f"a session of {thing.name}: {answer.status_code} {answer.text[:100]}")
        if thing.removed is True and answer.status_code == 200:
            round_.findings.lost.append(f"a session of {thing.name} was ended and goes on")


# -- the databases, with nobody running

EMPTY = {  # queries that must find nothing
    "catalog": {
        "a job that does not end": "SELECT * FROM transcode_job WHERE state IN ('waiting', 'running')",
        "a step of a version that is whole": "SELECT s.track_id, s.name FROM transcode_step s JOIN track_version v"
            " ON v.track_id = s.track_id AND v.version = s.version WHERE v.complete = 1",
        "an event that waits or is parked": "SELECT * FROM bus_waiting",
        "a consumer that is behind": BEHIND,
        "an event told twice": "SELECT type, payload, COUNT(*) FROM bus_outbox WHERE type IN ('track.uploaded',"
            " 'track.ready', 'media.complete', 'media.failed', 'media.rendition') GROUP BY type, payload"
            " HAVING COUNT(*) > 1",
        "an upload of a track that is not there": "SELECT id, track_id FROM upload WHERE state = 'used'"
            " AND track_id NOT IN (SELECT id FROM track)",
        "a track without its event": "SELECT id FROM track WHERE NOT EXISTS (SELECT 1 FROM bus_outbox"
            " WHERE type = 'track.uploaded' AND entity_key = 'track:' || track.id)" + UPLOADED,
        "a track without its job": "SELECT id FROM track WHERE deleted_at IS NULL AND NOT EXISTS"
            " (SELECT 1 FROM transcode_job WHERE kind = 'first' AND subject_id = track.id)" + UPLOADED,
        "a track without its album": "SELECT id FROM track WHERE deleted_at IS NULL"
            " AND album_id NOT IN (SELECT id FROM album WHERE deleted_at IS NULL)",
        "an album without its artist": "SELECT id FROM album WHERE deleted_at IS NULL"
            " AND artist_id NOT IN (SELECT id FROM artist WHERE deleted_at IS NULL)",
        "a track without its version": "SELECT id FROM track WHERE deleted_at IS NULL AND NOT EXISTS"
            " (SELECT 1 FROM track_version v WHERE v.track_id = track.id AND v.version = track.version)",
        "a rendition without its version": "SELECT track_id, file FROM rendition r WHERE NOT EXISTS (SELECT 1 FROM"
            " track_version v WHERE v.track_id = r.track_id AND v.version = r.version)",
        "a count of renditions that is wrong": "SELECT track_id, done, expected FROM track_version v WHERE done <>"
            " (SELECT COUNT(*) FROM rendition r WHERE r.track_id = v.track_id AND r.version = v.version)"
            " OR complete = 1 AND done <> expected",
        "a ready track whose ladder is not whole": "SELECT track.id FROM track JOIN track_version v ON v.track_id = track.id"
            " AND v.version = track.version WHERE track.status = 'ready' AND track.deleted_at IS NULL AND v.complete = 0" + UPLOADED,
        "a sum of an album that is wrong": "SELECT id, track_count, duration_ms FROM album WHERE deleted_at IS NULL AND"
            " (track_count <> (SELECT COUNT(*) FROM track t WHERE t.album_id = album.id AND t.deleted_at IS NULL)"
            " OR duration_ms <> (SELECT COALESCE(SUM(duration_ms), 0) FROM track t WHERE t.album_id = album.id"
            " AND t.deleted_at IS NULL))",
        "a genre's count that is wrong": "SELECT name, albums FROM genre WHERE albums <> (SELECT COUNT(*) FROM"
            " album_genre g WHERE g.name_key = genre.name_key AND published = 1)",
        "a version that waits to take over": "SELECT id, pending_version FROM track WHERE deleted_at IS NULL"
            " AND pending_version <> 0",
        "an album that waits for its picture": "SELECT id, pending_art_id FROM album WHERE deleted_at IS NULL"
            " AND pending_art_id IS NOT NULL",
        "a picture that is not ready": "SELECT id, status, reason FROM art WHERE deleted_at IS NULL"
            " AND status <> 'ready'",
        "an answer kept for nothing": "SELECT user_id, key FROM idempotency WHERE status = 0",
    },
    "activity": {
        "an event that waits or is parked": "SELECT * FROM bus_waiting",
        "a play that is in no history": UNCOUNTED,
        "a play told twice": "SELECT payload, COUNT(*) FROM bus_outbox GROUP BY payload HAVING COUNT(*) > 1",
        "a count of a person's that is wrong": "SELECT user_id, id, plays FROM play_tally t WHERE kind = 'track' AND plays <>"
            " (SELECT COUNT(*) FROM play_history h WHERE h.user_id = t.user_id AND h.track_id = t.id AND h.counted = 1)",
        "a count of all people's that is wrong": "SELECT kind, id, plays, listeners FROM play_total t WHERE plays <> (SELECT"
            " SUM(plays) FROM play_tally y WHERE y.kind = t.kind AND y.id = t.id) OR listeners <> (SELECT COUNT(*) FROM"
            " play_tally y WHERE y.kind = t.kind AND y.id = t.id)",
    },
    "users": {
        "an event that waits or is parked": "SELECT * FROM bus_waiting",
        "a session without its user": "SELECT session_id FROM sessions WHERE user_id NOT IN (SELECT user_id FROM users)",
        "a token without its session": "SELECT session_id FROM refresh_tokens r WHERE NOT EXISTS (SELECT 1 FROM"
            " sessions s WHERE s.user_id = r.user_id AND s.session_id = r.session_id)",
        "an answer kept for nothing": "SELECT user_id, key FROM idempotency WHERE status = 0",
    },
}


def queries(round_):
    for name, those in EMPTY.items():
        for words, query in those.items():
            found = round_.world.rows(query, database=name)
            if found:
                kind = round_.findings.doubled if "twice" in words else round_.findings.other
                kind.append(f"{name}: {words}: {found[:3]}")


def database(round_):
    for name in EMPTY:
        for pragma in ("integrity_check", "foreign_key_check"):
            result = round_.world.rows(f"PRAGMA {pragma}", database=name)
            if result not in ([("ok",)], []):
                round_.findings.other.append(f"{name}: {pragma}: {result[:5]}")
    queries(round_)


# -- the store

def objects(world):
    """{(bucket, key): path} of all objects, by the names of their files (blob_file_path.h)."""
    found = {}
    root = world.store / "objects"
    for folder, _, files in os.walk(root):
        for name in files:
            path = pathlib.Path(folder) / name
            bucket, *parts = path.relative_to(root).parts
            key = ""
            for part in parts:
                stem, kind = part[:-4], part[-4:]
                key += stem + ("/" if kind == ".dir" else "")
            found[bucket, key] = path
    return found


def check_object(path):
    """None, or what is wrong: an object is its bytes, then what describes them."""
    body = path.read_bytes()
    if len(body) < TRAILER_BYTES:
        return f"{len(body)} bytes"
    magic, _, _, size, etag = TRAILER.unpack_from(body, len(body) - TRAILER_BYTES)
    if magic != b"TUTTIOBJ" or size != len(body) - TRAILER_BYTES:
        return "no sound trailer"
    etag = etag.rstrip(b"\0").decode()
    if "-" not in etag and hashlib.md5(body[:size]).hexdigest() != etag:
        return "bytes that are not its ETag's"
    return None


def named_keys(world):
    """{(bucket, key): bytes or None} that rows name, and the versions and pictures that are alive."""
    named, versions = {}, set()
    for track, version, key, size in world.rows(
            "SELECT track_id, v.version, source_key, source_bytes FROM track_version v JOIN track t ON t.id = track_id"
            " WHERE removed_at IS NULL AND deleted_at IS NULL"):
        named["media", key] = size
        versions.add((track, version))
    for track, version, file, size in world.rows("SELECT track_id, version, file, bytes FROM rendition"):
        if (track, version) in versions:
            named["media", f"m/{track}/{version}/{file}"] = size
    arts = set()
    for art, key in world.rows("SELECT id, object_key FROM art WHERE deleted_at IS NULL"):
        named["media", key] = None
        arts.add(art)
    return named, versions, arts


def store(round_):
    """After the sweep: every object that is named is there, whole, and nothing else is."""
    world, findings = round_.world, round_.findings
    there = objects(world)
    named, versions, arts = named_keys(world)
    for name, size in named.items():
        path = there.get(name)
        if path is None:
            findings.lost.append(f"object {name} is not there")
        elif size is not None and path.stat().st_size - TRAILER_BYTES != size:
            findings.lost.append(f"object {name} has {path.stat().st_size - TRAILER_BYTES} bytes, not {size}")
    for (bucket, key), path in there.items():
        fault = check_object(path)
        if fault:
            findings.other.append(f"object {bucket}/{key}: {fault}")
        if (bucket, key) not in named and not is_made(key, versions, arts):
            findings.orphans.append(f"object {bucket}/{key}")
    for part in ("temporary", "multipart"):
        for folder, _, files in os.walk(world.store / part):
            findings.orphans.extend(os.path.join(folder, name) for name in files)


def is_made(key, versions, arts):
    """Manifests and the like of a living version, and a picture's sizes, which no row lists."""
    parts = key.split("/")
    if parts[0] == "art":
        return len(parts) == 3 and int(parts[1]) in arts
    return len(parts) == 4 and parts[0] == "m" and (int(parts[1]), int(parts[2])) in versions and \
        MADE_FILES.match(parts[3])


def collected(round_):
    """Collects as if nine days had passed since, when all graces are over."""
    clock = Clock(round_.world.folder / "clock")
    clock.set(NINE_DAYS_MS)
    # Where the clock went back behind the catalog's first hour, what was left then is older than the catalog.
    accepted = ["--accept-lost"] if round_.world.clock else []
    round_.world.run("sweep", *accepted, environment=clock.environment())
    store(round_)


def all_of_it(round_):
    settle(round_)
    api(round_)
    round_.world.stop()
    database(round_)
    collected(round_)
