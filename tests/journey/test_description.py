"""docs/api/openapi.yaml and the server's routes are the same, so that what is walked by the description (test_roles.py,
test_strangers.py, test_schemathesis.py) is all there is. The routes are asked of a running server: the router gives each
a figure of its own in /metrics before the first request."""
import re

import pytest
import requests

from conftest import OBJECTS, specification
from test_roles import operations

UNDESCRIBED = {  # registered, and no part of the API
    ("GET", "/"): "the app", ("GET", "/{page}"): "the app", ("GET", "/{page}/{id}"): "the app",
    ("GET", "/m/{rest}"): "refuses what has no token in its path",
    ("GET", "/s3/"): "/s3, as some clients write it", ("PUT", "/s3/{bucket}/"): "/s3/{bucket}, as some clients write it",
    ("OPTIONS", "/m/{token}/{track}/{version}/{file}"): "CORS", ("OPTIONS", "/s3/{bucket}"): "CORS",
    ("OPTIONS", "/s3/{bucket}/{key}"): "CORS",
}
FIGURE = re.compile(r'^tutti_http_request_duration_seconds_count{method="([^"]+)",route="([^"]+)"}', re.M)


def registered(server):
    """(method, pattern) of each of a server's routes; of one that takes a path's rest, {rest*}, as the description says it."""
    text = requests.get(server.url + "/metrics", timeout=30).text
    return {(method, pattern.replace("*}", "}")) for method, pattern in FIGURE.findall(text)}


def test_the_routes_are_those_of_the_description(own_server):
    routes = registered(own_server())
    described = {(method, pattern) for method, pattern, _ in operations()}
    assert len(routes) > 100
    assert routes - described == set(UNDESCRIBED), "describe what is new in docs/api/paths, so that it is walked, too"
    unknown = described - routes
    assert not unknown or (OBJECTS != "file" and all(pattern.startswith("/s3") for _, pattern in unknown)), unknown


# What is refused before a route is asked, whatever the route: (status, what makes a request so).
REFUSED_EVERYWHERE = [(400, {"params": b"x=%ff"}), (431, {"headers": {"X-Large": "x" * 9000}}), (413, {"data": b"x"})]


@pytest.mark.parametrize("status, options", REFUSED_EVERYWHERE)
def test_what_any_request_may_hear_is_described(server, people, status, options):
    """So who walks the description with a tool of their own meets nothing that is not in it."""
    for method, pattern, operation in operations():
        if pattern.startswith("/s3") or (status == 413 and method != "GET"):
            continue  # S3's errors are XML, and one default; what may have a body
        path = re.sub(r"{[^}]*}", "1", pattern)
        roles = operation.get("x-roles") or ["listener"]
        headers = {**getattr(people, roles[0]).headers, **options.get("headers", {})}
        answer = requests.request(method, server.url + path, **{**options, "headers": headers}, timeout=30)
        specification.check(method, path, answer)
        assert answer.status_code == status, (method, path, answer.text)
