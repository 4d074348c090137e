"""What every answer tells a browser, on every route of the description, refused or not."""
import re

import pytest
import requests

from conftest import specification

ROUTES = [(method.upper(), pattern) for _, pattern, _, item in specification.routes
          for method in item if method in ("get", "put", "post", "patch", "delete")]


def check(answer, embedded):
    where = f"{answer.request.method} {answer.request.path_url} {answer.status_code}"
    assert answer.headers.get("X-Content-Type-Options") == "nosniff", where
    policy = answer.headers.get("Content-Security-Policy", "")
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy, where
    assert answer.headers.get("Cross-Origin-Resource-Policy") == ("cross-origin" if embedded else "same-origin"), where


@pytest.mark.parametrize("method, pattern", ROUTES)
def test_every_route_says_what_a_browser_must_not_do(server, people, method, pattern):
    path = re.sub(r"\{[^}]+\}", "1", pattern)
    embedded = path.startswith(("/m/", "/s3", "/api/v1/art/"))
    for headers in ({}, {"Authorization": people.listener.headers["Authorization"]}):
        if "logout" in path or method == "DELETE" and path == "/api/v1/me":
            headers = {}
        answer = requests.request(method, server.url + path, headers=headers, timeout=30)
        assert answer.status_code < 500 or path == "/readyz", answer.text
        check(answer, embedded)


def test_what_leads_nowhere_says_it_too(server):
    for method, path in (("GET", "/api/v1/nowhere"), ("TRACE", "/healthz"), ("GET", "/%zz"), ("OPTIONS", "/healthz")):
        check(requests.request(method, server.url + path, timeout=30), False)


def test_sound_and_pictures_may_stand_anywhere(server, people, upload):
    track = upload()
    stream = people.listener.get(f"/api/v1/tracks/{track['id']}/stream").json()
    answer = requests.get(stream["trackUrl"], headers={"Range": "bytes=0-99"}, timeout=30)
    assert answer.status_code == 206
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "Content-Security-Policy" not in answer.headers and answer.headers["X-Content-Type-Options"] == "nosniff"
    refused = requests.get(stream["trackUrl"].replace("~", "~x", 1), timeout=30)
    assert refused.status_code == 403
    check(refused, True)


def test_the_page_has_a_policy_of_its_own(server):
    page = requests.get(server.url + "/", timeout=30)
    assert page.status_code == 200 and page.headers["Content-Type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert "microphone=()" in page.headers["Permissions-Policy"]
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "Strict-Transport-Security" not in page.headers


def test_https_is_for_good(own_server):
    behind_tls = own_server(environment={"TUTTI_SERVER_URL": "https://music.test"})
    for path in ("/", "/healthz", "/nowhere", "/api/v1/albums", "/m/x/y/z/w", "/s3/media/x"):
        answer = requests.get(behind_tls.url + path, timeout=30)
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000", path
    unsaid = own_server(environment={"TUTTI_SERVER_URL": "https://music.test", "TUTTI_SERVER_HSTS_S": "0"})
    assert "Strict-Transport-Security" not in requests.get(unsaid.url + "/healthz", timeout=30).headers


def test_a_browser_that_two_people_share_shows_each_their_own(people):
    """A browser keeps an answer by its address, whoever asked. So where two people get another answer from one address, either
    nothing is kept, or no validator of the one passes for the other's."""
    owner, member = people.new(), people.new()
    playlist = owner.post("/api/v1/playlists", json={"title": "Ours"}).json()["id"]
    token = owner.post(f"/api/v1/playlists/{playlist}/invite", json={"access": "view"}).json()["token"]
    assert member.post("/api/v1/me/invites", json={"token": token}).status_code == 200
    for path in ("/api/v1/me", f"/api/v1/playlists/{playlist}", "/api/v1/me/queue", "/api/v1/playlists", "/api/v1/me/favourites/track"):
        first, second = owner.get(path), member.get(path)
        assert first.status_code == second.status_code == 200, path
        kept = [answer for answer in (first, second) if "no-store" not in answer.headers["Cache-Control"]]
        etags = [answer.headers["ETag"] for answer in kept if "ETag" in answer.headers]
        assert first.text == second.text or len(set(etags)) == len(etags), (path, etags)
