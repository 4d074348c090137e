"""Roles × routes: whatever the description says about who may, the server keeps to (R2).

Every operation of docs/api/openapi.yaml with `x-roles` is asked by everyone: without a token it answers 401; with a
role that is not in the list 403 or 404; never anything that succeeds. Ids in paths name nothing that exists, so a
request that is allowed changes nothing either."""
import re

import pytest

from conftest import specification

METHODS = ("get", "put", "post", "patch", "delete", "head")
ROLES = ("listener", "artist", "admin")


def operations():
    for pattern, item in specification.document["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), pattern, item[method]


PROTECTED = [(method, pattern, tuple(operation["x-roles"])) for method, pattern, operation in operations()
             if operation.get("x-roles")]
OPEN = [(method, pattern) for method, pattern, operation in operations() if "401" not in operation["responses"]
        and "default" not in operation["responses"]]


def path_of(pattern):
    """The pattern with ids that name nothing."""
    return re.sub(r"\{[^}]*\}", "4611686018427387904", pattern)


def ask(person, method, pattern):
    options = {"json": {}} if method in ("POST", "PUT", "PATCH") else {}
    return person.request(method, path_of(pattern), **options)


def test_there_is_something_to_walk():
    assert len(PROTECTED) >= 10
    for method, pattern, roles in PROTECTED:
        assert set(roles) <= set(ROLES), f"{method} {pattern} names a role that is none"


@pytest.mark.parametrize("method, pattern", OPEN, ids=lambda value: str(value))
def test_a_bad_token_does_not_stand_in_the_way(people, method, pattern):
    """Before those that are counted, since after too many of them an address is told 429."""
    answer = people.nobody().request(method, path_of(pattern), headers={"Authorization": "Bearer x.y.z"})
    assert answer.status_code not in (401, 429), f"{method} {pattern} needs no token, so a bad one does not matter"


@pytest.mark.parametrize("method, pattern, roles", PROTECTED, ids=lambda value: str(value))
def test_nobody_is_asked_to_sign_in(people, method, pattern, roles):
    answer = ask(people.nobody(), method, pattern)
    assert answer.status_code == 401, f"{method} {pattern} without a token: {answer.status_code} {answer.text[:200]}"
    assert answer.headers["Content-Type"].startswith("application/problem+json") or method == "HEAD"


@pytest.mark.parametrize("method, pattern, roles", PROTECTED, ids=lambda value: str(value))
def test_other_roles_are_refused(people, method, pattern, roles):
    for role in ROLES:
        # An admin is a listener too, and so is an artist.
        held = {"listener": {"listener"}, "artist": {"listener", "artist"}, "admin": {"listener", "admin"}}[role]
        if held & set(roles):
            continue
        answer = ask(getattr(people, role), method, pattern)
        assert answer.status_code in (403, 404), f"{method} {pattern} as {role}: {answer.status_code}"


@pytest.mark.parametrize("method, pattern, roles", PROTECTED, ids=lambda value: str(value))
def test_a_bad_token_is_no_token(people, method, pattern, roles):
    answer = people.nobody().request(method, path_of(pattern), headers={"Authorization": "Bearer x.y.z"})
    assert answer.status_code in (401, 429)
