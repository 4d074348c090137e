#!/usr/bin/env python3
"""clang-tidy (.clang-tidy) over the C sources of a build's compile_commands.json.

    tools/tidy.py BUILD CACHE [--jobs N] [--all] [--deep]

The analyzer looks at NODES states of a function, with --deep at three times as many, which are clang's own bound and
take three times as long. A file that was clean is not looked at again until it, a header that it includes, its compiler's arguments or
.clang-tidy changes: the build's own dependencies (ninja -t deps) say what it includes, and CACHE holds the
digests of clean ones. Exit 1 if anything was found.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import subprocess
import sys

TIDY = "clang-tidy-14"
NODES, NODES_DEEP = 75_000, 225_000
PARTS = ("src/",)


def sources(build):
    """Path, from the root, → its compiler's command; generated files have none of ours in them."""
    root = pathlib.Path.cwd()
    found = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), root)
        if path.startswith(PARTS):
            found[path] = (entry["command"], entry["output"])
    return found


def dependencies(build):
    """Object → the files of ours it was made from, as the compiler told ninja."""
    text = subprocess.run(["ninja", "-C", build, "-t", "deps"], check=True, capture_output=True, text=True).stdout
    found, current = {}, None
    for line in text.splitlines():
        if line.startswith(" "):
            name = line.strip()
            if not name.startswith("/usr/"):
                current.append(os.path.normpath(build / name))
        elif ":" in line:
            current = found.setdefault(line.split(":")[0], [])
    return found


def digest_of(command, files):
    digest = hashlib.sha256(command.encode())
    for path in sorted({".clang-tidy", *files}):
        digest.update(path.encode() + b"\0" + pathlib.Path(path).read_bytes())
    return digest.hexdigest()


def look(build, path, nodes):
    analyzer = [f"--extra-arg={word}" for word in ("-Xclang", "-analyzer-config", "-Xclang", f"max-nodes={nodes}")]
    done = subprocess.run([TIDY, "-p", build, "--quiet", *analyzer, path], capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("cache", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--all", action="store_true", help="also what was clean already")
    parser.add_argument("--deep", action="store_true", help="longer paths through each function")
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    nodes = NODES_DEEP if arguments.deep else NODES
    deps = dependencies(arguments.build)
    wanted = {}
    for path, (command, output) in sources(arguments.build).items():
        stamp = arguments.cache / digest_of(f"{command} {nodes}", [path, *deps.get(output, [])])
        if arguments.all or not stamp.exists():
            wanted[path] = stamp
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        running = {pool.submit(look, arguments.build, path, nodes): path for path in wanted}
        for one in concurrent.futures.as_completed(running):
            clean, text = one.result()
            if clean:
                wanted[running[one]].touch()
            else:
                bad += 1
                print(text, flush=True)
    print(f"{len(wanted)} files looked at, {bad} with findings")
    sys.exit(1 if bad else 0)


main()
