"""Uploads that are made to break decoders, through the whole server: each ends ready or failed with words, the server
notices nothing, nothing is left behind, and who comes next is served. The mass of them is in tests/media."""
import os
import pathlib
import re
import signal
import sys
import time

import pytest
import requests

from conftest import OBJECTS, Person, bucket_name, object_gateway, until, wait_for

sys.path.append(str(pathlib.Path(__file__).parents[1] / "media"))
import absurd  # noqa: E402
import mutate  # noqa: E402

SEED = 11
ABSURD_SOUNDS = {"wav": ["data of 4 GiB", "50,000 chunks", "nested", "65,535 channels"], "flac": ["2^36 samples", "2,000 pictures"],
                 "mp3": ["a picture of 60 MB, squeezed", "100,000 frames"], "mp4": ["10,000 meta deep", "a cover of 2 GiB"],
                 "ogg": ["5,000 streams"], "strangers": ["a playlist", "a mkv"]}
ABSURD_PICTURES = ["64 million pixels and a line", "zTXt of 4 GB", "a JPEG of 300 scans", "a GIF of 100,000 frames",
                   "a WebP in WebPs"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """(sounds, pictures): [(name, bytes)] that are damaged or absurd, one of each format at least."""
    folder = tmp_path_factory.mktemp("torture")
    sounds, pictures = mutate.make_good(folder)
    others = [*sounds.values(), *pictures.values()]
    groups = {"wav": absurd.wavs(), "flac": absurd.flacs(sounds["a.flac"]), "mp3": absurd.mp3s(sounds["a.mp3"]), "mp4": absurd.mp4s(),
              "ogg": absurd.oggs(sounds["a.ogg"]), "strangers": absurd.strangers(folder, mutate.ffmpeg)}
    bad = [(name, mutate.mutated(SEED, name, body, others)) for name, body in sounds.items()]
    for group, names in ABSURD_SOUNDS.items():
        bad += [(name, body) for name, body in groups[group] if name in names]
    art = [(name, mutate.mutated(SEED, name, body, others)) for name, body in pictures.items()]
    art += [(name, body) for name, body in absurd.pictures(pictures["a.webp"]) if name in ABSURD_PICTURES]
    assert len(bad) == len(sounds) + sum(map(len, ABSURD_SOUNDS.values())) and len(art) == len(pictures) + len(ABSURD_PICTURES)
    return bad, art, sounds["16.wav"]


def put(maker, album_id, title, body):
    """The new track of an upload."""
    place = maker.get("/api/v1/tracks/upload-url", params={"filename": "a.wav"}).json()
    assert requests.put(place["uploadUrl"], data=body, timeout=60).status_code == 200
    made = maker.post("/api/v1/tracks", json={"albumId": album_id, "title": title, "trackUrl": place["trackUrl"]})
    assert made.status_code == 201, made.text
    return made.json()["id"]


def objects_of(server, track_id):
    """Names of the track's files in the store: ids are cut into folders on the way there."""
    if OBJECTS == "rgw":
        listed = object_gateway().signed("GET", f"/{bucket_name(server.data)}", f"list-type=2&prefix=m%2F{track_id}%2F")
        return sorted(key.rsplit("/", 1)[1] for key in re.findall("<Key>([^<]+)</Key>", listed))
    root = server.data / "objects" / "objects"
    return sorted(path.name[:-4] for path in root.rglob("*.obj")
                  if track_id in "".join(part[:-4] for part in path.relative_to(root).parts))


def jobs(server, state):
    for line in requests.get(server.url + "/metrics", timeout=10).text.splitlines():
        if line.startswith(f'tutti_transcode_jobs{{state="{state}"}}'):
            return float(line.split()[-1])
    return 0


def media_processes(server):
    """The server's children by the name tutti-media."""
    children = pathlib.Path(f"/proc/{server.process.pid}/task").glob("*/children")
    found = [int(pid) for file in children for pid in file.read_text().split()]
    return [pid for pid in found if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "tutti-media"]


def test_a_file_that_runs_past_its_limits_is_given_up(own_server, sounds, files):
    """The kernel's signal for spent computing time, at each try; then the next upload, on a process of its own."""
    server = own_server()
    server.add_user("maker", "artist")
    maker = Person(server.url, "maker", "artist")
    page = maker.post("/api/v1/artists", json={"name": "Band"}).json()
    album_id = maker.post("/api/v1/albums", json={"artistId": page["id"], "title": "Album"}).json()["id"]
    track_id = put(maker, album_id, "Endless", sounds("flac", seconds=180.0).read_bytes())
    ended, deadline = set(), time.monotonic() + 60
    while len(ended) < 2:
        for pid in set(media_processes(server)) - ended:
            os.kill(pid, signal.SIGXCPU)
            ended.add(pid)
        assert time.monotonic() < deadline, "it is tried twice"
        time.sleep(0.005)
    track = wait_for(maker, track_id)
    assert (track["status"], track["failure"]["code"]) == ("failed", "out-of-limits")
    assert "computing time" in track["failure"]["reason"]
    assert objects_of(server, track_id) == ["original.wav"]
    assert wait_for(maker, put(maker, album_id, "A good one", files[2]), whole=True)["status"] == "ready"
    assert server.stop() == 0


def test_the_server_notices_nothing_of_files_that_break_decoders(own_server, files):
    bad, art, good = files
    server = own_server()
    server.add_user("maker", "artist")
    maker = Person(server.url, "maker", "artist")
    page = maker.post("/api/v1/artists", json={"name": "Band"}).json()
    albums = [maker.post("/api/v1/albums", json={"artistId": page["id"], "title": name}).json()["id"] for name, _ in art]
    for album_id, (name, body) in zip(albums, art):
        answer = maker.put(f"/api/v1/albums/{album_id}/cover", data=body, headers={"Content-Type": "image/png"})
        assert answer.status_code in (202, 400, 415, 422), (name, answer.text)
    tracks = {put(maker, albums[0], f"{name} {number}", body): name for number, (name, body) in enumerate(bad)}
    next_one = put(maker, albums[0], "A good one", good)

    ended = {track_id: wait_for(maker, track_id, whole=True, timeout=180) for track_id in tracks}
    assert wait_for(maker, next_one, whole=True)["status"] == "ready", "who comes next is served"
    until(lambda: jobs(server, "waiting") == jobs(server, "running") == 0)
    for track_id, track in ended.items():
        if track["status"] == "failed":
            assert track["failure"]["reason"] and track["failure"]["code"] not in ("internal", "crashed", "out-of-limits"), track
            assert objects_of(server, track_id) == ["original.wav"], tracks[track_id]
        else:
            assert "flac.mp4" in objects_of(server, track_id) or "hls-320.m3u8" in objects_of(server, track_id)
    assert {track["status"] for track in ended.values()} == {"ready", "failed"}, "some of each"

    for album_id, (name, _) in zip(albums, art):
        until(lambda: not maker.get(f"/api/v1/albums/{album_id}").json()["coverPending"])
    assert not [path for path in (server.data / "objects" / "temporary").rglob("*") if path.is_file()]
    assert '"level":"error"' not in server.log_text()
    assert server.stop() == 0
