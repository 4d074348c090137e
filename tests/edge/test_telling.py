"""What Tutti tells its edges: to forget what is deleted or replaced, and to have what will be asked for."""
import datetime
import subprocess

import pytest
import requests

from edges import KINDS, sign, keys_of, until
from journey import BINARY, Person, Server, wait_for


class Told:
    """A server that knows an edge of each kind, hurried: a round of warming a second."""

    def __init__(self, folder):
        self.server = Server()
        keys = self.server.data / "keys" / "edge-keys"
        self.edges = []
        for name in sorted(KINDS):
            place = folder / name
            place.mkdir()
            self.edges.append(KINDS[name](place, [f"127.0.0.1:{self.server.port}"], keys))
        self.server.environment = {"TUTTI_EDGE_URLS": ", ".join(edge.url for edge in self.edges),
                                   "TUTTI_EDGE_WARM_INTERVAL_S": "1"}
        self.server.start()
        for edge in self.edges:
            edge.start()
        self.server.add_user("artist", "artist")
        self.artist = Person(self.server.url, "artist", "artist")

    def stop(self):
        for edge in self.edges:
            edge.stop()
        self.server.stop()
        self.server.done()

    def is_held(self, edge, track, name, version=1):
        """Whether it is there although nobody asked: the edge is asked for a byte."""
        path = f"/m/{sign(keys_of(edge.keys)[-1], track, version)}/{track}/{version}/{name}"
        answer = edge.get(path, headers={"Range": "bytes=0-0"})
        return answer.status_code == 206 and answer.headers["X-Cache"].lower() == "hit"

    def status(self, edge, track, name, version=1):
        return edge.get(f"/m/{sign(keys_of(edge.keys)[-1], track, version)}/{track}/{version}/{name}").status_code


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    started = Told(tmp_path_factory.mktemp("told"))
    yield started
    started.stop()


def test_a_deleted_track_is_gone_everywhere(told, upload):
    track = wait_for(told.artist, upload(artist=told.artist)["id"], whole=True)["id"]
    objects = stored_objects(told.server)
    for edge in told.edges:
        assert told.status(edge, track, "aac-160.mp4") == 200
        assert told.is_held(edge, track, "aac-160.mp4")
    assert told.artist.delete(f"/api/v1/tracks/{track}").status_code == 200
    for edge in told.edges:
        until(lambda: told.status(edge, track, "aac-160.mp4") == 404, "the edge forgets")
        assert told.status(edge, track, "hls-160.m3u8") == 404
    # Nobody could fetch it from a store that asks for no token, either: nine renditions and the original at least.
    assert len(stored_objects(told.server)) <= len(objects) - 10


def stored_objects(server):
    return [path for path in (server.data / "objects" / "objects").rglob("*") if path.is_file()]


def test_a_replaced_file_is_forgotten(told, upload, sounds):
    track = wait_for(told.artist, upload(artist=told.artist)["id"], whole=True)["id"]
    for edge in told.edges:
        assert told.status(edge, track, "aac-160.mp4") == 200
        assert told.is_held(edge, track, "aac-160.mp4")
    purged = purges(told.server)
    place = upload.put(sounds("flac", seconds=2.0), told.artist)
    assert told.artist.patch(f"/api/v1/tracks/{track}", json={"trackUrl": place}).status_code == 200
    until(lambda: told.artist.get(f"/api/v1/tracks/{track}").json()["version"] == 2, "the new file plays")
    until(lambda: purges(told.server) >= purged + len(told.edges), "edges are told")
    for edge in told.edges:
        assert not told.is_held(edge, track, "aac-160.mp4")
        assert told.is_held(edge, track, "aac-160.mp4")  # who began to listen before hears it to its end
        assert told.status(edge, track, "aac-160.mp4", version=2) == 200


def purges(server):
    text = requests.get(server.url + "/metrics", timeout=10).text
    rows = [line for line in text.splitlines() if line.startswith('tutti_edge_requests_total{what="purge",result="ok"}')]
    return int(rows[0].split()[-1])


def days(count):
    return (datetime.date.today() + datetime.timedelta(days=count)).isoformat()


def test_announced_and_new_albums_are_there_before_anybody_asks(told, upload, album):
    tracks = {}
    for name, date in (("announced", days(20)), ("new", days(-3)), ("old", days(-40))):
        home = album(told.artist, releaseDate=date)
        tracks[name] = wait_for(told.artist, upload(artist=told.artist, album_id=home["id"])["id"], whole=True)["id"]
    for edge in told.edges:
        for name in ("announced", "new"):
            until(lambda: told.is_held(edge, tracks[name], "aac-320.mp4"), f"the edge has what is {name}")
            for file in ("hls-lossless.m3u8", "aac-160.m3u8", "aac-96.mp4"):
                until(lambda: told.is_held(edge, tracks[name], file), file)
        assert not told.is_held(edge, tracks["announced"], "flac.mp4")
        assert not told.is_held(edge, tracks["old"], "aac-320.mp4")


def test_what_is_asked_for_most_is_there(told, upload):
    track = wait_for(told.artist, upload(artist=told.artist)["id"], whole=True)["id"]
    for edge in told.edges:
        assert not told.is_held(edge, track, "aac-160.mp4")
    for _ in range(3):
        assert told.artist.get(f"/api/v1/tracks/{track}/stream").status_code == 200
    for edge in told.edges:
        until(lambda: told.is_held(edge, track, "aac-320.mp4"), "the edge has what was asked for")


def test_a_dead_edge_is_told_once_it_is_back(told, upload):
    varnish = told.edges[sorted(KINDS).index("varnish")]
    nginx = told.edges[sorted(KINDS).index("nginx")]
    track = wait_for(told.artist, upload(artist=told.artist)["id"], whole=True)["id"]
    for edge in (varnish, nginx):
        assert told.status(edge, track, "aac-160.mp4") == 200
    nginx.stop()
    assert told.artist.delete(f"/api/v1/tracks/{track}").status_code == 200
    until(lambda: told.status(varnish, track, "aac-160.mp4") == 404, "the one that lives forgets")
    nginx.start()
    until(lambda: told.status(nginx, track, "aac-160.mp4") == 404, "the one that is back forgets")


@pytest.mark.parametrize("urls", ["edge", "ftp://edge", "http://edge/path", "http://edge/", "http://a, http://b?c"])
def test_bad_addresses_stop_the_start(tmp_path, urls):
    done = subprocess.run([BINARY, "serve", "--data", str(tmp_path), "--listen", "127.0.0.1:1"], text=True,
                          capture_output=True, timeout=30, env={"PATH": "/usr/bin", "TUTTI_EDGE_URLS": urls})
    assert done.returncode == 2
    assert "edge.urls" in done.stderr and urls.split(", ")[-1] in done.stderr
