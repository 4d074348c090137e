"""Checks answers against the OpenAPI description: the route must be there, its status documented, the
body of the documented type and shape (JSON Schema 2020-12, as OpenAPI 3.1 says)."""
import json
import re

import jsonschema
import yaml


class Undocumented(AssertionError):
    """An answer that the description does not know."""


class Specification:
    def __init__(self, path):
        self.document = yaml.safe_load(path.read_text())
        self.routes = []
        self.seen = set()
        for pattern, item in self.document["paths"].items():
            matcher = re.compile("^" + re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(pattern)) + "$")
            self.routes.append(("{" in pattern, pattern, matcher, item))
        self.routes.sort(key=lambda route: route[0])  # literal paths win

    def find(self, method, path):
        for _, pattern, matcher, item in self.routes:
            if matcher.match(path) and method.lower() in item:
                return pattern, item[method.lower()]
        return None, None

    def resolve(self, node):
        while "$ref" in node:
            target = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = target
        return node

    def check(self, method, target, answer):
        """Raises where the answer is not one that the description promises."""
        pattern, operation = self.find("GET" if method == "HEAD" else method, target.split("?")[0])
        if operation is None:
            if answer.status_code in (404, 405):
                return  # no such route: nothing to describe
            raise Undocumented(f"{method} {target} is not in the description")
        if answer.status_code in (429, 503) and not answer.headers.get("Retry-After", "").isdigit():
            raise Undocumented(f"{method} {pattern} answered {answer.status_code} without saying when to come again")
        response = operation["responses"].get(str(answer.status_code)) or operation["responses"].get("default")
        if response is None:
            raise Undocumented(f"{method} {pattern} answered {answer.status_code}, which is not described:"
                               f" {answer.text[:500]}")
        self.seen.add((method, pattern, answer.status_code))
        if method != "HEAD":
            self.check_body(f"{method} {pattern} {answer.status_code}", self.resolve(response), answer)

    def check_body(self, what, response, answer):
        content = response.get("content")
        if not content:
            if answer.content:
                raise Undocumented(f"{what} has a body, but none is described: {answer.text[:200]}")
            return
        kind = answer.headers.get("Content-Type", "").split(";")[0].strip()
        described = content.get(kind) or content.get(kind.split("/")[0] + "/*") or content.get("*/*")
        if described is None:
            raise Undocumented(f"{what} is of type {kind}; described are {list(content)}")
        if "json" in kind and "schema" in described:
            schema = {**described["schema"], "components": self.document.get("components", {})}
            validator = jsonschema.Draft202012Validator(schema)
            for error in validator.iter_errors(json.loads(answer.text)):
                raise Undocumented(f"{what}: {error.json_path}: {error.message[:300]}")
