"""Schemathesis over docs/api/openapi.yaml: for every operation, requests made from its description, right ones and
wrong ones, sent as a listener, an artist and an admin. No 5xx, no status, type or body that is not described, and
what is wrong by the description is refused.

The requests are the same in every run. WALK_EXAMPLES=200 makes so many of each instead of a few.
"""
import collections
import itertools
import os

import hypothesis
import pytest
import requests
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from conftest import ROOT, People

EXAMPLES = int(os.environ.get("WALK_EXAMPLES", "10"))
WHO = ("listener", "artist", "admin")
CHECKS = [not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
          checks.response_schema_conformance, checks.response_headers_conformance, checks.negative_data_rejection]

schema = schemathesis.openapi.from_path(str(ROOT / "docs" / "api" / "openapi.yaml"))
schema.config.generation.allow_extra_parameters = False  # what is not known is passed over
schema.config.phases.coverage.enabled = False
schema.config.checks.negative_data_rejection.expected_statuses = ["4xx"]
# An account that deletes itself asks nothing more; test_identity.py does it.
walked = schema.exclude(method="DELETE", path="/api/v1/me")


class World:
    """A server with an account of each role and one of each thing, so that right requests meet something."""

    def __init__(self, server, sound):
        self.people = People(server)
        self.turn, self.statuses = itertools.count(), collections.Counter()
        artist = self.artist = self.people.artist
        self.artists = self.post("/api/v1/artists", name="A Band")["id"]
        self.albums = self.album()
        place = artist.get("/api/v1/tracks/upload-url", params={"filename": "a.flac"}).json()
        assert requests.put(place["uploadUrl"], data=sound.read_bytes(), timeout=60).status_code == 200
        self.tracks = self.post("/api/v1/tracks", albumId=self.albums, title="A", trackUrl=place["trackUrl"])["id"]
        self.users = self.people.new("listener").user["id"]

    def post(self, path, **body):
        answer = self.artist.post(path, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def album(self):
        return self.post("/api/v1/albums", artistId=self.artists, title="An Album")["id"]

    def id_for(self, method, path):
        """An id that a request on this path may be about: one of its own to be deleted."""
        if path.startswith("/api/v1/uploads/{id}"):
            return self.post("/api/v1/uploads", filename="a.flac", size=9_000_000)["id"]
        if method == "DELETE" and path == "/api/v1/artists/{id}":
            return self.post("/api/v1/artists", name="Another")["id"]
        if method == "DELETE" and path == "/api/v1/albums/{id}":
            return self.album()
        if method == "DELETE" and path == "/api/v1/tracks/{id}":
            return "4611686018427387904"
        kind = path.removeprefix("/api/v1/").removeprefix("admin/").split("/")[0]
        return getattr(self, kind, None)

    def place(self, case):
        """Every other right request is about something that is there."""
        parameters = case.path_parameters
        if parameters and "id" in parameters and str(parameters["id"]).isdigit() and next(self.turn) % 2 == 0:
            parameters["id"] = self.id_for(case.method, case.path) or parameters["id"]


@pytest.fixture(scope="module")
def world(server_apart, sounds):
    return World(server_apart, sounds())


@schemathesis.serializer("image/*")
def picture(context, value):
    return value if isinstance(value, bytes) else str(value).encode()


def skip_what_roles_forbid(case, role):
    """test_roles.py asks what a role may not; what is for everyone is asked once."""
    roles = case.operation.definition.raw.get("x-roles") or ["artist"]
    if role not in roles:
        pytest.skip(f"not for a {role}")


@pytest.mark.parametrize("role", WHO)
@walked.parametrize()
@hypothesis.settings(max_examples=EXAMPLES, derandomize=True, database=None, deadline=None,
                     suppress_health_check=list(hypothesis.HealthCheck),
                     phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate])
def test_every_answer_is_described(case, world, role):
    skip_what_roles_forbid(case, role)
    world.place(case)
    person = getattr(world.people, role)
    signed = {} if case.path == "/api/v1/auth/logout" else {"Authorization": person.headers["Authorization"]}
    answer = case.call(base_url=person.base, headers=signed, timeout=30)
    case.validate_response(answer, checks=CHECKS)
    assert person.get("/api/v1/me").status_code == 200, f"it ended its own session: {case.as_curl_command()}"
    world.statuses[answer.status_code] += 1


def test_requests_got_through(world):
    assert world.statuses[200] + world.statuses[201] + world.statuses[204] > sum(world.statuses.values()) / 5
    assert world.statuses[422] + world.statuses[400] > 0
