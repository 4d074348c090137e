"""Programs in Java, from Maven: their jars, and an archive of loaded classes that halves a start. Standard library only."""
import fcntl
import os
import pathlib
import socket
import subprocess
import sys
import tempfile


def cache(name):
    """Where what was fetched lies, by a name with its version."""
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "tutti" / name


def fetch(place, pom, archive, beside=None):
    """Into the place, unless it is there; a second caller waits for the first. beside(folder): adds to the jars in folder/lib.
    archive(path): runs the program once, with its classes kept in path."""
    place.mkdir(parents=True, exist_ok=True)
    with open(place / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "lib").exists():
            fetch_jars(place, pom, beside)
        if not (place / "classes.jsa").exists():
            archive(place / "classes.part")
            os.rename(place / "classes.part", place / "classes.jsa")


def fetch_jars(place, pom, beside):
    print(f"{place.name}: fetching from Maven", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=place) as folder:
        folder = pathlib.Path(folder)
        (folder / "pom.xml").write_text(pom)
        subprocess.run(["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={folder}/lib",
                        "-DincludeScope=runtime"], cwd=folder, check=True, timeout=300, stdout=sys.stderr)
        if beside:
            beside(folder)
        os.rename(folder / "lib", place / "lib")


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
