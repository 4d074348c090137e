"""A person clicks on a track in Chromium, and the sound comes from an edge of another origin than the page."""
import json
import re
import subprocess

import requests

from edges import DEPLOY, KINDS, free_port, until
from journey import PASSWORD, Person, Server, wait_for


def test_it_plays_from_the_edge(kind, tmp_path, upload):
    server = Server(port=free_port())
    edge = KINDS[kind](tmp_path, [f"127.0.0.1:{server.port}"], server.data / "keys" / "edge-keys")
    server.environment = {"TUTTI_SERVER_MEDIA_URL": edge.url}
    try:
        server.start()
        edge.start()
        server.add_user("artist", "artist")
        server.add_user("listener", "listener")
        artist = Person(server.url, "artist", "artist")
        track = wait_for(artist, upload(artist=artist)["id"], whole=True)["id"]
        done = subprocess.run(["node", DEPLOY.parent / "bench" / "first_audio.mjs", server.url, "listener", PASSWORD, track, "2"],
                              capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        heard = json.loads(done.stdout.splitlines()[-1])
        assert len(heard["ms"]) == 2
        until(lambda: re.search(rf"/m/{track}/1/aac-\d+\.mp4", edge.logged()), "the edge served the sound")
        text = requests.get(server.url + "/metrics", timeout=10).text
        fetched = [int(row) for row in re.findall(r'^tutti_http_requests_total\{.*route="/m/.*code="2.* (\d+)$', text, re.M)]
        assert 1 <= sum(fetched) <= 8, "each object once, whatever was clicked"
    finally:
        edge.stop()
        server.stop()
        server.done()
