#!/usr/bin/env python3
"""Joins docs/api/paths/*.yaml, one file a role, into docs/api/openapi.yaml, the whole description.
Usage: openapi.py [--check]; with --check only says whether the file is current (exit 1 if not)."""
import pathlib
import sys

import yaml

API = pathlib.Path(__file__).resolve().parents[1] / "docs" / "api"
HEAD = {
    "openapi": "3.1.0",
    "info": {"title": "Tutti", "version": "1", "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
             "description": "The API of Tutti, an open music streaming platform. Ids are strings of digits, times "
                            "milliseconds UTC; lists answer items and next; errors are problem documents. Every request may say in "
                            "the header Tutti-Timeout-Ms (1 to 86400000) how many milliseconds its sender waits for the "
                            "answer to begin, from when it is whole; its class of operation has a time of its own, of "
                            "which that can only take away. What has not begun by then is not begun: 503. Where an engine "
                            "was waited for in vain, 504: it may have been done."},
    "servers": [{"url": "/"}],
}

# What every answer says.
SECURITY_HEADERS = {name: {"$ref": f"#/components/headers/{name.replace('-', '')}"} for name in (
    "X-Content-Type-Options", "Content-Security-Policy", "Cross-Origin-Resource-Policy", "Strict-Transport-Security")}


# What answers of routes with a rate limit (those that may answer 429) say in their headers.
RATE_HEADERS = {f"RateLimit-{name}": {"$ref": f"#/components/headers/RateLimit{name}"}
                for name in ("Limit", "Remaining", "Reset")}


# What the steps before a route's handler (src/net/README.md) may answer to any request; S3's errors are one default.
REFUSALS = ("400", "408", "413", "414", "429", "431", "503", "504")
PROBLEM = {"$ref": "#/components/responses/Problem"}


class Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True


def join():
    whole = {**HEAD, "paths": {}, "components": {}}
    for part in sorted((API / "paths").glob("*.yaml")):
        document = yaml.safe_load(part.read_text()) or {}
        for path, item in (document.get("paths") or {}).items():
            entry = whole["paths"].setdefault(path, {})
            for method, operation in item.items():
                if method in entry:
                    sys.exit(f"{part.name}: {method.upper()} {path} is described twice")
                entry[method] = operation
        for kind, entries in (document.get("components") or {}).items():
            target = whole["components"].setdefault(kind, {})
            for name, entry in (entries or {}).items():
                if target.get(name, entry) != entry:
                    sys.exit(f"{part.name}: components/{kind}/{name} is described twice, differently")
                target[name] = entry
    whole["paths"] = dict(sorted(whole["paths"].items()))
    describe_rates(whole)
    describe_refusals(whole)
    describe_security(whole)
    return "# Made of docs/api/paths/*.yaml by tools/openapi.py.\n" + yaml.dump(
        whole, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)


def operations(document):
    """All of them; what else a path's item has is parameters and words."""
    return (entry for item in document["paths"].values() for entry in item.values() if isinstance(entry, dict))


def describe_rates(document):
    for operation in operations(document):
        responses = operation["responses"]
        if "429" not in responses:
            continue
        for response in responses.values():
            name = response.get("$ref", "").rpartition("/")[2]
            response = document["components"]["responses"][name] if name else response
            response["headers"] = {**response.get("headers", {}), **RATE_HEADERS}


def describe_refusals(document):
    """After the rates: even where there is no limit of rates an address may have too many connections."""
    for operation in operations(document):
        responses = operation["responses"]
        if "default" not in responses:
            refusals = {status: PROBLEM for status in (*REFUSALS, *(["415"] if "requestBody" in operation else []))}
            operation["responses"] = dict(sorted({**refusals, **responses}.items()))


def describe_security(document):
    for operation in operations(document):
        for response in operation["responses"].values():
            name = response.get("$ref", "").rpartition("/")[2]
            response = document["components"]["responses"][name] if name else response
            response["headers"] = {**response.get("headers", {}), **SECURITY_HEADERS}


def main():
    target = API / "openapi.yaml"
    text = join()
    if "--check" in sys.argv:
        current = target.exists() and target.read_text() == text
        print(f"{target.name} is {'current' if current else 'not current: run tools/openapi.py'}")
        sys.exit(0 if current else 1)
    target.write_text(text)


if __name__ == "__main__":
    main()
