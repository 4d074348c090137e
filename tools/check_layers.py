#!/usr/bin/env python3
"""Which part of src/ may include which, as ARCHITECTURE.md draws it. Any other arrow fails.

    net → base
    backend → base, net
    media → base                  (and only media_main.c → media)
    service → base, net, backend, other roles' contract headers <role>.h without cycles,
              media/job.h (the job description)
    boot → everything but media
"""
import pathlib
import re
import sys

SRC = pathlib.Path("src")
ALLOWED = {
    "base": {"base"},
    "net": {"net", "base"},
    "backend": {"backend", "net", "base"},
    "media": {"media", "base"},
    "service": {"service", "backend", "net", "base"},
    "boot": {"boot", "service", "backend", "net", "base"},
    "main.c": {"boot", "base"},
    "media_main.c": {"media", "base"},
}
JOB_DESCRIPTION = "media/job.h"
# Headers of one role that another may include beside its contract <role>.h.
SHARED_HEADERS = {"streaming/manifest.h", "catalog/catalog_json.h", "transcode/child.h", "library/formats/list_file.h"}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def includes(path):
    return INCLUDE.findall(path.read_text())


def wrong_arrow(path, target):
    """Why path may not include target, or None."""
    own = path.relative_to(SRC).parts[0]
    other = target.split("/")[0]
    if not (SRC / target).exists():
        return None  # generated, or of the system
    if target == JOB_DESCRIPTION and own in {"service", "media", "media_main.c"}:
        return None
    if other not in ALLOWED[own]:
        return f"{own} may include {', '.join(sorted(ALLOWED[own]))}, not {other}"
    if own == other == "service":
        return wrong_role_arrow(path, target)
    return None


def wrong_role_arrow(path, target):
    role = path.relative_to(SRC / "service").parts[0]
    parts = target.split("/")[1:]
    if len(parts) == 1 or parts[0] == role:
        return None
    if parts[1] == f"{parts[0]}.h" or "/".join(parts) in SHARED_HEADERS:
        return None
    return f"role {role} may include {parts[0]}'s contract {parts[0]}.h only"


def role_arrows(files):
    arrows = {}
    for path in files:
        parts = path.relative_to(SRC).parts
        if parts[0] != "service" or len(parts) < 3:
            continue
        for target in includes(path):
            to = target.split("/")
            if to[0] == "service" and len(to) > 2 and to[1] != parts[1]:
                arrows.setdefault(parts[1], set()).add(to[1])
    return arrows


def find_cycle(arrows):
    def visit(role, trail):
        if role in trail:
            return trail[trail.index(role):] + [role]
        for other in sorted(arrows.get(role, ())):
            cycle = visit(other, trail + [role])
            if cycle:
                return cycle
        return None

    for role in sorted(arrows):
        cycle = visit(role, [])
        if cycle:
            return cycle
    return None


def main():
    files = sorted(SRC.rglob("*.c")) + sorted(SRC.rglob("*.h"))
    wrong = []
    for path in files:
        for target in includes(path):
            why = wrong_arrow(path, target)
            if why:
                wrong.append(f"{path}: includes {target}: {why}")
    cycle = find_cycle(role_arrows(files))
    if cycle:
        wrong.append("roles in a cycle: " + " → ".join(cycle))
    print("\n".join(wrong) if wrong else f"{len(files)} files, every arrow allowed")
    sys.exit(1 if wrong or not files else 0)


if __name__ == "__main__":
    main()
